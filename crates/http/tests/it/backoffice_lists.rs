//! The back office's lists, to the byte, with their filters and headers.

use bursar_domain::{Kind, RootRate, Status, Timestamp, Transfer, UserId};
use bursar_ports::{AccountHistory, TransferFilter};
use bursar_testkit::build;

use crate::{
    fakes::locked,
    world::{ALICE, Answer, BOB, HISTORY, NOW, OPERATOR, Sent, TRANSFERS, World},
};

async fn get(world: &World, path: &str) -> Answer {
    world.send(Sent::get(path).bearer(OPERATOR)).await
}

fn deposit(id: i64, user: UserId, rate: Option<RootRate>) -> Transfer {
    let new = build::new_transfer(
        build::transfer_id(id),
        &build::asset("btc", 8),
        212_310_000,
        NOW,
    );
    let new = bursar_domain::NewTransfer {
        note: Some("from Dad".to_owned()),
        root_rate: rate,
        ..new
    };
    World::listed(build::deposit(new, user))
}

fn rate() -> RootRate {
    RootRate {
        asset: build::asset_id("usd"),
        scale: build::asset("usd", 2).scale,
        rate: 50_000.into(),
        source: None,
        rated_at: None,
    }
}

fn micros(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).ok()
}

#[actix_web::test]
async fn the_history_of_an_account_is_a_bare_array() {
    let world = World::new();
    let path = format!("{HISTORY}?userId={ALICE}");
    assert_eq!(get(&world, &path).await.ok().body, "[]");
    *locked(&world.query.transfers) = vec![deposit(2, ALICE, None), deposit(1, ALICE, None)];
    let row = |id: i64| {
        format!(
            r#"{{"id":{id},"asset":"btc","type":"Deposit","status":"Pending","amount":"2.1231","fee":"0","createdAt":"2021-04-09T10:50:40.116485Z","updatedAt":"2021-04-09T10:50:40.116485Z"}}"#
        )
    };
    let expected = format!("[{},{}]", row(2), row(1));
    assert_eq!(get(&world, &path).await.ok().body, expected);
    let without_slash = path.replace("account/?", "account?");
    assert_eq!(get(&world, &without_slash).await.ok().body, expected);
}

#[actix_web::test]
async fn the_history_of_nobody_is_not_found() {
    let world = World::new();
    let nobody = get(&world, &format!("{HISTORY}?userId={}", build::user_id(9))).await;
    assert_eq!(nobody.refusal(), (404, "user.unknown".into()));
    let missing = get(&world, HISTORY).await;
    assert_eq!(missing.refusal(), (400, "userId.missed".into()));
    let invalid = get(&world, &format!("{HISTORY}?userId=x&limit=0&startDate=x")).await;
    assert_eq!(invalid.refusal(), (400, "request.invalid".into()));
    let codes: Vec<_> = invalid
        .wrong_fields()
        .into_iter()
        .map(|(_, code)| code)
        .collect();
    assert_eq!(
        codes,
        ["userId.invalid", "startDate.invalid", "limit.out_of_range"]
    );
}

#[actix_web::test]
async fn the_history_is_filtered_as_asked_under_every_name() {
    let world = World::new();
    for (query, from, to, limit, offset) in [
        ("", None, None, 100, 0),
        (
            "&startDate=2019-04-04T15%3A27%3A41&ENDDATE=2019-04-05",
            micros("2019-04-04T15:27:41Z"),
            micros("2019-04-05T00:00:00Z"),
            100,
            0,
        ),
        ("&limit=1", None, None, 1, 0),
        ("&count=999&cursor=3", None, None, 999, 2_997),
        ("&pageSize=7&Cursor=1", None, None, 7, 7),
    ] {
        get(&world, &format!("{HISTORY}?userId={ALICE}{query}"))
            .await
            .ok();
        let expected = AccountHistory {
            user: ALICE,
            from,
            to,
            limit,
            offset,
        };
        assert_eq!(
            *locked(&world.query.asked_history),
            Some(expected),
            "{query}"
        );
    }
    for query in ["limit=1000", "limit=0", "count=-1"] {
        let answer = get(&world, &format!("{HISTORY}?userId={ALICE}&{query}")).await;
        assert_eq!(
            answer.refusal(),
            (400, "limit.out_of_range".into()),
            "{query}"
        );
    }
    let twice = get(&world, &format!("{HISTORY}?userId={ALICE}&limit=1&count=1")).await;
    assert_eq!(twice.refusal(), (400, "parameter.duplicate".into()));
}

