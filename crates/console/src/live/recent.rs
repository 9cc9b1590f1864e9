//! What happened lately, read once for all pages that listen.

use std::collections::VecDeque;

use bursar_app::{App, Error, FeedEvent, Grant, work_of};
use bursar_domain::{AssetId, Kind, TransferId, Version};
use bursar_ports::OpenWork;
use tokio::sync::Mutex;

/// How many events are read at once.
const PAGE: u32 = 200;
/// How many events are kept for the pages that are a little behind the others.
const KEPT: usize = 2_000;

/// An event, as far as pages need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) number: i64,
    /// None for what is no step of a transfer: that changes nothing that a page shows live.
    pub(super) step: Option<Step>,
}

/// A step of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) transfer: TransferId,
    /// The version that it came to.
    pub(super) version: Version,
    pub(super) kind: Kind,
    pub(super) asset: AssetId,
    /// What operators were waited for with after it, if they were when it was read.
    pub(super) waits_for: Option<OpenWork>,
}

/// The events that pages were told last.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Run>);

/// Events that follow each other.
#[derive(Debug, Default)]
struct Run {
    /// The number before the first of them.
    after: i64,
    events: VecDeque<Heard>,
}

impl Recent {
    /// What comes after an event; nothing when there is nothing yet. Of several pages that ask for the
    /// same at once, one reads it and the others wait for that.
    pub(super) async fn after(
        &self,
        app: &App,
        grant: &Grant,
        after: i64,
    ) -> Result<Vec<Heard>, Error> {
        let mut run = self.0.lock().await;
        if after < run.after {
            drop(run);
            return read(app, grant, after).await;
        }
        if after > run.last() {
            // Nobody has listened for a while.
            *run = Run {
                after,
                events: VecDeque::new(),
            };
        }
        if after == run.last() {
            match read(app, grant, after).await {
                Ok(events) => run.add(events),
                Err(error) => {
                    // What was asked for may be no place to go on from for anybody.
                    *run = Run::default();
                    return Err(error);
                }
            }
        }
        Ok(run.beyond(after))
    }
}

impl Run {
    fn last(&self) -> i64 {
        self.events.back().map_or(self.after, |event| event.number)
    }

    fn add(&mut self, events: Vec<Heard>) {
        self.events.extend(events);
        while self.events.len() > KEPT {
            if let Some(gone) = self.events.pop_front() {
                self.after = gone.number;
            }
        }
    }

    fn beyond(&self, number: i64) -> Vec<Heard> {
        let after = self.events.partition_point(|event| event.number <= number);
        self.events.iter().skip(after).cloned().collect()
    }
}

async fn read(app: &App, grant: &Grant, after: i64) -> Result<Vec<Heard>, Error> {
    let events = app.list_events(grant, after, PAGE).await?;
    Ok(events.iter().map(heard).collect())
}

fn heard(event: &FeedEvent) -> Heard {
    let about = event.about.as_ref().filter(|_| event.is_step);
    let step = about.map(|told| {
        let transfer = &told.transfer;
        // What is read is the transfer as it is today.
        let is_there = transfer.version() == told.version;
        Step {
            transfer: transfer.id(),
            version: told.version,
            kind: transfer.kind(),
            asset: transfer.parts().asset,
            waits_for: work_of(transfer).filter(|_| is_there),
        }
    });
    Heard {
        number: event.number,
        step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(numbers: std::ops::RangeInclusive<i64>) -> Vec<Heard> {
        let event = |number| Heard { number, step: None };
        numbers.map(event).collect()
    }

    #[test]
    fn the_last_ones_are_kept() {
        let mut run = Run {
            after: 5,
            events: VecDeque::new(),
        };
        assert_eq!((run.last(), run.beyond(5)), (5, vec![]));
        run.add(events(6..=8));
        assert_eq!((run.last(), run.beyond(6)), (8, events(7..=8)));
        assert_eq!(run.beyond(8), []);
        run.add(events(9..=3_000));
        assert_eq!((run.after, run.last()), (1_000, 3_000));
        assert_eq!(run.beyond(1_000), events(1_001..=3_000));
    }
}
