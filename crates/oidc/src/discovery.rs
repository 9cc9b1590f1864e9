//! What the provider says about itself (OpenID Connect Discovery).

use serde::Deserialize;
use url::{Host, Url};

use crate::OidcConfig;

/// Where the document is, below the issuer.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Why a document cannot be gone by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("the discovery document cannot be read")]
    Malformed(#[source] serde_json::Error),
    #[error("the discovery document is another issuer's; oidc.issuer must be equal to the byte")]
    Issuer,
    #[error("{0} of the discovery document is no https URL without user, password and fragment")]
    Endpoint(&'static str),
    #[error("the provider takes neither client_secret_basic nor client_secret_post")]
    ClientAuth,
}

/// How we show who we are where codes are redeemed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    Basic,
    Post,
}

/// What is needed of what the provider says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// Where browsers go.
    pub(crate) authorization: Url,
    /// Where codes are redeemed.
    pub(crate) token: Url,
    /// Where the keys are.
    pub(crate) jwks: Url,
    pub(crate) client_auth: ClientAuth,
    /// Whether a browser that comes back says from which provider (RFC 9207).
    pub(crate) says_issuer: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Where the document of an issuer is.
pub(crate) fn address(issuer: &str) -> String {
    format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'))
}

/// Reads a document. Members that are of no use here are left out.
pub(crate) fn read(json: &[u8], config: &OidcConfig) -> Result<Endpoints, DocumentError> {
    let document: Document = serde_json::from_slice(json).map_err(DocumentError::Malformed)?;
    if document.issuer != config.issuer {
        return Err(DocumentError::Issuer);
    }
    let endpoint = |name, text: &str| {
        let url = Url::parse(text).ok();
        url.filter(|url| is_safe(url, config.allow_http))
            .ok_or(DocumentError::Endpoint(name))
    };
    Ok(Endpoints {
        authorization: endpoint("authorization_endpoint", &document.authorization_endpoint)?,
        token: endpoint("token_endpoint", &document.token_endpoint)?,
        jwks: endpoint("jwks_uri", &document.jwks_uri)?,
        client_auth: client_auth(document.token_endpoint_auth_methods_supported.as_deref())?,
        says_issuer: document.authorization_response_iss_parameter_supported,
    })
}

/// Codes, secrets and keys travel over TLS, or stay on this machine while somebody develops on it.
fn is_safe(url: &Url, allow_http: bool) -> bool {
    let at_home = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let is_private = url.scheme() == "https" || (url.scheme() == "http" && at_home && allow_http);
    let is_plain = url.username().is_empty() && url.password().is_none();
    is_private && is_plain && url.fragment().is_none()
}

/// A provider that says nothing takes `client_secret_basic`.
fn client_auth(methods: Option<&[String]>) -> Result<ClientAuth, DocumentError> {
    let Some(methods) = methods else {
        return Ok(ClientAuth::Basic);
    };
    let takes = |method: &str| methods.iter().any(|one| one == method);
    if takes("client_secret_basic") {
        Ok(ClientAuth::Basic)
    } else if takes("client_secret_post") {
        Ok(ClientAuth::Post)
    } else {
        Err(DocumentError::ClientAuth)
    }
}
