//! A user's lists: internal transfers and balances.

use bursar_domain::{AccountKey, Status, Timestamp};
use bursar_ports::{AccountBalance, InternalFilter};
use bursar_testkit::build;

use crate::{
    fakes::locked,
    world::{ALICE, ALICES, Answer, BOB, BOBS, INTERNAL, NOW, Sent, World},
};

async fn list(world: &World, query: &str, token: &str) -> Answer {
    let path = format!("{INTERNAL}{query}");
    world.send(Sent::get(&path).bearer(token)).await
}

#[actix_web::test]
async fn a_list_is_a_bare_array_of_what_each_side_may_see() {
    let world = World::new();
    assert_eq!(list(&world, "", ALICES).await.ok().body, "[]");
    let new = build::new_transfer(build::transfer_id(1), &build::asset("btc", 8), 1_000, NOW);
    let new = bursar_domain::NewTransfer {
        callback_url: Some("https://example.com/".to_owned()),
        ..new
    };
    let pending = World::listed(build::internal(new, ALICE, BOB));
    let done = build::step(&pending, &bursar_domain::Command::Settle, NOW);
    *locked(&world.query.transfers) = vec![World::listed(done)];
    let sent = list(&world, "", ALICES).await.ok();
    let received = list(&world, "", BOBS).await.ok();
    assert!(sent.body.starts_with(r#"[{"code":"TRF"#), "{}", sent.body);
    assert_eq!(sent.json()[0]["callback_url"], "https://example.com/");
    assert_eq!(
        received.body,
        sent.body.replace("\"https://example.com/\"", "null")
    );
}

#[actix_web::test]
async fn a_list_is_filtered_as_asked() {
    let world = World::new();
    let none = || InternalFilter {
        user: ALICE,
        status: None,
        asset: None,
        custom_id: None,
        from: None,
        to: None,
        limit: 100,
        offset: 0,
    };
    let status = |status| InternalFilter {
        status: Some(status),
        ..none()
    };
    let btc = || InternalFilter {
        asset: Some(build::asset_id("btc")),
        ..none()
    };
    let second = |text: &str| Timestamp::parse(text).ok();
    let times = InternalFilter {
        from: second("2023-01-15T14:30:15Z"),
        to: second("2023-01-15T14:30:16Z"),
        ..none()
    };
    let page = InternalFilter {
        limit: 200,
        offset: 10_000,
        ..none()
    };
    let custom_id = InternalFilter {
        custom_id: Some("my id/1".to_owned()),
        ..none()
    };
    for (query, expected) in [
        ("", none()),
        ("?Limit=7&unknown=1&status=", none()),
        ("?status=pending", status(Status::Pending)),
        ("?status=success", status(Status::Success)),
        ("?status=completed", status(Status::Success)),
        ("?status=rejected", status(Status::Rejected)),
        ("?currency_code=BTC", btc()),
        ("?currency=btc", btc()),
        ("?custom_id=my+id%2F1", custom_id),
        ("?limit=200&offset=10000", page),
        (
            "?start_at=2023-01-15T14:30:15.9Z&end_at=2023-01-15T14:30:16.2Z",
            times,
        ),
    ] {
        list(&world, query, ALICES).await.ok();
        assert_eq!(
            *locked(&world.query.asked_internal),
            Some(expected),
            "{query}"
        );
    }
}

#[actix_web::test]
async fn what_is_out_of_range_is_refused_by_name() {
    let world = World::new();
    for (query, code) in [
        ("limit=0", "limit.out_of_range"),
        ("limit=201", "limit.out_of_range"),
        ("limit=x", "limit.invalid"),
        ("offset=10001", "offset.too_large"),
        ("offset=-1", "offset.invalid"),
        ("status=Failed", "status.invalid"),
        ("currency_code=b%20c", "currency_code.invalid"),
        ("currency=btc&currency_code=btc", "parameter.duplicate"),
        ("start_at=x", "start_at.invalid"),
        ("end_at=2023-13-01", "end_at.invalid"),
    ] {
        let answer = list(&world, &format!("?{query}"), ALICES).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{query}");
    }
}

#[actix_web::test]
async fn balances_show_every_asset_also_those_with_nothing() {
    let world = World::new();
    *locked(&world.query.user_balances) = vec![AccountBalance {
        account: AccountKey::user(ALICE, build::asset_id("eth")),
        available: 1,
        held: 2_500_000_000_000_000_000,
        updated_at: NOW,
    }];
    let expected = r#"[{"currency":"BTC","available":"0.00000000","frozen":"0.00000000","updated_at":null},{"currency":"ETH","available":"0.000000000000000001","frozen":"2.500000000000000000","updated_at":"2021-04-09T10:50:40Z"},{"currency":"USD","available":"0.00000000","frozen":"0.00000000","updated_at":null}]"#;
    for path in ["/balance", "/api/v1/balance"] {
        let answer = world.send(Sent::get(path).bearer(ALICES)).await.ok();
        assert_eq!(answer.body, expected);
    }
}
