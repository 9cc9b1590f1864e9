//! §1, withdrawals: asking for them, confirming and cancelling.

use serde_json::json;

use crate::{
    clause::clauses,
    scene::{CANCEL, CONFIRM, Scene, User, WITHDRAW, and, finish, open},
};

clauses! { "1.2 Withdrawals",
    "Documented: `type`: always Withdrawal (also written Witdrawal)": a_withdrawal_is_of_type_withdrawal
        = "A withdrawal's `type` is `Withdrawal`.",
    "Documented: AwaitingConfirmation": a_withdrawal_awaits_confirmation
        = "A withdrawal answers `AwaitingConfirmation`.",
    "Decision: created and held in one transaction": a_withdrawal_holds_its_amount
        = "Creating it moves amount and fee from available to frozen.",
    "Decision: no transfer without cover": too_little_is_refused_and_makes_no_transfer
        = "Too little available is 422 `balance.insufficient`, and no transfer appears.",
    "Decision: held money is not available": held_money_cannot_be_spent_again
        = "What is held covers no second withdrawal.",
    "Documented: Completed": a_confirm_pays_out = "A confirm answers `Completed`; the frozen money is gone.",
    "Documented: Canceled": a_cancel_returns_the_hold = "A cancel answers `Canceled`; the money is available again.",
    "Documented: `transferId` string": a_transfer_id_may_be_a_string_or_a_number
        = "`transferId` may be a string or an integer.",
    "Decision: repeating is safe": a_repeated_confirm_answers_the_transfer
        = "A confirm that completed answers 200 with the transfer again and moves nothing.",
    "Decision: repeating is safe": a_repeated_cancel_answers_the_transfer
        = "A cancel that cancelled answers 200 with the transfer again and moves nothing.",
    "Decision: final states never change": a_confirm_after_a_cancel_is_refused
        = "Confirm after cancel is 409 `transfer.already_canceled`.",
    "Decision: final states never change": a_cancel_after_a_confirm_is_refused
        = "Cancel after confirm is 409 `transfer.already_completed`.",
    "Decision: one winner": a_confirm_racing_a_cancel_has_one_winner
        = "Of a confirm and a cancel at once one wins; the money is out or back, never both.",
    "Decision: another user's or unknown transfer: 404": another_users_transfer_is_unknown
        = "Another user's, a deposit's and an unknown id are one 404 `transfer.unknown`.",
    "Decision: an id is a positive integer": what_is_no_id_is_refused
        = "0, −1, 1.5, `01`, `x` and nothing are 400 `transferId.invalid` or `.missed`; more digits than any id has are 404.",
    "Decision: the transfer changed last when it ended": a_confirm_moves_the_update_time
        = "`createdAt` stays, `updatedAt` moves to the confirm.",
    "Decision: a payout gateway is known by its signature alone": only_the_gateway_says_what_came_of_a_payout
        = "`POST /payout-results` without the gateway's signature is 401 `signature.invalid`, whatever else it carries.",
}

async fn a_withdrawal_is_of_type_withdrawal(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let answer = scene.withdrawal(&user, "btc", "1").await;
    assert_eq!(answer.text("type"), "Withdrawal");
}

async fn a_withdrawal_awaits_confirmation(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let answer = scene.withdrawal(&user, "btc", "1").await;
    assert_eq!(answer.text("status"), "AwaitingConfirmation");
    assert_eq!(answer.text("createdAt"), answer.text("updatedAt"));
}

/// Available and frozen bitcoins.
async fn has(scene: &Scene, user: &User, available: &str, frozen: &str) {
    let found = scene.balance(user, "BTC").await;
    assert_eq!(found, (available.to_owned(), frozen.to_owned()));
}

async fn a_withdrawal_holds_its_amount(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    scene.withdrawal(&user, "btc", "1.5").await;
    has(&scene, &user, "3.50000000", "1.50000000").await;
}

async fn too_little_is_refused_and_makes_no_transfer(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let answer = scene
        .office()
        .post(WITHDRAW, open(&user, "btc", "1.00000001"))
        .await;
    answer.refused(422, "balance.insufficient");
    let path = format!("{}?userId={}", crate::scene::HISTORY, user.id);
    assert_eq!(scene.reader().get(&path).await.ok().rows().len(), 1);
    has(&scene, &user, "1.00000000", "0.00000000").await;
}

async fn held_money_cannot_be_spent_again(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    scene.withdrawal(&user, "btc", "0.6").await;
    let answer = scene
        .office()
        .post(WITHDRAW, open(&user, "btc", "0.6"))
        .await;
    answer.refused(422, "balance.insufficient");
    scene.withdrawal(&user, "btc", "0.4").await;
    has(&scene, &user, "0.00000000", "1.00000000").await;
}

async fn a_confirm_pays_out(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let held = scene.withdrawal(&user, "btc", "1.5").await;
    let done = scene
        .office()
        .post(CONFIRM, finish(&user, held.id()))
        .await
        .ok();
    assert_eq!(
        (done.id(), done.text("status")),
        (held.id(), "Completed".into())
    );
    assert_eq!(done.text("amount"), "1.5");
    has(&scene, &user, "3.50000000", "0.00000000").await;
}

