//! Where a JWKS comes from. Nothing of it is trusted to be small or quick.

use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use tokio::io::AsyncReadExt;

use crate::JwksSource;

/// How long a whole fetch may take.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A JWKS has some kilobytes, also with certificates in it.
pub(crate) const JWKS_BYTES_MAX: usize = 256 * 1024;

/// Why a JWKS cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The client for it cannot be made.
    #[error("the client for the JWKS cannot be made; are the system's CA certificates installed?")]
    Client(#[source] reqwest::Error),
    /// It cannot be fetched.
    #[error("the JWKS cannot be fetched")]
    Fetch(#[source] reqwest::Error),
    /// The server answers something else.
    #[error("the JWKS is answered with status {0}")]
    Status(StatusCode),
    /// The file cannot be read.
    #[error("the JWKS cannot be read")]
    Read(#[source] std::io::Error),
    /// It is too large.
    #[error("the JWKS is larger than 256 KiB")]
    TooLarge,
    /// There is nothing to verify with in it.
    #[error("the JWKS has no key for the configured algorithms")]
    NoKey,
}

/// A source, ready to be read.
pub(crate) struct Source {
    from: JwksSource,
    client: Client,
}

impl Source {
    pub(crate) fn try_new(from: JwksSource) -> Result<Self, SourceError> {
        let plain = matches!(&from, JwksSource::Url(url) if url.scheme() == "http");
        let client = Client::builder()
            .user_agent(concat!("Bursar/", env!("CARGO_PKG_VERSION")))
            .timeout(FETCH_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .https_only(!plain)
            // Who may sign is decided by the address in the configuration and by nobody else.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .build()
            .map_err(SourceError::Client)?;
        Ok(Self { from, client })
    }

    /// The JWKS as it is now.
    pub(crate) async fn read(&self) -> Result<Vec<u8>, SourceError> {
        match &self.from {
            JwksSource::Url(url) => self.fetch(url.as_str()).await,
            JwksSource::File(path) => {
                let limit = u64::try_from(JWKS_BYTES_MAX.saturating_add(1)).unwrap_or(u64::MAX);
                let mut bytes = Vec::new();
                let file = tokio::fs::File::open(path)
                    .await
                    .map_err(SourceError::Read)?;
                file.take(limit)
                    .read_to_end(&mut bytes)
                    .await
                    .map_err(SourceError::Read)?;
                bounded(bytes)
            }
        }
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, SourceError> {
        // The log's readers know the address from the configuration; it may carry a secret.
        let failed = |error: reqwest::Error| SourceError::Fetch(error.without_url());
        let mut response = self.client.get(url).send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(SourceError::Status(response.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > JWKS_BYTES_MAX {
                return Err(SourceError::TooLarge);
            }
        }
        Ok(bytes)
    }
}

fn bounded(bytes: Vec<u8>) -> Result<Vec<u8>, SourceError> {
    if bytes.len() > JWKS_BYTES_MAX {
        Err(SourceError::TooLarge)
    } else {
        Ok(bytes)
    }
}
