//! One attempt to deliver one callback.

use std::time::Duration;

use async_trait::async_trait;
use bursar_domain::Timestamp;
use bursar_ports::{Delivered, Notification, Notifier, Undelivered};
use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect,
};
use url::Url;

use crate::{address, retry_after};

/// How attempts are made.
#[derive(Clone, Debug)]
pub struct NotifierConfig {
    /// The hosts that may be called over plain `http`, on any port. For development only.
    pub http_hosts: Vec<String>,
    /// How long a whole attempt may take, name look-up and answer included.
    pub attempt_timeout: Duration,
    /// How long making the connection may take.
    pub connect_timeout: Duration,
    /// How long to read on for the rest of an answer whose status is known already, so that the
    /// connection can serve again.
    pub drain_timeout: Duration,
    /// How many bytes of an answer are read before the connection is dropped.
    pub answer_bytes_max: usize,
}

impl Default for NotifierConfig {
    /// What the contract says, and no plain `http`.
    fn default() -> Self {
        Self {
            http_hosts: Vec::new(),
            attempt_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            drain_timeout: Duration::from_secs(1),
            answer_bytes_max: 64 * 1024,
        }
    }
}

/// Why callbacks cannot be sent at all.
#[derive(Debug, thiserror::Error)]
#[error("the client for callbacks cannot be made; are the system's CA certificates installed?")]
pub struct NotifierError(#[source] reqwest::Error);

/// Delivers callbacks over HTTP/1.1.
#[derive(Debug)]
pub struct HttpNotifier {
    client: Client,
    config: NotifierConfig,
}

impl HttpNotifier {
    /// A notifier with connections of its own.
    ///
    /// # Errors
    /// [`NotifierError`] when TLS cannot be set up, above all without any CA certificate.
    pub fn try_new(config: NotifierConfig) -> Result<Self, NotifierError> {
        let client = Client::builder()
            .user_agent(concat!("Bursar/", env!("CARGO_PKG_VERSION")))
            .timeout(config.attempt_timeout)
            .connect_timeout(config.connect_timeout)
            // A redirect or a proxy would carry the callback somewhere nobody checked.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // The schedule counts attempts, so the client must not add any of its own.
            .retry(reqwest::retry::never())
            .http1_only()
            .pool_max_idle_per_host(4)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(NotifierError)?;
        Ok(Self { client, config })
    }

    /// Reads the rest of an answer within its bounds; a connection that is not read to its end is
    /// closed. Nothing in the rest can change what the status said.
    async fn drain(&self, mut response: Response) {
        let bounded = async {
            let mut left = self.config.answer_bytes_max;
            while let Ok(Some(chunk)) = response.chunk().await {
                match left.checked_sub(chunk.len()) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        if tokio::time::timeout(self.config.drain_timeout, bounded)
            .await
            .is_err()
        {
            tracing::debug!("a callback's receiver answered but did not finish its answer");
        }
    }
}

#[async_trait]
impl Notifier for HttpNotifier {
    async fn notify(&self, notification: Notification) -> Result<Delivered, Undelivered> {
        let url = Url::parse(&notification.url).map_err(|_| Undelivered::Forbidden)?;
        if !address::permit(&url, &self.config.http_hosts) {
            return Err(Undelivered::Forbidden);
        }
        let timestamp = notification.at.as_micros().div_euclid(1_000_000);
        let response = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", notification.webhook_id)
            .header("webhook-timestamp", timestamp)
            .body(notification.body)
            .send()
            .await
            .map_err(|error| classify(&error))?;
        let verdict = judge(&response, notification.at);
        self.drain(response).await;
        verdict
    }
}

fn judge(response: &Response, now: Timestamp) -> Result<Delivered, Undelivered> {
    let status: StatusCode = response.status();
    if status.is_success() {
        return Ok(Delivered {
            http_status: status.as_u16(),
        });
    }
    let retry_after_ms = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after::parse(value, now));
    Err(Undelivered::Answered {
        http_status: status.as_u16(),
        retry_after_ms,
    })
}

fn classify(error: &reqwest::Error) -> Undelivered {
    if error.is_builder() {
        Undelivered::Forbidden
    } else if error.is_connect() {
        Undelivered::Connect
    } else if error.is_timeout() {
        Undelivered::Timeout
    } else {
        Undelivered::Broken
    }
}