#[actix_web::test]
async fn rows_have_nineteen_keys() {
    let world = World::new();
    *locked(&world.query.transfers) = vec![
        deposit(10_123, ALICE, Some(rate())),
        deposit(7, build::user_id(9), None),
    ];
    let answer = get(&world, TRANSFERS).await.ok();
    let stamp = "2021-04-09T10:50:40.116485Z";
    let known = format!(
        r#"{{"userId":"{ALICE}","userName":"alice","email":"alice@example.com","userRole":"Trader","userRoles":["Trader"],"comment":"from Dad","id":10123,"asset":"btc","transferId":"10123","type":"Deposit","status":"Pending","amount":"2.1231","fee":"0","errorDetails":"","createdAt":"{stamp}","updatedAt":"{stamp}","amountInRootAsset":"106155","feeInRootAsset":"0","rootAsset":"usd"}}"#
    );
    let gone = build::user_id(9);
    let nameless = format!(
        r#"{{"userId":"{gone}","userName":"{gone}","email":"","userRole":"","userRoles":[],"comment":"from Dad","id":7,"asset":"btc","transferId":"7","type":"Deposit","status":"Pending","amount":"2.1231","fee":"0","errorDetails":"","createdAt":"{stamp}","updatedAt":"{stamp}","amountInRootAsset":null,"feeInRootAsset":null,"rootAsset":"usd"}}"#
    );
    assert_eq!(answer.body, format!("[{known},{nameless}]"));
}

#[actix_web::test]
async fn a_failed_transfer_says_why() {
    let world = World::new();
    let pending = deposit(1, ALICE, None);
    let failed = build::step(
        &pending,
        &build::fail(bursar_domain::Reason::AccountFrozen),
        NOW,
    );
    *locked(&world.query.transfers) = vec![World::listed(failed)];
    let row = get(&world, TRANSFERS).await.ok().json()[0].clone();
    assert_eq!(row["status"], "Failed");
    assert_eq!(row["errorDetails"], "The account is frozen.");
}

#[actix_web::test]
async fn headers_tell_the_page_and_how_many_there_are() {
    let world = World::new();
    let rows: Vec<_> = (1..=8).map(|id| deposit(id, ALICE, None)).collect();
    *locked(&world.query.transfers) = rows;
    for (query, total, estimated, pages, next) in [
        ("pageSize=3", 8, false, "3", Some("1")),
        ("pageSize=3&cursor=1", 8, false, "3", Some("2")),
        ("pageSize=3&page=2", 8, false, "3", None),
        ("pageSize=4&cursor=1", 8, false, "2", None),
        ("limit=8", 8, false, "1", None),
        ("pageSize=999", 8, false, "1", None),
        // Counted when some had left the list, and when some had come.
        ("pageSize=4", 3, false, "1", Some("1")),
        ("pageSize=4&cursor=1", 9, false, "3", None),
        ("pageSize=3", 20_000, true, "6667", Some("1")),
        // Full, and the last one.
        ("pageSize=4&cursor=1", 20_000, true, "5000", None),
        ("pageSize=8", 20_000, true, "2500", None),
        ("pageSize=9", 20_000, true, "2223", None),
        // The estimate is too low.
        ("pageSize=3&page=1", 4, true, "2", Some("2")),
        ("pageSize=3&page=9", 20_000, true, "6667", None),
    ] {
        *locked(&world.query.total) = Some((total, estimated));
        let answer = get(&world, &format!("{TRANSFERS}?{query}")).await.ok();
        let size = query.split(['=', '&']).nth(1);
        assert_eq!(answer.header("x-page-size"), size, "{query}");
        let total = total.to_string();
        assert_eq!(
            answer.header("x-total-count"),
            Some(total.as_str()),
            "{query}"
        );
        assert_eq!(answer.header("x-total-pages"), Some(pages), "{query}");
        assert_eq!(answer.header("x-next-cursor"), next, "{query}");
        let mark = estimated.then_some("true");
        assert_eq!(answer.header("x-total-count-estimated"), mark, "{query}");
    }
}

