//! A token's header and signature.

use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation, decode, decode_header, errors::ErrorKind,
};

use crate::{claims::Claims, refusal::Refusal};

/// What a token is for. Those of one issuer are signed by the same keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// It opens an API.
    Access,
    /// It says who signed in.
    Id,
}

impl TokenKind {
    /// Far more than one needs; less than would cost anything to refuse. An ID token may tell of
    /// groups and the like.
    pub(crate) const fn bytes_max(self) -> usize {
        match self {
            Self::Access => 8 * 1024,
            Self::Id => 64 * 1024,
        }
    }

    /// What its type may be; it may also have none.
    const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Access => &["JWT", "at+jwt"],
            Self::Id => &["JWT"],
        }
    }
}

/// Reads a header, which is not to be believed: it only says what to verify with. Addresses and
/// keys in it (`jku`, `x5u`, `jwk`, `x5c`) are not looked at.
pub(crate) fn read_header(token: &str, kind: TokenKind) -> Result<Header, Refusal> {
    if token.len() > kind.bytes_max() {
        return Err(Refusal::TooLarge);
    }
    let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
    if header.crit.is_some() {
        return Err(Refusal::Critical);
    }
    // Tokens for other purposes are signed by the same keys.
    let is_such = header.typ.as_deref().is_none_or(|typ| {
        let mut known = kind.types().iter();
        known.any(|known| known.eq_ignore_ascii_case(typ))
    });
    if is_such {
        Ok(header)
    } else {
        Err(Refusal::Type)
    }
}

/// The claims, if the signature is by this key with this algorithm.
pub(crate) fn verify(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> Result<Claims, Refusal> {
    let mut only_signature = Validation::new(algorithm);
    // The claims are held against our own clock and rules, in `claims`.
    only_signature.required_spec_claims.clear();
    only_signature.validate_exp = false;
    only_signature.validate_aud = false;
    decode(token, key, &only_signature)
        .map(|verified| verified.claims)
        .map_err(|error| {
            if matches!(error.kind(), ErrorKind::InvalidSignature) {
                Refusal::Signature
            } else {
                Refusal::Malformed
            }
        })
}
