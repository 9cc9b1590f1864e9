//! One signed POST to a receiver: a callback, or a test of the receiver.

use bursar_domain::{Subscriber, Timestamp};
use bursar_ports::{CallbackSecrets, Delivered, IdSource, Notification, StoreError, Undelivered};
use uuid::Uuid;

use crate::{Keyring, callback_secret::signing_secrets};

/// What it takes to sign.
pub(crate) struct Signer<'a> {
    pub(crate) secrets: &'a dyn CallbackSecrets,
    pub(crate) keyring: &'a Keyring,
    pub(crate) ids: &'a dyn IdSource,
}

impl Signer<'_> {
    /// What is to be POSTed once, with all that signs it. It is not when there is nothing to sign it
    /// with: receivers who verify would take it for somebody else's.
    ///
    /// # Errors
    /// [`StoreError`] when the secrets cannot be read.
    pub(crate) async fn sign(
        &self,
        subscriber: &Subscriber,
        url: String,
        id: Uuid,
        at: Timestamp,
        body: String,
    ) -> Result<Result<Notification, Undelivered>, StoreError> {
        let secrets = signing_secrets(self.secrets, self.keyring, self.ids, subscriber, at).await?;
        if secrets.is_empty() {
            return Ok(Err(Undelivered::Unsigned));
        }
        Ok(Ok(Notification {
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
