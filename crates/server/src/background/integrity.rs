//! Watches the books.

mod alarm;

use std::time::Duration;

use bursar_app::IntegrityWatch;
use bursar_ports::StoreError;
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
    let mut looking = Outage::new("the books cannot be looked at", over);
    let over = Some("sums of the books can be taken again");
    // An outage of its own: that accounts can be looked at says nothing about sums.
    let mut summing = Outage::new("sums of the books cannot be taken", over);
    let mut looks = 0_u32;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        note(&mut looking, &watch.check_accounts(pace.accounts).await);
        // Whatever became of the accounts: one that cannot be stopped keeps no sum from being taken.
        if looks.is_multiple_of(pace.sums_after) {
            note(&mut summing, &watch.check_sums().await);
        }
        looks = looks.wrapping_add(1);
    }
}

fn note(outage: &mut Outage, looked: &Result<(), StoreError>) {
    match looked {
        Ok(()) => outage.end(),
        Err(error) => outage.meet(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use bursar_ports::{CheckedAccounts, MockBookIntegrity, MockIntegrityAlarm};
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

    /// What is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Looks at accounts and takes sums by turns, until sums were asked for three times.
    async fn watched_until_three_sums(accounts: fn() -> Result<CheckedAccounts, StoreError>) {
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut books = MockBookIntegrity::new();
        books.expect_sums().returning(move || {
            tell.send(()).unwrap();
            Err(StoreError::Overloaded)
        });
        books
            .expect_check_accounts()
            .returning(move |_, _| accounts());
        let watch = IntegrityWatch::new(Arc::new(books), Arc::new(MockIntegrityAlarm::new()));
        let stop = CancellationToken::new();
        let pace = Pace {
            interval: Duration::from_millis(1),
            accounts: 7,
            sums_after: 2,
        };
        let task = tokio::spawn(watch_books(watch, pace, stop.clone()));
        for _ in 0..3 {
            told.recv().await.unwrap();
        }
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn good_looks_at_accounts_do_not_say_that_sums_can_be_taken_again() {
        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(lines);
        watched_until_three_sums(|| Ok(CheckedAccounts::default())).await;
        let text = log.text();
        let began = text.matches("sums of the books cannot be taken").count();
        assert!(began == 1 && !text.contains("again"), "{text}");
    }

    #[tokio::test]
    async fn sums_are_taken_where_accounts_cannot_be_looked_at() {
        watched_until_three_sums(|| Err(StoreError::Overloaded)).await;
    }
}
