//! The event feed.

use std::collections::BTreeMap;

use bursar_domain::{Status, Timestamp, Transfer, Version, feed::event_type};
use bursar_ports::{Event, EventPage, Happening, Step};

use super::READERS;
use crate::{App, Error, Grant};

/// Something that happened, as the feed tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// Its place in the feed: 1, 2, 3 and so on. There is no gap but after a restore.
    pub number: i64,
    /// What happened: two words with a dot between them.
    pub event_type: String,
    /// Whether it is a step of a transfer, by which that came to another version.
    pub is_step: bool,
    /// When.
    pub at: Timestamp,
    /// The transfer it is about, if it is about one.
    pub about: Option<ToldTransfer>,
    /// What more there is to know.
    pub data: BTreeMap<String, String>,
}

/// A transfer at some point of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldTransfer {
    /// The transfer as it is today: only what never changes says anything about that point.
    pub transfer: Transfer,
    /// Its public code, if it is an internal one.
    pub code: Option<String>,
    /// The version it was at.
    pub version: Version,
    /// The status it had.
    pub status: Status,
}

impl App {
    /// What happened after the event with this number, in order, at most `limit`.
    ///
    /// # Errors
    /// [`Error::EventsPruned`] when the next event is not kept any more, [`Error::EventsAhead`] when
    /// this one was never told.
    pub async fn list_events(
        &self,
        grant: &Grant,
        after: i64,
        limit: u32,
    ) -> Result<Vec<FeedEvent>, Error> {
        grant.require_any(&READERS)?;
        match self.ports.events.list(after, limit).await? {
            EventPage::Events(events) => {
                Ok(events.into_iter().map(|event| self.told(event)).collect())
            }
            EventPage::Pruned { oldest } => Err(Error::EventsPruned { oldest }),
            EventPage::Ahead { last } => Err(Error::EventsAhead { last }),
        }
    }

    fn told(&self, event: Event) -> FeedEvent {
        let Event { number, at, what } = event;
        let is_step = matches!(what, Happening::Step(_));
        let (event_type, about, data) = match what {
            Happening::Step(step) => {
                let event_type = event_type(
                    step.transfer.kind(),
                    step.status,
                    step.version,
                    step.reversed,
                );
                (event_type, Some(step), BTreeMap::new())
            }
            Happening::Notice { topic, about, data } => (topic, about, data),
        };
        let about = about.map(|step| {
            let Step {
                transfer,
                version,
                status,
                ..
            } = step;
            ToldTransfer {
                code: self.code_of(&transfer),
                transfer,
                version,
                status,
            }
        });
        FeedEvent {
            number,
            event_type,
            is_step,
            at,
            about,
            data,
        }
    }
}

#[cfg(test)]
mod tests;
