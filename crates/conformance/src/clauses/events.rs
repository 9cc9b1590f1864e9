//! §4, the event feed.

use serde_json::Value;

use crate::{
    answer::text,
    clause::clauses,
    client::Client,
    scene::{CONFIRM, INTERNAL, Scene, User, eventually, finish, send},
};

const EVENTS: &str = "/admin/v1/events";

clauses! { "4.4 Events",
    "Decision: every change is an event": every_change_of_a_transfer_is_an_event
        = "`GET /admin/v1/events?after=` tells every change of every transfer, each once, with the status it led to.",
    "Decision: numbers without a gap": events_are_numbered_without_a_gap
        = "Events are numbered 1, 2, 3 and so on; a page goes on where `next_after` of the one before says, and whoever has an event that was never told is told so.",
    "Decision: no effect before its cause": no_event_comes_before_its_cause
        = "A deposit comes before the payment that spends it, and that before the withdrawal of what was paid.",
    "Decision: server-sent events": events_can_be_followed_as_a_stream
        = "With `Accept: text/event-stream` the same events come as they happen, with their number as `id`; `Last-Event-ID` goes on after one.",
    "Decision: out-of-range values are refused by name": wrong_parameters_of_the_feed_are_named
        = "Malformed parameters are 400 under their own names, unknown ones 400 `parameter.unknown`.",
}

/// A page of the feed.
async fn page(reader: &Client, after: i64, limit: u32) -> (Vec<Value>, i64) {
    let path = format!("{EVENTS}?after={after}&limit={limit}");
    let page = reader.get(&path).await.ok();
    let data = page.get("data").as_array().expect("a list").clone();
    let next = page.get("next_after").as_i64().expect("a number");
    (data, next)
}

/// Whether there is an event after this number, kept or not.
async fn goes_beyond(reader: &Client, number: i64) -> bool {
    let answer = reader
        .get(&format!("{EVENTS}?after={number}&limit=1"))
        .await;
    if answer.status == 410 {
        return answer.text("code") == "events.pruned";
    }
    answer.ok().get("data") != Value::Array(vec![])
}

/// The last number, or one that was the last a moment ago.
async fn last(scene: &Scene) -> i64 {
    let reader = scene.reader();
    let (mut below, mut above) = (-1, 1);
    while goes_beyond(&reader, above).await {
        (below, above) = (above, above.saturating_mul(2));
    }
    while above.saturating_sub(below) > 1 {
        let middle = below.midpoint(above);
        if goes_beyond(&reader, middle).await {
            below = middle;
        } else {
            above = middle;
        }
    }
    above
}

/// The events of some transfers after a number, once there are so many.
async fn of(scene: &Scene, after: i64, transfers: &[i64], count: usize) -> Vec<Value> {
    let reader = scene.reader();
    eventually("the events", async || {
        let (mut found, mut next) = (vec![], after);
        loop {
            let (data, further) = page(&reader, next, 1_000).await;
            if data.is_empty() {
                break;
            }
            next = further;
            let is_one = |event: &&Value| {
                let id = event["transfer"]["id"].as_i64();
                id.is_some_and(|id| transfers.contains(&id))
            };
            found.extend(data.iter().filter(is_one).cloned());
        }
        (found.len() >= count).then_some(found)
    })
    .await
}

fn types(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| text(event, "type")).collect()
}

async fn every_change_of_a_transfer_is_an_event(scene: Scene) {
    let user = scene.rich("btc", "3").await;
    let before = last(&scene).await;
    let held = scene.withdrawal(&user, "btc", "2").await.id();
    scene.office().post(CONFIRM, finish(&user, held)).await.ok();
    let story = of(&scene, before, &[held], 2).await;
    assert_eq!(
        types(&story),
        ["withdrawal.created", "withdrawal.completed"]
    );
    let statuses: Vec<String> = story
        .iter()
        .map(|event| text(&event["transfer"], "status"))
        .collect();
    assert_eq!(statuses, ["AwaitingConfirmation", "Completed"]);
    for event in &story {
        assert_eq!(text(&event["transfer"], "user_id"), user.id);
        assert_eq!(text(&event["transfer"], "amount"), "2");
        assert_eq!(event["transfer"]["updated_at"], event["at"]);
        assert_eq!(event["data"], serde_json::json!({}));
    }
}

async fn events_are_numbered_without_a_gap(scene: Scene) {
    let user = scene.user().await;
    let before = last(&scene).await;
    let mut made = vec![];
    for _ in 0..3 {
        made.push(scene.fund(&user, "btc", "1").await.id());
    }
    of(&scene, before, &made, 3).await;
    let (mut after, mut seen) = (before, 0);
    while seen < 3 {
        let (data, next) = page(&scene.reader(), after, 2).await;
        for event in data {
            after += 1;
            assert_eq!(event["number"], after);
            seen += 1;
        }
        assert_eq!(next, after);
    }
    let path = format!("{EVENTS}?after={}", i64::MAX);
    let ahead = scene.reader().get(&path).await;
    assert_eq!(
        (ahead.status, ahead.text("code").as_str()),
        (410, "events.ahead")
    );
}

async fn no_event_comes_before_its_cause(scene: Scene) {
    let (user, other): (User, User) = (scene.user().await, scene.user().await);
    let before = last(&scene).await;
    let deposit = scene.fund(&user, "btc", "1").await.id();
    let body = send("btc", "1", &other.id);
    let paid = user.own.waiting().post(INTERNAL, body).await.ok();
    let path = format!("/admin/v1/transfers?code={}", paid.text("code"));
    let found = scene.reader().get(&path).await.ok().get("data");
    let payment = found[0]["id"].as_i64().expect("an id");
    let held = scene.withdrawal(&other, "btc", "1").await.id();
    let story = of(&scene, before, &[deposit, payment, held], 3).await;
    assert_eq!(
        types(&story),
        [
            "deposit.completed",
            "internal.succeeded",
            "withdrawal.created"
        ]
    );
}

async fn events_can_be_followed_as_a_stream(scene: Scene) {
    let user = scene.user().await;
    let before = last(&scene).await;
    let deposit = scene.fund(&user, "btc", "1").await.id();
    let event = of(&scene, before, &[deposit], 1).await.remove(0);
    let number = &event["number"];
    let resumed = scene.reader().with("last-event-id", &before.to_string());
    let stream = resumed.stream(EVENTS, &format!("\nid: {number}\n")).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let start = format!("id: {}\n", before + 1);
    let (_, rest) = stream.text.split_once(&start).expect("it goes on there");
    let lines = rest.lines().find(|line| line.contains(&user.id));
    let data = lines.and_then(|line| line.strip_prefix("data: "));
    let told: Value = serde_json::from_str(data.expect("it is told")).expect("JSON");
    assert_eq!(told, event);
}

async fn wrong_parameters_of_the_feed_are_named(scene: Scene) {
    for (query, code) in [
        ("after=-1", "after.invalid"),
        ("after=x", "after.invalid"),
        ("limit=0", "limit.out_of_range"),
        ("limit=1001", "limit.out_of_range"),
        ("cursor=x", "parameter.unknown"),
    ] {
        let answer = scene.reader().get(&format!("{EVENTS}?{query}")).await;
        answer.refused(400, code);
    }
    let resumed = scene.reader().with("last-event-id", "x");
    let answer = resumed.get(EVENTS).await;
    answer.refused(400, "last_event_id.invalid");
}
