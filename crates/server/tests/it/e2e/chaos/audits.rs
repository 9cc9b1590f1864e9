//! Audits under load: some rules of the books hold at every moment, and not only once all is quiet.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use bursar_audit::Violation;
use tokio::task::JoinHandle;

use super::super::books::{Books, told_of};

/// How long it takes at least from one audit to the next, while there is load.
const BETWEEN_AUDITS: Duration = Duration::from_secs(5);
/// How many times as long as an audit itself: it must not be what keeps a slow machine busy.
const TIMES_AN_AUDIT: u32 = 30;

/// Audits again and again, while clients are at work and whatever else dies.
pub(super) struct Audits {
    looking: JoinHandle<()>,
    seen: Arc<Mutex<Audited>>,
}

#[derive(Default)]
struct Audited {
    count: usize,
    /// What was wrong when anything was first.
    faults: Vec<Violation>,
}

impl Audits {
    pub(super) fn start(books: Books) -> Self {
        let seen = Arc::<Mutex<Audited>>::default();
        let looking = tokio::spawn(look_on(books, Arc::clone(&seen)));
        Self { looking, seen }
    }

    /// How many there were; in none of them anything was wrong.
    pub(super) fn ended(self) -> usize {
        let seen = self.seen.lock().unwrap();
        assert!(seen.faults.is_empty(), "{}", told_of(&seen.faults));
        seen.count
    }
}

impl Drop for Audits {
    /// Whoever waited in vain wants to know what was wrong by then.
    fn drop(&mut self) {
        self.looking.abort();
        if thread::panicking()
            && let Ok(seen) = self.seen.lock()
        {
            eprintln!("audited {} times: {}", seen.count, told_of(&seen.faults));
        }
    }
}

async fn look_on(books: Books, seen: Arc<Mutex<Audited>>) {
    loop {
        let began = Instant::now();
        // Of a database that is away nothing can be said.
        if let Ok(faults) = books.try_faults().await {
            let mut seen = seen.lock().unwrap();
            seen.count += 1;
            if seen.faults.is_empty() {
                seen.faults = faults;
            }
        }
        tokio::time::sleep(BETWEEN_AUDITS.max(began.elapsed() * TIMES_AN_AUDIT)).await;
    }
}
