//! §3, callback delivery.

use serde_json::{Value, json};

use crate::{
    answer::text,
    clause::clauses,
    receiver::Receiver,
    scene::{DEPOSIT, Scene, and, eventually, open},
};

const CALLBACKS: &str = "/admin/v1/callbacks";

clauses! { "3.1 Delivery of callbacks", needs Callbacks,
    "Decision: Standard Webhooks": a_delivery_has_its_headers
        = "A delivery is JSON with `webhook-id`, `webhook-timestamp` of the attempt, and `User-Agent: Bursar/…`.",
    "Decision: at least once": a_failed_delivery_is_repeated
        = "An answer other than 2xx is tried again, after about five seconds, with the same bytes and the same `webhook-id`.",
    "Decision: redirects are never followed": a_redirect_is_not_followed
        = "A redirect counts as a failure; its target gets nothing.",
    "Decision: 410 stops": gone_stops_the_delivery = "After 410 nothing is tried again.",
    "Decision: visible": a_delivery_is_in_the_transfers_story
        = "The transfer's story shows each callback with its state and attempts.",
    "Decision: dead letters are replayable one by one": a_dead_letter_is_replayed
        = "`POST /admin/v1/callbacks/{id}/replay` delivers a dead letter again, with the same `webhook-id`; `GET /admin/v1/callbacks?state=dead` lists it until then.",
    "Decision: or all since a time": dead_letters_are_replayed_since_a_time
        = "`POST /admin/v1/callbacks/replay` with `since` and `state` delivers again what is dead since then.",
    "Decision: a test callback on demand": a_test_callback_is_sent_on_demand
        = "`POST /callback-tests` sends one signed callback with the body `{\"test\":true}` and tells what came of it.",
}

async fn told(scene: &Scene, receiver: &Receiver, path: &str) -> i64 {
    let user = scene.user().await;
    let body = and(open(&user, "btc", "1"), "callbackUrl", receiver.url(path));
    scene.office().post(DEPOSIT, body).await.ok().id()
}

async fn a_delivery_has_its_headers(scene: Scene) {
    let receiver = Receiver::start().await;
    told(&scene, &receiver, "/a").await;
    for received in receiver.expect("/a", 1).await {
        let header = |name: &str| received.headers.get(name).cloned().unwrap_or_default();
        assert_eq!(header("content-type"), "application/json");
        assert!(header("user-agent").starts_with("Bursar/"), "{received:?}");
        assert!(!header("webhook-id").is_empty(), "{received:?}");
        let at: u128 = header("webhook-timestamp").parse().expect("seconds");
        assert!(
            (crate::signing::now_ms() / 1_000).abs_diff(at) < 60,
            "{received:?}"
        );
    }
}

async fn a_failed_delivery_is_repeated(scene: Scene) {
    let receiver = Receiver::start().await;
    receiver.answer_next("/a", "500 Not Now");
    told(&scene, &receiver, "/a").await;
    let received = receiver.expect("/a", 2).await;
    let same = |of: fn(&crate::receiver::Received) -> Option<&String>| {
        let mut values: Vec<_> = received.iter().map(of).collect();
        values.dedup();
        values.len() == 1
    };
    assert!(same(|one| Some(&one.body)), "{received:?}");
    assert!(same(|one| one.headers.get("webhook-id")), "{received:?}");
}

async fn a_redirect_is_not_followed(scene: Scene) {
    let receiver = Receiver::start().await;
    let head = format!("302 Found\r\nlocation: {}", receiver.url("/b"));
    receiver.answer_next("/a", &head);
    told(&scene, &receiver, "/a").await;
    receiver.expect("/a", 2).await;
    receiver.exactly("/b", 0).await;
}

/// A dead letter of this path, whose receiver takes it the next time.
async fn dead(scene: &Scene, receiver: &Receiver, path: &str) -> Value {
    receiver.answer_next(path, "410 Gone");
    let id = told(scene, receiver, path).await;
    receiver.expect(path, 1).await;
    let story = format!("/admin/v1/transfers/{id}");
    eventually("it is given up", async || {
        let story = scene.admin().get(&story).await.ok().json();
        let callback = story["callbacks"].get(0)?.clone();
        (callback["state"] == "dead").then_some(callback)
    })
    .await
}

async fn gone_stops_the_delivery(scene: Scene) {
    let receiver = Receiver::start().await;
    let callback = dead(&scene, &receiver, "/a").await;
    assert_eq!(callback["next_attempt_at"], json!(null), "{callback}");
    receiver.exactly("/a", 1).await;
}

async fn a_dead_letter_is_replayed(scene: Scene) {
    let receiver = Receiver::start().await;
    let callback = dead(&scene, &receiver, "/a").await;
    let id = text(&callback, "id").clone();
    let is_listed = async || {
        let path = format!("{CALLBACKS}?state=dead&limit=200");
        let reader = scene.reader();
        let list = reader.get(&path).await.ok().json();
        let rows = list["data"].as_array().expect("a list").clone();
        rows.iter().any(|row| row["id"] == id.as_str())
    };
    assert!(is_listed().await, "{id}");
    let replay = format!("{CALLBACKS}/{id}/replay");
    scene.admin().post(&replay, json!({})).await.ok();
    let received = receiver.expect("/a", 2).await;
    for one in &received {
        assert_eq!(one.headers.get("webhook-id"), Some(&id));
    }
    assert!(!is_listed().await, "{id}");
}

async fn dead_letters_are_replayed_since_a_time(scene: Scene) {
    let receiver = Receiver::start().await;
    let callback = dead(&scene, &receiver, "/a").await;
    let wanted = json!({"since": callback["created_at"], "state": "dead"});
    let path = format!("{CALLBACKS}/replay");
    let answer = scene.admin().post(&path, wanted).await.ok().json();
    assert!(answer["replayed"].as_u64() >= Some(1), "{answer}");
    receiver.expect("/a", 2).await;
}

async fn a_delivery_is_in_the_transfers_story(scene: Scene) {
    let receiver = Receiver::start().await;
    let id = told(&scene, &receiver, "/a").await;
    receiver.expect("/a", 1).await;
    let path = format!("/admin/v1/transfers/{id}");
    let callback = eventually("the attempt is written", async || {
        let story = scene.reader().get(&path).await.ok().json();
        let callback = story["callbacks"].get(0)?.clone();
        callback["attempts"].get(0).is_some().then_some(callback)
    })
    .await;
    assert_eq!(callback["url"], receiver.url("/a"));
    assert_eq!(callback["status"], "Completed");
    assert_eq!(callback["attempts"][0]["http_status"], 200);
}

async fn a_test_callback_is_sent_on_demand(scene: Scene) {
    let receiver = Receiver::start().await;
    let user = scene.user().await;
    let wanted = json!({"callback_url": receiver.url("/a")});
    let told = user.own.post("/callback-tests", wanted.clone()).await.ok();
    let told = told.json();
    assert_eq!(
        (&told["outcome"], &told["http_status"]),
        (&json!("delivered"), &json!(200))
    );
    let received = receiver.expect("/a", 1).await;
    assert_eq!(received[0].body, r#"{"test":true}"#);
    assert_eq!(
        received[0].headers.get("webhook-id").map(String::as_str),
        told["id"].as_str()
    );
    assert!(received[0].headers.contains_key("webhook-signature"));
    receiver.answer_next("/a", "503 Later");
    let told = user.own.post("/callback-tests", wanted).await.ok().json();
    assert_eq!(
        (&told["outcome"], &told["http_status"]),
        (&json!("answered"), &json!(503))
    );
    receiver.exactly("/a", 2).await;
}
