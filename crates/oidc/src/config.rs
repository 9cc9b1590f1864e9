//! Which provider, and what it knows us as.

use bursar_jwt::JwksAlgorithm;
use secrecy::SecretString;
use url::Url;

/// The identity provider. Which addresses are safe is the configuration's business, but for those that
/// the provider says itself.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// The issuer: what `iss` must be, and where the discovery document is.
    pub issuer: String,
    /// What the provider knows us as.
    pub client_id: String,
    /// What shows it that it is us.
    pub client_secret: SecretString,
    /// Where the provider sends browsers back to.
    pub redirect_url: Url,
    /// The algorithms of ID tokens that are accepted.
    pub algorithms: Vec<JwksAlgorithm>,
    /// What is asked for; `openid` is among it.
    pub scopes: Vec<String>,
    /// What `acr` must be; none when the provider decides what is enough.
    pub acr: Option<String>,
    /// Whether endpoints on this machine may be plain http.
    pub allow_http: bool,
}
