//! §3, callback delivery.

use serde_json::json;

use crate::{
    clause::clauses,
    receiver::Receiver,
    scene::{DEPOSIT, Scene, and, open},
};

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

async fn gone_stops_the_delivery(scene: Scene) {
    let receiver = Receiver::start().await;
    receiver.answer_next("/a", "410 Gone");
    let id = told(&scene, &receiver, "/a").await;
    receiver.expect("/a", 1).await;
    let path = format!("/admin/v1/transfers/{id}");
    let callback = crate::scene::eventually("it is given up", async || {
        let story = scene.admin().get(&path).await.ok().json();
        let callback = story["callbacks"].get(0)?.clone();
        (callback["state"] != "pending").then_some(callback)
    })
    .await;
    assert_eq!(callback["next_attempt_at"], json!(null), "{callback}");
    receiver.exactly("/a", 1).await;
}

async fn a_delivery_is_in_the_transfers_story(scene: Scene) {
    let receiver = Receiver::start().await;
    let id = told(&scene, &receiver, "/a").await;
    receiver.expect("/a", 1).await;
    let path = format!("/admin/v1/transfers/{id}");
    let callback = crate::scene::eventually("the attempt is written", async || {
        let story = scene.reader().get(&path).await.ok().json();
        let callback = story["callbacks"].get(0)?.clone();
        callback["attempts"].get(0).is_some().then_some(callback)
    })
    .await;
    assert_eq!(callback["url"], receiver.url("/a"));
    assert_eq!(callback["status"], "Completed");
    assert_eq!(callback["attempts"][0]["http_status"], 200);
}
