//! Every amount that the issue names, end to end.

use crate::world::{ALICE, ALICES, BOB, DEPOSIT, INTERNAL, OPERATOR, Sent, World};

fn deposit(asset: &str, amount: &str) -> String {
    format!(r#"{{"userId":"{ALICE}","assetId":"{asset}","amount":{amount}}}"#)
}

fn internal(currency: &str, amount: &str) -> String {
    format!(r#"{{"currency_code":"{currency}","amount":{amount},"recipient":"{BOB}"}}"#)
}

#[actix_web::test]
async fn accepted_amounts_are_exact_in_both_apis() {
    for (asset, amount, plain, fixed) in [
        ("btc", "1", "1", "1.00000000"),
        ("btc", "\"1\"", "1", "1.00000000"),
        ("btc", "1.0", "1", "1.00000000"),
        ("btc", "1e-7", "0.0000001", "0.00000010"),
        (
            "eth",
            "1e-18",
            "0.000000000000000001",
            "0.000000000000000001",
        ),
        (
            "eth",
            "0.123456789012345678",
            "0.123456789012345678",
            "0.123456789012345678",
        ),
        (
            "eth",
            "\"0.123456789012345678\"",
            "0.123456789012345678",
            "0.123456789012345678",
        ),
        (
            "eth",
            "123456789012345.123456789012345678",
            "123456789012345.123456789012345678",
            "123456789012345.123456789012345678",
        ),
        ("usd", "\"10.10\"", "10.1", "10.10000000"),
    ] {
        let world = World::new();
        let sent = Sent::post(DEPOSIT, &deposit(asset, amount)).bearer(OPERATOR);
        let answer = world.send(sent.header("Prefer", "wait")).await.ok();
        assert_eq!(answer.json()["amount"], plain, "{amount}");
        let sent = Sent::post(INTERNAL, &internal(asset, amount)).bearer(ALICES);
        let answer = world.send(sent.header("Prefer", "wait")).await.ok();
        assert_eq!(answer.json()["amount"], fixed, "{amount}");
        assert_eq!(answer.json()["status"], "success", "{amount}");
    }
}

#[actix_web::test]
async fn refused_amounts_change_nothing_and_name_the_field() {
    let world = World::new();
    let long = "9".repeat(60_000);
    for (amount, code) in [
        ("1e400", "amount.invalid"),
        ("\"1e400\"", "amount.invalid"),
        ("\"NaN\"", "amount.invalid"),
        ("\"Infinity\"", "amount.invalid"),
        ("-1", "amount.invalid"),
        ("\"-1\"", "amount.invalid"),
        ("0", "amount.zero"),
        ("\"0.00\"", "amount.zero"),
        ("\"\"", "amount.missed"),
        ("null", "amount.missed"),
        ("\"01\"", "amount.invalid"),
        ("\".5\"", "amount.invalid"),
        ("\"5.\"", "amount.invalid"),
        ("\" 1\"", "amount.invalid"),
        ("true", "amount.invalid"),
        ("0.000000001", "amount.too_precise"),
        ("\"0.000000001\"", "amount.too_precise"),
        ("0.1234567890123456789", "amount.too_precise"),
        ("1000000000000000", "amount.too_large"),
        (long.as_str(), "amount.invalid"),
    ] {
        for (path, body, token) in [
            (DEPOSIT, deposit("btc", amount), OPERATOR),
            (INTERNAL, internal("btc", amount), ALICES),
        ] {
            let answer = world.send(Sent::post(path, &body).bearer(token)).await;
            let expected = (400, code.to_owned());
            assert_eq!(answer.refusal(), expected, "{path} {amount:.30}");
            assert_eq!(
                answer.wrong_fields(),
                [("amount".to_owned(), code.to_owned())],
                "{path} {amount:.30}"
            );
        }
    }
    assert!(world.transfer(1).await.is_none());
}

#[actix_web::test]
async fn amounts_that_are_no_json_make_the_body_none() {
    let world = World::new();
    for amount in [
        "NaN", "Infinity", "01", "+1", ".5", "5.", "0x10", "1_000", "",
    ] {
        for (path, body, token) in [
            (DEPOSIT, deposit("btc", amount), OPERATOR),
            (INTERNAL, internal("btc", amount), ALICES),
        ] {
            let answer = world.send(Sent::post(path, &body).bearer(token)).await;
            assert_eq!(answer.refusal(), (400, "json.malformed".into()), "{amount}");
        }
    }
    assert!(world.transfer(1).await.is_none());
}

#[actix_web::test]
async fn a_number_of_a_megabyte_is_too_large_a_body() {
    let world = World::new();
    let body = deposit("btc", &"1".repeat(1_000_000));
    let answer = world
        .send(Sent::post(DEPOSIT, &body).bearer(OPERATOR))
        .await;
    assert_eq!(answer.refusal(), (413, "body.too_large".into()));
}

#[actix_web::test]
async fn an_unknown_asset_comes_before_its_decimals() {
    let world = World::new();
    let body = deposit("doge", "0.1234567890123456");
    let answer = world
        .send(Sent::post(DEPOSIT, &body).bearer(OPERATOR))
        .await;
    assert_eq!(answer.refusal(), (404, "asset.unknown".into()));
}
