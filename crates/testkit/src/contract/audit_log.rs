//! Who did what: rows that are written with the change they tell of, or not at all.

use bursar_domain::{AuditDraft, Change, Commit, Reason, Transfer};
use bursar_ports::{AuditRecord, CommitOutcome};

use super::{
    Harness,
    scene::{Scene, refused},
};
use crate::build;

const HOOK: &str = "https://example.com/hook";

fn target(transfer: &Transfer) -> String {
    format!("transfer:{}", transfer.id())
}

fn audited(action: &'static str, change: Change) -> Commit {
    let audit = build::audit(action, &target(&change.next));
    Commit {
        audit: Some(audit),
        ..Commit::new(change)
    }
}

/// What the log keeps about a transfer, as (action, status and version afterwards).
async fn actions(scene: &Scene<'_>, transfer: &Transfer) -> Vec<(String, bool)> {
    let rows = scene.harness.audit_of(target(transfer)).await;
    let tells = |row: &AuditRecord| {
        let after = row.after.as_deref().unwrap_or_default();
        let status = format!(r#""status":"{}""#, transfer.status().as_str());
        let version = format!(r#""version":{}"#, transfer.version().get());
        after.contains(&status) && after.contains(&version)
    };
    rows.iter()
        .map(|row| (row.action.clone(), tells(row)))
        .collect()
}

/// A creation and a confirmation have a row each: who, with which credential, in which request, from
/// where, and what was there before and after.
pub async fn what_an_operator_changes_is_in_the_audit_log_with_it(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let hold = build::withdrawal(scene.new_transfer(40), user);
    let open = scene.commit_one(audited("withdrawal.create", hold)).await;
    let created = ("withdrawal.create".to_owned(), true);
    assert_eq!(actions(&scene, &open).await, [created]);
    harness.clock().advance_ms(5);
    let mut confirm = audited(
        "withdrawal.confirm",
        build::step(&open, &build::confirm(), scene.now()),
    );
    let before = Some(r#"{"status":"AwaitingConfirmation","version":1}"#.to_owned());
    confirm.audit = confirm.audit.map(|audit| AuditDraft {
        before: before.clone(),
        ..audit
    });
    let neighbour = Commit::new(scene.payment(user, scene.user().await, 1));
    let paid = neighbour.change.next.clone();
    scene.commit(vec![neighbour, confirm]).await;
    let done = scene.reload(open.id()).await;

    let rows = harness.audit_of(target(&done)).await;
    let [created, confirmed] = &rows[..] else {
        panic!("one row for each change: {rows:?}");
    };
    assert_eq!(created.before, None);
    assert_eq!(created.at, done.parts().created_at);
    assert_eq!(confirmed.at, done.parts().updated_at);
    assert_eq!(confirmed.before, before);
    assert_ne!(created.id, confirmed.id);
    for row in &rows {
        assert_eq!(row.actor, "operator");
        assert_eq!(row.credential, "token:1");
        assert_eq!(row.request_id, "request-1");
        assert_eq!(row.address, "192.0.2.1");
    }
    let told: Vec<(String, bool)> = actions(&scene, &done).await;
    let expected = [("withdrawal.create", false), ("withdrawal.confirm", true)];
    assert_eq!(
        told,
        expected.map(|(action, tells)| (action.to_owned(), tells))
    );
    assert_eq!(harness.audit_of(target(&paid)).await, []);
    scene.audit().await;
}

/// What is refused, stale, replayed or only told to a URL has no row, whatever else its batch does.
pub async fn what_changes_nothing_is_not_in_the_audit_log(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let claim = || build::claim("op", "withdraw", "key-1", &[]);
    let keyed = |change| Commit {
        idempotency: Some(claim()),
        ..audited("withdrawal.create", change)
    };
    let withdrawal = |units| build::withdrawal(scene.new_transfer(units), user);
    let open = scene.commit_one(keyed(withdrawal(40))).await;
    let done = scene.step(&open, &build::confirm()).await;

    let uncovered = audited("withdrawal.create", withdrawal(61));
    let repeated = keyed(withdrawal(40));
    let stale = build::step(&open, &build::cancel(), scene.now());
    let told = done.acknowledge(&build::confirm_telling(HOOK), None);
    let covered = audited("withdrawal.create", withdrawal(1));
    let nothing = [uncovered.clone(), repeated.clone()].map(|commit| commit.change.next);
    let held = covered.change.next.clone();
    let outcomes = scene
        .commit(vec![
            uncovered,
            repeated,
            audited("withdrawal.cancel", stale),
            audited("withdrawal.confirm", told),
            covered,
        ])
        .await;
    let current = Some(done.version());
    let unchanged = [
        refused(Reason::BalanceInsufficient),
        CommitOutcome::Replayed {
            original: open.id(),
        },
        CommitOutcome::Stale { current },
        CommitOutcome::Committed(Box::new(done.clone())),
    ];
    assert!(outcomes.starts_with(&unchanged), "{outcomes:?}");
    assert_eq!(scene.callbacks(done.id()).await.len(), 1);

    for transfer in nothing {
        assert_eq!(harness.audit_of(target(&transfer)).await, []);
    }
    let created = || "withdrawal.create".to_owned();
    assert_eq!(actions(&scene, &done).await, [(created(), false)]);
    assert_eq!(actions(&scene, &held).await, [(created(), true)]);
    scene.audit().await;
}

/// The very same commit again, as after a lost answer, writes no second row.
pub async fn a_change_that_landed_is_in_the_audit_log_once(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.user().await;
    let deposit = build::deposit(scene.new_transfer(5), user).settled_at_once();
    let item = audited("deposit.create", deposit);
    let first = scene.commit_one(item.clone()).await;
    let again = scene.commit(vec![item.clone(), item]).await;
    let landed = CommitOutcome::Committed(Box::new(first.clone()));
    assert_eq!(again, [landed.clone(), landed]);
    let created = ("deposit.create".to_owned(), true);
    assert_eq!(actions(&scene, &first).await, [created]);
    scene.audit().await;
}
