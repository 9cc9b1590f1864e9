//! Stopping users, and letting them go on, with the reason for whoever reads the audit log.

use bursar_domain::{User, UserId, UserStatus};
use bursar_ports::{Expected, Permission, SetStatus};
use serde_json::json;

use crate::{App, Error, Grant, Missing};

impl App {
    /// The number of the change that gave a user the status it has, for whoever is about to let it go
    /// on.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user.
    pub async fn status_revision(&self, grant: &Grant, id: UserId) -> Result<i64, Error> {
        grant.require(Permission::Admin)?;
        let revision = self.ports.directory.status_revision(id).await?;
        revision.ok_or(Error::NotFound(Missing::User))
    }

    /// Gives a user another status if it has the expected one, changes nothing else, and keeps the
    /// reason in the audit log. It binds what is in flight as soon as this returns. Who is let go on
    /// must have the status by the change that was shown.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user; [`Error::Overtaken`] when the user has another
    /// status by now, or has it by another change.
    pub async fn set_user_status(
        &self,
        grant: &Grant,
        id: UserId,
        was: UserStatus,
        status: UserStatus,
        shown: Expected<i64>,
        reason: &str,
    ) -> Result<User, Error> {
        grant.require(Permission::Admin)?;
        let mut audit = grant.audit("user.put", format!("user:{id}"));
        audit.before = Some(json!({"status": was.as_str()}).to_string());
        let after = json!({"status": status.as_str(), "reason": reason});
        audit.after = Some(after.to_string());
        match self
            .ports
            .directory
            .set_status(id, was, status, shown, audit)
            .await?
        {
            SetStatus::Written(user) => Ok(user),
            SetStatus::Overtaken => Err(Error::Overtaken),
            SetStatus::Unknown => Err(Error::NotFound(Missing::User)),
        }
    }
}

#[cfg(test)]
mod tests;