#[actix_web::test]
async fn a_page_past_the_end_is_empty() {
    let world = World::new();
    *locked(&world.query.total) = Some((7, false));
    let answer = get(&world, &format!("{TRANSFERS}?cursor=99999999999999999999"))
        .await
        .ok();
    assert_eq!(answer.body, "[]");
    assert_eq!(answer.header("x-next-cursor"), None);
    assert_eq!(answer.header("x-total-pages"), Some("1"));
}

#[actix_web::test]
async fn transfers_are_filtered_as_asked_under_every_name() {
    let world = World::new();
    let none = || TransferFilter {
        limit: 100,
        ..TransferFilter::default()
    };
    let status = |status| TransferFilter {
        status: Some(status),
        ..none()
    };
    let kind = |kind| TransferFilter {
        kind: Some(kind),
        ..none()
    };
    let users = |users: &[UserId]| TransferFilter {
        users: Some(users.to_vec()),
        ..none()
    };
    let from_to = TransferFilter {
        from: micros("2019-03-05T00:00:00Z"),
        to: micros("2019-03-06T00:00:00.5Z"),
        ..none()
    };
    let cases = [
        ("", none()),
        ("status=&type=&search=&x=1", none()),
        (
            "from=2019-03-05T00:00:00.000Z&to=2019-03-06T02:00:00.5+02:00",
            from_to,
        ),
        (
            "status=awaitingconfirmation",
            status(Status::AwaitingConfirmation),
        ),
        ("STATUS=Cancelled", status(Status::Canceled)),
        ("status=Canceled", status(Status::Canceled)),
        ("status=Pending", status(Status::Pending)),
        ("status=Completed", status(Status::Completed)),
        ("status=failed", status(Status::Failed)),
        ("type=deposit", kind(Kind::Deposit)),
        ("type=Withdraw", kind(Kind::Withdrawal)),
        ("type=Withdrawal", kind(Kind::Withdrawal)),
        ("search=ALI", users(&[ALICE])),
        ("filter=example.com", users(&[ALICE, BOB])),
        ("userName=bob", users(&[BOB])),
        ("email=nobody", users(&[])),
        (&format!("userId={ALICE}"), users(&[ALICE])),
        (&format!("userId={ALICE}&username=bob"), users(&[])),
    ];
    for (query, expected) in cases {
        get(&world, &format!("{TRANSFERS}?{query}")).await.ok();
        assert_eq!(
            *locked(&world.query.asked_transfers),
            Some(expected),
            "{query}"
        );
    }
}

#[actix_web::test]
async fn wrong_filters_are_named() {
    let world = World::new();
    for (query, code) in [
        ("status=Success", "status.invalid"),
        ("status=done", "status.invalid"),
        ("type=internal", "type.invalid"),
        ("pageSize=1000", "pageSize.out_of_range"),
        ("limit=0", "pageSize.out_of_range"),
        ("cursor=-1", "cursor.invalid"),
        ("page=x", "cursor.invalid"),
        ("from=x", "from.invalid"),
        ("userId=x", "userId.invalid"),
        ("search=a%00b", "search.invalid"),
        ("search=%ff", "query.malformed"),
        ("search=a&email=b", "parameter.duplicate"),
        ("userId=&USERID=", "parameter.duplicate"),
    ] {
        let answer = get(&world, &format!("{TRANSFERS}?{query}")).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{query}");
    }
}
