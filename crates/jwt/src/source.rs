//! Where a JWKS comes from. Nothing of it is trusted to be small or quick.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    thread,
    time::Duration,
};

use reqwest::{Client, StatusCode, redirect};
use tokio::sync::oneshot;

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
    Read(#[source] io::Error),
    /// It is too large.
    #[error("the JWKS is larger than 256 KiB")]
    TooLarge,
    /// There is nothing to verify with in it.
    #[error("the JWKS has no key for the configured algorithms")]
    NoKey,
}

/// A file that is being read, on a thread of its own.
type Reading = oneshot::Receiver<io::Result<Vec<u8>>>;

/// A source, ready to be read.
pub(crate) struct Source {
    from: JwksSource,
    client: Client,
    /// How long reading a file may take.
    read_timeout: Duration,
    /// What was begun and may not have ended yet.
    reading: Option<Reading>,
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
        Ok(Self {
            from,
            client,
            read_timeout: FETCH_TIMEOUT,
            reading: None,
        })
    }

    /// The JWKS as it is now.
    pub(crate) async fn read(&mut self) -> Result<Vec<u8>, SourceError> {
        match &self.from {
            JwksSource::Url(url) => self.fetch(url.as_str()).await,
            JwksSource::File(path) => {
                let read = read_anew(&mut self.reading, path);
                let read = tokio::time::timeout(self.read_timeout, read).await;
                let bytes = read.unwrap_or_else(|late| Err(late.into()));
                bounded(bytes.map_err(SourceError::Read)?)
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

/// Reads a file, once what was begun before has ended: a read that hangs with its storage cannot be
/// called off and keeps its thread, so there is never more than one. It is none of the runtime's, which
/// a process waits for before it ends.
async fn read_anew(reading: &mut Option<Reading>, path: &Path) -> io::Result<Vec<u8>> {
    if let Some(before) = reading {
        // Whatever it found is old.
        let _old = before.await;
    }
    let path = path.to_owned();
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("jwks".to_owned())
        .spawn(move || {
            // Whoever asked may have gone.
            let _gone = tell.send(read_file(&path)).is_err();
        })?;
    let read = reading.insert(told).await;
    *reading = None;
    read.unwrap_or_else(|_| Err(io::Error::other("reading it broke off")))
}

/// As much of a file as it takes to see that it is too large.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(JWKS_BYTES_MAX.saturating_add(1)).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn bounded(bytes: Vec<u8>) -> Result<Vec<u8>, SourceError> {
    if bytes.len() > JWKS_BYTES_MAX {
        Err(SourceError::TooLarge)
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
