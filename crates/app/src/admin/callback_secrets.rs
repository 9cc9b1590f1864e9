//! The secrets that sign callbacks. A secret is shown once, when it is issued.

use std::fmt;

use bursar_domain::Subscriber;
use bursar_ports::{CallbackSecret, Permission, StoredCallbackSecret};
use uuid::Uuid;

use crate::{App, Error, Grant, Missing, callback_secret_text};

/// How long the secret before a new one signs on beside it, in microseconds: 24 hours.
const OVERLAP_US: i64 = 24 * 3_600 * 1_000_000;

/// What a new callback secret is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCallbackSecret {
    /// Whose callbacks it is to sign.
    pub subscriber: Subscriber,
    /// The secret itself; a random one when it is not given.
    pub secret: Option<CallbackSecret>,
}

/// A callback secret that was just issued. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedCallbackSecret {
    /// What is kept of it.
    pub stored: StoredCallbackSecret,
    /// The secret as receivers need it, `whsec_…`: shown now and never again.
    pub text: String,
}

impl fmt::Debug for IssuedCallbackSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedCallbackSecret")
            .field("stored", &self.stored)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Issues a callback secret. It signs from now on; the one that did so far signs on beside it
    /// for 24 hours, and one before that ends at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is for a user that does not exist. Clients of the back office
    /// are only names: any will do.
    pub async fn issue_callback_secret(
        &self,
        grant: &Grant,
        new: NewCallbackSecret,
    ) -> Result<IssuedCallbackSecret, Error> {
        grant.require(Permission::Admin)?;
        match &new.subscriber {
            Subscriber::User(user) => self.require_user_exists(Some(*user)).await?,
            Subscriber::Client(_) => {}
        }
        let ids = &*self.ports.ids;
        let random = || CallbackSecret(ids.random_bytes());
        let secret = new.secret.unwrap_or_else(random);
        let now = self.now();
        let stored = self
            .keyring
            .keep_callback_secret(&secret, new.subscriber, now, ids)
            .map_err(|_| Error::Internal("a secret cannot be encrypted"))?;
        let audit = grant.audit("callback_secret.issue", callback_secret_target(stored.id));
        self.ports
            .callback_secrets
            .rotate(stored.clone(), now.plus_micros(OVERLAP_US), audit)
            .await?;
        let text = callback_secret_text(&secret);
        Ok(IssuedCallbackSecret { stored, text })
    }

    /// Callback secrets in order of ids, which grow with time; of everybody or of one subscriber,
    /// and also those that have ended.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_callback_secrets(
        &self,
        grant: &Grant,
        subscriber: Option<Subscriber>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<StoredCallbackSecret>, Error> {
        grant.require(Permission::Admin)?;
        let secrets = &self.ports.callback_secrets;
        Ok(secrets.list(subscriber, after, limit).await?)
    }

    /// Ends a callback secret at once; repeating it changes nothing. When no other is left, the
    /// next callback makes one that nobody knows.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none with this id.
    pub async fn revoke_callback_secret(&self, grant: &Grant, id: Uuid) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        let audit = grant.audit("callback_secret.revoke", callback_secret_target(id));
        let secrets = &self.ports.callback_secrets;
        let found = secrets.revoke(id, self.now(), audit).await?;
        if found {
            Ok(())
        } else {
            Err(Error::NotFound(Missing::CallbackSecret))
        }
    }
}

/// How the audit log names a callback secret.
pub(crate) fn callback_secret_target(id: Uuid) -> String {
    format!("callback_secret:{id}")
}

#[cfg(test)]
mod tests;
