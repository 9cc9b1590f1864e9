//! §0, money in.

use serde_json::{Value, json};

use crate::{
    clause::clauses,
    scene::{DEPOSIT, INTERNAL, NOBODY, Scene, User, WITHDRAW, and, open, send},
};

clauses! { "0.2 Money that comes in",
    "Documented: deposit and withdraw, `amount` number; internal transfer, `amount` string": an_amount_may_be_a_string_or_a_number
        = "Every amount may be a JSON string or a JSON number, in every API.",
    "Decision: money never passes through a float": a_number_is_read_from_its_text
        = "A JSON number is read digit by digit: 0.1 and 123456789012345.000000000000000001 stay exact.",
    "Decision: JavaScript writes `1e-7`": a_number_may_carry_an_exponent
        = "A JSON number may carry an exponent from −30 to 30.",
    "Decision: no input costs more than its length": a_larger_exponent_is_refused
        = "An exponent beyond −30 to 30 is 400 `amount.invalid`.",
    "Decision: only numbers carry exponents": a_string_carries_no_exponent
        = "The string \"1e-7\" is 400 `amount.invalid`.",
    "Decision: one form of a decimal": what_is_no_plain_decimal_is_refused
        = "Signs, `NaN`, `Infinity`, blanks, underscores, commas, `.5`, `5.` and `01` are 400 `amount.invalid`.",
    "Decision: JSON decides what a JSON number is": what_is_no_json_number_is_malformed
        = "Bare `NaN`, `Infinity`, `01`, `.5`, `5.` and `+1` are 400 `json.malformed`.",
    "Decision: a transfer moves something": zero_is_refused
        = "Zero in every spelling is 400 `amount.zero`.",
    "Decision: amounts are positive": a_negative_number_is_refused
        = "A negative number is 400 `amount.invalid`.",
    "Decision: fifteen digits before the point": too_many_digits_before_the_point_are_refused
        = "More than fifteen digits before the point are 400 `amount.too_large`.",
    "Decision: eighteen digits after the point": too_many_digits_after_the_point_are_refused
        = "More than eighteen digits after the point are 400 `amount.too_precise`.",
    "Decision: nothing is ever rounded": more_decimals_than_the_asset_has_are_refused
        = "An amount that does not fit the asset's scale is 400 `amount.too_precise`.",
    "Decision: zeros say nothing": trailing_zeros_beyond_the_scale_are_no_decimals
        = "Trailing zeros beyond the asset's scale are accepted.",
    "Decision: the scale is checked once the asset is known": an_unknown_asset_is_judged_before_the_scale
        = "An unknown asset is 404 before the amount's decimals are judged.",
    "Decision: at most 64 bytes are read as a number": a_number_of_more_than_64_bytes_is_refused
        = "A JSON number of more than 64 bytes is 400 `amount.invalid`.",
    "Documented: `amount` is required": a_missing_amount_is_refused
        = "A missing, `null` or empty amount is 400 `amount.missed`.",
    "Documented: `amount` is a number or string": other_json_is_no_amount
        = "Lists, objects and booleans are 400 `amount.invalid`.",
}

/// A deposit of a raw JSON amount.
fn raw(user: &User, asset: &str, amount: &str) -> String {
    let body = open(user, asset, "?").to_string();
    body.replace("\"?\"", amount)
}

/// All three requests refuse this raw amount.
async fn all_refuse(scene: &Scene, user: &User, amount: &str, code: &str) {
    for path in [DEPOSIT, WITHDRAW] {
        let answer = scene.office().post(path, raw(user, "eth", amount)).await;
        answer.refused(400, code);
    }
    let body = send("ETH", "?", NOBODY).to_string();
    let answer = user.own.post(INTERNAL, body.replace("\"?\"", amount)).await;
    answer.refused(400, code);
}

async fn an_amount_may_be_a_string_or_a_number(scene: Scene) {
    let (user, other) = (scene.rich("btc", "2").await, scene.user().await);
    for amount in [json!("0.5"), json!(0.5)] {
        let body = and(open(&user, "btc", ""), "amount", amount.clone());
        for path in [DEPOSIT, WITHDRAW] {
            let answer = scene.office().post(path, body.clone()).await.ok();
            assert_eq!(answer.text("amount"), "0.5");
        }
        let body = and(send("btc", "", &other.id), "amount", amount);
        let answer = user.own.post(INTERNAL, body).await.ok();
        assert_eq!(answer.text("amount"), "0.50000000");
    }
}

async fn a_number_is_read_from_its_text(scene: Scene) {
    let user = scene.user().await;
    for amount in [
        "0.1",
        "123456789012345.000000000000000001",
        "0.000000000000000003",
    ] {
        let answer = scene
            .office()
            .post(DEPOSIT, raw(&user, "eth", amount))
            .await;
        assert_eq!(answer.ok().text("amount"), amount);
    }
}

