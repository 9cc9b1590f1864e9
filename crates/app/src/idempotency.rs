//! From a parsed request to its claim on an idempotency key.

use bursar_domain::{FieldValue, Fingerprint, IdempotencyClaim, IdempotencyKey, KeyScope};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::Principal;

/// A value this short is kept as it is. A digest is longer, so that no value looks like another's.
const BRIEF_BYTES_MAX: usize = 64;

/// The fields of a request in their normal form, in a fixed order.
#[derive(Debug, Default)]
pub(crate) struct RequestFields(Vec<FieldValue>);

impl RequestFields {
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &impl ToString) -> Self {
        self.0.push(FieldValue {
            name: name.to_owned(),
            value: value.to_string(),
        });
        self
    }

    #[must_use]
    pub(crate) fn with_optional(self, name: &str, value: Option<&String>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Replaces long values by their digests: enough to tell two requests apart, and a key that
    /// stands for very many fields stays small.
    #[must_use]
    pub(crate) fn brief(mut self) -> Self {
        for field in &mut self.0 {
            if field.value.len() > BRIEF_BYTES_MAX {
                let digest = Sha256::digest(field.value.as_bytes());
                field.value = format!("sha256:{}", HEXLOWER.encode(&digest));
            }
        }
        self
    }

    /// Claims a key for this request.
    pub(crate) fn claim(
        self,
        principal: &Principal,
        operation: &'static str,
        key: IdempotencyKey,
    ) -> IdempotencyClaim {
        self.claim_for(principal.key_principal(), operation, key)
    }

    /// The same among the keys of whoever is named.
    pub(crate) fn claim_for(
        self,
        principal: impl Into<String>,
        operation: &'static str,
        key: IdempotencyKey,
    ) -> IdempotencyClaim {
        let mut hash = Sha256::new();
        for field in &self.0 {
            // Lengths keep `a` + `bc` apart from `ab` + `c`.
            for part in [&field.name, &field.value] {
                hash.update(part.len().to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        IdempotencyClaim {
            scope: KeyScope {
                principal: principal.into(),
                operation,
            },
            key,
            fingerprint: Fingerprint(hash.finalize().into()),
            fields: self.0,
        }
    }
}
