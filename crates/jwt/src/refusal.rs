//! Why a token is not accepted: for the log alone, callers get one answer for all.

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is larger than 8 KiB")]
    TooLarge,
    #[error("it is no JWT")]
    Malformed,
    #[error("its algorithm is not configured")]
    Algorithm,
    #[error("its type is none of an access token")]
    Type,
    #[error("its header demands something")]
    Critical,
    #[error("the issuer has no such key")]
    KeyUnknown,
    #[error("the signature does not fit")]
    Signature,
    #[error("it is from another issuer")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it has expired, or never does")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("its subject is missing or unusable")]
    Subject,
    #[error("the claim that names its user is no GUID")]
    User,
}