async fn a_number_may_carry_an_exponent(scene: Scene) {
    let user = scene.user().await;
    for (amount, is) in [
        ("1e-7", "0.0000001"),
        ("1E+2", "100"),
        ("2.50e1", "25"),
        ("1000000000000000000000000000000e-30", "1"),
        ("0.000000000000000000000000000001e30", "1"),
    ] {
        let answer = scene
            .office()
            .post(DEPOSIT, raw(&user, "eth", amount))
            .await;
        assert_eq!(answer.ok().text("amount"), is, "{amount}");
    }
}

async fn a_larger_exponent_is_refused(scene: Scene) {
    let user = scene.user().await;
    for amount in ["1e31", "1e-31", "1e999999999", "1e-999999999"] {
        all_refuse(&scene, &user, amount, "amount.invalid").await;
    }
}

async fn a_string_carries_no_exponent(scene: Scene) {
    let user = scene.user().await;
    all_refuse(&scene, &user, "\"1e-7\"", "amount.invalid").await;
}

async fn what_is_no_plain_decimal_is_refused(scene: Scene) {
    let user = scene.user().await;
    for amount in [
        "+1", "-1", "NaN", "Infinity", " 1", "1 ", "1_000", "1,5", ".5", "5.", "01", "0x10", "١",
        "1.2.3", "-0",
    ] {
        let text = Value::from(amount).to_string();
        all_refuse(&scene, &user, &text, "amount.invalid").await;
    }
}

async fn what_is_no_json_number_is_malformed(scene: Scene) {
    let user = scene.user().await;
    for amount in ["NaN", "Infinity", "01", ".5", "5.", "+1"] {
        all_refuse(&scene, &user, amount, "json.malformed").await;
    }
}

async fn zero_is_refused(scene: Scene) {
    let user = scene.user().await;
    for amount in ["0", "\"0\"", "0.0", "\"0.000\"", "0e5"] {
        all_refuse(&scene, &user, amount, "amount.zero").await;
    }
}

async fn a_negative_number_is_refused(scene: Scene) {
    let user = scene.user().await;
    for amount in ["-1", "-0.5", "-1e2"] {
        all_refuse(&scene, &user, amount, "amount.invalid").await;
    }
}

async fn too_many_digits_before_the_point_are_refused(scene: Scene) {
    let user = scene.user().await;
    for amount in ["1000000000000000", "\"1000000000000000\"", "1e15"] {
        all_refuse(&scene, &user, amount, "amount.too_large").await;
    }
    let most = raw(&user, "eth", "\"999999999999999.999999999999999999\"");
    scene.office().post(DEPOSIT, most).await.ok();
}

async fn too_many_digits_after_the_point_are_refused(scene: Scene) {
    let user = scene.user().await;
    for amount in [
        "0.1234567890123456789",
        "\"0.1234567890123456789\"",
        "1e-19",
    ] {
        all_refuse(&scene, &user, amount, "amount.too_precise").await;
    }
}

async fn more_decimals_than_the_asset_has_are_refused(scene: Scene) {
    let user = scene.user().await;
    for (asset, amount) in [
        ("btc", "0.000000001"),
        ("usd", "0.001"),
        ("usdt", "0.0000001"),
    ] {
        for path in [DEPOSIT, WITHDRAW] {
            let answer = scene.office().post(path, open(&user, asset, amount)).await;
            answer.refused(400, "amount.too_precise");
        }
        let answer = user.own.post(INTERNAL, send(asset, amount, NOBODY)).await;
        answer.refused(400, "amount.too_precise");
    }
}

async fn trailing_zeros_beyond_the_scale_are_no_decimals(scene: Scene) {
    let user = scene.user().await;
    let body = open(&user, "usd", "1.230000000000000000");
    let answer = scene.office().post(DEPOSIT, body).await.ok();
    assert_eq!(answer.text("amount"), "1.23");
}

async fn an_unknown_asset_is_judged_before_the_scale(scene: Scene) {
    let user = scene.user().await;
    let body = open(&user, "cf-none", "0.123456789012345678");
    let answer = scene.office().post(DEPOSIT, body).await;
    answer.refused(404, "asset.unknown");
}

async fn a_number_of_more_than_64_bytes_is_refused(scene: Scene) {
    let user = scene.user().await;
    let just = format!("1e{}", "0".repeat(62));
    let answer = scene.office().post(DEPOSIT, raw(&user, "eth", &just)).await;
    assert_eq!(answer.ok().text("amount"), "1");
    let longer = format!("1e{}", "0".repeat(63));
    all_refuse(&scene, &user, &longer, "amount.invalid").await;
    // Whatever it costs to look at a number grows no faster than the number.
    let million = "1".repeat(60_000);
    all_refuse(&scene, &user, &million, "amount.invalid").await;
}

async fn a_missing_amount_is_refused(scene: Scene) {
    let user = scene.user().await;
    for amount in ["null", "\"\""] {
        all_refuse(&scene, &user, amount, "amount.missed").await;
    }
    let body = json!({"userId": user.id, "assetId": "btc"});
    let answer = scene.office().post(DEPOSIT, body).await;
    answer.refused(400, "amount.missed");
}

async fn other_json_is_no_amount(scene: Scene) {
    let user = scene.user().await;
    for amount in ["[1]", "{\"a\":1}", "true"] {
        all_refuse(&scene, &user, amount, "amount.invalid").await;
    }
}
