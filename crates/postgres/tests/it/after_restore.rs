//! What was given out and then forgotten by a restore is not given out again.

use std::{collections::BTreeMap, time::Duration};

use bursar_domain::TransferId;
use bursar_ports::{EventFeed, EventPage, IdSource as _, Notice};
use bursar_postgres::{
    AfterRestoreError, Database, MovedOn, PgEvents, PgIds, PoolConfig, SealKeys, after_restore,
    testing::TestDatabase,
};
use bursar_testkit::{FixedClock, build};
use diesel_async::{AsyncConnection, AsyncPgConnection};

use crate::{
    events::{number, page},
    support::{run, texts},
};

/// Where everything stands that is counted.
const STANDS: &str = "SELECT concat_ws(' ', \
    (SELECT next FROM directory.id_ranges WHERE name = 'transfers'), \
    (SELECT next FROM book_main.id_ranges WHERE name = 'user_accounts'), \
    (SELECT next FROM book_main.id_ranges WHERE name = 'system_accounts'), \
    (SELECT next_number FROM book_main.sequencers WHERE name = 'events'), \
    (SELECT epoch FROM book_main.writers WHERE name = 'main'))";
const TOLD: &str = "SELECT concat_ws(' ', action, target, actor, before->>'transfers', \
    after->>'transfers') FROM directory.audit_log ORDER BY at";
const SESSIONS: &str = "SELECT count(*)::text FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'bursar'";

/// A database to which nobody is connected who would give numbers.
struct Scene {
    test: TestDatabase,
    connection: AsyncPgConnection,
}

impl Scene {
    async fn new() -> Self {
        let test = TestDatabase::create().await;
        Self {
            connection: AsyncPgConnection::establish(test.url()).await.unwrap(),
            test,
        }
    }

    /// Lets a replica take the next transfer id and tell some events, and ends it. Says the id and the
    /// number of the last event.
    async fn serve(&mut self, events: usize) -> (TransferId, i64) {
        let database = self.replica().await;
        let id = PgIds::new(database.clone()).next_transfer_id().await;
        let last = tell(&PgEvents::new(database, SealKeys::default()), events).await;
        self.until_nobody_is_connected().await;
        (id.unwrap(), last)
    }

    async fn replica(&self) -> Database {
        Database::connect(PoolConfig::new(self.test.url()))
            .await
            .unwrap()
    }

    async fn until_nobody_is_connected(&mut self) {
        let wait = async {
            while texts(&mut self.connection, SESSIONS).await != ["0"] {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(30), wait).await;
        ended.expect("a replica never went");
    }

    /// Puts everything back that is counted to where a new database has it, and forgets events but
    /// the first ones.
    async fn restore(&mut self, events: i64) {
        let statements = format!(
            "UPDATE directory.id_ranges SET next = 65; \
             UPDATE book_main.id_ranges SET next = 1 WHERE name = 'user_accounts'; \
             UPDATE book_main.id_ranges SET next = 4611686018427387904 \
             WHERE name = 'system_accounts'; \
             UPDATE book_main.sequencers SET next_number = {events} + 1 WHERE name = 'events'; \
             UPDATE book_main.writers SET epoch = 0; \
             DELETE FROM book_main.journal WHERE first_number > {events}"
        );
        run(&mut self.connection, &statements).await;
    }

    async fn move_on(&mut self) -> Result<Vec<MovedOn>, AfterRestoreError> {
        let audit = build::audit("numbers.move_on", "numbers");
        let moved = after_restore(self.test.url(), audit).await?;
        // It was connected itself.
        self.until_nobody_is_connected().await;
        Ok(moved)
    }

    async fn stands(&mut self) -> String {
        texts(&mut self.connection, STANDS).await.join("")
    }
}

/// Tells some events; says the number of the last one.
async fn tell(feed: &PgEvents, events: usize) -> i64 {
    for _ in 0..events {
        let notice = Notice {
            id: uuid::Builder::from_random_bytes(rand::random()).into_uuid(),
            topic: "integrity.breach",
            at: FixedClock::START,
            about: None,
            data: BTreeMap::new(),
        };
        assert!(feed.append(notice).await.unwrap());
    }
    number(feed).await
}

/// The numbers that come next, as [`STANDS`] has them.
fn next(moved: &[MovedOn]) -> String {
    let next: Vec<String> = moved.iter().map(|one| one.to.to_string()).collect();
    next.join(" ")
}

#[tokio::test]
async fn no_id_and_no_event_number_is_given_again() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.serve(3).await, (build::transfer_id(1), 3));
    let lost = scene.serve(2).await;
    assert_eq!(lost, (build::transfer_id(65), 5));
    // By itself a restored database gives the same ones again.
    scene.restore(3).await;
    assert_eq!(scene.serve(2).await, lost);

    scene.restore(3).await;
    let moved = scene.move_on().await.unwrap();
    assert_eq!(scene.stands().await, next(&moved));
    let froms: Vec<(&str, i64)> = moved.iter().map(|one| (one.what, one.from)).collect();
    assert_eq!(
        froms,
        [
            ("transfers", 65),
            ("user_accounts", 1),
            ("system_accounts", 1 << 62),
            ("events", 4),
            ("writer_epoch", 0),
        ]
    );
    // Far beyond whatever was given, and still what every reader of JSON keeps exact.
    for one in &moved {
        let by = one.to - one.from;
        assert!((1 << 50..1 << 53).contains(&by), "{one:?}");
    }
    let (id, last) = scene.serve(1).await;
    assert_eq!((id.get(), last), (moved[0].to, moved[3].to));
}

