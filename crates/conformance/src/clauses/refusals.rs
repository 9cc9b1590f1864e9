//! §1, refusals at creation and at settlement.

use crate::{
    clause::clauses,
    scene::{CANCEL, CONFIRM, DEPOSIT, Scene, WITHDRAW, finish, open},
};

clauses! { "1.3 Refusals of the back office",
    "Decision: frozen users neither give nor take": a_frozen_user_is_refused
        = "Deposits and withdrawals of a frozen user are 422 `account.frozen`.",
    "Decision: terminated users neither give nor take": a_terminated_user_is_refused
        = "Deposits and withdrawals of a terminated user are 422 `account.terminated`.",
    "Decision: an asset can be closed for deposits": a_deposit_of_a_closed_asset_is_refused
        = "A deposit of an asset without `can_deposit` is 422 `asset.disabled`.",
    "Decision: an asset can be closed for withdrawals": a_withdrawal_of_a_closed_asset_is_refused
        = "A withdrawal of an asset without `can_withdraw` is 422 `asset.disabled`.",
    "Decision: beyond 10^38 − 1 smallest units": an_account_that_is_full_is_refused
        = "One amount stays below 10^15; what an account cannot hold is refused before it is credited.",
    "Decision: what is open can be ended": an_open_withdrawal_of_a_frozen_user_can_be_canceled
        = "A hold is returned by a cancel also after its user was frozen.",
    "Decision: one answer, whoever asks": a_refusal_moves_nothing
        = "A refused request leaves the balance as it was.",
}

async fn refused_as(scene: &Scene, status: &str, code: &str) {
    let user = scene.rich("btc", "5").await;
    scene.put_user(&user, status).await;
    for path in [DEPOSIT, WITHDRAW] {
        let answer = scene.office().post(path, open(&user, "btc", "1")).await;
        answer.refused(422, code);
        let answer = scene
            .office()
            .waiting()
            .post(path, open(&user, "btc", "1"))
            .await;
        answer.refused(422, code);
    }
}

async fn a_frozen_user_is_refused(scene: Scene) {
    refused_as(&scene, "Frozen", "account.frozen").await;
}

async fn a_terminated_user_is_refused(scene: Scene) {
    refused_as(&scene, "Terminated", "account.terminated").await;
}

async fn a_deposit_of_a_closed_asset_is_refused(scene: Scene) {
    scene.asset("cf-out-only", 8, false, true).await;
    let user = scene.user().await;
    let answer = scene
        .office()
        .post(DEPOSIT, open(&user, "cf-out-only", "1"))
        .await;
    answer.refused(422, "asset.disabled");
}

async fn a_withdrawal_of_a_closed_asset_is_refused(scene: Scene) {
    scene.asset("cf-in-only", 8, true, false).await;
    let user = scene.rich("cf-in-only", "5").await;
    let answer = scene
        .office()
        .post(WITHDRAW, open(&user, "cf-in-only", "1"))
        .await;
    answer.refused(422, "asset.disabled");
}

async fn an_account_that_is_full_is_refused(scene: Scene) {
    let user = scene
        .rich("eth", "999999999999999.999999999999999999")
        .await;
    // An account holds more than any one amount; its total is exact.
    scene
        .fund(&user, "eth", "999999999999999.999999999999999999")
        .await;
    let available = scene.balance(&user, "ETH").await.0;
    assert_eq!(available, "1999999999999999.999999999999999998");
    let answer = scene
        .office()
        .post(DEPOSIT, open(&user, "eth", "1000000000000000"))
        .await;
    answer.refused(400, "amount.too_large");
}

async fn an_open_withdrawal_of_a_frozen_user_can_be_canceled(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    scene.put_user(&user, "Frozen").await;
    let answer = scene.office().post(CANCEL, finish(&user, held)).await.ok();
    assert_eq!(answer.text("status"), "Canceled");
    let answer = scene.office().post(CONFIRM, finish(&user, held)).await;
    answer.refused(409, "transfer.already_canceled");
}

async fn a_refusal_moves_nothing(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    for amount in ["5.00000001", "0", "0.000000001", "x"] {
        let answer = scene
            .office()
            .post(WITHDRAW, open(&user, "btc", amount))
            .await;
        assert!(matches!(answer.status, 400 | 422), "{}", answer.text);
    }
    let whole = ("5.00000000".to_owned(), "0.00000000".to_owned());
    assert_eq!(scene.balance(&user, "BTC").await, whole);
}