async fn a_cancel_returns_the_hold(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let held = scene.withdrawal(&user, "btc", "1.5").await;
    let done = scene
        .office()
        .post(CANCEL, finish(&user, held.id()))
        .await
        .ok();
    assert_eq!(
        (done.id(), done.text("status")),
        (held.id(), "Canceled".into())
    );
    has(&scene, &user, "5.00000000", "0.00000000").await;
}

async fn a_transfer_id_may_be_a_string_or_a_number(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    for path in [CONFIRM, CANCEL] {
        for text in [true, false] {
            let id = scene.withdrawal(&user, "btc", "1").await.id();
            let sent = if text {
                json!(id.to_string())
            } else {
                json!(id)
            };
            let body = json!({"userId": user.id, "transferId": sent});
            assert_eq!(scene.office().post(path, body).await.ok().id(), id);
        }
    }
}

/// The first answer and the repeated one are the same, and so is the money.
async fn repeats(scene: &Scene, path: &str, available: &str) {
    let user = scene.rich("btc", "5").await;
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    let first = scene.office().post(path, finish(&user, held)).await.ok();
    let again = scene.office().post(path, finish(&user, held)).await.ok();
    assert_eq!(again.text, first.text);
    has(scene, &user, available, "0.00000000").await;
}

async fn a_repeated_confirm_answers_the_transfer(scene: Scene) {
    repeats(&scene, CONFIRM, "4.00000000").await;
}

async fn a_repeated_cancel_answers_the_transfer(scene: Scene) {
    repeats(&scene, CANCEL, "5.00000000").await;
}

/// One operation after the other is refused and changes nothing.
async fn excludes(scene: &Scene, first: &str, then: &str, code: &str, available: &str) {
    let user = scene.rich("btc", "5").await;
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    scene.office().post(first, finish(&user, held)).await.ok();
    let answer = scene.office().post(then, finish(&user, held)).await;
    answer.refused(409, code);
    has(scene, &user, available, "0.00000000").await;
}

async fn a_confirm_after_a_cancel_is_refused(scene: Scene) {
    let code = "transfer.already_canceled";
    excludes(&scene, CANCEL, CONFIRM, code, "5.00000000").await;
}

async fn a_cancel_after_a_confirm_is_refused(scene: Scene) {
    let code = "transfer.already_completed";
    excludes(&scene, CONFIRM, CANCEL, code, "4.00000000").await;
}

async fn only_the_gateway_says_what_came_of_a_payout(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let id = scene.withdrawal(&user, "btc", "1").await.id();
    let body = json!({"id": id, "status": "paid"});
    for client in [scene.stranger(), scene.admin(), scene.office()] {
        let unsigned = client.post("/payout-results", &body).await;
        unsigned.refused(401, "signature.invalid");
        let forged = client
            .with("webhook-id", "msg_1")
            .with("webhook-timestamp", "1617965440")
            .with("webhook-signature", "v1,Zm9yZ2Vk");
        let forged = forged.post("/payout-results", &body).await;
        forged.refused(401, "signature.invalid");
    }
    has(&scene, &user, "4.00000000", "1.00000000").await;
}

async fn a_confirm_racing_a_cancel_has_one_winner(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let mut left = 5;
    for _ in 0..5 {
        let held = scene.withdrawal(&user, "btc", "1").await.id();
        let racing = [CONFIRM, CANCEL].map(|path| {
            let (office, body) = (scene.office(), finish(&user, held));
            tokio::spawn(async move { office.post(path, body).await.status })
        });
        let [confirm, cancel] = racing;
        let confirm = confirm.await.expect("it is answered");
        let cancel = cancel.await.expect("it is answered");
        assert!(
            matches!((confirm, cancel), (200, 409) | (409, 200)),
            "{confirm} {cancel}"
        );
        left -= i32::from(confirm == 200);
        has(&scene, &user, &format!("{left}.00000000"), "0.00000000").await;
    }
}

async fn another_users_transfer_is_unknown(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    let deposit = scene.fund(&user, "btc", "1").await.id();
    for path in [CONFIRM, CANCEL] {
        for (owner, id) in [
            (&other, held),
            (&user, deposit),
            (&user, 9_007_199_254_740_991),
        ] {
            let answer = scene.office().post(path, finish(owner, id)).await;
            answer.refused(404, "transfer.unknown");
        }
    }
    has(&scene, &user, "5.00000000", "1.00000000").await;
}

async fn what_is_no_id_is_refused(scene: Scene) {
    let user = scene.user().await;
    for path in [CONFIRM, CANCEL] {
        for wrong in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("01"),
            json!("x"),
            json!([1]),
        ] {
            let body = and(finish(&user, 1), "transferId", wrong);
            let answer = scene.office().post(path, body).await;
            answer.refused(400, "transferId.invalid");
        }
        for missing in [json!(null), json!("")] {
            let body = and(finish(&user, 1), "transferId", missing);
            let answer = scene.office().post(path, body).await;
            answer.refused(400, "transferId.missed");
        }
        let body = and(finish(&user, 1), "transferId", "99999999999999999999");
        let answer = scene.office().post(path, body).await;
        answer.refused(404, "transfer.unknown");
    }
}

async fn a_confirm_moves_the_update_time(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let held = scene.withdrawal(&user, "btc", "1").await;
    let done = scene
        .office()
        .post(CONFIRM, finish(&user, held.id()))
        .await
        .ok();
    assert_eq!(done.text("createdAt"), held.text("createdAt"));
    assert!(done.text("updatedAt") > held.text("updatedAt"));
}
