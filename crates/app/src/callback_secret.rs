//! Secrets that sign callbacks: their text form, how they are kept, and which ones sign.

use bursar_domain::{Subscriber, Timestamp};
use bursar_ports::{
    CallbackSecret, CallbackSecrets, IdSource, SecretOwner, StoreError, StoredCallbackSecret,
};
use data_encoding::BASE64;
use uuid::{Builder, Uuid};

use crate::{Keyring, SealError};

/// What the text of a secret begins with (Standard Webhooks).
const PREFIX: &str = "whsec_";

/// The form in which receivers get a secret: `whsec_` and the base64 of its 32 bytes.
pub fn callback_secret_text(secret: &CallbackSecret) -> String {
    format!("{PREFIX}{}", BASE64.encode(&secret.0))
}

/// The secret with this text; none when it is no text that [`callback_secret_text`] gives.
pub fn read_callback_secret(text: &str) -> Option<CallbackSecret> {
    let bytes = BASE64.decode(text.strip_prefix(PREFIX)?.as_bytes()).ok()?;
    bytes.try_into().ok().map(CallbackSecret)
}

impl Keyring {
    /// Makes what is kept of a secret: encrypted, and bound to an id of its own.
    ///
    /// # Errors
    /// [`SealError`] when it cannot be encrypted, which there is no reason for.
    pub(crate) fn keep_callback_secret(
        &self,
        secret: &CallbackSecret,
        subscriber: Subscriber,
        created_at: Timestamp,
        ids: &dyn IdSource,
    ) -> Result<StoredCallbackSecret, SealError> {
        let id = time_ordered_id(created_at, ids);
        let owner = SecretOwner::CallbackSecret(id).to_string();
        Ok(StoredCallbackSecret {
            id,
            subscriber,
            secret: self.seal(&secret.0, &owner, ids.random_bytes())?,
            created_at,
            expires_at: None,
            revoked_at: None,
        })
    }

    /// Decrypts what is kept of a secret.
    ///
    /// # Errors
    /// [`SealError::NoKey`] when its master key is not configured, [`SealError::Failed`] when it
    /// was tampered with.
    pub fn open_callback_secret(
        &self,
        stored: &StoredCallbackSecret,
    ) -> Result<CallbackSecret, SealError> {
        let owner = SecretOwner::CallbackSecret(stored.id).to_string();
        let bytes = self.open(&stored.secret, &owner)?;
        let bytes = bytes.try_into().map_err(|_| SealError::Failed)?;
        Ok(CallbackSecret(bytes))
    }
}

/// What signs a subscriber's callbacks at this time, the newest secret first. Whoever has none gets
/// one now, so that no callback is ever without a signature. Empty when none can be decrypted.
///
/// # Errors
/// [`StoreError`] when the secrets cannot be read, or the first one not be kept.
pub(crate) async fn signing_secrets(
    secrets: &dyn CallbackSecrets,
    keyring: &Keyring,
    ids: &dyn IdSource,
    subscriber: &Subscriber,
    at: Timestamp,
) -> Result<Vec<CallbackSecret>, StoreError> {
    let mut active = secrets.find_active(subscriber.clone(), at).await?;
    if active.is_empty() {
        let first = CallbackSecret(ids.random_bytes());
        match keyring.keep_callback_secret(&first, subscriber.clone(), at, ids) {
            Ok(first) => active = secrets.add_first(first).await?,
            Err(error) => tracing::error!(%error, %subscriber, "a callback secret cannot be made"),
        }
    }
    let open = |stored: &StoredCallbackSecret| match keyring.open_callback_secret(stored) {
        Ok(secret) => Some(secret),
        Err(error) => {
            metrics::counter!("bursar_callback_secrets_unreadable_total").increment(1);
            let key = &stored.secret.key_id;
            tracing::error!(%error, %subscriber, secret.id = %stored.id, key, "a callback secret cannot be decrypted");
            None
        }
    };
    Ok(active.iter().filter_map(open).collect())
}

/// A UUID of version 7 from a time and the port's randomness.
pub(crate) fn time_ordered_id(at: Timestamp, ids: &dyn IdSource) -> Uuid {
    let millis = at.as_micros().div_euclid(1_000);
    let mut bytes = [0; 10];
    for (to, from) in bytes.iter_mut().zip(ids.random_bytes()) {
        *to = from;
    }
    Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or_default(), &bytes)
        .into_uuid()
}

#[cfg(test)]
mod tests;
