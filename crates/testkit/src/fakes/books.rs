//! The books and payouts, as a test says.

use std::sync::Mutex;

use async_trait::async_trait;
use bursar_domain::{AssetId, Timestamp, TransferId, UserId, UserStatus};
use bursar_ports::{
    AssetIntegrity, AssetSums, BookIntegrity, Breach, CheckedAccounts, ClaimedPayout,
    IntegrityAlarm, OutgoingStop, PayoutAnswer, PayoutClearance, PayoutFigures, PayoutGateway,
    PayoutOrder, PayoutSchedule, PostponedPayout, SignedMessage, StoreError,
};

use super::locked;

/// Books that come to what a test says.
#[derive(Default)]
pub struct FakeIntegrity {
    pub books: Mutex<Vec<AssetIntegrity>>,
    /// What every look at accounts finds, and every examination of all.
    pub breaches: Mutex<Vec<Breach>>,
}

#[async_trait]
impl BookIntegrity for FakeIntegrity {
    async fn sums(&self) -> Result<Vec<AssetSums>, StoreError> {
        let books = locked(&self.books);
        Ok(books.iter().map(|book| book.sums.clone()).collect())
    }

    async fn examine(&self) -> Result<(Vec<AssetIntegrity>, Vec<Breach>), StoreError> {
        let books = locked(&self.books).clone();
        Ok((books, locked(&self.breaches).clone()))
    }

    async fn check_accounts(&self, _: Option<i64>, _: u32) -> Result<CheckedAccounts, StoreError> {
        Ok(CheckedAccounts {
            breaches: locked(&self.breaches).clone(),
            ..CheckedAccounts::default()
        })
    }
}

/// An alarm for assets that somebody else has stopped already.
pub struct StoppedByOthers;

#[async_trait]
impl IntegrityAlarm for StoppedByOthers {
    async fn stop_outgoing(&self, _: AssetId, _: String) -> Result<OutgoingStop, StoreError> {
        Ok(OutgoingStop::Another)
    }
}

/// A payout gateway that everybody knows how to sign for: with [`GENUINE`].
pub struct FakeGateway;

/// What only the gateway would sign with.
pub const GENUINE: &str = "v1,genuine";

#[async_trait]
impl PayoutGateway for FakeGateway {
    async fn pay(&self, _order: PayoutOrder) -> PayoutAnswer {
        PayoutAnswer::UnderWay
    }

    fn try_max_ms(&self) -> i64 {
        1_000
    }

    fn is_genuine(&self, message: &SignedMessage, _now: Timestamp) -> bool {
        message.signature == GENUINE && !message.id.is_empty() && !message.timestamp.is_empty()
    }
}

/// A schedule of payouts with nothing in it.
pub struct EmptySchedule;

#[async_trait]
impl PayoutSchedule for EmptySchedule {
    async fn claim_due(
        &self,
        _lease_ms: i64,
        _limit: u32,
    ) -> Result<Vec<ClaimedPayout>, StoreError> {
        Ok(vec![])
    }

    async fn clearance(
        &self,
        _owner: UserId,
        _asset: AssetId,
    ) -> Result<PayoutClearance, StoreError> {
        Ok(PayoutClearance {
            owner: UserStatus::Active,
            is_stopped: false,
        })
    }

    async fn postpone(&self, _postponed: PostponedPayout) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn end(&self, _id: TransferId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn figures(&self) -> Result<PayoutFigures, StoreError> {
        Ok(PayoutFigures::default())
    }
}
