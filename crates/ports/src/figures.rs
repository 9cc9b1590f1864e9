//! Figures for people: how much waits, how much moved, and how callbacks fare.

use async_trait::async_trait;
use bursar_domain::{AssetId, Kind, Timestamp};

use crate::StoreError;

/// How many of something wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many; counted up to 10,000.
    pub count: u32,
    /// Since when the oldest has waited.
    pub oldest: Option<Timestamp>,
}

impl Waiting {
    /// Up to how many are counted: this many may be more.
    pub const COUNTED: u32 = 10_000;
}

/// What waits for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingWork {
    /// Withdrawals that nobody has confirmed.
    pub withdrawals: Waiting,
    /// What waits for a second operator.
    pub approvals: Waiting,
    /// Callbacks that were given up.
    pub dead_callbacks: Waiting,
}

/// Over which time volumes are told, in pieces of equal length that begin at whole ones of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeScan {
    /// From the hour that this lies in.
    pub from: Timestamp,
    /// How many hours a piece has.
    pub hours: u32,
}

/// What succeeded of one asset and kind within a piece of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The asset.
    pub asset: AssetId,
    /// The kind.
    pub kind: Kind,
    /// When the piece begins.
    pub start: Timestamp,
    /// How many transfers succeeded in it.
    pub count: u64,
    /// What they moved in all without fees, in smallest units; none beyond what can be told.
    pub amount: Option<i128>,
}

/// What succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volumes {
    /// In order of assets, kinds and time; where nothing succeeded there is no row.
    pub rows: Vec<Volume>,
    /// How many events of the feed are not in it yet.
    pub behind: u64,
}

/// How long callbacks take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallbackLag {
    /// How many wait or are being tried; counted up to 10,000.
    pub pending: u32,
    /// Since when the one has been due that has been due for longest.
    pub oldest_due: Option<Timestamp>,
    /// How many of the latest callbacks were delivered, which the next two rest on.
    pub sample: u32,
    /// Half of them took no longer than this from being due first to the receiver's answer.
    pub p50_ms: Option<i64>,
    /// Nineteen in twenty took no longer than this.
    pub p95_ms: Option<i64>,
}

/// How callbacks to one host fare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostHealth {
    /// The host in lower case, with its port: `example.com:443`.
    pub host: String,
    /// How many wait or are being tried; counted up to 10,000 of all hosts.
    pub pending: u32,
    /// How many of the latest dead letters are for it; of the latest 10,000 of all hosts.
    pub dead: u32,
    /// When the oldest of those that wait became due first.
    pub oldest_pending: Option<Timestamp>,
    /// When it last took one, among the latest callbacks.
    pub last_success: Option<Timestamp>,
    /// When it last did not, among the latest callbacks.
    pub last_failure: Option<Timestamp>,
    /// What happened then, in one fixed word.
    pub last_failure_outcome: Option<String>,
}

/// Figures for people. Each costs the same however many transfers there are.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Figures: Send + Sync {
    /// How much waits for operators.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn waiting(&self) -> Result<WaitingWork, StoreError>;

    /// What succeeded since a time.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn volumes(&self, scan: VolumeScan) -> Result<Volumes, StoreError>;

    /// How long callbacks take.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn callback_lag(&self, now: Timestamp) -> Result<CallbackLag, StoreError>;

    /// How callbacks fare, in order of hosts.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn callback_hosts(&self) -> Result<Vec<HostHealth>, StoreError>;
}

/// Counts what the event feed tells of into the figures, once.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Summary: Send + Sync {
    /// Counts a chunk of what is not counted yet, unless somebody else is about it. Answers whether
    /// there may be more right now.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer; nothing was counted, or all of it.
    async fn fold(&self) -> Result<bool, StoreError>;
}
