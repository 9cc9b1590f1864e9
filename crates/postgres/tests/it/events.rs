//! The event feed: gap-free, in causal order, and in agreement with what was committed.

mod sequencers;
mod writers;

use std::{collections::BTreeMap, sync::Arc};

use bursar_domain::{Commit, Status, Transfer, TransferId, Version};
use bursar_ports::{
    CommitOutcome, Event, EventFeed, EventPage, EventSequencer, Happening, Notice, Step,
    TransferStore,
};
use bursar_postgres::{PgEvents, PgStore, SealKeys};
use bursar_testkit::{FixedClock, SequentialIds, build};
use uuid::Uuid;

use crate::support::{Fixture, patient, patient_engine};

/// Numbers whatever waits for a number; gives the last one.
pub(crate) async fn number(events: &PgEvents) -> i64 {
    loop {
        let numbering = events.number().await.unwrap();
        if !numbering.more {
            return numbering.last;
        }
    }
}

/// Numbers whatever waits and reads all of the feed, in pages of no round size.
pub(crate) async fn everything(events: &PgEvents) -> Vec<Event> {
    let last = number(events).await;
    let mut all: Vec<Event> = vec![];
    loop {
        let after = all.last().map_or(0, |event| event.number);
        let page = page(events, after, 97).await;
        if page.is_empty() {
            assert_eq!(after, last);
            return all;
        }
        for (event, number) in page.iter().zip(after + 1..) {
            assert_eq!(event.number, number, "a gap");
        }
        all.extend(page);
    }
}

pub(crate) async fn page(events: &PgEvents, after: i64, limit: u32) -> Vec<Event> {
    match events.list(after, limit).await.unwrap() {
        EventPage::Events(events) => events,
        EventPage::Pruned { oldest } => panic!("pruned up to {oldest}"),
        EventPage::Ahead { last } => panic!("ahead of {last}"),
    }
}

/// What an event says of a transfer's life.
pub(crate) fn step(event: &Event) -> Option<(TransferId, Version, Status)> {
    match &event.what {
        Happening::Step(step) => Some((step.transfer.id(), step.version, step.status)),
        Happening::Notice { .. } => None,
    }
}

/// A book with one asset and a user whose deposits settle at once.
struct Scene {
    fixture: Fixture,
    events: PgEvents,
    store: Arc<PgStore>,
    ids: SequentialIds,
}

