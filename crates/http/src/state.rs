//! What every handler can reach.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bursar_app::App;
use bursar_ports::IpRange;
use bursar_streams::EventStreams;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::HttpConfig;

/// The application and what the service pages tell of it. Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    /// The use cases.
    pub app: App,
    /// Renders the metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether new requests are welcome. Set to `false` when a shutdown begins: `/health/ready`
    /// then says so, and load balancers look elsewhere. Until they do requests are served as ever,
    /// but each is the last one of its connection.
    pub ready: Arc<AtomicBool>,
    /// What the streams of the event feed wait for. They end when it is told so, which a shutdown
    /// does first: it would wait for them.
    pub events: EventStreams,
}

impl HttpState {
    /// State that is ready from the start.
    pub fn new(app: App, metrics: Arc<dyn Fn() -> String + Send + Sync>) -> Self {
        Self {
            app,
            metrics,
            ready: Arc::new(AtomicBool::new(true)),
            events: EventStreams::default(),
        }
    }
}

impl fmt::Debug for HttpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpState")
            .field("ready", &self.ready)
            .finish_non_exhaustive()
    }
}

/// The state with the limits that handlers keep.
pub(crate) struct Shared {
    pub(crate) state: HttpState,
    pub(crate) body_bytes_max: usize,
    pub(crate) bulk_body_bytes_max: usize,
    pub(crate) body_read_timeout: Duration,
    pub(crate) trusted_proxies: Vec<IpRange>,
    pub(crate) callback_addresses: Vec<IpRange>,
    /// Where alone what is for operators is answered; none = everywhere.
    pub(crate) operators: Option<SocketAddr>,
    event_streams: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(config: &HttpConfig, state: HttpState) -> Self {
        Self {
            state,
            body_bytes_max: config.body_bytes_max,
            bulk_body_bytes_max: config.bulk_body_bytes_max,
            body_read_timeout: config.body_read_timeout,
            trusted_proxies: config.trusted_proxies.clone(),
            callback_addresses: config.callback_addresses.clone(),
            operators: None,
            event_streams: Arc::new(Semaphore::new(config.event_streams_max)),
        }
    }

    /// A place for one more stream of events, if there is any.
    pub(crate) fn stream_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.event_streams).try_acquire_owned().ok()
    }

    pub(crate) const fn app(&self) -> &App {
        &self.state.app
    }
}
