//! Callbacks as operators see them, and replay.

use bursar_domain::{Kind, TransferId};
use bursar_ports::{
    CallbackFilter, CallbackLog, CallbackPlace, CallbackRecord, CallbackState, Outbox, Replay,
    Replayable, Verdict,
};
use bursar_postgres::{PgCallbackLog, PgOutbox, SealKeys};
use uuid::Uuid;

use crate::{
    outbox::{attempt, claim},
    support::{Fixture, Row, at, draft, insert},
};

const STATES: [&str; 4] = ["pending", "succeeded", "dead", "skipped"];

/// A callback of a withdrawal that became due in this second; after two attempts unless it is new.
fn callback(id: u128, transfer: i64, operation: &str, state: &str, second: i64) -> String {
    let (next, attempts) = match state {
        "pending" => (format!("'{}'", at(second)), 0),
        _ => ("NULL".to_owned(), 2),
    };
    format!(
        "INSERT INTO book_main.callbacks (id, transfer_id, operation, url, url_digest, status, \
         state, attempts, created_at, next_attempt_at) VALUES \
         ('{}', {transfer}, '{operation}', 'https://a', 'd', 'AwaitingConfirmation', \
         '{state}', {attempts}, '{}', {next});",
        Uuid::from_u128(id),
        at(second),
    )
}

async fn fixture(callbacks: &[String]) -> (Fixture, PgCallbackLog) {
    let mut fixture = Fixture::new().await;
    let rows: Vec<Row> = (1..=9).map(|id| Row::withdrawal(id, 1, id)).collect();
    insert(&mut fixture, &rows).await;
    fixture.run(&callbacks.join(" ")).await;
    let log = PgCallbackLog::new(fixture.database.clone());
    (fixture, log)
}

async fn listed(log: &PgCallbackLog, filter: CallbackFilter) -> Vec<u128> {
    let listed = log.list(filter).await.expect("the database answers");
    listed.iter().map(|one| one.id.as_u128()).collect()
}

fn all() -> CallbackFilter {
    CallbackFilter {
        limit: 100,
        ..CallbackFilter::default()
    }
}

async fn states(fixture: &mut Fixture) -> Vec<String> {
    let states = "SELECT state FROM book_main.callbacks ORDER BY id";
    fixture.texts(states).await
}

fn replayed(answer: Replay) -> CallbackRecord {
    let Replay::Due(callback) = answer else {
        panic!("expected it to be due, got {answer:?}");
    };
    callback
}

/// One of each state, the newest first, and one that is being delivered.
async fn one_of_each() -> (Fixture, PgCallbackLog) {
    let rows = (1..).zip(STATES);
    let rows = rows.map(|(n, state): (i64, _)| {
        let id = u128::from(n.unsigned_abs());
        callback(id, n, "create", state, 10 - n / 2)
    });
    let rows: Vec<String> = rows.collect();
    let (mut fixture, log) = fixture(&rows).await;
    fixture.run(&callback(5, 5, "create", "pending", 1)).await;
    fixture
        .run(
            "UPDATE book_main.callbacks SET lease = id, next_attempt_at = now() + '1 hour' \
             WHERE transfer_id = 5",
        )
        .await;
    (fixture, log)
}

