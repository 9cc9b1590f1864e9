//! §2, callbacks of internal transfers.

use crate::{
    answer::{Answer, keys, text},
    clause::clauses,
    receiver::Receiver,
    scene::{INTERNAL, NOBODY, Scene, User, and, send},
};

clauses! { "2.4 Callbacks of internal transfers", needs Callbacks,
    "Documented: callback payload": an_internal_callback_has_fourteen_keys_in_order
        = "The callback has exactly the fourteen keys of the sample, in its order.",
    "Documented: the sample's `completed`; decision: as GET shows it": an_internal_callback_says_what_get_says
        = "`status` is `success` or `rejected`, and every member has the bytes that GET shows.",
    "Documented: you will always receive callbacks for the final states": every_final_state_is_told_once
        = "A success and a rejection are told once each; `pending` is not.",
    "Decision: the reason is told": a_rejection_tells_its_reason
        = "A rejected transfer's callback has `reason_code` and `reason_message`, and the recipient as typed.",
    "Documented: `callback_url`: no": without_a_url_nothing_is_told
        = "A transfer without `callback_url` tells nobody.",
}

async fn told(user: &User, receiver: &Receiver, path: &str, recipient: &str) -> Answer {
    let body = and(
        send("btc", "1", recipient),
        "callback_url",
        receiver.url(path),
    );
    let body = and(
        and(body, "custom_id", "a \"quoted\" id"),
        "note",
        "naïve 💰",
    );
    let sent = user.own.post(INTERNAL, body).await.ok();
    receiver.expect(path, 1).await;
    let path = format!("{INTERNAL}/{}", sent.text("code"));
    user.own.get(&path).await.ok()
}

async fn an_internal_callback_has_fourteen_keys_in_order(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let receiver = Receiver::start().await;
    told(&user, &receiver, "/a", &other.id).await;
    let expected = [
        "code",
        "custom_id",
        "created_at",
        "updated_at",
        "done_at",
        "status",
        "reason_code",
        "reason_message",
        "currency_code",
        "amount",
        "fee_amount",
        "sender",
        "recipient",
        "note",
    ];
    let bodies = receiver.exactly("/a", 1).await;
    assert_eq!(
        bodies.iter().map(|body| keys(body)).collect::<Vec<_>>(),
        [expected]
    );
}

/// The answer of GET without what a callback leaves out.
fn as_callback(shown: &Answer) -> String {
    let kept = crate::answer::members(&shown.text).into_iter();
    let kept = kept.filter(|(name, _)| name != "callback_url" && name != "timestamp");
    let members: Vec<_> = kept
        .map(|(name, raw)| format!("\"{name}\":{raw}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

async fn an_internal_callback_says_what_get_says(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let receiver = Receiver::start().await;
    for (path, recipient) in [
        ("/id", &*other.id),
        ("/email", &other.email),
        ("/nobody", NOBODY),
    ] {
        let shown = told(&user, &receiver, path, recipient).await;
        assert_eq!(receiver.exactly(path, 1).await, [as_callback(&shown)]);
    }
}

async fn every_final_state_is_told_once(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let receiver = Receiver::start().await;
    for (path, status) in [("/first", "success"), ("/second", "rejected")] {
        let shown = told(&user, &receiver, path, &other.id).await;
        assert_eq!(shown.text("status"), status);
        let bodies = receiver.exactly(path, 1).await;
        assert!(
            bodies
                .iter()
                .all(|body| body.contains(&format!("\"status\":\"{status}\"")))
        );
    }
}

async fn a_rejection_tells_its_reason(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let receiver = Receiver::start().await;
    told(&user, &receiver, "/a", "nobody@example.com").await;
    for body in receiver.exactly("/a", 1).await {
        let body = serde_json::from_str(&body).expect("it is JSON");
        assert_eq!(text(&body, "reason_code"), "recipient.unavailable");
        assert!(!text(&body, "reason_message").is_empty());
        assert_eq!(text(&body, "recipient"), "nobody@example.com");
    }
}

async fn without_a_url_nothing_is_told(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let receiver = Receiver::start().await;
    scene.paid(&user, &other, "btc", "1").await;
    told(&user, &receiver, "/a", &other.id).await;
    receiver.exactly("/a", 1).await;
}
