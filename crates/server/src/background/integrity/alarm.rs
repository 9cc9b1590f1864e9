//! What happens when books are wrong.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bursar_domain::{ActorId, AssetId, AuditDraft, Timestamp};
use bursar_ports::{
    Clock, EventFeed, IntegrityAlarm, Notice, RuleBook, Stop, StopScope, StoreError,
};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

/// Who stops and has the audit row.
const ACTOR: &str = "integrity";
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

#[async_trait]
impl IntegrityAlarm for StoppingAlarm {
    async fn stop_outgoing(&self, asset: AssetId, reason: String) -> Result<(), StoreError> {
        let scope = StopScope::Outgoing(asset);
        let stop = Stop {
            scope,
            reason: reason.clone(),
            stopped_by: ActorId::new(ACTOR),
            stopped_at: self.clock.now(),
        };
        let now = stop.stopped_at;
        self.rule_book.stop(stop, audit(asset)).await?;
        tracing::error!(
            asset = asset.as_str(),
            reason,
            "what leaves the exchange in this asset is stopped"
        );
        // It may have been stopped before, by another replica or by hand: that stop is in force.
        let stops = self.rule_book.list_stops().await?;
        let since = stops.iter().find(|stop| stop.scope == scope);
        let since = since.map_or(now, |stop| stop.stopped_at);
        let notice = Notice {
            id: notice_id(asset, since),
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
        Ok(())
    }
}

fn audit(asset: AssetId) -> AuditDraft {
    AuditDraft {
        actor: ActorId::new(ACTOR),
        credential: ACTOR.to_owned(),
        request_id: ACTOR.to_owned(),
        address: ACTOR.to_owned(),
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
            stopped_by: ActorId::new(ACTOR),
            stopped_at,
        }
    }

    fn away() -> StoreError {
        StoreError::Unavailable("away".into())
    }

    /// A rule book that stops, and says afterwards that these stops are in force.
    fn stopping(in_force: Vec<Stop>) -> MockRuleBook {
        let mut rule_book = MockRuleBook::new();
        rule_book.expect_stop().times(1).returning(|stopped, told| {
            assert_eq!((stopped, told), (stop(NOW), audit(btc())));
            Ok(())
        });
        rule_book
            .expect_list_stops()
            .returning(move || Ok(in_force.clone()));
        rule_book
    }

    async fn raised(rule_book: MockRuleBook, events: MockEventFeed) -> Result<(), StoreError> {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        let alarm = StoppingAlarm {
            rule_book: Arc::new(rule_book),
            events: Arc::new(events),
            clock: Arc::new(clock),
        };
        alarm.stop_outgoing(btc(), "wrong".to_owned()).await
    }

    /// What is told when these stops are in force.
    async fn told(in_force: Vec<Stop>) -> Notice {
        let notices = Arc::new(Mutex::new(vec![]));
        let mut events = MockEventFeed::new();
        let kept = Arc::clone(&notices);
        events.expect_append().times(1).returning(move |notice| {
            kept.lock().unwrap().push(notice);
            Ok(true)
        });
        raised(stopping(in_force), events).await.unwrap();
        notices.lock().unwrap().remove(0)
    }

    #[tokio::test]
    async fn a_breach_stops_the_asset_and_is_told_once_for_each_stop() {
        let first = told(vec![stop(NOW)]).await;
        assert_eq!((first.topic, first.at), ("integrity.breach", NOW));
        let data = [("asset", "btc"), ("reason", "wrong")];
        let data = data.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(first.data, BTreeMap::from(data));
        assert_eq!(told(vec![stop(NOW)]).await.id, first.id);
        // Lifted meanwhile: it was this one.
        assert_eq!(told(vec![]).await.id, first.id);
        let earlier = stop(Timestamp::from_micros(1));
        assert_ne!(told(vec![earlier]).await.id, first.id);
    }

    #[tokio::test]
    async fn what_could_not_be_stopped_is_trouble_and_not_told() {
        let mut rule_book = MockRuleBook::new();
        rule_book.expect_stop().returning(|_, _| Err(away()));
        let trouble = raised(rule_book, MockEventFeed::new()).await;
        assert!(matches!(trouble, Err(StoreError::Unavailable(_))));
    }

    #[tokio::test]
    async fn what_could_not_be_told_is_trouble() {
        let mut rule_book = MockRuleBook::new();
        rule_book.expect_stop().returning(|_, _| Ok(()));
        rule_book.expect_list_stops().returning(|| Err(away()));
        let trouble = raised(rule_book, MockEventFeed::new()).await;
        assert!(matches!(trouble, Err(StoreError::Unavailable(_))));
        let mut events = MockEventFeed::new();
        events.expect_append().returning(|_| Err(away()));
        let trouble = raised(stopping(vec![]), events).await;
        assert!(matches!(trouble, Err(StoreError::Unavailable(_))));
    }
}
