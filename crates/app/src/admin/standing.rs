//! Stopping users, and letting them go on, with the reason for whoever reads the audit log.

use bursar_domain::{User, UserId, UserStatus};
use bursar_ports::{Permission, PutUser};
use serde_json::json;

use crate::{App, Error, Grant, Missing};

impl App {
    /// Gives a user another status, and keeps the reason in the audit log. It binds what is in flight
    /// as soon as this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user.
    pub async fn set_user_status(
        &self,
        grant: &Grant,
        id: UserId,
        status: UserStatus,
        reason: &str,
    ) -> Result<User, Error> {
        grant.require(Permission::Admin)?;
        let found = self.ports.directory.find_user(id).await?;
        let user = User {
            status,
            ..found.ok_or(Error::NotFound(Missing::User))?
        };
        let mut audit = grant.audit("user.put", format!("user:{id}"));
        let after = json!({
            "username": user.username,
            "email": user.email,
            "roles": user.roles,
            "status": user.status.as_str(),
            "reason": reason,
        });
        audit.after = Some(after.to_string());
        match self.ports.directory.put_user(user.clone(), audit).await? {
            PutUser::Written => Ok(user),
            PutUser::UsernameTaken => Err(Error::UsernameTaken),
            PutUser::EmailTaken => Err(Error::EmailTaken),
        }
    }
}

#[cfg(test)]
mod tests;
