//! Talking to the provider. Nothing of it is trusted to be small or quick.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, redirect};

/// How long a whole request may take.
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Discovery documents and answers with tokens have some kilobytes.
const BYTES_MAX: usize = 256 * 1024;

/// The client for the provider cannot be made.
#[derive(Debug, thiserror::Error)]
#[error(
    "the client for the identity provider cannot be made; are the system's CA certificates installed?"
)]
pub struct ClientError(#[source] reqwest::Error);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the provider does not answer")]
    Send(#[source] reqwest::Error),
    #[error("the provider answers more than 256 KiB")]
    TooLarge,
}

pub(crate) fn client(allow_http: bool) -> Result<Client, ClientError> {
    Client::builder()
        .user_agent(concat!("Bursar/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .https_only(!allow_http)
        // Who may say who somebody is, is decided by the configuration and by nobody else.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        // A code is asked about once.
        .retry(reqwest::retry::never())
        .build()
        .map_err(ClientError)
}

/// Sends a request, and reads what is answered.
pub(crate) async fn send(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), FetchError> {
    // The log's readers know the addresses from the configuration; they may carry a secret.
    let failed = |error: reqwest::Error| FetchError::Send(error.without_url());
    let mut response = request.send().await.map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
    }
    Ok((response.status(), bytes))
}
