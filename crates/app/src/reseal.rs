//! Changing the key under which secrets rest: everything is encrypted anew under the first key, so
//! that the others can leave the configuration.
//!
//! It is safe while Bursar serves, and can be broken off and repeated: each secret is replaced only
//! where it is still the one that was read, and both keys are configured meanwhile.

use std::{collections::BTreeSet, sync::Arc};

use bursar_ports::{
    Clock, IdSource, Permission, SealedRecord, SealedSecrets, SecretOwner, StoreError,
};

use crate::{
    Error, Grant, Keyring, SealError,
    admin::{access_key_target, callback_secret_target},
    operators::operator_target,
};

/// How many secrets are read at once.
const BATCH: u32 = 100;

/// Encrypts secrets anew.
#[derive(Clone)]
pub struct ResealPass {
    /// Where the secrets are.
    pub secrets: Arc<dyn SealedSecrets>,
    /// The keys: the first one encrypts.
    pub keyring: Arc<Keyring>,
    /// New nonces.
    pub ids: Arc<dyn IdSource>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What became of the secrets that were not under the first key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// They are now.
    pub resealed: u64,
    /// Somebody else changed or revoked them meanwhile.
    pub changed_meanwhile: u64,
    /// Whose secret cannot be decrypted, for want of its key or because it was tampered with.
    pub unreadable: Vec<SecretOwner>,
}

impl ResealPass {
    /// Goes once through everything that is not under the first key.
    ///
    /// # Errors
    /// [`Error::Store`] when the secrets cannot be read or replaced; what was replaced stays so.
    pub async fn run(&self, grant: &Grant) -> Result<Resealed, Error> {
        grant.require(Permission::Admin)?;
        let mut done = Resealed::default();
        let mut after = None;
        loop {
            let under = self.keyring.sealing_key_id().to_owned();
            let batch = self.secrets.list_sealed(under, after, BATCH).await?;
            let Some(last) = batch.last() else {
                return Ok(done);
            };
            after = Some(last.belongs_to.clone());
            for record in batch {
                self.reseal(grant, record, &mut done).await?;
            }
        }
    }

    async fn reseal(
        &self,
        grant: &Grant,
        record: SealedRecord,
        done: &mut Resealed,
    ) -> Result<(), StoreError> {
        let random = self.ids.random_bytes();
        let belongs_to = record.belongs_to.to_string();
        let sealed = self
            .keyring
            .open(&record.secret, &belongs_to)
            .and_then(|secret| self.keyring.seal(&secret, &belongs_to, random));
        match sealed {
            Ok(sealed) => {
                let audit = grant.audit("secret.reseal", target_of(&record.belongs_to));
                let now = self.clock.now();
                let secrets = &self.secrets;
                let count = if secrets.replace_sealed(record, sealed, now, audit).await? {
                    &mut done.resealed
                } else {
                    &mut done.changed_meanwhile
                };
                *count = count.saturating_add(1);
            }
            Err(SealError::NoKey | SealError::Failed) => done.unreadable.push(record.belongs_to),
        }
        Ok(())
    }

    /// The keys that secrets are under and that are not configured, with how many there are.
    ///
    /// # Errors
    /// [`StoreError`] when the secrets cannot be counted.
    pub async fn missing_keys(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let configured: BTreeSet<&str> = self.keyring.sealing_key_ids().collect();
        let counted = self.secrets.count_sealed().await?;
        let missing = |(key_id, _): &(String, u64)| !configured.contains(key_id.as_str());
        Ok(counted.into_iter().filter(missing).collect())
    }

    /// How many secrets there are under each key, the configured ones that none is under included.
    ///
    /// # Errors
    /// [`StoreError`] when the secrets cannot be counted.
    pub async fn count(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut counted = self.secrets.count_sealed().await?;
        for key_id in self.keyring.sealing_key_ids() {
            if !counted.iter().any(|(counted, _)| counted == key_id) {
                counted.push((key_id.to_owned(), 0));
            }
        }
        Ok(counted)
    }
}

/// How the audit log names what a secret belongs to.
fn target_of(owner: &SecretOwner) -> String {
    match owner {
        SecretOwner::AccessKey(access_key) => access_key_target(access_key),
        SecretOwner::CallbackSecret(id) => callback_secret_target(*id),
        SecretOwner::OperatorTotp(name) => operator_target(name),
    }
}

#[cfg(test)]
mod tests;
