//! Why a token is not accepted: for the log alone, callers get one answer for all.

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is too large.
    #[error("it is too large")]
    TooLarge,
    /// It is no JWT.
    #[error("it is no JWT")]
    Malformed,
    /// Its algorithm is not configured.
    #[error("its algorithm is not configured")]
    Algorithm,
    /// Its type is another.
    #[error("its type is another")]
    Type,
    /// Its header demands something.
    #[error("its header demands something")]
    Critical,
    /// The issuer has no such key.
    #[error("the issuer has no such key")]
    KeyUnknown,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    Signature,
    /// It is from another issuer.
    #[error("it is from another issuer")]
    Issuer,
    /// It is for another audience.
    #[error("it is for another audience")]
    Audience,
    /// It has expired, or never does.
    #[error("it has expired, or never does")]
    Expired,
    /// It is not valid yet.
    #[error("it is not valid yet")]
    NotYet,
    /// Its subject is missing or unusable.
    #[error("its subject is missing or unusable")]
    Subject,
    /// The claim that names its user is no GUID.
    #[error("the claim that names its user is no GUID")]
    User,
}
