//! §4, the second operator, and transfers taken back.

use serde_json::{Value, json};

use crate::{
    answer::Answer,
    clause::clauses,
    client::Client,
    scene::{CONFIRM, DEPOSIT, Scene, User, WITHDRAW, finish, open, unique},
};

clauses! { "4.5 Second operators and reversals",
    "Decision: a policy holds it": a_deposit_above_the_policy_stays_pending
        = "A deposit above `approval_above` stays `Pending`, also with `Prefer: wait` (then without `Preference-Applied`), until somebody approves it.",
    "Decision: never the one who made or confirmed it": the_maker_and_the_confirmer_cannot_approve
        = "Approving what one made or confirmed is 403 `approval.same_operator`; a second operator completes it.",
    "Decision: what was shown is what is approved": a_digest_of_something_else_is_refused
        = "A `digest` that is not the transfer's `approval_digest` is 409 `approval.digest_mismatch`, and nothing happens.",
    "Decision: `reject`": a_rejected_withdrawal_returns_its_hold
        = "A rejection ends it as `Failed` with `approval.rejected`; the hold goes back.",
    "Decision: only what waits": what_waits_for_nobody_cannot_be_approved
        = "Approving what does not wait is 409 `transfer.not_awaiting_approval`.",
    "Decision: a new transfer back": a_deposit_is_taken_back_in_parts
        = "A reversal is a new transfer the other way, final at once; the original tells how much of it was taken back, and by which.",
    "Decision: never above the original": reversals_never_pass_the_original
        = "More than is left of the original is 422 `reversal.exceeds_original`; so is a reversal of a reversal.",
    "Decision: one key, one effect": a_reversal_with_its_key_is_made_once
        = "A repeated reversal with its key is replayed, also when nothing is left because of it.",
    "Decision: whoever was paid must have it": what_was_spent_cannot_be_taken_back
        = "Taking back what the payee no longer has is 422 `balance.insufficient`.",
}

/// Three operators who may do everything: who did what is all that tells them apart.
struct Operators {
    maker: Client,
    confirmer: Client,
    second: Client,
}

impl Operators {
    async fn of(scene: &Scene) -> Self {
        let all = [
            "backoffice_write",
            "backoffice_confirm",
            "backoffice_approve",
        ];
        Self {
            maker: scene.token(None, &all).await,
            confirmer: scene.token(None, &all).await,
            second: scene.token(None, &all).await,
        }
    }
}

/// An asset of the clause's own of which more than 1 needs a second operator.
async fn policy(scene: &Scene, asset: &str) {
    scene.asset(asset, 8, true, true).await;
    for kind in ["deposit", "withdrawal"] {
        let path = format!("/admin/v1/limits/{kind}/{asset}");
        let body = json!({"approval_above": "1"});
        scene.admin().put(&path, body).await.ok();
    }
}

/// A user with 9 of the asset, deposited one by one, each below the policy.
async fn saver(scene: &Scene, asset: &str) -> User {
    let user = scene.user().await;
    for _ in 0..9 {
        scene.fund(&user, asset, "1").await;
    }
    user
}

async fn review(who: &Client, word: &str, id: i64, body: Value) -> Answer {
    let path = format!("/admin/v1/transfers/{id}/{word}");
    who.post(&path, body).await
}

async fn story(scene: &Scene, id: i64) -> Value {
    let path = format!("/admin/v1/transfers/{id}");
    scene.reader().get(&path).await.ok().json()
}

/// A withdrawal of 2 that somebody confirmed.
async fn confirmed(operators: &Operators, user: &User, asset: &str) -> i64 {
    let body = open(user, asset, "2");
    let held = operators.maker.post(WITHDRAW, body).await.ok().id();
    let confirmer = operators.confirmer.waiting();
    let waits = confirmer.post(CONFIRM, finish(user, held)).await.ok();
    assert_eq!(waits.text("status"), "AwaitingConfirmation");
    held
}

async fn a_deposit_above_the_policy_stays_pending(scene: Scene) {
    policy(&scene, "cf-pending").await;
    let operators = Operators::of(&scene).await;
    let user = scene.user().await;
    let body = open(&user, "cf-pending", "2");
    let held = operators.maker.waiting().post(DEPOSIT, body).await.ok();
    assert_eq!(held.text("status"), "Pending");
    assert_eq!(held.header("preference-applied"), None);
    assert_eq!(story(&scene, held.id()).await["stage"], "approval");
    let done = review(&operators.second, "approve", held.id(), json!({})).await;
    assert_eq!(done.ok().text("status"), "Completed");
    assert_eq!(scene.balance(&user, "CF-PENDING").await.0, "2.00000000");
}

