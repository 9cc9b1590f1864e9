//! What everything about a sign-in at the provider is derived from.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

use crate::keyring::hmac_sha256;

/// What state, nonce and verifier are derived from, together with the bytes.
const STATE_CONTEXT: &[u8] = b"bursar console oidc state 1";
const NONCE_CONTEXT: &[u8] = b"bursar console oidc nonce 1";
const VERIFIER_CONTEXT: &[u8] = b"bursar console oidc verifier 1";
/// What a sign-in at the provider hangs on. Only the browser that began it has it.
#[derive(Clone)]
pub struct ProviderSeed([u8; 32]);

impl ProviderSeed {
    pub(super) const fn from_random(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// As the browser keeps it.
    pub fn to_text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// What [`ProviderSeed::to_text`] made.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    fn derived(&self, context: &[u8]) -> String {
        BASE64URL_NOPAD.encode(&hmac_sha256(&self.0, &[context]))
    }

    pub(super) fn state(&self) -> String {
        self.derived(STATE_CONTEXT)
    }

    pub(super) fn nonce(&self) -> String {
        self.derived(NONCE_CONTEXT)
    }

    pub(super) fn verifier(&self) -> String {
        self.derived(VERIFIER_CONTEXT)
    }

    /// What shows the provider that whoever ends it has the verifier (RFC 7636, S256).
    pub(super) fn challenge(&self) -> String {
        BASE64URL_NOPAD.encode(&Sha256::digest(self.verifier()))
    }
}

impl fmt::Debug for ProviderSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderSeed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_hangs_on_it_is_its_own() {
        let (one, other) = (ProviderSeed([1; 32]), ProviderSeed([2; 32]));
        let all = |seed: &ProviderSeed| {
            [
                seed.to_text(),
                seed.state(),
                seed.nonce(),
                seed.verifier(),
                seed.challenge(),
            ]
        };
        let mut texts = [all(&one), all(&other)].concat();
        // As long as RFC 7636 asks for, and of its letters.
        assert!(texts.iter().all(|text| text.len() == 43));
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 10);
        assert_eq!(all(&ProviderSeed([1; 32])), all(&one), "on every replica");
        assert_eq!(format!("{one:?}"), "ProviderSeed(..)");
    }

    #[test]
    fn a_seed_is_read_back_and_nothing_else_is() {
        let text = ProviderSeed([7; 32]).to_text();
        assert_eq!(ProviderSeed::parse(&text).unwrap().0, [7; 32]);
        for wrong in [
            "",
            "x",
            &text[1..],
            &format!("{text}A"),
            &format!("{text}="),
        ] {
            assert!(ProviderSeed::parse(wrong).is_none(), "{wrong}");
        }
    }
}
