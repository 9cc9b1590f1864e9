//! Callbacks are claimed by lease, one per transfer and URL at a time.

mod lanes;
mod made_late;
mod races;

use bursar_domain::{Operation, Status, Timestamp};
use bursar_ports::{AttemptRecord, ClaimedCallback, LaneShare, Outbox, Verdict};
use bursar_postgres::{PgOutbox, SealKeys};
use uuid::Uuid;

use crate::support::{Fixture, Row, at, insert};

const LEASE_MS: i64 = 30_000;

/// A pending callback of a withdrawal; ids grow with time.
fn callback(id: u128, transfer: i64, operation: &str, url: &str, second: i64) -> String {
    format!(
        "INSERT INTO book_main.callbacks (id, transfer_id, operation, url, url_digest, status, \
         error, state, attempts, created_at, next_attempt_at, lease) VALUES \
         ('{}', {transfer}, '{operation}', '{url}', sha256('{url}'), 'AwaitingConfirmation', \
         'why', 'pending', 0, '{}', '{}', NULL);",
        Uuid::from_u128(id),
        at(second),
        at(second)
    )
}

async fn fixture(transfers: i64, callbacks: &[String]) -> (Fixture, PgOutbox) {
    let mut fixture = Fixture::new().await;
    let rows: Vec<Row> = (1..=transfers)
        .map(|id| Row::withdrawal(id, 1, id))
        .collect();
    insert(&mut fixture, &rows).await;
    fixture.run(&callbacks.join(" ")).await;
    let outbox = PgOutbox::new(fixture.database.clone(), SealKeys::default());
    (fixture, outbox)
}

/// Claims so many in every lane. What nobody named a lane for is in one.
pub(crate) async fn claim(outbox: &PgOutbox, now: i64, places: u32) -> Vec<ClaimedCallback> {
    outbox.enqueue_due(at(now), 100).await.unwrap();
    let due = outbox.due_lanes(at(now), None, vec![]).await.unwrap();
    let share = |lane| LaneShare { lane, places };
    let shares = due.lanes.into_iter().map(|due| share(due.lane)).collect();
    outbox.claim_due(at(now), LEASE_MS, shares).await.unwrap()
}

fn ids(claims: &[ClaimedCallback]) -> Vec<u128> {
    claims.iter().map(|claim| claim.id.as_u128()).collect()
}

pub(crate) fn attempt(claim: &ClaimedCallback, at: Timestamp, verdict: Verdict) -> AttemptRecord {
    AttemptRecord {
        id: claim.id,
        lease: claim.lease,
        at,
        duration_ms: 12,
        http_status: Some(503),
        outcome: "answered",
        verdict,
    }
}

async fn states(fixture: &mut Fixture) -> Vec<String> {
    fixture
        .texts("SELECT state FROM book_main.callbacks ORDER BY id")
        .await
}

#[tokio::test]
async fn a_claim_tells_everything_and_comes_oldest_first() {
    let callbacks = [
        callback(1, 1, "create", "https://a", 20),
        callback(2, 2, "create", "https://a", 10),
        callback(3, 3, "create", "https://a", 15),
        callback(4, 3, "create", "https://b", 99),
    ];
    let (_fixture, outbox) = fixture(3, &callbacks).await;
    assert_eq!(claim(&outbox, 9, 10).await, []);
    let first = claim(&outbox, 30, 2).await;
    assert_eq!(ids(&first), [2, 3]);
    assert_eq!(first[0].url, "https://a");
    assert_eq!(first[0].operation, Operation::Create);
    assert_eq!(first[0].status, Status::AwaitingConfirmation);
    assert_eq!(first[0].error.as_deref(), Some("why"));
    assert_eq!(first[0].attempts, 0);
    assert_eq!(first[0].transfer.id().get(), 2);
    assert_eq!(ids(&claim(&outbox, 30, 10).await), [1]);
    assert_eq!(claim(&outbox, 30, 0).await, []);
}

#[tokio::test]
async fn what_is_recorded_decides_what_follows() {
    let callbacks: Vec<String> = (1..=3)
        .map(|n| callback(n, i64::try_from(n).unwrap(), "create", "https://a", 1))
        .collect();
    let (mut fixture, outbox) = fixture(3, &callbacks).await;
    let claims = claim(&outbox, 10, 10).await;
    let verdicts = [Verdict::Succeeded, Verdict::RetryAt(at(15)), Verdict::Dead];
    for (claim, verdict) in claims.iter().zip(verdicts) {
        let record = attempt(claim, at(10), verdict);
        assert!(outbox.record_attempt(record.clone()).await.unwrap());
        assert!(!outbox.record_attempt(record).await.unwrap(), "only once");
    }
    assert_eq!(states(&mut fixture).await, ["succeeded", "pending", "dead"]);
    assert_eq!(claim(&outbox, 14, 10).await, []);
    let again = claim(&outbox, 15, 10).await;
    assert_eq!(ids(&again), [2]);
    assert_eq!(again[0].attempts, 1);
    let record = attempt(&again[0], at(16), Verdict::Succeeded);
    assert!(outbox.record_attempt(record).await.unwrap());
    let tried = "SELECT attempt || ' ' || http_status || ' ' || outcome || ' ' || duration_ms \
                 FROM book_main.callback_attempts WHERE callback_id = \
                 '00000000-0000-0000-0000-000000000002' ORDER BY attempt";
    assert_eq!(
        fixture.texts(tried).await,
        ["1 503 answered 12", "2 503 answered 12"]
    );
}