async fn the_maker_and_the_confirmer_cannot_approve(scene: Scene) {
    policy(&scene, "cf-second").await;
    let operators = Operators::of(&scene).await;
    let user = saver(&scene, "cf-second").await;
    let id = confirmed(&operators, &user, "cf-second").await;
    for who in [&operators.maker, &operators.confirmer] {
        let answer = review(who, "approve", id, json!({})).await;
        answer.refused(403, "approval.same_operator");
    }
    for _ in 0..2 {
        let done = review(&operators.second, "approve", id, json!({})).await;
        assert_eq!(done.ok().text("status"), "Completed");
    }
    let left = scene.balance(&user, "CF-SECOND").await;
    assert_eq!(left, ("7.00000000".to_owned(), "0.00000000".to_owned()));
}

async fn a_digest_of_something_else_is_refused(scene: Scene) {
    policy(&scene, "cf-digest").await;
    let operators = Operators::of(&scene).await;
    let user = saver(&scene, "cf-digest").await;
    let id = confirmed(&operators, &user, "cf-digest").await;
    let other = json!({"digest": "0".repeat(64)});
    let answer = review(&operators.second, "approve", id, other).await;
    answer.refused(409, "approval.digest_mismatch");
    let shown = story(&scene, id).await;
    assert_eq!(shown["status"], "AwaitingConfirmation");
    let digest = json!({"digest": shown["approval_digest"]});
    let done = review(&operators.second, "approve", id, digest).await;
    assert_eq!(done.ok().text("status"), "Completed");
}

async fn a_rejected_withdrawal_returns_its_hold(scene: Scene) {
    policy(&scene, "cf-rejected").await;
    let operators = Operators::of(&scene).await;
    let user = saver(&scene, "cf-rejected").await;
    let id = confirmed(&operators, &user, "cf-rejected").await;
    let done = review(&operators.second, "reject", id, json!({}))
        .await
        .ok();
    assert_eq!(done.text("status"), "Failed");
    assert_eq!(done.text("reason_code"), "approval.rejected");
    let left = scene.balance(&user, "CF-REJECTED").await;
    assert_eq!(left, ("9.00000000".to_owned(), "0.00000000".to_owned()));
    let late = review(&operators.second, "approve", id, json!({})).await;
    late.refused(409, "transfer.already_failed");
}

async fn what_waits_for_nobody_cannot_be_approved(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let id = scene.withdrawal(&user, "btc", "1").await.id();
    let second = Operators::of(&scene).await.second;
    for word in ["approve", "reject"] {
        let answer = review(&second, word, id, json!({})).await;
        answer.refused(409, "transfer.not_awaiting_approval");
    }
}

async fn reverse(scene: &Scene, id: i64, amount: Option<&str>) -> Answer {
    let path = format!("/admin/v1/transfers/{id}/reverse");
    let body = json!({"amount": amount, "return_fee": false, "comment": "A drill."});
    scene.admin().post(&path, body).await
}

async fn a_deposit_is_taken_back_in_parts(scene: Scene) {
    let user = scene.user().await;
    let deposit = scene.fund(&user, "btc", "3").await.id();
    let part = reverse(&scene, deposit, Some("1")).await.ok();
    assert_eq!(part.text("kind"), "withdrawal");
    assert_eq!(part.text("status"), "Completed");
    assert_eq!(part.get("reverses"), deposit);
    let rest = reverse(&scene, deposit, None).await.ok();
    assert_eq!(rest.text("amount"), "2");
    let story = story(&scene, deposit).await;
    assert_eq!(story["reversed"], "3");
    assert_eq!(story["reversals"], json!([part.id(), rest.id()]));
    assert_eq!(scene.balance(&user, "BTC").await.0, "0.00000000");
}

async fn reversals_never_pass_the_original(scene: Scene) {
    let user = scene.user().await;
    let deposit = scene.fund(&user, "btc", "3").await.id();
    scene.fund(&user, "btc", "3").await;
    let back = reverse(&scene, deposit, Some("2")).await.ok().id();
    for (id, amount) in [(deposit, Some("1.00000001")), (back, None)] {
        let answer = reverse(&scene, id, amount).await;
        answer.refused(422, "reversal.exceeds_original");
    }
    assert_eq!(scene.balance(&user, "BTC").await.0, "4.00000000");
}

async fn a_reversal_with_its_key_is_made_once(scene: Scene) {
    let user = scene.user().await;
    let deposit = scene.fund(&user, "btc", "3").await.id();
    let path = format!("/admin/v1/transfers/{deposit}/reverse");
    let body = json!({"return_fee": false, "comment": "A drill."});
    let keyed = scene.admin().key(&unique("key"));
    let first = keyed.post(&path, body.clone()).await.ok();
    let again = keyed.post(&path, body).await.ok();
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.text, first.text);
}

async fn what_was_spent_cannot_be_taken_back(scene: Scene) {
    let user = scene.user().await;
    let deposit = scene.fund(&user, "btc", "3").await.id();
    scene.withdrawal(&user, "btc", "1").await;
    let answer = reverse(&scene, deposit, None).await;
    answer.refused(422, "balance.insufficient");
    reverse(&scene, deposit, Some("2")).await.ok();
}
