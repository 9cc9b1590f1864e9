//! Watches the books.

mod alarm;

use std::time::Duration;

use bursar_app::IntegrityWatch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use self::alarm::StoppingAlarm;
use super::outage::Outage;

/// How much is looked at, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How often accounts are compared with their entries.
    pub interval: Duration,
    /// How many of them each time.
    pub accounts: u32,
    /// After how many looks at accounts all sums are taken.
    pub sums_after: u32,
}

impl Default for Pace {
    /// A million accounts take half an hour, and nobody notices.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            accounts: 500,
            sums_after: 60,
        }
    }
}

/// Looks at the books until told to stop.
pub async fn watch_books(mut watch: IntegrityWatch, pace: Pace, stop: CancellationToken) {
    let mut ticks = interval(pace.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let over = Some("the books can be looked at again");
    let mut outage = Outage::new("the books cannot be looked at", over);
    let mut looks = 0_u32;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let mut looked = watch.check_accounts(pace.accounts).await;
        if looked.is_ok() && looks.is_multiple_of(pace.sums_after) {
            looked = watch.check_sums().await;
        }
        looks = looks.wrapping_add(1);
        match looked {
            Ok(()) => outage.end(),
            Err(error) => outage.meet(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bursar_ports::{CheckedAccounts, MockBookIntegrity, MockIntegrityAlarm, StoreError};
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn accounts_come_often_and_sums_now_and_then_through_any_outage() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut books = MockBookIntegrity::new();
        let sums = tell.clone();
        books.expect_sums().returning(move || {
            sums.send("sums").unwrap();
            Err(StoreError::Overloaded)
        });
        books.expect_check_accounts().returning(move |_, limit| {
            assert_eq!(limit, 7);
            tell.send("accounts").unwrap();
            Ok(CheckedAccounts::default())
        });
        let watch = IntegrityWatch::new(Arc::new(books), Arc::new(MockIntegrityAlarm::new()));
        let stop = CancellationToken::new();
        let pace = Pace {
            interval: Duration::from_millis(1),
            accounts: 7,
            sums_after: 3,
        };
        let task = tokio::spawn(watch_books(watch, pace, stop.clone()));
        let mut looks = vec![];
        for _ in 0..9 {
            looks.push(told.recv().await.unwrap());
        }
        stop.cancel();
        task.await.unwrap();
        let round = ["accounts", "sums", "accounts", "accounts"];
        assert_eq!(looks[..8], [round, round].concat());
    }
}
