//! `/admin/v1/events`: pages, and streams as far as no server is needed.

use std::{collections::BTreeMap, pin::pin};

use actix_web::{
    App as Web,
    body::{BoxBody, MessageBody},
    dev::ServiceResponse,
    http::Method,
    test,
};
use bursar_domain::{Command, Status, Transfer, Version};
use bursar_http::configure;
use bursar_ports::{Event, Happening, Step};
use bursar_testkit::build;

use crate::{
    fakes::locked,
    world::{ALICE, ALICES, Answer, BOB, NOW, OPERATOR, Sent, World},
};

const EVENTS: &str = "/admin/v1/events";
const STREAM: (&str, &str) = ("Accept", "text/event-stream");

async fn list(world: &World, query: &str) -> Answer {
    let path = format!("{EVENTS}?{query}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await
}

/// An internal transfer that is rejected today.
fn rejected(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &build::asset("btc", 8), 1_000, NOW);
    let pending = World::listed(build::internal(new, ALICE, BOB));
    let reason = bursar_domain::Reason::BalanceInsufficient;
    let done = build::step(&pending, &build::fail(reason), NOW.plus_micros(5));
    World::listed(done)
}

fn step(number: i64, transfer: &Transfer, status: Status) -> Event {
    Event {
        number,
        at: NOW.plus_micros(number),
        what: Happening::Step(Step {
            reversed: false,
            transfer: transfer.clone(),
            version: Version::FIRST,
            status,
        }),
    }
}

/// A world in which a withdrawal was opened, told to be expiring, and paid out.
fn world() -> World {
    let world = World::new();
    let new = build::new_transfer(build::transfer_id(1), &build::asset("btc", 8), 1_000, NOW);
    let opened = World::listed(build::withdrawal(new, ALICE));
    let paid = World::listed(build::step(&opened, &build::confirm(), NOW.plus_micros(3)));
    let expiring = Event {
        number: 2,
        at: NOW.plus_micros(2),
        what: Happening::Notice {
            topic: "withdrawal.expiring".to_owned(),
            about: Some(Step {
                reversed: false,
                transfer: paid.clone(),
                version: Version::FIRST,
                status: Status::AwaitingConfirmation,
            }),
            data: BTreeMap::from([("expires_at".to_owned(), "soon".to_owned())]),
        },
    };
    *locked(&world.events.events) = vec![
        step(1, &paid, Status::AwaitingConfirmation),
        expiring,
        step(3, &paid, Status::Completed),
    ];
    world
}

#[actix_web::test]
async fn events_show_the_transfer_as_it_was() {
    let world = world();
    let page = list(&world, "").await.ok().json();
    assert_eq!(page["next_after"], 3);
    let shown: Vec<(&str, &str, &str)> = page["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| {
            let at = event["at"].as_str().expect("a time");
            assert_eq!(event["transfer"]["updated_at"], at);
            assert_eq!(event["transfer"]["id"], 1);
            (
                event["type"].as_str().expect("a type"),
                event["transfer"]["status"].as_str().expect("a status"),
                at,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                "withdrawal.created",
                "AwaitingConfirmation",
                "2021-04-09T10:50:40.116486Z"
            ),
            (
                "withdrawal.expiring",
                "AwaitingConfirmation",
                "2021-04-09T10:50:40.116487Z"
            ),
            (
                "withdrawal.completed",
                "Completed",
                "2021-04-09T10:50:40.116488Z"
            ),
        ]
    );
    assert_eq!(page["data"][1]["data"]["expires_at"], "soon");
    assert_eq!(page["data"][2]["data"], serde_json::json!({}));
}

#[actix_web::test]
async fn a_reason_is_shown_only_with_the_status_that_has_it() {
    let world = World::new();
    let transfer = rejected(7);
    *locked(&world.events.events) = vec![
        step(1, &transfer, Status::Pending),
        step(2, &transfer, Status::Rejected),
    ];
    let page = list(&world, "").await.ok().json();
    let transfer = |at: usize| page["data"][at]["transfer"].clone();
    assert_eq!(transfer(0)["status"], "pending");
    assert_eq!(transfer(0)["reason_code"], serde_json::Value::Null);
    assert_eq!(transfer(1)["status"], "rejected");
    assert_eq!(transfer(1)["reason_code"], "balance.insufficient");
    assert!(transfer(1)["code"].is_string());
}

