//! Connections that die in the middle of the work.

use std::{sync::Arc, time::Duration};

use bursar_domain::{Commit, Status, UserId};
use bursar_ports::{CommitOutcome, StoreError, TransferStore};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{
    Harness,
    scene::{Scene, committed},
};
use crate::build;

/// How many callers there are, and how much each has to do.
const CALLERS: usize = 16;
const JOBS: usize = 40;
/// How often the connections are cut.
const CUTS: usize = 5;
/// Long enough for any store to come back; only a store that never does gets there.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whatever dies, each change that is repeated until it is answered happened exactly once.
pub async fn killed_connections_lose_and_double_nothing(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let recipient = scene.user().await;
    let (progress, mut seen) = watch::channel(0_usize);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let sender = scene.rich_user(10_000).await;
        let work = work_of(&scene, caller, sender, recipient);
        let (store, progress) = (Arc::clone(&scene.store), progress.clone());
        callers.spawn(async move {
            let mut paid = 0;
            for job in work {
                paid += i128::from(perform(&store, job).await);
                progress.send_modify(|done| *done += 1);
            }
            paid
        });
    }
    for cut in 1..=CUTS {
        let due = CALLERS * JOBS * cut / (CUTS + 2);
        let reached = timeout(PATIENCE, seen.wait_for(|done| *done >= due)).await;
        drop(
            reached
                .expect("the callers get on")
                .expect("they are there"),
        );
        harness.sabotage().await;
    }
    let paid = timeout(PATIENCE, callers.join_all()).await;
    let paid: i128 = paid.expect("the callers come to an end").iter().sum();
    for id in scene.made().transfers {
        assert!(scene.reload(id).await.status().is_final());
    }
    assert_eq!(scene.balance(recipient).await, (paid, 0));
    scene.audit().await;
}

/// One of the three things that a caller does in turn.
enum Job {
    /// A payment of one, with or without a key.
    Pay(Commit),
    /// A withdrawal that is cancelled again.
    HoldAndRelease(Commit),
}

fn work_of(scene: &Scene<'_>, caller: usize, sender: UserId, recipient: UserId) -> Vec<Job> {
    (0..JOBS)
        .map(|job| match job % 4 {
            0 | 1 => Job::Pay(Commit::new(scene.payment(sender, recipient, 1))),
            2 => {
                let claim = build::claim("op", "pay", &format!("{caller}-{job}"), &[]);
                Job::Pay(build::keyed(scene.payment(sender, recipient, 1), claim))
            }
            _ => {
                let hold = build::withdrawal(scene.new_transfer(1), sender);
                Job::HoldAndRelease(Commit::new(hold))
            }
        })
        .collect()
}

/// Does a job to its end; `true` when it was a payment.
async fn perform(store: &Arc<dyn TransferStore>, job: Job) -> bool {
    match job {
        Job::Pay(payment) => {
            let paid = committed(&commit_until_answered(store, payment).await);
            assert_eq!(paid.status(), Status::Success);
            true
        }
        Job::HoldAndRelease(hold) => {
            let open = committed(&commit_until_answered(store, hold).await);
            let cancel = build::step(&open, &build::cancel(), open.parts().created_at);
            let version = cancel.next.version();
            let outcome = commit_until_answered(store, Commit::new(cancel)).await;
            // Stale at the version it would make: an earlier try of this very change landed.
            let landed = CommitOutcome::Stale {
                current: Some(version),
            };
            if outcome != landed {
                assert_eq!(committed(&outcome).status(), Status::Canceled);
            }
            false
        }
    }
}

/// Repeats an item unchanged until the store answers.
async fn commit_until_answered(store: &Arc<dyn TransferStore>, item: Commit) -> CommitOutcome {
    let repeating = async {
        loop {
            match store.commit(vec![item.clone()]).await {
                Ok(mut outcomes) => {
                    assert_eq!(outcomes.len(), 1);
                    return outcomes.remove(0);
                }
                // Who holds the book on a connection of its own has lost that too, and on a machine that
                // stands still for seconds a turn comes late.
                Err(
                    StoreError::Unavailable(_)
                    | StoreError::OutcomeUnknown(_)
                    | StoreError::Standby
                    | StoreError::Overloaded,
                ) => {
                    tokio::task::yield_now().await;
                }
                Err(error @ StoreError::Inconsistent { .. }) => {
                    panic!("a lost connection is none of this: {error:?}");
                }
            }
        }
    };
    timeout(PATIENCE, repeating)
        .await
        .expect("the store comes back")
}
