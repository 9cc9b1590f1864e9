//! Claimers side by side.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use bursar_domain::Operation;
use bursar_ports::{Outbox, Verdict};

use super::{attempt, callback, claim, fixture, ids};
use crate::support::{at, run, texts};

/// The newer one is committed after an older one was locked by a claim that has not ended yet.
#[tokio::test]
async fn a_family_with_a_locked_member_is_left_alone() {
    let callbacks = [callback(1, 1, "create", "https://a", 1)];
    let (mut fixture, outbox) = fixture(2, &callbacks).await;
    let mut claimer = fixture.connect().await;
    run(
        &mut claimer,
        "BEGIN; SELECT id FROM book_main.callbacks FOR UPDATE",
    )
    .await;
    fixture
        .run(&callback(2, 1, "confirm", "https://a", 2))
        .await;
    fixture.run(&callback(3, 2, "create", "https://a", 3)).await;
    assert_eq!(ids(&claim(&outbox, 10, 10).await), [3]);
    run(&mut claimer, "ROLLBACK").await;
    assert_eq!(ids(&claim(&outbox, 10, 10).await), [2]);
    let leased = "SELECT count(*)::text FROM book_main.callbacks WHERE lease IS NOT NULL";
    assert_eq!(texts(&mut claimer, leased).await, ["2"]);
}

/// Several claimers at once, while newer callbacks come in: whoever holds one of a transfer and URL
/// is alone with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claimers_never_hold_two_of_one_transfer_and_url() {
    const TRANSFERS: i64 = 12;
    let first: Vec<String> = (1..=TRANSFERS)
        .map(|n| callback(u128::try_from(n).unwrap(), n, "create", "https://a", 1))
        .collect();
    let (mut fixture, outbox) = fixture(TRANSFERS, &first).await;
    let held: Arc<Mutex<HashSet<i64>>> = Arc::default();
    let claimers: Vec<_> = (0..4)
        .map(|_| {
            let (outbox, held) = (outbox.clone(), Arc::clone(&held));
            tokio::spawn(async move {
                for round in 0..40 {
                    let claims = claim(&outbox, 100, 5).await;
                    for claim in &claims {
                        let transfer = claim.transfer.id().get();
                        assert!(held.lock().unwrap().insert(transfer), "two of {transfer}");
                    }
                    tokio::task::yield_now().await;
                    for claim in &claims {
                        held.lock().unwrap().remove(&claim.transfer.id().get());
                        let retry = attempt(claim, at(100), Verdict::RetryAt(at(100)));
                        if round % 3 == 0 {
                            let lease = (claim.id, claim.lease);
                            outbox.release(vec![lease]).await.unwrap();
                        } else {
                            assert!(outbox.record_attempt(retry).await.unwrap());
                        }
                    }
                }
            })
        })
        .collect();
    for (step, operation) in ["settle", "confirm", "cancel", "fail"].iter().enumerate() {
        for transfer in 1..=TRANSFERS {
            let second = i64::try_from(step).unwrap() + 2;
            let id = u128::try_from(second * 100 + transfer).unwrap();
            let newer = callback(id, transfer, operation, "https://a", second);
            fixture.run(&newer).await;
        }
    }
    for claimer in claimers {
        claimer.await.unwrap();
    }
    // The newest of each is all that is left.
    let claims = claim(&outbox, 100, 100).await;
    assert_eq!(claims.len(), usize::try_from(TRANSFERS).unwrap());
    assert!(
        claims
            .iter()
            .all(|claim| claim.operation == Operation::Fail)
    );
    let pending = "SELECT count(*)::text FROM book_main.callbacks WHERE state = 'pending'";
    assert_eq!(fixture.text(pending).await, TRANSFERS.to_string());
}
