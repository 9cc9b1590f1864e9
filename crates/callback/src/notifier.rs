//! One attempt to deliver one callback.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bursar_ports::{CallbackUrlPolicy, Delivered, IpRange, Notification, Notifier, Undelivered};
use bursar_webhook::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, sign};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request,
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
    http::uri::PathAndQuery,
};
use rustls::{ClientConfig, client::Resumption, crypto::aws_lc_rs};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use crate::{
    address::AddressPolicy,
    connect::{Connections, Connector},
    exchange::{Bounds, exchange},
    resolve::{Resolve, SystemResolver},
};

/// How attempts are made.
#[derive(Clone, Debug)]
pub struct NotifierConfig {
    /// Which URLs may be called. Its allow-list holds for the addresses that names lead to, too.
    pub urls: CallbackUrlPolicy,
    /// Public addresses of this exchange: no callback goes there.
    pub own_addresses: Vec<IpRange>,
    /// Where Bursar itself listens: no callback goes there.
    pub own_listeners: Vec<SocketAddr>,
    /// How long a whole attempt may take, name look-up and answer included.
    pub attempt_timeout: Duration,
    /// How long looking up the name may take.
    pub resolve_timeout: Duration,
    /// How long making the connection may take.
    pub connect_timeout: Duration,
    /// How long to read on for the rest of an answer whose status is known already.
    pub drain_timeout: Duration,
    /// How many bytes of an answer are read before the connection is dropped, its head included.
    pub answer_bytes_max: u64,
}

impl Default for NotifierConfig {
    /// What the contract says, and nothing that is a developer's.
    fn default() -> Self {
        Self {
            urls: CallbackUrlPolicy::default(),
            own_addresses: Vec::new(),
            own_listeners: Vec::new(),
            attempt_timeout: Duration::from_secs(10),
            resolve_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            drain_timeout: Duration::from_secs(1),
            answer_bytes_max: 64 * 1024,
        }
    }
}

/// Why callbacks cannot be sent at all.
#[derive(Debug, thiserror::Error)]
#[error("TLS for callbacks cannot be set up; are the system's CA certificates installed?")]
pub struct NotifierError(#[source] rustls::Error);

/// Delivers callbacks over HTTP/1.1, each attempt over a connection of its own.
#[derive(Debug)]
pub struct HttpNotifier {
    connector: Connector,
    config: NotifierConfig,
}

impl HttpNotifier {
    /// A notifier that asks the system for addresses, and for whom to trust.
    ///
    /// # Errors
    /// [`NotifierError`] when TLS cannot be set up, above all without any CA certificate.
    pub fn try_new(config: NotifierConfig) -> Result<Self, NotifierError> {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(NotifierError)?
            .with_no_client_auth();
        Ok(Self::with(config, Arc::new(SystemResolver::default()), tls))
    }

    /// A notifier that asks this resolver for addresses, and trusts whom `tls` trusts.
    pub fn with(config: NotifierConfig, resolver: Arc<dyn Resolve>, mut tls: ClientConfig) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session is not verified again, and each attempt should be.
        tls.resumption = Resumption::disabled();
        let addresses = AddressPolicy {
            allow_cidrs: config.urls.allow_cidrs.clone(),
            own_addresses: config.own_addresses.clone(),
            own_listeners: config.own_listeners.clone(),
        };
        let connector = Connector {
            addresses,
            resolver,
            tls: Arc::new(tls),
            resolve_timeout: config.resolve_timeout,
            connect_timeout: config.connect_timeout,
            begun: 0.into(),
            denied: 0.into(),
        };
        Self { connector, config }
    }

    /// How many connections were begun and denied so far.
    pub fn connections(&self) -> Connections {
        self.connector.counts()
    }
}

#[async_trait]
impl Notifier for HttpNotifier {
    async fn notify(&self, notification: Notification) -> Result<Delivered, Undelivered> {
        let url = self
            .config
            .urls
            .accept(&notification.url)
            .map_err(|_| Undelivered::Forbidden)?;
        let at = notification.at;
        let request = request(&url, notification).ok_or(Undelivered::Forbidden)?;
        let deadline = Instant::now() + self.config.attempt_timeout;
        let wire = timeout_at(deadline, self.connector.connect(&url))
            .await
            .map_err(|_| Undelivered::Timeout)??;
        let bounds = Bounds {
            deadline,
            drain: self.config.drain_timeout,
            answer_bytes_max: self.config.answer_bytes_max,
        };
        exchange(wire, request, at, bounds).await
    }
}

/// The request, to the byte; none when a value fits no header.
fn request(url: &Url, notification: Notification) -> Option<Request<Full<Bytes>>> {
    let timestamp = notification.at.as_micros().div_euclid(1_000_000);
    let Notification {
        webhook_id,
        body,
        secrets,
        ..
    } = notification;
    let signature = sign(&webhook_id, timestamp, body.as_bytes(), &secrets);
    let target: PathAndQuery = url[Position::BeforePath..Position::AfterQuery]
        .parse()
        .ok()?;
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let mut request = Request::post(target.as_str())
        .header(HOST, authority)
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("Bursar/", env!("CARGO_PKG_VERSION")))
        .header(WEBHOOK_ID, webhook_id)
        .header(WEBHOOK_TIMESTAMP, timestamp);
    if let Some(signature) = signature {
        request = request.header(WEBHOOK_SIGNATURE, HeaderValue::try_from(signature).ok()?);
    }
    request.body(Full::from(body)).ok()
}
