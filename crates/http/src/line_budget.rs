//! So many lines a second and no more: a service that has too much to do must not spend its time on
//! telling the log so.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

/// How many lines of one sort there are in a second at most.
const LINES_MAX: u32 = 20;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How many more lines of one sort this second may have.
///
/// Threads that begin a second together may write a line too many, or count one too few.
#[derive(Debug)]
pub(crate) struct LineBudget {
    second: AtomicU64,
    lines: AtomicU32,
    left_out: AtomicU64,
}

impl LineBudget {
    pub(crate) const fn new() -> Self {
        Self {
            second: AtomicU64::new(0),
            lines: AtomicU32::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether a line may be written, and how many were left out since the last one.
    pub(crate) fn take(&self) -> Option<u64> {
        self.take_at(BEGAN.elapsed().as_secs())
    }

    fn take_at(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) < LINES_MAX {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_one_tells_how_many_were_left_out() {
        let budget = LineBudget::new();
        for second in [0, 7] {
            for line in 0..LINES_MAX {
                let left_out = if second == 7 && line == 0 { 5 } else { 0 };
                assert_eq!(budget.take_at(second), Some(left_out), "{second} {line}");
            }
            for _ in 0..5 {
                assert_eq!(budget.take_at(second), None);
            }
        }
    }
}