#[actix_web::test]
async fn pages_follow_each_other_and_end_with_an_empty_one() {
    let world = world();
    let mut after = 0;
    for numbers in [vec![1, 2], vec![3], vec![]] {
        let page = list(&world, &format!("after={after}&limit=2")).await.ok();
        let shown: Vec<i64> = page.json()["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|event| event["number"].as_i64().expect("a number"))
            .collect();
        assert_eq!(shown, numbers);
        after = page.member("next_after").as_i64().expect("a number");
    }
    assert_eq!(after, 3);
    let beyond = list(&world, "after=9223372036854775808").await;
    assert_eq!(beyond.refusal(), (400, "after.invalid".to_owned()));
}

#[actix_web::test]
async fn wrong_parameters_are_named() {
    let world = world();
    for (query, field, code) in [
        ("after=-1", "after", "after.invalid"),
        ("after=x", "after", "after.invalid"),
        ("limit=0", "limit", "limit.out_of_range"),
        ("limit=1001", "limit", "limit.out_of_range"),
        ("limit=x", "limit", "limit.invalid"),
        ("cursor=x", "cursor", "parameter.unknown"),
    ] {
        let answer = list(&world, query).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{query}");
        let wrong = vec![(field.to_owned(), code.to_owned())];
        assert_eq!(answer.wrong_fields(), wrong, "{query}");
    }
    let sent = Sent::get(EVENTS).header("Last-Event-ID", "x");
    let answer = world.send(sent.bearer(OPERATOR)).await;
    let refusal = (400, "last_event_id.invalid".to_owned());
    assert_eq!(answer.refusal(), refusal);
}

#[actix_web::test]
async fn whoever_is_too_far_behind_is_told_where_to_begin() {
    let world = world();
    *locked(&world.events.oldest) = 3;
    for accept in ["application/json", STREAM.1] {
        let sent = Sent::get(EVENTS).header("Accept", accept).bearer(OPERATOR);
        let answer = world.send(sent).await;
        assert_eq!(answer.refusal(), (410, "events.pruned".to_owned()));
        assert!(answer.text("detail").contains("number 3"), "{answer:?}");
    }
    assert_eq!(list(&world, "after=2").await.ok().member("next_after"), 3);
}

#[actix_web::test]
async fn whoever_has_an_event_that_was_never_told_is_told_where_the_feed_ends() {
    let world = world();
    for after in ["4", "9223372036854775807"] {
        for accept in ["application/json", STREAM.1] {
            let path = format!("{EVENTS}?after={after}");
            let sent = Sent::get(&path).header("Accept", accept).bearer(OPERATOR);
            let answer = world.send(sent).await;
            assert_eq!(answer.refusal(), (410, "events.ahead".to_owned()));
            assert!(answer.text("detail").contains("number 3"), "{answer:?}");
        }
    }
    let resumed = Sent::get(EVENTS).header(STREAM.0, STREAM.1);
    let resumed = resumed.header("Last-Event-ID", "4").bearer(OPERATOR);
    let refusal = (410, "events.ahead".to_owned());
    assert_eq!(world.send(resumed).await.refusal(), refusal);
}

#[actix_web::test]
async fn a_user_s_token_reads_no_events() {
    let world = world();
    for accept in ["application/json", STREAM.1] {
        let sent = Sent::get(EVENTS).header("Accept", accept).bearer(ALICES);
        let answer = world.send(sent).await;
        assert_eq!(answer.refusal(), (403, "permission.missing".to_owned()));
    }
}

/// Opens a stream that begins after what these headers say.
async fn open(world: &World, headers: &[(&str, &str)]) -> ServiceResponse {
    let (config, state) = (world.config.clone(), world.state.clone());
    let web = Web::new().configure(|service| configure(service, &config, state));
    let service = test::init_service(web).await;
    let mut sent = Sent::get(&format!("{EVENTS}?after=1")).bearer(OPERATOR);
    sent = sent.header(STREAM.0, STREAM.1);
    for (name, value) in headers {
        sent = sent.header(name, value);
    }
    let answer = test::call_service(&service, sent.request.to_request()).await;
    answer.map_into_boxed_body()
}

/// Reads a stream until it has said something, or to its end.
async fn read(body: BoxBody, until: Option<&str>) -> (String, BoxBody) {
    let mut text = String::new();
    let mut body = pin!(body);
    while let Some(chunk) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let chunk = chunk.expect("a stream does not fail");
        text.push_str(std::str::from_utf8(&chunk).expect("a stream is text"));
        if until.is_some_and(|until| text.contains(until)) {
            break;
        }
    }
    (text, std::mem::replace(&mut *body, BoxBody::new(())))
}

