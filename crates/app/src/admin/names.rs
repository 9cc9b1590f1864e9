//! Users by their ids, for whoever shows transfers to people.

use bursar_domain::{User, UserId};

use super::READERS;
use crate::{App, Error, Grant};

impl App {
    /// The users with these ids, in any order; unknown ids are left out.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn name_users(&self, grant: &Grant, ids: Vec<UserId>) -> Result<Vec<User>, Error> {
        grant.require_any(&READERS)?;
        Ok(self.ports.directory.find_users(ids).await?)
    }
}

#[cfg(test)]
mod tests;
