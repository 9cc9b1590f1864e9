//! What is accepted.

use std::{fmt, path::PathBuf, time::Duration};

use url::Url;

/// Which tokens are accepted.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// What `iss` must be.
    pub issuer: String,
    /// `aud` must be or have one of these.
    pub audiences: Vec<String>,
    /// How far the issuer's clock may be from ours, for `exp` and `nbf`.
    pub leeway: Duration,
    /// The claim that names the user a token acts for; `sub` is allowed.
    pub user_claim: String,
    /// What signatures are verified with.
    pub keys: KeyConfig,
}

/// What signatures are verified with. A shared secret and public keys cannot be mixed, so neither
/// can ever be taken for the other.
#[derive(Clone)]
pub enum KeyConfig {
    /// HS256 with this secret.
    Secret(Vec<u8>),
    /// The issuer's public keys.
    Jwks(JwksConfig),
}

impl fmt::Debug for KeyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret(..)"),
            Self::Jwks(jwks) => f.debug_tuple("Jwks").field(jwks).finish(),
        }
    }
}

/// Where the issuer's public keys are and what they are good for.
#[derive(Clone, Debug)]
pub struct JwksConfig {
    /// Where they are.
    pub source: JwksSource,
    /// The algorithms that are accepted.
    pub algorithms: Vec<JwksAlgorithm>,
    /// How often they are fetched anew without being asked for.
    pub refresh: Duration,
}

/// Where a JWKS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// At this address. Which addresses are safe is the configuration's business.
    Url(Url),
    /// In this file.
    File(PathBuf),
}

/// The algorithms of public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwksAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, keys of 2,048 to 8,192 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl JwksAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// Its name in a token's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}
