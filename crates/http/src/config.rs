//! What an operator may set.

use std::time::Duration;

use bursar_ports::IpRange;

/// Limits and time-outs of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// How many threads serve requests.
    pub workers: usize,
    /// How many connections one of them holds at once.
    pub connections_per_worker_max: usize,
    /// How many bytes a body may have.
    pub body_bytes_max: usize,
    /// How many bytes the body of a bulk may have.
    pub bulk_body_bytes_max: usize,
    /// How long a client may take to send a body.
    pub body_read_timeout: Duration,
    /// How long a client may take to send the head of a request.
    pub head_read_timeout: Duration,
    /// How long a connection without a request is kept.
    pub keep_alive: Duration,
    /// How long a client may leave unread what it was sent.
    pub unread_timeout: Duration,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpRange>,
    /// From where callbacks are sent, as receivers are told.
    pub callback_addresses: Vec<IpRange>,
    /// How many streams of the event feed may be open at once.
    pub event_streams_max: usize,
    /// How long requests under way may take to finish after a stop, in whole seconds.
    pub shutdown_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(2, usize::from),
            connections_per_worker_max: 2_000,
            body_bytes_max: 64 * 1024,
            bulk_body_bytes_max: 8 * 1024 * 1024,
            body_read_timeout: Duration::from_secs(5),
            head_read_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(15),
            unread_timeout: Duration::from_secs(60),
            trusted_proxies: vec![],
            callback_addresses: vec![],
            event_streams_max: 32,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}
