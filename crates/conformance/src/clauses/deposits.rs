//! §1, deposits, and what every transfer of the back office looks like.

use serde_json::json;

use crate::{
    answer::{MICROS, keys, members, shape},
    clause::clauses,
    scene::{CANCEL, CONFIRM, DEPOSIT, HISTORY, NOBODY, Scene, WITHDRAW, and, finish, open},
};

clauses! { "1.1 Deposits, and the form of a transfer",
    "Documented: deposit, withdraw: response fields; decision: confirm and cancel answer alike": a_transfer_has_eight_keys_in_order
        = "Deposit, withdraw, confirm and cancel answer exactly `id`, `asset`, `type`, `status`, `amount`, `fee`, `createdAt`, `updatedAt`, in this order.",
    "Documented: `id` number, the other fields strings": ids_are_numbers_and_amounts_are_strings
        = "`id` is a JSON number; every other member is a string.",
    "Documented: `type`: always Deposit": a_deposit_is_of_type_deposit = "A deposit's `type` is `Deposit`.",
    "Documented: `status`: Pending, Completed, Failed": a_deposit_is_completed_and_credited
        = "A deposit is `Pending`, then `Completed`, and its amount is available.",
    "Decision: plain decimals, trailing zeros trimmed": amounts_are_trimmed_plain_decimals
        = "Amounts and fees are plain decimals without trailing zeros: `1`, `0.00000001`, `100`.",
    "Documented: `fee`; decision: 0 by default": the_fee_is_zero_by_default = "`fee` is `0` where no schedule sets one.",
    "Documented: with μs precision; decision: six digits and `Z`": times_have_six_digits_and_z
        = "Times have exactly six fraction digits and `Z`.",
    "Decision: the same bytes everywhere": a_transfer_has_the_same_times_everywhere
        = "Answer, history and list show the same bytes of one transfer's times.",
    "Decision: lower case out, any case in": asset_ids_are_lower_case_out
        = "`assetId` may come in any case; `asset` is lower case.",
    "Documented: `userId`: GUID": user_ids_may_be_written_in_any_case
        = "A GUID in upper case is the same user.",
    "Documented: `comment`": a_comment_is_kept = "The comment comes back in the list, with every character of it.",
    "Decision: up to 1,000 characters": a_comment_has_at_most_1000_characters
        = "A comment of 1,000 characters is kept, one of 1,001 is 400 `comment.too_long`.",
    "Documented: `callbackUrl`: \"\"": no_callback_url_may_be_written_in_three_ways
        = "`callbackUrl` may be `\"\"`, `null` or missing.",
    "Decision: unknown is 404": an_unknown_user_or_asset_is_404
        = "An unknown user is 404 `user.unknown`, an unknown asset 404 `asset.unknown`.",
    "Documented: required fields": missing_fields_are_named
        = "A body without `userId`, `assetId` and `amount` is 400 naming all three.",
    "Decision: GUID": what_is_no_guid_is_refused = "A `userId` that is no GUID is 400 `userId.invalid`.",
    "Decision: each transfer has its own id": ids_are_unique_and_positive
        = "Ids are positive, below 2^53, and never the same twice.",
}

async fn a_transfer_has_eight_keys_in_order(scene: Scene) {
    let user = scene.user().await;
    let mut answers = vec![scene.fund(&user, "btc", "5").await];
    for path in [CONFIRM, CANCEL] {
        let held = scene.withdrawal(&user, "btc", "1").await;
        let done = scene
            .office()
            .post(path, finish(&user, held.id()))
            .await
            .ok();
        answers.extend([held, done]);
    }
    for answer in answers {
        let expected = [
            "id",
            "asset",
            "type",
            "status",
            "amount",
            "fee",
            "createdAt",
            "updatedAt",
        ];
        assert_eq!(keys(&answer.text), expected);
    }
}

async fn ids_are_numbers_and_amounts_are_strings(scene: Scene) {
    let user = scene.user().await;
    let answer = scene.fund(&user, "btc", "5").await;
    for (name, raw) in members(&answer.text) {
        assert_eq!(raw.starts_with('"'), name != "id", "{name}: {raw}");
    }
    assert!(answer.id() > 0);
}

async fn a_deposit_is_of_type_deposit(scene: Scene) {
    let user = scene.user().await;
    assert_eq!(scene.fund(&user, "btc", "5").await.text("type"), "Deposit");
}

async fn a_deposit_is_completed_and_credited(scene: Scene) {
    let user = scene.user().await;
    let answer = scene
        .office()
        .post(DEPOSIT, open(&user, "btc", "1.5"))
        .await
        .ok();
    assert_eq!(answer.text("status"), "Pending");
    let row = scene.row(&user, answer.id(), "Completed").await;
    assert_eq!(row["errorDetails"], "");
    let available = ("1.50000000".to_owned(), "0.00000000".to_owned());
    assert_eq!(scene.balance(&user, "BTC").await, available);
}

async fn amounts_are_trimmed_plain_decimals(scene: Scene) {
    let user = scene.user().await;
    for (amount, is) in [
        ("1", "1"),
        ("1.50", "1.5"),
        ("0.00000001", "0.00000001"),
        ("100", "100"),
        ("100.00000000", "100"),
        ("123456789012345", "123456789012345"),
    ] {
        let answer = scene.fund(&user, "btc", amount).await;
        assert_eq!(answer.text("amount"), is);
    }
}

