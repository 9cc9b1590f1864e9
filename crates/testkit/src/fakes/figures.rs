//! Figures, as a test says.

use std::sync::Mutex;

use async_trait::async_trait;
use bursar_domain::Timestamp;
use bursar_ports::{
    CallbackLag, Figures, HostHealth, StoreError, VolumeScan, Volumes, WaitingWork,
};

use super::locked;

/// Figures that are what a test says.
#[derive(Default)]
pub struct FakeFigures {
    pub waiting: Mutex<WaitingWork>,
    pub volumes: Mutex<Volumes>,
    pub lag: Mutex<CallbackLag>,
    pub hosts: Mutex<Vec<HostHealth>>,
    /// What volumes were asked for last.
    pub asked: Mutex<Option<VolumeScan>>,
}

#[async_trait]
impl Figures for FakeFigures {
    async fn waiting(&self) -> Result<WaitingWork, StoreError> {
        Ok(*locked(&self.waiting))
    }

    async fn volumes(&self, scan: VolumeScan) -> Result<Volumes, StoreError> {
        *locked(&self.asked) = Some(scan);
        Ok(locked(&self.volumes).clone())
    }

    async fn callback_lag(&self, _: Timestamp) -> Result<CallbackLag, StoreError> {
        Ok(*locked(&self.lag))
    }

    async fn callback_hosts(&self) -> Result<Vec<HostHealth>, StoreError> {
        Ok(locked(&self.hosts).clone())
    }
}
