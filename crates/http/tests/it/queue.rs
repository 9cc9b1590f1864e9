//! What waits for an operator, who is at it, and how things stand, to the byte.

use std::sync::Arc;

use bursar_app::{IntegrityWatch, OpenBreaker};
use bursar_domain::{Kind, Timestamp};
use bursar_ports::{
    AssetSums, CallbackLag, CheckedAccounts, HostHealth, MockBookIntegrity, MockIntegrityAlarm,
    OutgoingStop, Permission, Volume, VolumeScan, Volumes, Waiting, WaitingWork,
};
use bursar_testkit::build;

use crate::{
    fakes::locked,
    world::{ALICE, Answer, CONFIRM, NOW, OPERATOR, Sent, WITHDRAW, World},
};

/// Confirms and does nothing else.
const CONFIRMER: &str = "bur_confirmer";
/// Approves and does nothing else.
const APPROVER: &str = "bur_approver";

async fn world() -> World {
    let world = World::new();
    world.put_token(CONFIRMER, "carol", None, &[Permission::BackofficeConfirm]);
    world.put_token(APPROVER, "dave", None, &[Permission::BackofficeApprove]);
    world.fund(ALICE, "btc", "10").await;
    world.fund(ALICE, "usd", "10").await;
    world
}

async fn get(world: &World, path: &str) -> Answer {
    let path = format!("/admin/v1/{path}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await
}

async fn post(world: &World, id: i64, what: &str, token: &str) -> Answer {
    let path = format!("/admin/v1/transfers/{id}/{what}");
    world.send(Sent::post(&path, "").bearer(token)).await
}

async fn withdraw(world: &World, asset: &str, amount: &str) -> i64 {
    let body = format!(r#"{{"userId":"{ALICE}","assetId":"{asset}","amount":"{amount}"}}"#);
    let made = world
        .send(Sent::post(WITHDRAW, &body).bearer(OPERATOR))
        .await;
    made.ok().member("id").as_i64().expect("an id is a number")
}

fn ids(answer: &Answer) -> Vec<i64> {
    let data = answer.member("data");
    let rows = data.as_array().expect("a list").iter();
    rows.map(|row| row["id"].as_i64().expect("an id")).collect()
}

#[actix_web::test]
async fn the_queue_comes_by_age_or_value_page_by_page() {
    let world = world().await;
    let [small, dollars, large] = [("btc", "1"), ("usd", "9"), ("btc", "2")];
    let small = withdraw(&world, small.0, small.1).await;
    let dollars = withdraw(&world, dollars.0, dollars.1).await;
    let large = withdraw(&world, large.0, large.1).await;
    for (query, expected) in [
        ("", vec![small, dollars, large]),
        ("?which=WITHDRAWALS&sort=age", vec![small, dollars, large]),
        ("?sort=value", vec![large, small, dollars]),
        ("?sort=value&asset=usd", vec![dollars]),
        ("?asset=eth", vec![]),
        ("?which=approvals", vec![]),
    ] {
        let listed = get(&world, &format!("queue{query}")).await.ok();
        assert_eq!(ids(&listed), expected, "{query}");
        assert!(listed.member("next_cursor").is_null());
    }
    for sort in ["age", "value"] {
        let whole = ids(&get(&world, &format!("queue?sort={sort}")).await.ok());
        let first = get(&world, &format!("queue?sort={sort}&limit=2"))
            .await
            .ok();
        assert_eq!(ids(&first), whole[..2]);
        let cursor = first.text("next_cursor");
        let next = format!("queue?sort={sort}&limit=2&cursor={cursor}");
        let next = get(&world, &next).await.ok();
        assert_eq!(ids(&next), whole[2..]);
        let other = if sort == "age" { "value" } else { "age" };
        let moved = get(&world, &format!("queue?sort={other}&cursor={cursor}")).await;
        assert_eq!(moved.refusal(), (400, "cursor.invalid".into()));
    }
}

#[actix_web::test]
async fn a_row_tells_what_it_is_worth_and_who_is_at_it() {
    let world = world().await;
    let id = withdraw(&world, "btc", "2").await;
    let row = async || {
        let listed = get(&world, "queue").await.ok();
        listed.member("data")[0].clone()
    };
    let before = row().await;
    assert_eq!(before["root_value"]["asset"], "usd");
    assert_eq!(before["root_value"]["amount"], "100000");
    assert!(before["taken"].is_null());
    let taken = post(&world, id, "take", CONFIRMER).await.ok();
    let expected = r#"{"by":"carol","since":"2021-04-09T10:50:40.116485Z","until":"2021-04-09T10:55:40.116485Z"}"#;
    assert_eq!(taken.body, expected);
    assert_eq!(row().await["taken"].to_string(), expected);
}

#[actix_web::test]
async fn one_has_it_and_the_other_is_told_who_until_it_is_let_go() {
    let world = world().await;
    let id = withdraw(&world, "btc", "1").await;
    post(&world, id, "take", CONFIRMER).await.ok();
    let other = post(&world, id, "take", APPROVER).await;
    assert_eq!(other.refusal(), (409, "transfer.taken".into()));
    let taken = other.member("taken");
    assert_eq!(taken["by"], "carol");
    assert_eq!(taken["until"], "2021-04-09T10:55:40.116485Z");
    assert!(other.text("detail").contains("carol"));
    let other = post(&world, id, "let-go", APPROVER).await;
    assert_eq!(other.refusal(), (409, "transfer.taken".into()));
    world.clock.advance_ms(30_000);
    let longer = post(&world, id, "take", CONFIRMER).await.ok();
    assert_eq!(longer.text("since"), "2021-04-09T10:50:40.116485Z");
    assert_eq!(longer.text("until"), "2021-04-09T10:56:10.116485Z");
    for _ in 0..2 {
        let gone = post(&world, id, "let-go", CONFIRMER).await;
        assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    }
    let other = post(&world, id, "take", APPROVER).await.ok();
    assert_eq!(other.text("by"), "dave");
}

/// Carol confirms what Dave has, which nobody keeps her from: it then waits for a second operator,
/// and Dave's taking is over.
#[actix_web::test]
async fn whoever_acts_on_it_ends_it() {
    let world = world().await;
    let limits = r#"{"approval_above":"1"}"#;
    let sent = Sent::put("/admin/v1/limits/withdrawal/btc", limits);
    world.send(sent.bearer(OPERATOR)).await.ok();
    let id = withdraw(&world, "btc", "2").await;
    post(&world, id, "take", APPROVER).await.ok();
    let body = format!(r#"{{"userId":"{ALICE}","transferId":{id}}}"#);
    let confirmed = world.send(Sent::post(CONFIRM, &body).bearer(CONFIRMER));
    confirmed.await.ok();
    assert_eq!(ids(&get(&world, "queue").await.ok()), [0_i64; 0]);
    let approvals = get(&world, "queue?which=approvals").await.ok();
    assert_eq!(ids(&approvals), [id]);
    assert!(approvals.member("data")[0]["taken"].is_null());
    post(&world, id, "take", CONFIRMER).await.ok();
    let approved = post(&world, id, "approve", APPROVER).await;
    approved.ok();
    let over = post(&world, id, "take", CONFIRMER).await;
    assert_eq!(over.refusal(), (409, "transfer.already_completed".into()));
    // Of what is over there is nothing to let go.
    assert_eq!(post(&world, id, "let-go", APPROVER).await.status, 204);
}

#[actix_web::test]
async fn everything_wrong_with_a_queue_and_a_taking_is_told() {
    let world = world().await;
    for (query, code) in [
        ("which=all", "which.invalid"),
        ("sort=size", "sort.invalid"),
        ("asset=!", "asset.invalid"),
        ("limit=0", "limit.out_of_range"),
        ("cursor=x", "cursor.invalid"),
        ("state=open", "parameter.unknown"),
    ] {
        let refused = get(&world, &format!("queue?{query}")).await;
        assert_eq!(refused.refusal(), (400, code.into()), "{query}");
    }
    for what in ["take", "let-go"] {
        let path = format!("/admin/v1/transfers/x/{what}");
        let refused = world.send(Sent::post(&path, "").bearer(OPERATOR)).await;
        assert_eq!(refused.refusal(), (400, "id.invalid".into()));
        for id in [999, i64::MAX] {
            let refused = post(&world, id, what, OPERATOR).await;
            assert_eq!(refused.refusal(), (404, "transfer.unknown".into()));
        }
    }
    // The deposits that funded it wait for nobody.
    let refused = post(&world, 1, "take", OPERATOR).await;
    assert_eq!(
        refused.refusal(),
        (409, "transfer.already_completed".into())
    );
}

#[actix_web::test]
async fn the_overview_tells_what_waits_what_moved_and_what_was_seen() {
    let world = World::new();
    let day = |text: &str| Timestamp::parse(text).expect("it is a time");
    *locked(&world.figures.waiting) = WaitingWork {
        withdrawals: Waiting {
            count: 2,
            oldest: Some(NOW),
        },
        ..WaitingWork::default()
    };
    let volume = |asset: &str, kind, amount| Volume {
        asset: build::asset_id(asset),
        kind,
        start: day("2021-04-09T06:00:00Z"),
        count: 7,
        amount,
    };
    *locked(&world.figures.volumes) = Volumes {
        rows: vec![
            volume("btc", Kind::Internal, Some(150_000_000)),
            volume("usd", Kind::Deposit, None),
        ],
        behind: 3,
    };
    *locked(&world.figures.lag) = CallbackLag {
        pending: 1,
        oldest_due: Some(NOW),
        sample: 2,
        p50_ms: Some(5),
        p95_ms: Some(9),
    };
    let overview = get(&world, "overview?period=week").await.ok();
    let asked = VolumeScan {
        from: day("2021-04-02T12:00:00Z"),
        hours: 6,
    };
    assert_eq!(*locked(&world.figures.asked), Some(asked));
    let json = overview.json();
    let starts = json["volumes"]["starts"].as_array().expect("a list");
    assert_eq!(starts.len(), 28);
    assert_eq!(starts[0], "2021-04-02T12:00:00.000000Z");
    assert_eq!(starts[27], "2021-04-09T06:00:00.000000Z");
    let tail = r#""piece_hours":6,"behind":3,"data":[{"asset":"btc","kind":"internal","start":"2021-04-09T06:00:00.000000Z","count":7,"amount":"1.5"},{"asset":"usd","kind":"deposit","start":"2021-04-09T06:00:00.000000Z","count":7,"amount":null}]},"callbacks":{"pending":1,"oldest_due":"2021-04-09T10:50:40.116485Z","sample":2,"p50_ms":5,"p95_ms":9},"books":null}"#;
    assert!(overview.body.ends_with(tail), "{}", overview.body);
    let head = r#"{"at":"2021-04-09T10:50:40.116485Z","waiting":{"withdrawals":{"count":2,"oldest":"2021-04-09T10:50:40.116485Z"},"approvals":{"count":0,"oldest":null},"dead_callbacks":{"count":0,"oldest":null}},"volumes":{"starts":["#;
    assert!(overview.body.starts_with(head), "{}", overview.body);
    for (query, hours) in [("", 1), ("?period=DAY", 1), ("?period=month", 24)] {
        get(&world, &format!("overview{query}")).await.ok();
        let asked = locked(&world.figures.asked).expect("it was asked");
        assert_eq!(asked.hours, hours);
    }
    let refused = get(&world, "overview?period=year").await;
    assert_eq!(refused.refusal(), (400, "period.invalid".into()));
}

#[actix_web::test]
async fn the_overview_tells_of_books_that_are_not_what_they_must_be() {
    let world = World::new();
    let mut books = MockBookIntegrity::new();
    let sums = |asset: &str, sum| AssetSums {
        asset: build::asset_id(asset),
        sum: Some(sum),
        holds: Some(0),
        entries: 1,
    };
    let all = vec![sums("btc", 1), sums("usd", 0)];
    books.expect_sums().return_once(|| Ok(all));
    let checked = |_, _| Ok(CheckedAccounts::default());
    books.expect_check_accounts().return_once(checked);
    let mut alarm = MockIntegrityAlarm::new();
    alarm
        .expect_stop_outgoing()
        .returning(|_, _| Ok(OutgoingStop::Own));
    let watch = IntegrityWatch::new(Arc::new(books), Arc::new(alarm));
    let mut watch = watch.telling(world.books_seen.clone(), world.clock.clone());
    watch.check_sums().await.expect("the books can be read");
    let overview = get(&world, "overview").await.ok();
    let tail = r#","books":{"ok":false,"at":"2021-04-09T10:50:40.116485Z","assets":["btc","usd"],"wrong":["btc"]}}"#;
    assert!(overview.body.ends_with(tail), "{}", overview.body);
}

#[actix_web::test]
async fn hosts_tell_how_callbacks_fare() {
    let world = World::new();
    *locked(&world.figures.hosts) = vec![HostHealth {
        host: "a.example:443".to_owned(),
        pending: 3,
        dead: 1,
        oldest_pending: Some(NOW),
        last_success: None,
        last_failure: Some(NOW),
        last_failure_outcome: Some("timeout".to_owned()),
    }];
    let hosts = get(&world, "callbacks/hosts").await.ok();
    let now = "2021-04-09T10:50:40.116485Z";
    let expected = format!(
        r#"{{"data":[{{"host":"a.example:443","pending":3,"dead":1,"oldest_pending":"{now}","last_success":null,"last_failure":"{now}","last_failure_outcome":"timeout","breaker_open":false,"next_probe_at":null}}],"next_cursor":null}}"#
    );
    assert_eq!(hosts.body, expected);
    let closed = r#""breaker_open":false,"next_probe_at":null"#;
    for (probe_at, open) in [
        (
            Some(NOW),
            r#""breaker_open":true,"next_probe_at":"2021-04-09T10:50:40.116485Z""#,
        ),
        (None, r#""breaker_open":true,"next_probe_at":null"#),
    ] {
        let breaker = OpenBreaker { probe_at };
        let open_now = [("a.example:443".to_owned(), breaker)].into();
        world.breakers_seen.tell(open_now);
        let hosts = get(&world, "callbacks/hosts").await.ok();
        assert_eq!(hosts.body, expected.replace(closed, open));
    }
    let refused = get(&world, "callbacks/hosts?host=a").await;
    assert_eq!(refused.refusal(), (400, "parameter.unknown".into()));
}
