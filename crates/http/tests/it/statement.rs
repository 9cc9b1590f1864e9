//! `/admin/v1/users/{id}/statement`, and `/admin/v1/balances` of the past.

use bursar_domain::{AccountKey, CodeSalt, Kind, Timestamp};
use bursar_ports::{
    AccountBalance, Holding, LedgerLine, LedgerOwner, LedgerRecord, Statement, StatementAccount,
    StatementFilter, StatementPlace,
};
use bursar_testkit::build;
use serde_json::json;

use crate::{
    fakes::locked,
    world::{ALICE, ALICES, Answer, BOB, NOW, OPERATOR, Sent, World},
};

async fn get(world: &World, path: &str) -> Answer {
    world.send(Sent::get(path).bearer(OPERATOR)).await
}

fn path(query: &str) -> String {
    format!("/admin/v1/users/{ALICE}/statement?{query}")
}

/// What the store was asked for.
async fn asked(world: &World, query: &str) -> StatementFilter {
    get(world, &path(query)).await.ok();
    let asked = locked(&world.query.asked_statement).take();
    asked.unwrap_or_else(|| panic!("the store was not asked: {query}"))
}

fn all_of_alice() -> StatementFilter {
    StatementFilter {
        user: ALICE,
        asset: None,
        from: None,
        to: None,
        after: None,
        limit: 100,
    }
}

fn place() -> StatementPlace {
    StatementPlace {
        asset: build::asset_id("btc"),
        seq: 2,
        last: 9,
    }
}

/// A page with a payment of Alice's, and more behind it.
pub(crate) fn page() -> Statement {
    let btc = build::asset("btc", 8);
    let holding = |available, held| Holding { available, held };
    Statement {
        accounts: vec![StatementAccount {
            asset: btc.id,
            opening: holding(150_000_000, 0),
            closing: holding(0, 50_000_000),
            lines: 9,
        }],
        lines: vec![LedgerRecord {
            line: LedgerLine {
                account: AccountKey::user(ALICE, btc.id),
                seq: 2,
                transfer: build::transfer_id(7),
                available_delta: -100_000_000,
                held_delta: 0,
                available_after: 50_000_000,
                held_after: 0,
                at: NOW,
            },
            scale: btc.scale,
            kind: Kind::Internal,
            salt: Some(CodeSalt::new([9; 10])),
        }],
        next: Some(place()),
    }
}

#[actix_web::test]
async fn a_statement_is_written_as_it_is_documented() {
    let world = World::new();
    *locked(&world.query.statement) = page();
    let answer = get(&world, &path("")).await.ok().json();
    let code = answer["data"][0]["code"].as_str().expect("a code");
    assert!(code.starts_with("TRF"), "{code}");
    let line = json!({"asset": "btc", "seq": 2, "transfer_id": 7, "kind": "internal", "code": code,
        "available_delta": "-1", "held_delta": "0", "available_after": "0.5", "held_after": "0",
        "at": "2021-04-09T10:50:40.116485Z"});
    let account = json!({"asset": "btc", "opening": {"available": "1.5", "held": "0"},
        "closing": {"available": "0", "held": "0.5"}, "lines": 9});
    let cursor = &answer["next_cursor"];
    assert!(cursor.is_string());
    let expected = json!({"data": [line], "balances": [account], "next_cursor": cursor});
    assert_eq!(answer, expected);
}

#[actix_web::test]
async fn an_account_that_nothing_touched_has_a_statement_of_nothing() {
    let world = World::new();
    let answer = get(&world, &path("asset=eth")).await.ok().json();
    let nothing = json!({"available": "0", "held": "0"});
    let account = json!({"asset": "eth", "opening": nothing, "closing": nothing, "lines": 0});
    let expected = json!({"data": [], "balances": [account], "next_cursor": null});
    assert_eq!(answer, expected);
}

