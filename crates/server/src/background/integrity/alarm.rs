//! What happens when books are wrong.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bursar_domain::{ActorId, AssetId, AuditDraft, Timestamp};
use bursar_ports::{
    Clock, EventFeed, IntegrityAlarm, Notice, OutgoingStop, RuleBook, Stop, StopScope, StoreError,
    WATCH,
};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

/// What the event feed calls it.
const TOPIC: &str = "integrity.breach";

/// Stops what leaves the exchange in the asset, and tells the log and the event feed.
pub struct StoppingAlarm {
    /// Where it is stopped.
    pub rule_book: Arc<dyn RuleBook>,
    /// Where it is told.
    pub events: Arc<dyn EventFeed>,
    /// When.
    pub clock: Arc<dyn Clock>,
}

impl StoppingAlarm {
    async fn standing(&self, scope: StopScope) -> Result<Option<Stop>, StoreError> {
        let stops = self.rule_book.list_stops().await?;
        Ok(stops.into_iter().find(|stop| stop.scope == scope))
    }

    /// Places the stop, where there is none; the one that stands then. One that is gone by then was this
    /// one.
    async fn place(&self, stop: Stop, audit: AuditDraft) -> Result<Stop, StoreError> {
        self.rule_book.stop(stop.clone(), audit).await?;
        let stands = self.standing(stop.scope).await?.unwrap_or(stop);
        tracing::error!(
            scope = ?stands.scope,
            by = stands.stopped_by.as_str(),
            reason = stands.reason,
            "what leaves the exchange in this asset is stopped"
        );
        Ok(stands)
    }
}

#[async_trait]
impl IntegrityAlarm for StoppingAlarm {
    async fn stop_outgoing(
        &self,
        asset: AssetId,
        reason: String,
    ) -> Result<OutgoingStop, StoreError> {
        let scope = StopScope::Outgoing(asset);
        let now = self.clock.now();
        // Another replica or somebody may have stopped it before: that stop is in force, and nothing is
        // written as long as it stands.
        let stands = if let Some(stop) = self.standing(scope).await? {
            stop
        } else {
            let stop = Stop {
                scope,
                reason: reason.clone(),
                stopped_by: ActorId::new(WATCH),
                stopped_at: now,
            };
            self.place(stop, audit(asset)).await?
        };
        let notice = Notice {
            id: notice_id(asset, stands.stopped_at),
            topic: TOPIC,
            at: now,
            about: None,
            data: BTreeMap::from([
                ("asset".to_owned(), asset.to_string()),
                ("reason".to_owned(), reason),
            ]),
        };
        // What is about no transfer is told always.
        let _told = self.events.append(notice).await?;
        Ok(if stands.stopped_by.as_str() == WATCH {
            OutgoingStop::Own
        } else {
            OutgoingStop::Another
        })
    }
}

fn audit(asset: AssetId) -> AuditDraft {
    AuditDraft {
        actor: ActorId::new(WATCH),
        credential: WATCH.to_owned(),
        request_id: WATCH.to_owned(),
        address: WATCH.to_owned(),
        action: "stop.put",
        target: format!("stop:outgoing:{asset}"),
        before: None,
        after: None,
    }
}