#[actix_web::test]
async fn a_stream_tells_what_there_is_what_comes_and_its_end() {
    let world = world();
    let answer = open(&world, &[]).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers().get(name).expect("it is there").clone();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-store");
    let (text, body) = read(answer.into_body(), Some("id: 3\n")).await;
    let page = list(&world, "after=1").await.ok().json();
    let mut expected = "retry: 1000\n\n".to_owned();
    for event in page["data"].as_array().expect("a list") {
        let name = event["type"].as_str().expect("a type");
        let number = &event["number"];
        // The members of a map have another order.
        let start = format!("id: {number}\nevent: {name}\ndata: {{\"number\":{number},");
        assert!(text.contains(&start), "{text}");
        expected.push_str(&start);
    }
    let read_back: Vec<serde_json::Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON on one line"))
        .collect();
    assert_eq!(serde_json::Value::from(read_back), page["data"]);

    let coming = step(4, &rejected(9), Status::Pending);
    locked(&world.events.events).push(coming);
    world.state.events.reach(4);
    let (text, body) = read(body, Some("\n\n")).await;
    assert!(
        text.starts_with("id: 4\nevent: internal.created\n"),
        "{text}"
    );
    world.state.events.end();
    let (text, _) = read(body, None).await;
    assert_eq!(text, "");
}

#[actix_web::test]
async fn a_stream_is_taken_up_where_it_broke_off() {
    let world = world();
    let answer = open(&world, &[("Last-Event-ID", "2")]).await;
    let (text, _body) = read(answer.into_body(), Some("\n\nid")).await;
    assert!(
        text.contains("\n\nid: 3\n") && !text.contains("id: 2\n"),
        "{text}"
    );
}

#[actix_web::test]
async fn only_so_many_streams_are_open_at_once_and_a_place_is_free_again() {
    let mut world = world();
    world.config.event_streams_max = 1;
    // One service for all of them: the places are its own.
    let (config, state) = (world.config.clone(), world.state.clone());
    let web = Web::new().configure(|service| configure(service, &config, state));
    let service = test::init_service(web).await;
    let ask = || {
        let sent = Sent::get(EVENTS)
            .bearer(OPERATOR)
            .header(STREAM.0, STREAM.1);
        test::call_service(&service, sent.request.to_request())
    };
    let first = ask().await;
    assert_eq!(first.status(), 200);
    let second = ask().await;
    assert_eq!(second.status(), 503);
    assert!(second.headers().contains_key("retry-after"));
    let body = actix_web::body::to_bytes(second.into_body()).await;
    let body = body.unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_slice(&body).expect("a problem");
    assert_eq!(problem["code"], "events.streams_taken");
    drop(first);
    let freed = async {
        while ask().await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, freed)
        .await
        .expect("the place is given back");
}

#[actix_web::test]
async fn head_opens_no_stream() {
    let world = world();
    let sent = Sent::new(Method::HEAD, EVENTS).header(STREAM.0, STREAM.1);
    let answer = world.send(sent.bearer(OPERATOR)).await.ok();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.body, "");
}

#[actix_web::test]
async fn a_settled_deposit_has_the_members_of_any_transfer_but_how_it_stands() {
    let world = World::new();
    let new = build::new_transfer(build::transfer_id(3), &build::asset("btc", 8), 1_000, NOW);
    let opened = World::listed(build::deposit(new, ALICE));
    let done = World::listed(build::step(&opened, &Command::Settle, NOW.plus_micros(2)));
    *locked(&world.events.events) = vec![step(2, &done, Status::Completed)];
    *locked(&world.query.transfers) = vec![done];
    let event = list(&world, "").await.ok().json()["data"][0]["transfer"].clone();
    let sent = Sent::get("/admin/v1/transfers").bearer(OPERATOR);
    let mut row = world.send(sent).await.ok().json()["data"][0].clone();
    let members = row.as_object_mut().expect("a transfer");
    // What happened is told the same for ever; these change without being part of it.
    for today in [
        "confirmed_by",
        "stage",
        "approval_digest",
        "reviewed_by",
        "expires_at",
        "reversed",
    ] {
        assert!(members.remove(today).is_some(), "{today}");
    }
    assert_eq!(event, row);
}
