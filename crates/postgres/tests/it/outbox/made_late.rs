//! Callbacks that are made long after the state that they tell of: of a deposit that is taken back, and
//! of a withdrawal that can no longer be canceled.

use std::sync::Arc;

use bursar_domain::{CodeSalt, Command, Commit, ReversalTerms, Status, Transfer};
use bursar_ports::{Clock as _, CommitOutcome, Lane, TransferStore};
use bursar_postgres::PgStore;
use bursar_testkit::{FixedClock, SequentialIds, build};

use super::*;
use crate::support::{patient, patient_engine};

const HOOK: &str = "https://late.example/hook";
const OTHER: &str = "https://late.example/other";
const HOUR_MS: i64 = 3_600_000;

/// They are due from then on, and are tried for as long as any other.
#[tokio::test]
async fn what_is_made_late_has_all_its_time_before_it() {
    let mut fixture = Fixture::with_usd().await;
    let clock = Arc::new(FixedClock::default());
    let (pool, config) = (patient(fixture.url()), patient_engine());
    let (store, _tasks) = PgStore::start(&pool, fixture.database.clone(), &config, clock.clone());
    let ids = SequentialIds::default();
    let user = ids.user();
    let usd = build::asset("usd", 2);
    let new = |units| build::new_transfer(ids.transfer(), &usd, units, clock.now());
    let commit = async |change| -> Transfer {
        let mut outcomes = store.commit(vec![Commit::new(change)]).await.unwrap();
        match outcomes.pop() {
            Some(CommitOutcome::Committed(transfer)) => *transfer,
            other => panic!("{other:?}"),
        }
    };
    let mut heard = new(1_000);
    heard.callback_url = Some(HOOK.to_owned());
    let deposit = commit(build::deposit(heard, user).settled_at_once()).await;
    let held = commit(build::withdrawal(new(100), user)).await;
    let confirm: Command = build::confirm();
    let withdrawal = commit(build::step(&held, &confirm, clock.now())).await;
    assert_eq!(withdrawal.status(), Status::Completed);

    // Everything that was told so far has arrived.
    fixture.run("DELETE FROM book_main.callbacks").await;
    clock.advance_ms(100 * HOUR_MS);
    let refusal = Some("It is completed.".to_owned());
    commit(withdrawal.acknowledge(&build::cancel_telling(OTHER), refusal)).await;
    let terms = ReversalTerms {
        covers: Some(build::amount(100)),
        returns_fee: false,
        salt: CodeSalt::new([3; 10]),
    };
    commit(deposit.reversal(new(1), terms).unwrap()).await;
    let late = "SELECT url FROM book_main.callbacks \
                WHERE made_at > created_at + interval '99 hours' AND next_attempt_at = made_at \
                ORDER BY url";
    assert_eq!(fixture.texts(late).await, [HOOK, OTHER]);

    let outbox = PgOutbox::new(fixture.database.clone(), SealKeys::default());
    let lane = Lane {
        subscriber: fixture
            .text("SELECT min(subscriber) FROM book_main.callbacks")
            .await,
        host: fixture
            .text("SELECT min(host) FROM book_main.callbacks")
            .await,
    };
    let hour_ago = clock.now().plus_micros(-HOUR_MS * 1_000);
    let given_up = outbox.give_up(lane.clone(), hour_ago, clock.now()).await;
    assert_eq!(given_up.unwrap(), 0);
    let share = LaneShare { lane, places: 5 };
    let claims = outbox.claim_due(clock.now(), LEASE_MS, vec![share]).await;
    let claims = claims.unwrap();
    assert!(!claims.is_empty());
    assert!(claims.iter().all(|claim| claim.due_since > hour_ago));
}