#[tokio::test]
async fn callbacks_are_listed_newest_first_in_pages_that_join() {
    let (_fixture, log) = one_of_each().await;
    // 2 and 3 became due at one time.
    let expected = [1, 3, 2, 4, 5];
    assert_eq!(listed(&log, all()).await, expected);
    let mut seen = vec![];
    let mut after = None;
    loop {
        let page = log
            .list(CallbackFilter {
                after,
                limit: 2,
                ..CallbackFilter::default()
            })
            .await
            .unwrap();
        let Some(last) = page.last() else {
            break;
        };
        after = Some(CallbackPlace {
            created_at: last.created_at,
            id: last.id,
        });
        seen.extend(page.iter().map(|one| one.id.as_u128()));
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn each_state_and_each_transfer_has_a_list() {
    let (_fixture, log) = one_of_each().await;
    let by_state = [
        (CallbackState::Pending, 1),
        (CallbackState::Succeeded, 2),
        (CallbackState::Dead, 3),
        (CallbackState::Cancelled, 4),
        (CallbackState::Delivering, 5),
    ];
    for (state, id) in by_state {
        let filter = CallbackFilter {
            state: Some(state),
            ..all()
        };
        assert_eq!(listed(&log, filter.clone()).await, [id], "{state:?}");
        let callback = log.list(filter).await.unwrap().remove(0);
        assert_eq!((callback.state, callback.kind), (state, Kind::Withdrawal));
        let found = log.find(callback.id).await.unwrap();
        assert_eq!(found, Some(callback));
    }
    let of_three = CallbackFilter {
        transfer: Some(TransferId::try_new(3).unwrap()),
        ..all()
    };
    assert_eq!(listed(&log, of_three).await, [3]);
    assert_eq!(log.find(Uuid::from_u128(6)).await.unwrap(), None);
}

#[tokio::test]
async fn what_has_come_to_an_end_is_due_again_with_the_whole_schedule_before_it() {
    let (fixture, log) = one_of_each().await;
    let outbox = PgOutbox::new(fixture.database.clone(), SealKeys::default());
    for id in [2, 3] {
        let answer = log
            .replay(Uuid::from_u128(id), at(50), draft())
            .await
            .unwrap();
        let callback = replayed(answer);
        assert_eq!(callback.state, CallbackState::Pending);
        assert_eq!(callback.next_attempt_at, Some(at(50)));
        // Twice is once.
        let again = log
            .replay(Uuid::from_u128(id), at(60), draft())
            .await
            .unwrap();
        assert_eq!(replayed(again), callback);
    }
    let claims = claim(&outbox, 50, 10).await;
    let replays: Vec<_> = claims.iter().filter(|one| one.id.as_u128() > 1).collect();
    assert_eq!(replays.len(), 2);
    for claim in replays {
        assert_eq!(claim.attempts, 0, "the schedule starts anew");
        let attempt = attempt(claim, at(51), Verdict::Succeeded);
        assert!(outbox.record_attempt(attempt).await.unwrap());
        let callback = log.find(claim.id).await.unwrap().unwrap();
        assert_eq!(callback.state, CallbackState::Succeeded);
        assert_eq!(callback.attempts.len(), 1);
    }
    let unknown = log
        .replay(Uuid::from_u128(77), at(50), draft())
        .await
        .unwrap();
    assert_eq!(unknown, Replay::Unknown);
}

#[tokio::test]
async fn nothing_is_told_after_a_newer_state() {
    let rows = [
        callback(1, 1, "create", "dead", 1),
        callback(2, 1, "confirm", "succeeded", 2),
        callback(3, 2, "create", "dead", 1),
        callback(4, 2, "confirm", "dead", 2),
        callback(5, 3, "create", "skipped", 1),
    ];
    let (mut fixture, log) = fixture(&rows).await;
    for id in [1, 5] {
        let answer = log
            .replay(Uuid::from_u128(id), at(9), draft())
            .await
            .unwrap();
        assert_eq!(answer, Replay::Overtaken, "{id}");
    }
    let since = log
        .replay_since(Replayable::Dead, at(0), at(9), 10, draft())
        .await;
    assert_eq!(since.unwrap(), 2);
    let expected = ["dead", "succeeded", "pending", "pending", "skipped"];
    assert_eq!(states(&mut fixture).await, expected);
    // Both are due: the newer one is told, the older one never.
    assert_eq!(claimed(&fixture, 9).await, [4]);
}

/// What is claimed at this time, in order of ids.
async fn claimed(fixture: &Fixture, now: i64) -> Vec<u128> {
    let outbox = PgOutbox::new(fixture.database.clone(), SealKeys::default());
    let claims = claim(&outbox, now, 10).await;
    let mut ids: Vec<u128> = claims.iter().map(|one| one.id.as_u128()).collect();
    ids.sort_unstable();
    ids
}

/// A replay that saw the older one alone makes it due after a newer one was claimed and told.
#[tokio::test]
async fn what_a_newer_one_that_arrived_has_overtaken_is_not_claimed() {
    let rows = [
        callback(1, 1, "create", "pending", 1),
        callback(2, 1, "confirm", "succeeded", 2),
        // What is dead was not heard, and what bears the same time or an older one is not newer.
        callback(3, 2, "create", "pending", 1),
        callback(4, 2, "confirm", "dead", 2),
        callback(5, 3, "create", "pending", 2),
        callback(6, 3, "confirm", "succeeded", 2),
        callback(7, 4, "create", "pending", 3),
        callback(8, 4, "confirm", "succeeded", 2),
        // Another transfer's.
        callback(9, 5, "create", "pending", 1),
    ];
    let (mut fixture, log) = fixture(&rows).await;
    assert_eq!(claimed(&fixture, 9).await, [3, 5, 7, 9]);
    let expected = [
        "skipped",
        "succeeded",
        "pending",
        "dead",
        "pending",
        "succeeded",
        "pending",
        "succeeded",
        "pending",
    ];
    assert_eq!(states(&mut fixture).await, expected);
    let overtaken = log.find(Uuid::from_u128(1)).await.unwrap().unwrap();
    assert_eq!(overtaken.state, CallbackState::Cancelled);
    let outcomes: Vec<_> = overtaken
        .attempts
        .iter()
        .map(|one| one.outcome.as_str())
        .collect();
    assert_eq!(outcomes, ["overtaken"]);
}

/// One is overtaken and another of its family is not: only that one is told.
#[tokio::test]
async fn of_a_family_what_is_not_overtaken_is_claimed() {
    let rows = [
        callback(1, 1, "create", "pending", 1),
        callback(2, 1, "settle", "succeeded", 2),
        callback(3, 1, "confirm", "pending", 3),
        // The newer one waits for its time.
        callback(4, 2, "create", "pending", 1),
        callback(5, 2, "settle", "succeeded", 2),
        callback(6, 2, "confirm", "pending", 30),
    ];
    let (mut fixture, _log) = fixture(&rows).await;
    assert_eq!(claimed(&fixture, 9).await, [3]);
    let expected = [
        "skipped",
        "succeeded",
        "pending",
        "skipped",
        "succeeded",
        "pending",
    ];
    assert_eq!(states(&mut fixture).await, expected);
    assert_eq!(claimed(&fixture, 30).await, [6]);
}

#[tokio::test]
async fn all_since_a_time_are_replayed_oldest_first_and_once() {
    let rows: Vec<String> = (1..=6)
        .map(|n| {
            let state = if n == 6 { "succeeded" } else { "dead" };
            callback(u128::try_from(n).unwrap(), n, "create", state, n)
        })
        .collect();
    let (mut fixture, log) = fixture(&rows).await;
    let dead = async |now, limit| {
        let replayed = log.replay_since(Replayable::Dead, at(2), at(now), limit, draft());
        replayed.await.unwrap()
    };
    assert_eq!(dead(50, 3).await, 3);
    let expected = ["dead", "pending", "pending", "pending", "dead", "succeeded"];
    assert_eq!(states(&mut fixture).await, expected);
    // One fails again at once: the same call leaves it alone, a later one does not.
    fixture
        .run(
            "UPDATE book_main.callbacks SET state = 'dead', next_attempt_at = NULL \
             WHERE transfer_id = 2",
        )
        .await;
    assert_eq!(dead(50, 3).await, 1);
    assert_eq!(dead(51, 3).await, 1);
    assert_eq!(dead(51, 3).await, 0);

    let succeeded = async |since, now| {
        let replayed = log.replay_since(Replayable::Succeeded, at(since), at(now), 10, draft());
        replayed.await.unwrap()
    };
    assert_eq!(succeeded(7, 60).await, 0);
    assert_eq!(succeeded(6, 60).await, 1);
    fixture
        .run(
            "UPDATE book_main.callbacks SET state = 'succeeded', next_attempt_at = NULL \
             WHERE transfer_id = 6",
        )
        .await;
    assert_eq!(succeeded(6, 70).await, 0, "it was replayed a moment ago");
}

/// A receiver that was put back to an earlier time needs again what was replayed to it days ago.
#[tokio::test]
async fn what_arrived_is_replayed_again_an_hour_after_it_was_replayed() {
    let (mut fixture, log) = fixture(&[callback(1, 1, "create", "dead", 6)]).await;
    let dead = log.replay_since(Replayable::Dead, at(6), at(50), 10, draft());
    assert_eq!(dead.await.unwrap(), 1);
    let arrives = "UPDATE book_main.callbacks SET state = 'succeeded', next_attempt_at = NULL";
    let succeeded = async |since, now| {
        let replayed = log.replay_since(Replayable::Succeeded, at(since), at(now), 10, draft());
        replayed.await.unwrap()
    };
    fixture.run(arrives).await;
    // Somebody repeats the request, or asks for what is later or earlier by a little.
    assert_eq!(succeeded(5, 51).await, 0);
    assert_eq!(succeeded(6, 50 + 3_600).await, 0);
    assert_eq!(succeeded(5, 50 + 3_601).await, 1);
    // The next page of the same request.
    fixture.run(arrives).await;
    assert_eq!(succeeded(5, 50 + 3_601).await, 0);
    assert_eq!(succeeded(5, 50 + 7_202).await, 1);
}

#[tokio::test]
async fn callbacks_are_told_with_their_attempts() {
    let rows = [
        callback(1, 1, "create", "dead", 1),
        callback(2, 2, "create", "dead", 2),
    ];
    let (mut fixture, log) = fixture(&rows).await;
    fixture
        .run(&format!(
            "INSERT INTO book_main.callback_attempts VALUES \
             ('{one}', 2, '{}', 20, NULL, 'timeout'), ('{one}', 1, '{}', 10, 500, 'answered')",
            at(2),
            at(1),
            one = Uuid::from_u128(1),
        ))
        .await;
    let told = log.list(all()).await.unwrap();
    let attempts: Vec<_> = told[1]
        .attempts
        .iter()
        .map(|a| (a.at, a.duration_ms, a.http_status, a.outcome.as_str()))
        .collect();
    let expected = [
        (at(1), 10, Some(500), "answered"),
        (at(2), 20, None, "timeout"),
    ];
    assert_eq!(attempts, expected);
    assert_eq!(told[0].attempts, []);
}