impl Scene {
    async fn new() -> Self {
        let fixture = Fixture::with_usd().await;
        let (store, _tasks) = PgStore::start(
            &patient(fixture.url()),
            fixture.database.clone(),
            &patient_engine(),
            Arc::new(FixedClock::default()),
        );
        Self {
            events: PgEvents::new(fixture.database.clone(), SealKeys::default()),
            fixture,
            store: Arc::new(store),
            ids: SequentialIds::default(),
        }
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Transfer> {
        let outcomes = self.store.commit(commits).await.unwrap().into_iter();
        let committed = |outcome| {
            let CommitOutcome::Committed(transfer) = outcome else {
                panic!("{outcome:?}")
            };
            *transfer
        };
        outcomes.map(committed).collect()
    }

    /// This many deposits in one batch.
    async fn deposits(&self, count: usize) -> Vec<Transfer> {
        let deposits = (0..count).map(|_| {
            let asset = build::asset("usd", 2);
            let new = build::new_transfer(self.ids.transfer(), &asset, 100, FixedClock::START);
            Commit::new(build::deposit(new, build::user_id(1)).settled_at_once())
        });
        self.commit(deposits.collect()).await
    }

    async fn open_withdrawal(&self) -> Transfer {
        let asset = build::asset("usd", 2);
        let new = build::new_transfer(self.ids.transfer(), &asset, 10, FixedClock::START);
        let opened = build::withdrawal(new, build::user_id(1));
        self.commit(vec![Commit::new(opened)]).await.remove(0)
    }

    /// What the numbers stand for.
    async fn transfers(&self, after: i64, limit: u32) -> Vec<(i64, i64)> {
        let page = page(&self.events, after, limit).await;
        let ids = page.iter().map(|event| {
            let (id, _, _) = step(event).unwrap();
            (event.number, id.get())
        });
        ids.collect()
    }
}

#[tokio::test]
async fn a_batch_is_one_row_and_as_many_events_as_it_has_steps() {
    let mut scene = Scene::new().await;
    scene.deposits(5).await;
    scene.deposits(1).await;
    assert_eq!(scene.transfers(0, 9).await, [], "nothing has a number yet");
    assert_eq!(number(&scene.events).await, 6);
    let rows = "SELECT count || ' from ' || first_number FROM book_main.journal ORDER BY 1";
    assert_eq!(scene.fixture.texts(rows).await, ["1 from 6", "5 from 1"]);
    let ids = [1, 2, 3, 4, 5, 6].map(|number| (number, number));
    assert_eq!(scene.transfers(0, 9).await, ids);
    for after in 0..6 {
        for limit in 1..6 {
            let end = (after + limit).min(6);
            let wanted = &ids[after..end];
            let after = i64::try_from(after).unwrap();
            let limit = u32::try_from(limit).unwrap();
            assert_eq!(scene.transfers(after, limit).await, wanted);
        }
    }
    assert_eq!(scene.transfers(6, 9).await, []);
    for beyond in [7, i64::MAX] {
        let answer = scene.events.list(beyond, 9).await.unwrap();
        assert_eq!(answer, EventPage::Ahead { last: 6 });
    }
}

#[tokio::test]
async fn an_event_tells_the_status_of_its_step_and_not_todays() {
    let scene = Scene::new().await;
    scene.deposits(1).await;
    let opened = scene.open_withdrawal().await;
    let paid = build::step(&opened, &build::confirm(), FixedClock::START.plus_micros(9));
    let paid = scene.commit(vec![Commit::new(paid)]).await.remove(0);
    let all = everything(&scene.events).await;
    let steps: Vec<_> = all.iter().filter_map(step).collect();
    let id = opened.id();
    assert_eq!(
        steps[1..],
        [
            (id, Version::FIRST, Status::AwaitingConfirmation),
            (id, Version::new(2), Status::Completed)
        ]
    );
    assert_eq!(all[1].at, opened.parts().updated_at);
    assert_eq!(all[2].at, paid.parts().updated_at);
    for event in &all[1..] {
        let Happening::Step(step) = &event.what else {
            panic!("{event:?}")
        };
        assert_eq!(step.transfer, paid);
    }
}

#[tokio::test]
async fn what_changes_no_transfer_is_no_event() {
    let scene = Scene::new().await;
    scene.deposits(1).await;
    let opened = scene.open_withdrawal().await;
    let told = opened.acknowledge(
        &build::cancel_telling("https://example.com/hook"),
        Some("no".to_owned()),
    );
    scene.commit(vec![Commit::new(told)]).await;
    assert_eq!(everything(&scene.events).await.len(), 2);
}

fn notice(number: u128, about: Option<&Transfer>) -> Notice {
    Notice {
        id: Uuid::from_u128(number),
        topic: "withdrawal.expiring",
        at: FixedClock::START,
        about: about.map(|transfer| (transfer.id(), transfer.version())),
        data: BTreeMap::from([("expires_at".to_owned(), "soon".to_owned())]),
    }
}

#[tokio::test]
async fn a_notice_is_told_once_and_only_while_it_is_true() {
    let scene = Scene::new().await;
    scene.deposits(1).await;
    let opened = scene.open_withdrawal().await;
    for _ in 0..2 {
        assert!(scene.events.append(notice(1, Some(&opened))).await.unwrap());
    }
    let paid = build::step(&opened, &build::confirm(), FixedClock::START);
    scene.commit(vec![Commit::new(paid)]).await;
    let late = scene.events.append(notice(2, Some(&opened))).await;
    assert!(!late.unwrap(), "it is completed by now");
    assert!(scene.events.append(notice(3, None)).await.unwrap());
    let all = everything(&scene.events).await;
    let told: Vec<(i64, String, Option<Status>)> = all
        .iter()
        .filter_map(|event| match &event.what {
            Happening::Step(_) => None,
            Happening::Notice { topic, about, data } => {
                assert_eq!(data.get("expires_at").unwrap(), "soon");
                let status = about.as_ref().map(|Step { status, .. }| *status);
                Some((event.number, topic.clone(), status))
            }
        })
        .collect();
    let topic = || "withdrawal.expiring".to_owned();
    assert_eq!(
        told,
        [
            (3, topic(), Some(Status::AwaitingConfirmation)),
            (5, topic(), None)
        ]
    );
}

/// A withdrawal that expires within an hour is told of once, as long as nobody has confirmed it.
#[tokio::test]
async fn withdrawals_that_expire_soon_are_found_until_they_are_told_of() {
    let mut scene = Scene::new().await;
    scene.deposits(2).await;
    let (soon, later) = (scene.open_withdrawal().await, scene.open_withdrawal().await);
    let expire = |transfer: &Transfer, minutes: i64| {
        format!(
            "UPDATE book_main.transfers SET expires_at = clock_timestamp() + {minutes} * interval \
             '1 minute' WHERE id = {}",
            transfer.id()
        )
    };
    scene.fixture.run(&expire(&soon, 30)).await;
    scene.fixture.run(&expire(&later, 90)).await;
    let expiring = async || {
        let found = scene.events.list_expiring(3_600_000, 10).await.unwrap();
        found
            .into_iter()
            .map(|(notice, transfer)| (notice, transfer.id()))
            .collect::<Vec<_>>()
    };
    let found = expiring().await;
    let [(id, transfer)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(*transfer, soon.id());
    let told = Notice {
        id: *id,
        ..notice(1, Some(&soon))
    };
    assert!(scene.events.append(told).await.unwrap());
    assert_eq!(expiring().await, []);
}

/// Two withdrawals that are about to expire: the first one cannot be read, and the other is told.
async fn one_broken_and_one_sound(scene: &mut Scene) -> TransferId {
    scene.deposits(2).await;
    let (broken, sound) = (scene.open_withdrawal().await, scene.open_withdrawal().await);
    let expire = "UPDATE book_main.transfers \
                  SET expires_at = clock_timestamp() + interval '30 minutes' \
                  WHERE state = 'AwaitingConfirmation'";
    scene.fixture.run(expire).await;
    let broken = format!(
        "UPDATE book_main.transfers SET asset = 'no asset', \
         expires_at = expires_at - interval '1 minute' WHERE id = {}",
        broken.id()
    );
    scene.fixture.run(&broken).await;
    sound.id()
}

/// Whom a pass of so many finds.
async fn expiring(scene: &Scene, limit: i64) -> Vec<TransferId> {
    let found = scene.events.list_expiring(3_600_000, limit).await.unwrap();
    found.iter().map(|(_, found)| found.id()).collect()
}

/// One that nobody can read keeps none of the others from being told of.
#[tokio::test]
async fn a_row_that_cannot_be_read_hides_no_other_that_expires() {
    let mut scene = Scene::new().await;
    let sound = one_broken_and_one_sound(&mut scene).await;
    assert_eq!(expiring(&scene, 10).await, [sound]);
}

/// It takes one place of a pass, and then leaves it to the others.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_left_alone_once_it_was_tried() {
    let mut scene = Scene::new().await;
    let sound = one_broken_and_one_sound(&mut scene).await;
    assert_eq!(expiring(&scene, 1).await, []);
    assert_eq!(expiring(&scene, 1).await, [sound]);
}

/// The statement with which an operator prunes.
fn documented_pruning() -> &'static str {
    let guide = include_str!("../../../../docs/OPERATIONS.md");
    let (_, rest) = guide
        .split_once("```sql\nDELETE FROM book_main.journal")
        .unwrap();
    let (end, _) = rest.split_once("```").unwrap();
    let start = guide.len() - rest.len() - "DELETE FROM book_main.journal".len();
    &guide[start..guide.len() - rest.len() + end.len()]
}