#[tokio::test]
async fn a_lease_that_ran_out_is_lost_once_somebody_else_claims() {
    let callbacks = [callback(1, 1, "create", "https://a", 1)];
    let (mut fixture, outbox) = fixture(1, &callbacks).await;
    let first = claim(&outbox, 10, 10).await;
    assert_eq!(claim(&outbox, 39, 10).await, []);
    let second = claim(&outbox, 40, 10).await;
    assert_eq!(ids(&second), [1]);
    assert_ne!(first[0].lease, second[0].lease);
    let late = attempt(&first[0], at(10), Verdict::Succeeded);
    assert!(!outbox.record_attempt(late).await.unwrap());
    let late = (first[0].id, first[0].lease);
    outbox.release(vec![late]).await.unwrap();
    assert_eq!(claim(&outbox, 41, 10).await, []);
    let valid = attempt(&second[0], at(40), Verdict::Succeeded);
    assert!(outbox.record_attempt(valid).await.unwrap());
    let attempts = "SELECT count(*)::text FROM book_main.callback_attempts";
    assert_eq!(fixture.text(attempts).await, "1");
}

#[tokio::test]
async fn a_lease_that_ran_out_still_counts_while_nobody_else_claimed() {
    let callbacks = [callback(1, 1, "create", "https://a", 1)];
    let (_fixture, outbox) = fixture(1, &callbacks).await;
    let claims = claim(&outbox, 10, 10).await;
    let slow = attempt(&claims[0], at(10), Verdict::Succeeded);
    assert!(outbox.record_attempt(slow).await.unwrap());
    assert_eq!(claim(&outbox, 1_000, 10).await, []);
}

#[tokio::test]
async fn released_claims_are_due_again_at_once() {
    let callbacks: Vec<String> = (1..=2)
        .map(|n| callback(n, i64::try_from(n).unwrap(), "create", "https://a", 1))
        .collect();
    let (_fixture, outbox) = fixture(2, &callbacks).await;
    let claims = claim(&outbox, 10, 10).await;
    outbox.release(vec![]).await.unwrap();
    let given_back = claims.iter().map(|claim| (claim.id, claim.lease)).collect();
    outbox.release(given_back).await.unwrap();
    let again = claim(&outbox, 10, 10).await;
    assert_eq!(ids(&again), [1, 2]);
    assert_eq!(again[0].attempts, 0);
}

#[tokio::test]
async fn a_newer_one_overtakes_what_is_older_of_the_same_transfer_and_url() {
    let callbacks = [
        callback(1, 1, "create", "https://a", 1),
        callback(2, 1, "settle", "https://a", 2),
        callback(3, 1, "confirm", "https://a", 3),
        callback(4, 1, "confirm", "https://b", 1),
        callback(5, 2, "create", "https://a", 1),
    ];
    let (mut fixture, outbox) = fixture(2, &callbacks).await;
    let claims = claim(&outbox, 10, 10).await;
    assert_eq!(ids(&claims), [3, 4, 5]);
    let states = states(&mut fixture).await;
    assert_eq!(
        states,
        ["skipped", "skipped", "pending", "pending", "pending"]
    );
    let told = "SELECT callback_id || ' ' || attempt || ' ' || outcome \
                FROM book_main.callback_attempts ORDER BY 1";
    let overtaken = |id: u128| format!("{} 1 overtaken", Uuid::from_u128(id));
    assert_eq!(fixture.texts(told).await, [overtaken(1), overtaken(2)]);
}

#[tokio::test]
async fn a_newer_one_waits_for_the_one_in_flight_and_then_replaces_its_retry() {
    let callbacks = [callback(1, 1, "create", "https://a", 1)];
    let (mut fixture, outbox) = fixture(2, &callbacks).await;
    let in_flight = claim(&outbox, 10, 10).await;
    fixture
        .run(&callback(2, 1, "confirm", "https://a", 11))
        .await;
    // What waits takes no place away from others.
    fixture
        .run(&callback(3, 2, "create", "https://a", 12))
        .await;
    assert_eq!(ids(&claim(&outbox, 12, 1).await), [3]);
    let failed = attempt(&in_flight[0], at(10), Verdict::RetryAt(at(500)));
    assert!(outbox.record_attempt(failed).await.unwrap());
    assert_eq!(ids(&claim(&outbox, 13, 10).await), [2]);
    assert_eq!(
        states(&mut fixture).await,
        ["skipped", "pending", "pending"]
    );
    assert_eq!(claim(&outbox, 14, 10).await, []);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_overtaken_too() {
    let callbacks = [callback(1, 1, "create", "https://a", 1)];
    let (mut fixture, outbox) = fixture(1, &callbacks).await;
    let lost = claim(&outbox, 10, 10).await;
    fixture
        .run(&callback(2, 1, "confirm", "https://a", 11))
        .await;
    assert_eq!(claim(&outbox, 39, 10).await, []);
    assert_eq!(ids(&claim(&outbox, 40, 10).await), [2]);
    let late = attempt(&lost[0], at(10), Verdict::RetryAt(at(50)));
    assert!(!outbox.record_attempt(late).await.unwrap());
    assert_eq!(states(&mut fixture).await, ["skipped", "pending"]);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_holds_nobody_up() {
    let callbacks = [
        callback(1, 1, "create", "https://a", 1),
        callback(2, 2, "create", "https://a", 2),
    ];
    let (mut fixture, outbox) = fixture(2, &callbacks).await;
    fixture
        .run("UPDATE book_main.transfers SET finished_by = NULL, state = 'Completed' WHERE id = 1")
        .await;
    assert_eq!(ids(&claim(&outbox, 10, 10).await), [2]);
    assert_eq!(claim(&outbox, 11, 10).await, []);
}
