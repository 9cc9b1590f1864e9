//! §2, rate limits.

use crate::{
    answer::Answer,
    clause::clauses,
    scene::{INTERNAL, NOBODY, Scene, and, send},
    signing::AccessKey,
};
use serde_json::json;

clauses! { "2.7 Rate limits",
    "Documented: 600 requests per minute; decision: the fields of the IETF draft": every_answer_tells_the_standing
        = "Every answer of the internal calls has `RateLimit-Policy: \"internal\";q=600;w=60` and `RateLimit` with what is left.",
    "Documented: 600 requests per minute for each of the calls": calls_are_counted_apart
        = "Create, list and get each have a count of their own, for all credentials of a user together.",
    "Decision: a key's own `requests_per_minute` replaces 600": a_key_may_have_a_limit_of_its_own
        = "A key with `requests_per_minute` of 3 is refused the fourth time in a minute: 429 with `Retry-After`.",
    "Decision: a refused request is not counted, and leaves the key free": a_refused_request_binds_no_idempotency_key
        = "What was refused with 429 leaves its idempotency key free, and nothing moves.",
    "Decision: after 20 failed recipients in an hour": failed_recipients_are_limited
        = "After twenty failed recipients every create of that user is 429 `rate_limit.failed_recipients`, also to a good recipient.",
}

/// What is left according to the `RateLimit` field.
fn left(answer: &Answer) -> u32 {
    let field = answer
        .header("ratelimit")
        .expect("there is a RateLimit field");
    let rest = field
        .strip_prefix("\"internal\";r=")
        .unwrap_or_else(|| panic!("{field}"));
    let left = rest.split(';').next().and_then(|left| left.parse().ok());
    left.unwrap_or_else(|| panic!("{field}"))
}

async fn every_answer_tells_the_standing(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    for answer in [
        user.own.post(INTERNAL, send("btc", "0.1", &other.id)).await,
        user.own.post(INTERNAL, "{}").await,
        user.own.get(INTERNAL).await,
        user.own.get("/internal-transfer/TRF1").await,
        user.own.get("/api/v1/internal-transfer?limit=0").await,
    ] {
        let policy = answer.header("ratelimit-policy");
        assert_eq!(policy, Some("\"internal\";q=600;w=60"), "{}", answer.text);
        assert!(left(&answer) < 600);
    }
    assert_eq!(
        user.own.get("/balance").await.ok().header("ratelimit"),
        None
    );
}

async fn calls_are_counted_apart(scene: Scene) {
    let user = scene.user().await;
    let second = scene.token(Some(&user.id), &["allow_transfer"]).await;
    assert_eq!(left(&user.own.get(INTERNAL).await), 599);
    assert_eq!(left(&second.get("/api/v1/internal-transfer").await), 598);
    assert_eq!(left(&user.own.get("/internal-transfer/TRF1").await), 599);
    assert_eq!(left(&user.own.post(INTERNAL, "{}").await), 599);
    assert_eq!(left(&user.own.get(INTERNAL).await), 597);
}

/// A key of a new user with three bitcoins that may make three requests a minute.
async fn slow_key(scene: &Scene) -> AccessKey {
    let user = scene.rich("btc", "3").await;
    let body = json!({
        "user_id": user.id, "permissions": ["allow_transfer"], "requests_per_minute": 3,
    });
    let issued = scene.admin().post("/admin/v1/access-keys", body).await.ok();
    AccessKey {
        name: issued.text("access_key"),
        secret: issued.text("secret_key"),
    }
}

async fn a_key_may_have_a_limit_of_its_own(scene: Scene) {
    let key = slow_key(&scene).await;
    let get = async || {
        scene
            .stranger()
            .signed(&key, INTERNAL, "")
            .get(INTERNAL)
            .await
    };
    for rest in [2, 1, 0] {
        let answer = get().await.ok();
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"internal\";q=3;w=60")
        );
        assert_eq!(left(&answer), rest);
    }
    let answer = get().await.refused(429, "rate_limit.exceeded");
    let after = answer
        .header("retry-after")
        .and_then(|after| after.parse::<u32>().ok());
    assert!(
        after.is_some_and(|after| (1..=60).contains(&after)),
        "{after:?}"
    );
    assert_eq!(left(&answer), 0);
}

async fn a_refused_request_binds_no_idempotency_key(scene: Scene) {
    let (key, other) = (slow_key(&scene).await, scene.user().await);
    let name = crate::scene::unique("key");
    let post = async |amount: &str, name: &str| {
        let body = send("btc", amount, &other.id).to_string();
        let client = scene
            .stranger()
            .signed(&key, INTERNAL, &body)
            .key(name)
            .waiting();
        client.post(INTERNAL, &body).await
    };
    for number in 1..4 {
        // Different bodies, so that no two signatures are the same.
        post(&format!("0.{number}"), &crate::scene::unique("key"))
            .await
            .ok();
    }
    post("1", &name).await.refused(429, "rate_limit.exceeded");
    assert_eq!(scene.balance(&other, "BTC").await.0, "0.60000000");
}

async fn failed_recipients_are_limited(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    for number in 0..20 {
        let body = and(send("btc", "0.01", NOBODY), "custom_id", number.to_string());
        let answer = user.own.waiting().post(INTERNAL, body).await.ok();
        assert_eq!(answer.text("status"), "rejected", "{number}");
    }
    for recipient in [NOBODY, &other.id] {
        let answer = user
            .own
            .waiting()
            .post(INTERNAL, send("btc", "0.01", recipient))
            .await;
        let answer = answer.refused(429, "rate_limit.failed_recipients");
        assert!(answer.header("retry-after").is_some());
    }
    user.own.get(INTERNAL).await.ok();
    scene
        .paid(&scene.rich("btc", "1").await, &other, "btc", "0.01")
        .await;
}
