//! Redeeming a code (RFC 6749, 4.1.3).

use data_encoding::BASE64;
use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::{
    OidcConfig,
    discovery::{ClientAuth, Endpoints},
    http::{self, FetchError},
};

/// The longest that is kept of an error's code, in characters.
const ERROR_MAX: usize = 64;

/// Why there is no ID token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The code is wrong, old, used, or not for us.
    #[error("the provider does not accept the code")]
    Code,
    #[error("the provider gives no ID token: is openid among oidc.scopes?")]
    NoToken,
    /// It is nothing that the browser brought: the provider is in trouble, or does not know us.
    #[error("the provider answers a code with status {status} and \"{error}\"")]
    Trouble { status: StatusCode, error: String },
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct Wrong {
    error: String,
}

/// The ID token that a code stands for.
pub(crate) async fn redeem(
    client: &Client,
    config: &OidcConfig,
    endpoints: &Endpoints,
    code: &str,
    verifier: &str,
) -> Result<String, ExchangeError> {
    let request = request(client, config, endpoints, code, verifier);
    let (status, json) = http::send(request).await?;
    if status == StatusCode::OK {
        let tokens: Option<Tokens> = serde_json::from_slice(&json).ok();
        let token = tokens.and_then(|tokens| tokens.id_token);
        return token.ok_or(ExchangeError::NoToken);
    }
    let wrong: Option<Wrong> = serde_json::from_slice(&json).ok();
    let error = wrong.map(|wrong| wrong.error).unwrap_or_default();
    if status == StatusCode::BAD_REQUEST && error == "invalid_grant" {
        return Err(ExchangeError::Code);
    }
    let plain = error.chars().filter(char::is_ascii_graphic);
    Err(ExchangeError::Trouble {
        status,
        error: plain.take(ERROR_MAX).collect(),
    })
}

fn request(
    client: &Client,
    config: &OidcConfig,
    endpoints: &Endpoints,
    code: &str,
    verifier: &str,
) -> RequestBuilder {
    let mut body = Serializer::new(String::new());
    body.append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", config.redirect_url.as_str())
        .append_pair("code_verifier", verifier);
    let secret = config.client_secret.expose_secret();
    let mut request = client
        .post(endpoints.token.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json");
    match endpoints.client_auth {
        ClientAuth::Basic => {
            if let Some(header) = basic(&config.client_id, secret) {
                request = request.header(AUTHORIZATION, header);
            }
        }
        ClientAuth::Post => {
            body.append_pair("client_id", &config.client_id)
                .append_pair("client_secret", secret);
        }
    }
    request.body(body.finish())
}

/// Name and secret are escaped like a form's fields before they are put together (RFC 6749, 2.3.1).
fn basic(client_id: &str, secret: &str) -> Option<HeaderValue> {
    let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", escaped(client_id), escaped(secret));
    let text = format!("Basic {}", BASE64.encode(pair.as_bytes()));
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
