//! §0, waiting and the order of checks.

use serde_json::json;

use crate::{
    clause::clauses,
    scene::{
        CONFIRM, DEPOSIT, INTERNAL, NOBODY, Scene, WITHDRAW, and, eventually, finish, open, send,
    },
};

clauses! { "0.6 Waiting, and the order of checks",
    "Documented: a deposit answers `Pending`": a_deposit_answers_pending_and_settles_by_itself
        = "By default a deposit answers `Pending` and completes by itself.",
    "Documented: an internal transfer answers `pending`": an_internal_transfer_answers_pending_and_settles_by_itself
        = "By default an internal transfer answers `pending` and succeeds by itself.",
    "Decision: RFC 7240": prefer_wait_answers_the_settled_transfer
        = "With `Prefer: wait` or `wait=10` the answer is the settled transfer, with `Preference-Applied: wait`.",
    "Decision: created and settled in one commit": a_transfer_that_was_waited_for_was_never_pending
        = "What was waited for has equal creation and settlement times.",
    "Decision: what cannot settle by itself": a_withdrawal_answers_its_current_state
        = "With `Prefer: wait` a withdrawal answers `AwaitingConfirmation`, without `Preference-Applied`.",
    "Decision: no waiting, no promise": an_unknown_preference_is_ignored
        = "Other preferences and `wait=0` are ignored, without `Preference-Applied`.",
    "Decision: media type, size, credentials, permission, syntax, existence, state, business rules": checks_have_one_order
        = "A request that fails several checks is always refused by the same, the earliest one.",
}

async fn a_deposit_answers_pending_and_settles_by_itself(scene: Scene) {
    let user = scene.user().await;
    let answer = scene
        .office()
        .post(DEPOSIT, open(&user, "btc", "1"))
        .await
        .ok();
    assert_eq!(answer.text("status"), "Pending");
    assert_eq!(answer.header("preference-applied"), None);
    scene.row(&user, answer.id(), "Completed").await;
    assert_eq!(scene.balance(&user, "BTC").await.0, "1.00000000");
}

async fn an_internal_transfer_answers_pending_and_settles_by_itself(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let answer = user
        .own
        .post(INTERNAL, send("btc", "1", &other.id))
        .await
        .ok();
    assert_eq!(
        (answer.text("status"), answer.get("done_at")),
        ("pending".into(), json!(null))
    );
    assert_eq!(answer.header("preference-applied"), None);
    let path = format!("{INTERNAL}/{}", answer.text("code"));
    eventually("success", async || {
        let now = user.own.get(&path).await.ok();
        (now.text("status") == "success").then_some(())
    })
    .await;
}

async fn prefer_wait_answers_the_settled_transfer(scene: Scene) {
    let (user, other) = (scene.user().await, scene.user().await);
    for wait in ["wait", "wait=10", "Wait=1", "respond-async, wait=5"] {
        let office = scene.office().with("prefer", wait);
        let answer = office.post(DEPOSIT, open(&user, "btc", "1")).await.ok();
        assert_eq!(answer.text("status"), "Completed", "{wait}");
        assert_eq!(answer.header("preference-applied"), Some("wait"), "{wait}");
        let own = user.own.with("prefer", wait);
        let answer = own.post(INTERNAL, send("btc", "1", &other.id)).await.ok();
        assert_eq!(answer.text("status"), "success", "{wait}");
        assert_eq!(answer.header("preference-applied"), Some("wait"), "{wait}");
    }
    // A rejected one is settled too.
    let answer = user
        .own
        .waiting()
        .post(INTERNAL, send("btc", "1", &other.id))
        .await
        .ok();
    assert_eq!(answer.text("status"), "rejected");
    assert_eq!(answer.header("preference-applied"), Some("wait"));
}

async fn a_transfer_that_was_waited_for_was_never_pending(scene: Scene) {
    let user = scene.user().await;
    let answer = scene.fund(&user, "btc", "1").await;
    assert_eq!(answer.text("createdAt"), answer.text("updatedAt"));
}

async fn a_withdrawal_answers_its_current_state(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let answer = scene
        .office()
        .waiting()
        .post(WITHDRAW, open(&user, "btc", "1"))
        .await
        .ok();
    assert_eq!(answer.text("status"), "AwaitingConfirmation");
    assert_eq!(answer.header("preference-applied"), None);
}

async fn an_unknown_preference_is_ignored(scene: Scene) {
    let user = scene.user().await;
    for prefer in ["wait=0", "return=minimal", "handling=strict", "waiting", ""] {
        let office = scene.office().with("prefer", prefer);
        let answer = office.post(DEPOSIT, open(&user, "btc", "1")).await.ok();
        assert_eq!(answer.text("status"), "Pending", "{prefer}");
        assert_eq!(answer.header("preference-applied"), None, "{prefer}");
    }
}

async fn checks_have_one_order(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let nobody = json!({"userId": NOBODY, "assetId": "btc", "amount": "9"});
    let wrong = and(nobody.clone(), "amount", "x");
    let huge = and(wrong.clone(), "comment", "x".repeat(70_000));
    let plain = |client: crate::client::Client| client.with("content-type", "text/plain");
    // Everything is wrong; then one thing less at a time.
    let answer = plain(scene.stranger()).post(WITHDRAW, &huge).await;
    answer.refused(415, "media_type.unsupported");
    let answer = scene.stranger().post(WITHDRAW, &huge).await;
    answer.refused(413, "body.too_large");
    let answer = scene.stranger().post(WITHDRAW, &wrong).await;
    answer.refused(401, "credentials.missing");
    let answer = scene.reader().post(WITHDRAW, &wrong).await;
    answer.refused(403, "permission.missing");
    let answer = scene.office().post(WITHDRAW, &wrong).await;
    answer.refused(400, "amount.invalid");
    let answer = scene.office().post(WITHDRAW, &nobody).await;
    answer.refused(404, "user.unknown");
    let answer = scene.office().post(WITHDRAW, open(&user, "btc", "9")).await;
    answer.refused(422, "balance.insufficient");
    // Existence before state.
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    scene.office().post(CONFIRM, finish(&user, held)).await.ok();
    let stranger = scene.user().await;
    let cancel = crate::scene::CANCEL;
    let answer = scene.office().post(cancel, finish(&stranger, held)).await;
    answer.refused(404, "transfer.unknown");
    let answer = scene.office().post(cancel, finish(&user, held)).await;
    answer.refused(409, "transfer.already_completed");
}
