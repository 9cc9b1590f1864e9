//! A token's header and signature.

use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation, decode, decode_header, errors::ErrorKind,
};

use crate::{claims::Claims, refusal::Refusal};

/// Far more than an access token needs; less than would cost anything to refuse.
pub(crate) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Reads a header, which is not to be believed: it only says what to verify with. Addresses and
/// keys in it (`jku`, `x5u`, `jwk`, `x5c`) are not looked at.
pub(crate) fn read_header(token: &str) -> Result<Header, Refusal> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
    if header.crit.is_some() {
        return Err(Refusal::Critical);
    }
    // An ID token or a logout token of the same issuer is signed by the same keys.
    let is_access_token = header.typ.as_deref().is_none_or(|typ| {
        ["JWT", "at+jwt"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(typ))
    });
    if is_access_token {
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