/// Also of a consumer that had read what is forgotten, and before there is anything new.
#[tokio::test]
async fn whoever_reads_events_is_told_that_there_is_a_hole() {
    let mut scene = Scene::new().await;
    scene.serve(5).await;
    scene.restore(3).await;
    let database = scene.replica().await;
    let feed = PgEvents::new(database, SealKeys::default());
    for after in [4, 5, i64::MAX] {
        let answer = feed.list(after, 9).await.unwrap();
        assert_eq!(answer, EventPage::Ahead { last: 3 });
    }
    assert_eq!(page(&feed, 3, 9).await, []);
    drop(feed);
    scene.until_nobody_is_connected().await;

    let oldest = scene.move_on().await.unwrap()[3].to;
    let feed = PgEvents::new(scene.replica().await, SealKeys::default());
    for is_going_on in [false, true] {
        assert_eq!(page(&feed, 0, 9).await.len(), 3);
        for after in [3, 5, oldest - 2] {
            let answer = feed.list(after, 9).await.unwrap();
            assert_eq!(answer, EventPage::Pruned { oldest }, "{after}");
        }
        let beyond = page(&feed, oldest - 1, 9).await;
        let numbers: Vec<i64> = beyond.iter().map(|event| event.number).collect();
        assert_eq!(numbers, Vec::from_iter(is_going_on.then_some(oldest)));
        let last = numbers.last().copied().unwrap_or(oldest - 1);
        let answer = feed.list(last + 1, 9).await.unwrap();
        assert_eq!(answer, EventPage::Ahead { last });
        if !is_going_on {
            tell(&feed, 1).await;
        }
    }
}

#[tokio::test]
async fn it_never_goes_back_however_often_it_is_run() {
    let mut scene = Scene::new().await;
    let mut earlier = scene.move_on().await.unwrap();
    for _ in 0..2 {
        let moved = scene.move_on().await.unwrap();
        for (one, before) in moved.iter().zip(&earlier) {
            assert_eq!(one.from, before.to);
            assert!(one.to > one.from, "{one:?}");
        }
        earlier = moved;
    }
    // The same backup once more: what was given after the first restore is left out as well.
    scene.restore(0).await;
    for (one, before) in scene.move_on().await.unwrap().iter().zip(&earlier) {
        assert!(one.to > before.to, "{one:?} after {before:?}");
    }
    let told = texts(&mut scene.connection, TOLD).await;
    assert_eq!(told.len(), 4);
    let [first, second] = [earlier[0].from, earlier[0].to];
    assert!(
        told[2].starts_with("numbers.move_on numbers ")
            && told[2].ends_with(&format!(" {first} {second}")),
        "{told:?}"
    );
}

#[tokio::test]
async fn nothing_is_moved_beside_a_replica_or_by_a_clock_that_is_behind() {
    let mut scene = Scene::new().await;
    let before = scene.stands().await;
    let replica = scene.replica().await;
    let refused = scene.move_on().await.unwrap_err();
    assert!(
        matches!(refused, AfterRestoreError::Connected(1..)),
        "{refused}"
    );
    assert_eq!(scene.stands().await, before);
    drop(replica);
    scene.until_nobody_is_connected().await;
    let future = "UPDATE book_main.sequencers SET next_number = 9007199254740000 \
                  WHERE name = 'events'";
    run(&mut scene.connection, future).await;
    let before = scene.stands().await;
    let refused = scene.move_on().await.unwrap_err();
    assert!(
        matches!(
            refused,
            AfterRestoreError::ClockBehind { what: "events", .. }
        ),
        "{refused}"
    );
    assert_eq!(scene.stands().await, before);
    assert!(texts(&mut scene.connection, TOLD).await.is_empty());
}