async fn the_fee_is_zero_by_default(scene: Scene) {
    let user = scene.user().await;
    assert_eq!(scene.fund(&user, "btc", "2").await.text("fee"), "0");
    assert_eq!(scene.withdrawal(&user, "btc", "1").await.text("fee"), "0");
}

async fn times_have_six_digits_and_z(scene: Scene) {
    let user = scene.user().await;
    for _ in 0..5 {
        let answer = scene.fund(&user, "btc", "2").await;
        for name in ["createdAt", "updatedAt"] {
            assert_eq!(shape(&answer.text(name)), MICROS);
        }
    }
}

async fn a_transfer_has_the_same_times_everywhere(scene: Scene) {
    let user = scene.user().await;
    let answer = scene.fund(&user, "btc", "2").await;
    let history = scene
        .reader()
        .get(&format!("{HISTORY}?userId={}", user.id))
        .await
        .ok();
    let history = history.rows().pop().expect("there is one");
    let row = scene.row(&user, answer.id(), "Completed").await;
    for name in ["createdAt", "updatedAt"] {
        assert_eq!(history[name], answer.text(name));
        assert_eq!(row[name], answer.text(name));
    }
}

async fn asset_ids_are_lower_case_out(scene: Scene) {
    let user = scene.user().await;
    for asset in ["btc", "BTC", "bTc"] {
        assert_eq!(scene.fund(&user, asset, "2").await.text("asset"), "btc");
    }
}

async fn user_ids_may_be_written_in_any_case(scene: Scene) {
    let user = scene.user().await;
    let body = and(open(&user, "btc", "1"), "userId", user.id.to_uppercase());
    scene.office().waiting().post(DEPOSIT, body).await.ok();
    assert_eq!(scene.balance(&user, "BTC").await.0, "1.00000000");
}

async fn a_comment_is_kept(scene: Scene) {
    let user = scene.user().await;
    for comment in [
        "deposit 10.1 from Dad",
        "naïve 💰\n\"quoted\" \\ <b>",
        "  blanks  ",
    ] {
        let body = and(open(&user, "btc", "1"), "comment", comment);
        let id = scene.office().post(DEPOSIT, body).await.ok().id();
        let row = scene.row(&user, id, "Completed").await;
        assert_eq!(row["comment"], comment);
    }
    let id = scene.fund(&user, "btc", "1").await.id();
    assert_eq!(scene.row(&user, id, "Completed").await["comment"], "");
}

async fn a_comment_has_at_most_1000_characters(scene: Scene) {
    let user = scene.user().await;
    let most = and(open(&user, "btc", "1"), "comment", "é".repeat(1_000));
    scene.office().post(DEPOSIT, most).await.ok();
    for path in [DEPOSIT, WITHDRAW] {
        let more = and(open(&user, "btc", "1"), "comment", "x".repeat(1_001));
        let answer = scene.office().post(path, more).await;
        answer.refused(400, "comment.too_long");
    }
}

async fn no_callback_url_may_be_written_in_three_ways(scene: Scene) {
    let user = scene.user().await;
    for url in [json!(""), json!(null)] {
        let body = and(open(&user, "btc", "1"), "callbackUrl", url);
        scene.office().post(DEPOSIT, body).await.ok();
    }
    scene
        .office()
        .post(DEPOSIT, open(&user, "btc", "1"))
        .await
        .ok();
}

async fn an_unknown_user_or_asset_is_404(scene: Scene) {
    let user = scene.user().await;
    for path in [DEPOSIT, WITHDRAW] {
        let body = json!({"userId": NOBODY, "assetId": "btc", "amount": 1});
        scene
            .office()
            .post(path, body)
            .await
            .refused(404, "user.unknown");
        let body = open(&user, "cf-none", "1");
        scene
            .office()
            .post(path, body)
            .await
            .refused(404, "asset.unknown");
    }
}

async fn missing_fields_are_named(scene: Scene) {
    for path in [DEPOSIT, WITHDRAW] {
        let answer = scene.office().post(path, "{}").await;
        let wrong = answer.refused(400, "request.invalid").wrong();
        let expected = ["userId", "assetId", "amount"];
        assert_eq!(
            wrong,
            expected.map(|name| (name.to_owned(), format!("{name}.missed")))
        );
    }
}

async fn what_is_no_guid_is_refused(scene: Scene) {
    for wrong in [json!("alice"), json!("942fe02b"), json!(7), json!(["x"])] {
        let body = json!({"userId": wrong, "assetId": "btc", "amount": 1});
        let answer = scene.office().post(DEPOSIT, body).await;
        answer.refused(400, "userId.invalid");
    }
    let body = json!({"userId": "", "assetId": "btc", "amount": 1});
    let answer = scene.office().post(DEPOSIT, body).await;
    answer.refused(400, "userId.missed");
}

async fn ids_are_unique_and_positive(scene: Scene) {
    let user = scene.user().await;
    let mut ids = vec![];
    for _ in 0..10 {
        let id = scene.fund(&user, "btc", "1").await.id();
        assert!(id > 0 && id < 1 << 53);
        ids.push(id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}