#[tokio::test]
async fn what_was_pruned_is_told_and_its_numbers_never_come_again() {
    let mut scene = Scene::new().await;
    scene.deposits(3).await;
    number(&scene.events).await;
    scene.deposits(2).await;
    number(&scene.events).await;
    let age = "UPDATE book_main.journal SET locked_at = now() - interval '91 days' \
               WHERE first_number = 1";
    scene.fixture.run(age).await;
    scene.fixture.run(documented_pruning()).await;
    for after in [0, 1, 2] {
        let answer = scene.events.list(after, 9).await.unwrap();
        assert_eq!(answer, EventPage::Pruned { oldest: 4 });
    }
    assert_eq!(scene.transfers(3, 9).await, [(4, 4), (5, 5)]);
    scene.fixture.run("DELETE FROM book_main.journal").await;
    let answer = scene.events.list(3, 9).await.unwrap();
    assert_eq!(answer, EventPage::Pruned { oldest: 6 });
    assert_eq!(scene.transfers(5, 9).await, []);
    scene.deposits(1).await;
    number(&scene.events).await;
    assert_eq!(scene.transfers(5, 9).await, [(6, 6)]);
}

/// Whoever reads across a hole gets what is before it, and then learns of it.
#[tokio::test]
async fn nobody_passes_over_a_hole_without_noticing() {
    let mut scene = Scene::new().await;
    for _ in 0..3 {
        scene.deposits(1).await;
        number(&scene.events).await;
    }
    scene
        .fixture
        .run("DELETE FROM book_main.journal WHERE first_number = 2")
        .await;
    assert_eq!(scene.transfers(0, 9).await, [(1, 1)]);
    let answer = scene.events.list(1, 9).await.unwrap();
    assert_eq!(answer, EventPage::Pruned { oldest: 3 });
    assert_eq!(scene.transfers(2, 9).await, [(3, 3)]);
}
