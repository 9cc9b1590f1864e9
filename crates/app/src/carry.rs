//! One signed POST to a receiver: a callback, or a test of the receiver.

use bursar_domain::{Subscriber, Timestamp};
use bursar_ports::{
    CallbackSecrets, Delivered, IdSource, Notification, Notifier, StoreError, Undelivered,
};
use uuid::Uuid;

use crate::{Keyring, callback_secret::signing_secrets};

/// What it takes to sign and to carry.
pub(crate) struct Carrier<'a> {
    pub(crate) notifier: &'a dyn Notifier,
    pub(crate) secrets: &'a dyn CallbackSecrets,
    pub(crate) keyring: &'a Keyring,
    pub(crate) ids: &'a dyn IdSource,
}

impl Carrier<'_> {
    /// POSTs once, unless there is nothing to sign it with.
    ///
    /// # Errors
    /// [`StoreError`] when the secrets cannot be read; nothing was sent then.
    pub(crate) async fn post(
        &self,
        subscriber: &Subscriber,
        url: String,
        id: Uuid,
        at: Timestamp,
        body: String,
    ) -> Result<Result<Delivered, Undelivered>, StoreError> {
        let prepared = self.prepare(subscriber, url, id, at, body).await?;
        Ok(match prepared {
            Some(notification) => self.notifier.notify(notification).await,
            None => Err(Undelivered::Unsigned),
        })
    }

    /// What is to be POSTed, with all that signs it; none when there is nothing to sign it with:
    /// receivers who verify would take it for somebody else's.
    ///
    /// # Errors
    /// [`StoreError`] when the secrets cannot be read.
    pub(crate) async fn prepare(
        &self,
        subscriber: &Subscriber,
        url: String,
        id: Uuid,
        at: Timestamp,
        body: String,
    ) -> Result<Option<Notification>, StoreError> {
        let secrets = signing_secrets(self.secrets, self.keyring, self.ids, subscriber, at).await?;
        if secrets.is_empty() {
            return Ok(None);
        }
        Ok(Some(Notification {
            url,
            webhook_id: id.to_string(),
            at,
            body,
            secrets,
        }))
    }
}

/// The receiver's status, if it answered, and the one fixed word for what happened.
pub(crate) const fn in_a_word(
    outcome: Result<Delivered, Undelivered>,
) -> (Option<u16>, &'static str) {
    match outcome {
        Ok(Delivered { http_status }) => (Some(http_status), "delivered"),
        Err(undelivered) => (undelivered.http_status(), undelivered.word()),
    }
}
