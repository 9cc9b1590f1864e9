//! What open pages look at again and again: it costs next to nothing.

use bursar_domain::{TransferId, Version};

use super::{READERS, Taken};
use crate::{App, BooksState, Error, Grant};

impl App {
    /// Who is at these transfers, where anybody is, and the version that they are at: with another
    /// one the transfer is theirs no longer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn takings(
        &self,
        grant: &Grant,
        transfers: Vec<TransferId>,
    ) -> Result<Vec<(TransferId, Version, Taken)>, Error> {
        grant.require_any(&READERS)?;
        let queue = &self.ports.work_queue;
        let takings = queue.list_takings(transfers, self.now()).await?;
        let taken = takings
            .into_iter()
            .map(|taking| (taking.transfer, taking.version, taking.into()));
        Ok(taken.collect())
    }

    /// What this replica last saw of the books; none when it has not looked.
    ///
    /// # Errors
    /// [`Error::Forbidden`] alone.
    pub fn books_state(&self, grant: &Grant) -> Result<Option<BooksState>, Error> {
        grant.require_any(&READERS)?;
        Ok(self.ports.books_seen.last())
    }
}

#[cfg(test)]
mod tests;
