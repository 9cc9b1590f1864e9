//! Outages in the log. They last many passes, so one line tells that one began and one that it is over.

use bursar_ports::StoreError;

/// Whether a loop's passes fail, and what the log says of that.
pub(super) struct Outage {
    began: &'static str,
    over: Option<&'static str>,
    lasts: bool,
}

impl Outage {
    /// None yet. Without words for its end nothing is said of that.
    pub(super) const fn new(began: &'static str, over: Option<&'static str>) -> Self {
        Self {
            began,
            over,
            lasts: false,
        }
    }

    /// A pass went well.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.lasts)
            && let Some(over) = self.over
        {
            tracing::info!("{over}");
        }
    }

    /// A pass failed. A replica that waits to take over has no trouble.
    pub(super) fn meet(&mut self, error: &StoreError) {
        if matches!(error, StoreError::Standby) {
            return;
        }
        if !std::mem::replace(&mut self.lasts, true) {
            tracing::warn!(%error, "{}", self.began);
        }
    }
}