/// The same for each stop, whoever tells of it and how often.
fn notice_id(asset: AssetId, since: Timestamp) -> Uuid {
    let digest = Sha256::new()
        .chain_update(TOPIC)
        .chain_update(since.as_micros().to_be_bytes())
        .chain_update(asset.as_str())
        .finalize();
    let bytes = digest.first_chunk::<16>().copied().unwrap_or_default();
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bursar_ports::{MockClock, MockEventFeed, MockRuleBook};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(5_000_000);

    fn btc() -> AssetId {
        AssetId::parse("btc").unwrap()
    }

    fn stop(stopped_at: Timestamp) -> Stop {
        Stop {
            scope: StopScope::Outgoing(btc()),
            reason: "wrong".to_owned(),
            stopped_by: ActorId::new(WATCH),
            stopped_at,
        }
    }

    fn away() -> StoreError {
        StoreError::Unavailable("away".into())
    }

    /// A rule book in which nothing is stopped, that stops, and says afterwards that these stops are in
    /// force.
    fn stopping(in_force: Vec<Stop>) -> MockRuleBook {
        let mut rule_book = MockRuleBook::new();
        rule_book.expect_stop().times(1).returning(|stopped, told| {
            assert_eq!((stopped, told), (stop(NOW), audit(btc())));
            Ok(())
        });
        rule_book
            .expect_list_stops()
            .times(1)
            .returning(|| Ok(vec![]));
        rule_book
            .expect_list_stops()
            .times(1)
            .returning(move || Ok(in_force.clone()));
        rule_book
    }

    /// A rule book in which this is stopped already.
    fn stopped(by: &Stop) -> MockRuleBook {
        let mut rule_book = MockRuleBook::new();
        let stops = vec![by.clone()];
        rule_book
            .expect_list_stops()
            .times(1)
            .returning(move || Ok(stops.clone()));
        rule_book
    }

    async fn raised(
        rule_book: MockRuleBook,
        events: MockEventFeed,
    ) -> Result<OutgoingStop, StoreError> {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        let alarm = StoppingAlarm {
            rule_book: Arc::new(rule_book),
            events: Arc::new(events),
            clock: Arc::new(clock),
        };
        alarm.stop_outgoing(btc(), "wrong".to_owned()).await
    }

    /// Which stop stands, and what is told.
    async fn told(rule_book: MockRuleBook) -> (OutgoingStop, Notice) {
        let notices = Arc::new(Mutex::new(vec![]));
        let mut events = MockEventFeed::new();
        let kept = Arc::clone(&notices);
        events.expect_append().times(1).returning(move |notice| {
            kept.lock().unwrap().push(notice);
            Ok(true)
        });
        let stands = raised(rule_book, events).await.unwrap();
        (stands, notices.lock().unwrap().remove(0))
    }

    #[tokio::test]
    async fn a_breach_stops_the_asset_and_is_told_once_for_each_stop() {
        let (stands, first) = told(stopping(vec![stop(NOW)])).await;
        assert_eq!(stands, OutgoingStop::Own);
        assert_eq!((first.topic, first.at), ("integrity.breach", NOW));
        let data = [("asset", "btc"), ("reason", "wrong")];
        let data = data.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(first.data, BTreeMap::from(data));
        // Lifted meanwhile: it was this one.
        let (stands, gone) = told(stopping(vec![])).await;
        assert_eq!((stands, gone.id), (OutgoingStop::Own, first.id));
        // By another replica, while this one was about it or before.
        let earlier = stop(Timestamp::from_micros(1));
        for rule_book in [stopping(vec![earlier.clone()]), stopped(&earlier)] {
            let (stands, other) = told(rule_book).await;
            assert_eq!(stands, OutgoingStop::Own);
            assert_ne!(other.id, first.id);
        }
    }

    #[tokio::test]
    async fn a_stop_by_hand_stands_and_is_not_the_watchs_own() {
        let by_hand = Stop {
            reason: "maintenance".to_owned(),
            stopped_by: ActorId::new("olga"),
            ..stop(Timestamp::from_micros(1))
        };
        for rule_book in [stopping(vec![by_hand.clone()]), stopped(&by_hand)] {
            let (stands, notice) = told(rule_book).await;
            assert_eq!(stands, OutgoingStop::Another);
            assert_eq!(notice.topic, "integrity.breach");
        }
    }

    #[tokio::test]
    async fn what_could_not_be_stopped_is_trouble_and_not_told() {
        let mut rule_book = MockRuleBook::new();
        rule_book.expect_list_stops().returning(|| Ok(vec![]));
        rule_book.expect_stop().returning(|_, _| Err(away()));
        let trouble = raised(rule_book, MockEventFeed::new()).await;
        assert!(matches!(trouble, Err(StoreError::Unavailable(_))));
    }

    #[tokio::test]
    async fn what_could_not_be_told_is_trouble() {
        let mut rule_book = MockRuleBook::new();
        rule_book.expect_list_stops().returning(|| Err(away()));
        let trouble = raised(rule_book, MockEventFeed::new()).await;
        assert!(matches!(trouble, Err(StoreError::Unavailable(_))));
        let mut events = MockEventFeed::new();
        events.expect_append().returning(|_| Err(away()));
        let trouble = raised(stopping(vec![]), events).await;
        assert!(matches!(trouble, Err(StoreError::Unavailable(_))));
    }
}
