//! Assets, users, rates and balances, and how strict the admin API is.

use bursar_domain::AccountKey;
use bursar_ports::{AccountBalance, AssetIntegrity, AssetSums};
use bursar_testkit::build;

use crate::{
    fakes::locked,
    world::{ALICE, Answer, BOB, NOW, OPERATOR, Sent, World},
};

async fn get(world: &World, path: &str) -> Answer {
    let path = format!("/admin/v1{path}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await
}

async fn put(world: &World, path: &str, body: &str) -> Answer {
    let path = format!("/admin/v1{path}");
    world.send(Sent::put(&path, body).bearer(OPERATOR)).await
}

const USDT: &str =
    r#"{"name":"Tether","scale":6,"can_deposit":true,"can_withdraw":false,"can_transfer":true}"#;

#[actix_web::test]
async fn assets_are_put_and_shown() {
    let world = World::new();
    let expected = r#"{"id":"usdt","name":"Tether","scale":6,"can_deposit":true,"can_withdraw":false,"can_transfer":true}"#;
    for _ in 0..2 {
        assert_eq!(put(&world, "/assets/USDT", USDT).await.ok().body, expected);
    }
    assert_eq!(get(&world, "/assets/usdt").await.ok().body, expected);
    let rescaled = put(&world, "/assets/usdt", &USDT.replace('6', "2")).await;
    assert_eq!(rescaled.refusal(), (422, "asset.scale_in_use".into()));
    let unknown = get(&world, "/assets/doge").await;
    assert_eq!(unknown.refusal(), (404, "asset.unknown".into()));
    let impossible = get(&world, "/assets/b%20c").await;
    assert_eq!(impossible.refusal(), (400, "id.invalid".into()));
}

#[actix_web::test]
async fn a_strict_body_has_all_it_needs_and_nothing_else() {
    let world = World::new();
    let body = r#"{"Name":"x","scale":19,"can_deposit":1,"can_withdraw":"true","colour":null}"#;
    let answer = put(&world, "/assets/b%20c", body).await;
    assert_eq!(answer.refusal(), (400, "request.invalid".into()));
    let mut wrong = answer.wrong_fields();
    wrong.sort();
    let expected = [
        ("Name", "field.unknown"),
        ("can_deposit", "can_deposit.invalid"),
        ("can_transfer", "can_transfer.missed"),
        ("can_withdraw", "can_withdraw.invalid"),
        ("colour", "field.unknown"),
        ("id", "id.invalid"),
        ("name", "name.missed"),
        ("scale", "scale.out_of_range"),
    ]
    .map(|(field, code)| (field.to_owned(), code.to_owned()));
    assert_eq!(wrong, expected);
}

#[actix_web::test]
async fn lists_go_on_where_their_cursor_says() {
    let world = World::new();
    let first = get(&world, "/assets?limit=2").await.ok().json();
    let ids = |page: &serde_json::Value| -> Vec<String> {
        let rows = page["data"].as_array().expect("rows");
        let id = |row: &serde_json::Value| row["id"].as_str().unwrap_or_default().to_owned();
        rows.iter().map(id).collect()
    };
    assert_eq!(ids(&first), ["btc", "eth"]);
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = get(&world, &format!("/assets?limit=2&cursor={cursor}"))
        .await
        .ok();
    assert_eq!(ids(&second.json()), ["usd"]);
    assert!(
        second.body.ends_with(r#"],"next_cursor":null}"#),
        "{}",
        second.body
    );
    // Exactly as many as there are is no reason for another page.
    let all = get(&world, "/assets?limit=3").await.ok().json();
    assert_eq!(all["next_cursor"], serde_json::Value::Null);
    let foreign = get(&world, &format!("/users?cursor={cursor}")).await;
    assert_eq!(foreign.refusal(), (400, "cursor.invalid".into()));
}

#[actix_web::test]
async fn parameters_of_lists_are_strict() {
    let world = World::new();
    for (query, code) in [
        ("limit=201", "limit.out_of_range"),
        ("limit=0", "limit.out_of_range"),
        ("cursor=x", "cursor.invalid"),
        ("cursor=dXNlcnM6eA", "cursor.invalid"),
        ("Limit=1", "parameter.unknown"),
        ("offset=1", "parameter.unknown"),
        ("limit=1&limit=1", "parameter.duplicate"),
    ] {
        let answer = get(&world, &format!("/users?{query}")).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{query}");
    }
}

#[actix_web::test]
async fn users_are_put_shown_and_found() {
    let world = World::new();
    let carol = build::user_id(7);
    let body = r#"{"username":"carol","email":"carol@example.com","roles":["Vip","Trader"],"status":"Frozen"}"#;
    let expected = format!(
        r#"{{"id":"{carol}","username":"carol","email":"carol@example.com","roles":["Vip","Trader"],"status":"Frozen"}}"#
    );
    let path = format!("/users/{carol}");
    assert_eq!(put(&world, &path, body).await.ok().body, expected);
    assert_eq!(get(&world, &path).await.ok().body, expected);
    let found = get(&world, "/users?search=caro").await.ok();
    assert_eq!(
        found.body,
        format!(r#"{{"data":[{expected}],"next_cursor":null}}"#)
    );
    let unknown = get(&world, &format!("/users/{}", build::user_id(8))).await;
    assert_eq!(unknown.refusal(), (404, "user.unknown".into()));
    let invalid = get(&world, "/users/carol").await;
    assert_eq!(invalid.refusal(), (400, "id.invalid".into()));
}

#[actix_web::test]
async fn a_user_must_be_somebody_of_its_own() {
    let world = World::new();
    let path = format!("/users/{BOB}");
    let body = |username: &str, email: &str, roles: &str, status: &str| {
        format!(
            r#"{{"username":"{username}","email":"{email}","roles":{roles},"status":"{status}"}}"#
        )
    };
    for (sent, status, code) in [
        (body("ALICE", "", "[]", "Active"), 422, "username.taken"),
        (
            body("bob", "Alice@example.com", "[]", "Active"),
            422,
            "email.taken",
        ),
        (body("b@b", "", "[]", "Active"), 400, "username.invalid"),
        (
            body(&ALICE.to_string(), "", "[]", "Active"),
            400,
            "username.is_id",
        ),
        (body("bob", "b", "[]", "Active"), 400, "email.invalid"),
        (body("bob", "", "[\"\"]", "Active"), 400, "roles.invalid"),
        (body("bob", "", "7", "Active"), 400, "roles.invalid"),
        (body("bob", "", "[]", "active"), 400, "status.invalid"),
        (body("", "", "[]", "Active"), 400, "username.missed"),
    ] {
        let answer = put(&world, &path, &sent).await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "{sent}");
    }
    put(&world, &path, &body("bob", "", "[]", "Active"))
        .await
        .ok();
}

#[actix_web::test]
async fn all_that_is_wrong_with_a_user_is_told_at_once() {
    let world = World::new();
    let path = format!("/users/{BOB}");
    let wrong = |answer: Answer| {
        assert_eq!(answer.refusal(), (400, "request.invalid".into()));
        answer
            .wrong_fields()
            .into_iter()
            .map(|(_, code)| code)
            .collect::<Vec<_>>()
    };
    // What is missing or of another type, and what has the wrong form.
    let body = r#"{"username":"b@b","email":7,"status":"active","colour":"red"}"#;
    let answer = put(&world, &path, body).await;
    let expected = [
        "username.invalid",
        "email.invalid",
        "roles.missed",
        "status.invalid",
        "field.unknown",
    ];
    assert_eq!(wrong(answer), expected);
    let body = format!(r#"{{"username":"{ALICE}","email":"b","roles":[""]}}"#);
    let answer = put(&world, &path, &body).await;
    let expected = [
        "username.is_id",
        "email.invalid",
        "roles.invalid",
        "status.missed",
    ];
    assert_eq!(wrong(answer), expected);
    let answer = put(&world, "/users/bob", &body).await;
    let expected = [
        "id.invalid",
        "email.invalid",
        "roles.invalid",
        "status.missed",
    ];
    assert_eq!(wrong(answer), expected);
}

#[actix_web::test]
async fn rates_are_exact_decimals() {
    let world = World::new();
    for (sent, shown) in [
        ("\"50000\"", "50000"),
        ("0.00001", "0.00001"),
        ("1e-7", "0.0000001"),
        ("\"2500.50\"", "2500.5"),
    ] {
        let expected = format!(
            r#"{{"asset":"eth","rate":"{shown}","source":"a feed","rated_at":"2024-01-01T00:00:00.000000Z"}}"#
        );
        let sent = format!(r#"{{"rate":{sent},"source":"a feed"}}"#);
        let answer = put(&world, "/rates/ETH", &sent).await.ok();
        assert_eq!(answer.body, expected);
        assert_eq!(get(&world, "/rates/eth").await.ok().body, expected);
    }
    assert_eq!(
        get(&world, "/rates/usd").await.ok().body,
        r#"{"asset":"usd","rate":"1","source":null,"rated_at":null}"#
    );
}

#[actix_web::test]
async fn what_is_no_rate_is_refused() {
    let world = World::new();
    for (path, body, status, code) in [
        ("/rates/eth", "{}", 400, "rate.missed"),
        ("/rates/eth", r#"{"rate":0}"#, 400, "rate.zero"),
        ("/rates/eth", r#"{"rate":"-1"}"#, 400, "rate.invalid"),
        ("/rates/usd", r#"{"rate":"2"}"#, 400, "rate.invalid"),
        ("/rates/doge", r#"{"rate":"2"}"#, 404, "asset.unknown"),
        ("/rates/b%20c", r#"{"rate":"2"}"#, 400, "asset.invalid"),
    ] {
        let answer = put(&world, path, body).await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "{path} {body}");
    }
    let unset = get(&world, "/rates/eth").await;
    assert_eq!(unset.refusal(), (404, "rate.unknown".into()));
}

#[actix_web::test]
async fn balances_of_a_user_and_of_the_exchange() {
    let world = World::new();
    let row = |account, available, updated_at| AccountBalance {
        account,
        available,
        held: 50,
        updated_at,
    };
    let btc = build::asset_id("btc");
    *locked(&world.query.user_balances) = vec![row(AccountKey::user(ALICE, btc), 100_000_000, NOW)];
    let answer = get(&world, &format!("/balances?user_id={ALICE}&limit=2"))
        .await
        .ok();
    assert_eq!(
        answer.body.split(",\"next_cursor\"").next(),
        Some(
            r#"{"data":[{"asset":"btc","available":"1","held":"0.0000005","updated_at":"2021-04-09T10:50:40.116485Z"},{"asset":"eth","available":"0","held":"0","updated_at":null}]"#
        )
    );
    let cursor = answer.json()["next_cursor"].clone();
    let cursor = cursor.as_str().expect("there is more");
    let rest = get(
        &world,
        &format!("/balances?user_id={ALICE}&cursor={cursor}"),
    )
    .await
    .ok();
    assert_eq!(rest.json()["data"][0]["asset"], "usd");
    *locked(&world.query.system_balances) = vec![
        row(AccountKey::world(btc), -100_000_000, NOW),
        row(AccountKey::fees(btc), 0, bursar_domain::Timestamp::EPOCH),
    ];
    assert_eq!(
        get(&world, "/balances?owner=system").await.ok().body,
        r#"{"data":[{"owner":"fees","asset":"btc","available":"0","held":"0.0000005","updated_at":null},{"owner":"world","asset":"btc","available":"-1","held":"0.0000005","updated_at":"2021-04-09T10:50:40.116485Z"}],"next_cursor":null}"#
    );
}

#[actix_web::test]
async fn the_books_are_told_by_asset() {
    let world = World::new();
    let book = |asset, sum, holds, accounts| AssetIntegrity {
        sums: AssetSums {
            asset: build::asset_id(asset),
            sum,
            holds,
            entries: 12,
        },
        accounts,
    };
    assert_eq!(
        get(&world, "/integrity").await.ok().body,
        r#"{"ok":true,"assets":[]}"#
    );
    *locked(&world.integrity.books) = vec![book("btc", Some(0), Some(0), 0)];
    assert_eq!(
        get(&world, "/integrity").await.ok().body,
        r#"{"ok":true,"assets":[{"asset":"btc","ok":true,"sum":"0","accounts":0,"entries":12,"holds":"0"}]}"#
    );
    for (wrong, told) in [
        (
            book("btc", Some(-1), Some(0), 0),
            r#""sum":"-0.00000001","accounts":0,"entries":12,"holds":"0""#,
        ),
        (
            book("btc", Some(0), Some(150_000_000), 0),
            r#""sum":"0","accounts":0,"entries":12,"holds":"1.5""#,
        ),
        (
            book("btc", Some(0), Some(0), 2),
            r#""sum":"0","accounts":2,"entries":12,"holds":"0""#,
        ),
        // Beyond what any account can have, or NaN.
        (
            book("btc", None, Some(i128::MAX), 0),
            r#""sum":null,"accounts":0,"entries":12,"holds":null"#,
        ),
    ] {
        *locked(&world.integrity.books) = vec![wrong, book("eth", Some(0), Some(0), 0)];
        let expected = format!(
            r#"{{"ok":false,"assets":[{{"asset":"btc","ok":false,{told}}},{{"asset":"eth","ok":true,"sum":"0","accounts":0,"entries":12,"holds":"0"}}]}}"#
        );
        assert_eq!(get(&world, "/integrity").await.ok().body, expected);
    }
    // An account of an asset that there is not is wrong by itself; units are told as they are.
    *locked(&world.integrity.books) = vec![book("gone", Some(7), Some(0), 0)];
    assert_eq!(
        get(&world, "/integrity").await.ok().body,
        r#"{"ok":false,"assets":[{"asset":"gone","ok":false,"sum":"7","accounts":0,"entries":12,"holds":"0"}]}"#
    );
    let unknown = get(&world, "/integrity?asset=btc").await;
    assert_eq!(unknown.refusal(), (400, "parameter.unknown".into()));
}

#[actix_web::test]
async fn balances_are_somebodys() {
    let world = World::new();
    let nobody = build::user_id(9);
    for (query, status, code) in [
        ("", 400, "user_id.missed"),
        ("?user_id=x", 400, "user_id.invalid"),
        (&format!("?user_id={nobody}"), 404, "user.unknown"),
        (
            &format!("?user_id={ALICE}&owner=system"),
            400,
            "owner.invalid",
        ),
    ] {
        let answer = get(&world, &format!("/balances{query}")).await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "{query}");
    }
    let other = get(&world, &format!("/balances?owner=world&user_id={ALICE}")).await;
    assert_eq!(other.refusal(), (400, "owner.invalid".into()));
}

/// A parameter or a field that does nothing is a slip, and told so.
#[actix_web::test]
async fn nothing_is_ignored() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let user = format!("/users/{ALICE}");
    let headroom = format!("{user}/headroom");
    let callback = format!("/callbacks/{ALICE}");
    for path in [
        "/assets/btc",
        &user,
        &headroom,
        "/rates/btc",
        "/fees/deposit/btc",
        "/limits/deposit/btc",
        "/limits/deposit",
        "/stops",
        "/transfers/1",
        &callback,
    ] {
        let refused = get(&world, &format!("{path}?asset=btc")).await;
        let unknown = (400, "parameter.unknown".to_owned());
        assert_eq!(refused.refusal(), unknown, "{path}");
    }
    let post = async |path: &str, body: &str| {
        let sent = Sent::post(&format!("/admin/v1{path}"), body);
        world.send(sent.bearer(OPERATOR)).await
    };
    let replay = format!("{callback}/replay");
    for path in [&replay, "/transfers/1/take", "/transfers/1/let-go"] {
        let refused = post(path, r#"{"force":true}"#).await;
        let unknown = (400, "field.unknown".to_owned());
        assert_eq!(refused.refusal(), unknown, "{path}");
    }
    let refused = post("/transfers/abc/reverse?x=1", r#"{"foo":1}"#).await;
    let mut fields: Vec<String> = refused.wrong_fields().into_iter().map(|it| it.0).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["comment", "foo", "id", "return_fee", "x"]);
}