#[actix_web::test]
async fn the_store_is_asked_as_the_query_says() {
    let world = World::new();
    let time = |text: &str| Timestamp::parse(text).ok();
    assert_eq!(asked(&world, "").await, all_of_alice());
    let narrowed = StatementFilter {
        asset: Some(build::asset_id("btc")),
        from: time("2021-04-09"),
        to: time("2021-04-10T01:00:00Z"),
        limit: 7,
        ..all_of_alice()
    };
    let query = "asset=BTC&from=2021-04-09&to=2021-04-10T02:00:00%2B01:00&limit=7";
    assert_eq!(asked(&world, query).await, narrowed);
}

#[actix_web::test]
async fn a_cursor_goes_on_with_the_same_statement_and_no_other() {
    let world = World::new();
    *locked(&world.query.statement) = page();
    let first = get(&world, &path("asset=btc")).await.ok();
    let cursor = first.text("next_cursor");
    let next = StatementFilter {
        asset: Some(build::asset_id("btc")),
        after: Some(place()),
        limit: 3,
        ..all_of_alice()
    };
    let query = format!("asset=btc&limit=3&cursor={cursor}");
    assert_eq!(asked(&world, &query).await, next);
    for other in [
        path(&format!("cursor={cursor}")),
        path(&format!("asset=eth&cursor={cursor}")),
        format!("/admin/v1/users/{BOB}/statement?asset=btc&cursor={cursor}"),
        path("asset=btc&cursor=made-up"),
    ] {
        let refused = get(&world, &other).await;
        assert_eq!(refused.refusal(), (400, "cursor.invalid".to_owned()));
    }
}

#[actix_web::test]
async fn what_is_wrong_or_missing_is_named() {
    let world = World::new();
    let wrong = "/admin/v1/users/x/statement?asset=%20&from=x&to=x&limit=0&cursor=x&offset=1";
    let answer = get(&world, wrong).await;
    assert_eq!(answer.refusal(), (400, "request.invalid".to_owned()));
    let codes: Vec<String> = answer
        .wrong_fields()
        .into_iter()
        .map(|(_, code)| code)
        .collect();
    let expected = "id.invalid asset.invalid from.invalid to.invalid limit.out_of_range \
                    cursor.invalid parameter.unknown";
    assert_eq!(codes.join(" "), expected);
    let unknown = format!("/admin/v1/users/{}/statement", build::user_id(99));
    let unknown = get(&world, &unknown).await;
    assert_eq!(unknown.refusal(), (404, "user.unknown".to_owned()));
    let unknown = get(&world, &path("asset=doge")).await;
    assert_eq!(unknown.refusal(), (404, "asset.unknown".to_owned()));
    let refused = world.send(Sent::get(&path("")).bearer(ALICES)).await;
    assert_eq!(refused.refusal(), (403, "permission.missing".to_owned()));
}

#[actix_web::test]
async fn balances_of_the_past_are_written_as_those_of_now() {
    let world = World::new();
    let btc = build::asset_id("btc");
    let balance = |account, available| AccountBalance {
        account,
        available,
        held: 0,
        updated_at: NOW,
    };
    *locked(&world.query.user_balances) = vec![balance(AccountKey::user(ALICE, btc), 150_000_000)];
    *locked(&world.query.system_balances) = vec![balance(AccountKey::world(btc), -150_000_000)];
    let at = Timestamp::parse("2021-04-10T00:00:00Z").expect("a time");
    for (whose, owner) in [
        (format!("user_id={ALICE}"), LedgerOwner::User(ALICE)),
        ("owner=system".to_owned(), LedgerOwner::System),
    ] {
        let now = get(&world, &format!("/admin/v1/balances?{whose}"))
            .await
            .ok();
        assert_eq!(*locked(&world.query.asked_balances_at), None);
        let then = format!("/admin/v1/balances?{whose}&as_of=2021-04-10");
        assert_eq!(get(&world, &then).await.ok().body, now.body);
        let asked = locked(&world.query.asked_balances_at).take();
        assert_eq!(asked, Some((owner, at)));
    }
    let wrong = get(&world, "/admin/v1/balances?owner=system&as_of=yesterday").await;
    assert_eq!(wrong.refusal(), (400, "as_of.invalid".to_owned()));
}
