//! `/admin/v1/transfers`: its rows, its filters and its cursors.

use bursar_domain::{Amount, Kind, Status, Timestamp, Transfer};
use bursar_ports::{ListPlace, TransferScan};
use bursar_testkit::build;

use crate::{
    fakes::locked,
    world::{ALICE, ALICES, Answer, BOB, NOW, OPERATOR, Sent, World},
};

async fn list(world: &World, query: &str) -> Answer {
    let path = format!("/admin/v1/transfers?{query}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await
}

/// What the store was asked for.
async fn asked(world: &World, query: &str) -> TransferScan {
    list(world, query).await.ok();
    locked(&world.query.asked_scan)
        .take()
        .unwrap_or_else(|| panic!("the store was not asked: {query}"))
}

fn internal(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &build::asset("btc", 8), 1_000, NOW);
    World::listed(build::internal(new, ALICE, BOB))
}

fn everything() -> TransferScan {
    TransferScan {
        limit: 100,
        ..TransferScan::default()
    }
}

fn place(id: i64) -> ListPlace {
    ListPlace {
        created_at: NOW,
        id: build::transfer_id(id),
    }
}

#[actix_web::test]
async fn rows_are_what_the_story_begins_with() {
    let world = World::new();
    world.fund(ALICE, "btc", "1.5").await;
    let story = world
        .send(Sent::get("/admin/v1/transfers/1").bearer(OPERATOR))
        .await
        .ok()
        .body;
    let (row, _) = story.split_once(r#","timeline""#).expect("a timeline");
    let stored = world.transfer(1).await.expect("it was just made");
    *locked(&world.query.transfers) = vec![stored];
    let listed = list(&world, "").await.ok().body;
    assert_eq!(
        listed,
        format!(r#"{{"data":[{row}}}],"next_cursor":null}}"#)
    );
}

#[actix_web::test]
async fn an_internal_transfer_shows_its_code_and_both_users() {
    let world = World::new();
    *locked(&world.query.transfers) = vec![internal(7)];
    let row = list(&world, "").await.ok().json()["data"][0].clone();
    assert_eq!(row["kind"], "internal");
    assert_eq!(row["status"], "pending");
    assert_eq!(row["user_id"], ALICE.to_string());
    assert_eq!(row["recipient_id"], BOB.to_string());
    assert_eq!(row["created_at"], "2021-04-09T10:50:40.116485Z");
    let code = row["code"].as_str().expect("a code").to_owned();
    let by_code = asked(&world, &format!("code={code}")).await;
    assert_eq!(by_code.id, Some(build::transfer_id(7)));
}

#[actix_web::test]
async fn transfers_are_looked_for_as_asked() {
    let world = World::new();
    let time = |text: &str| Timestamp::parse(text).ok();
    let units = |units| Amount::try_from_units(units).ok();
    let kind = |kind| TransferScan {
        kind: Some(kind),
        ..everything()
    };
    let status = |status| TransferScan {
        status: Some(status),
        ..everything()
    };
    let users = |users: &[_]| TransferScan {
        users: Some(users.to_vec()),
        ..everything()
    };
    let amounts = TransferScan {
        asset: Some(build::asset_id("btc")),
        amount_min: units(50_000_000),
        amount_max: units(200_000_000),
        ..everything()
    };
    let created = TransferScan {
        from: time("2021-04-09T10:50:40.116485Z"),
        to: time("2021-04-10T00:00:00Z"),
        ..everything()
    };
    let custom_id = TransferScan {
        custom_id: Some("my id/1".to_owned()),
        ..everything()
    };
    let id = TransferScan {
        id: Some(build::transfer_id(9_007_199_254_740_991)),
        limit: 200,
        ..everything()
    };
    for (query, expected) in [
        ("", everything()),
        ("kind=&status=", everything()),
        ("kind=deposit", kind(Kind::Deposit)),
        ("kind=withdrawal", kind(Kind::Withdrawal)),
        ("kind=Internal", kind(Kind::Internal)),
        ("status=pending", status(Status::Pending)),
        (
            "status=AwaitingConfirmation",
            status(Status::AwaitingConfirmation),
        ),
        ("status=completed", status(Status::Completed)),
        ("status=Failed", status(Status::Failed)),
        ("status=Canceled", status(Status::Canceled)),
        ("status=cancelled", status(Status::Canceled)),
        ("status=success", status(Status::Success)),
        ("status=rejected", status(Status::Rejected)),
        (&format!("user_id={ALICE}"), users(&[ALICE])),
        ("search=ALI", users(&[ALICE])),
        ("search=example.com", users(&[ALICE, BOB])),
        (&format!("search=bob&user_id={ALICE}"), users(&[])),
        (&format!("search=alice&user_id={ALICE}"), users(&[ALICE])),
        ("asset=BTC&min_amount=0.5&max_amount=2", amounts),
        (
            "created_from=2021-04-09T12:50:40.116485+02:00&created_to=2021-04-10",
            created,
        ),
        ("custom_id=my+id%2F1", custom_id),
        ("id=9007199254740991&limit=200", id),
    ] {
        assert_eq!(asked(&world, query).await, expected, "{query}");
    }
}

#[actix_web::test]
async fn wrong_filters_are_named() {
    let world = World::new();
    for (query, code) in [
        ("kind=withdraw", "kind.invalid"),
        ("status=done", "status.invalid"),
        ("user_id=x", "user_id.invalid"),
        ("search=%00", "search.invalid"),
        ("asset=b%20c", "asset.invalid"),
        ("min_amount=1", "asset.missed"),
        ("max_amount=1", "asset.missed"),
        ("asset=btc&min_amount=-1", "min_amount.invalid"),
        ("asset=btc&min_amount=1e3", "min_amount.invalid"),
        ("asset=btc&max_amount=0", "max_amount.zero"),
        (
            "asset=btc&max_amount=1000000000000000",
            "max_amount.too_large",
        ),
        (
            "asset=btc&max_amount=0.0000000000000000001",
            "max_amount.too_precise",
        ),
        ("created_from=x", "created_from.invalid"),
        ("created_to=2021-13-01", "created_to.invalid"),
        ("custom_id=%0A", "custom_id.invalid"),
        ("code=%0A", "code.invalid"),
        ("id=0", "id.invalid"),
        ("id=x", "id.invalid"),
        ("id=9007199254740992", "id.out_of_range"),
        ("limit=0", "limit.out_of_range"),
        ("limit=201", "limit.out_of_range"),
        ("limit=x", "limit.invalid"),
        ("Kind=deposit", "parameter.unknown"),
        ("userId=x", "parameter.unknown"),
        ("offset=1", "parameter.unknown"),
        ("kind=deposit&kind=deposit", "parameter.duplicate"),
    ] {
        let answer = list(&world, query).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{query}");
    }
    let long = list(&world, &format!("custom_id={}", "x".repeat(256))).await;
    assert_eq!(long.refusal(), (400, "custom_id.too_long".to_owned()));
}

#[actix_web::test]
async fn only_readers_see_everybodys_transfers() {
    let world = World::new();
    let users = Sent::get("/admin/v1/transfers").bearer(ALICES);
    let refused = world.send(users).await;
    assert_eq!(refused.refusal(), (403, "permission.missing".into()));
}

/// The cursor of the page that a query gives.
async fn cursor(world: &World, query: &str) -> String {
    *locked(&world.query.next) = Some(place(7));
    let page = list(world, query).await.ok().json();
    let next = page.pointer("/next_cursor").and_then(|next| next.as_str());
    next.expect("there is more").to_owned()
}

#[actix_web::test]
async fn a_cursor_goes_on_with_the_query_that_gave_it() {
    let world = World::new();
    let query = format!("kind=deposit&search=alice&user_id={ALICE}");
    let cursor = cursor(&world, &query).await;
    // The order of the filters, their encoding and the limit may change.
    for again in [
        query.clone(),
        format!("limit=3&user_id={ALICE}&search=alice&kind=deposit"),
        format!("kind=%64eposit&search=alice&user_id={ALICE}&limit=200"),
    ] {
        let scan = asked(&world, &format!("{again}&cursor={cursor}")).await;
        assert_eq!(scan.after, Some(place(7)), "{again}");
    }
}

#[actix_web::test]
async fn a_cursor_of_another_query_is_refused() {
    let world = World::new();
    let all = cursor(&world, "").await;
    let deposits = cursor(&world, "kind=deposit").await;
    for (query, cursor) in [
        ("kind=deposit", &all),
        ("", &deposits),
        ("kind=withdrawal", &deposits),
        ("kind=deposit&asset=btc", &deposits),
    ] {
        let answer = list(&world, &format!("{query}&cursor={cursor}")).await;
        assert_eq!(
            answer.refusal(),
            (400, "cursor.invalid".to_owned()),
            "{query}"
        );
    }
    let users = format!("/admin/v1/users?cursor={all}");
    let elsewhere = world.send(Sent::get(&users).bearer(OPERATOR)).await;
    assert_eq!(elsewhere.refusal(), (400, "cursor.invalid".to_owned()));
}

#[actix_web::test]
async fn a_forged_cursor_is_refused() {
    let world = World::new();
    let genuine = cursor(&world, "").await;
    for at in 0..genuine.len() {
        let other = if genuine[at..].starts_with('A') {
            "B"
        } else {
            "A"
        };
        let forged = format!("{}{other}{}", &genuine[..at], &genuine[at + 1..]);
        let answer = list(&world, &format!("cursor={forged}")).await;
        assert_eq!(answer.refusal(), (400, "cursor.invalid".to_owned()), "{at}");
    }
    // What opened a list before cursors were authenticated.
    let plain = "dHJhbnNmZXJzOjE2MTc5NjU0NDAxMTY0ODUgNw";
    let answer = list(&world, &format!("cursor={plain}")).await;
    assert_eq!(answer.refusal(), (400, "cursor.invalid".to_owned()));
}
