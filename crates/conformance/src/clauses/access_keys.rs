//! §0, credentials: access keys.

use serde_json::{Value, json};

use crate::{
    clause::clauses,
    client::Client,
    scene::{INTERNAL, NOBODY, Scene, TRANSFERS, send},
    signing::{AccessKey, now_ms},
};

clauses! { "0.8 Access keys",
    "Decision: hex HMAC-SHA256 over key + path + timestamp + body": a_signed_get_is_accepted
        = "A GET signed over access key, path, time and an empty body is accepted.",
    "Decision: the raw body is signed": a_signed_post_is_accepted
        = "A POST signed over its raw body is accepted.",
    "Decision: the path without its query, or with it": the_query_may_be_signed_too
        = "The path is signed without its query; with the query it is accepted too.",
    "Decision: hex in either case": a_signature_may_be_in_capitals
        = "The signature may be in upper case.",
    "Decision: all three headers": each_missing_header_has_its_code
        = "A missing header is 401 `access_key.missed`, `timestamp.missed` or `signature.missed`.",
    "Decision: the code says what is wrong": an_unknown_key_is_refused
        = "An unknown key is 401 `access_key.unknown`.",
    "Decision: milliseconds since the epoch": a_malformed_time_is_refused
        = "A time that is no number of milliseconds is 401 `timestamp.invalid`.",
    "Decision: within 5 seconds": an_old_or_early_time_is_refused
        = "A time more than five seconds away, past or future, is 401 `timestamp.expired`; one within is accepted.",
    "Decision: everything is signed": a_signature_of_anything_else_is_refused
        = "A signature with another secret, path, time or body is 401 `signature.invalid`.",
    "Decision: a repeated (key, timestamp, signature) on a POST is refused": a_signature_counts_once
        = "A signed POST that is sent again is 401 `signature.replayed`; a GET may be repeated.",
    "Decision: a retry is signed anew": a_retry_is_signed_anew
        = "A retry that is signed anew with the same `Idempotency-Key` replays the transfer.",
    "Decision: an optional list of addresses": an_address_that_is_not_allowed_is_refused
        = "A key with `allowed_ips` is 403 `ip.not_allowed` from any other address.",
    "Decision: challenges": a_bad_signature_is_challenged
        = "Every 401 about a signature carries `WWW-Authenticate`.",
    "Decision: a key acts for its user": a_key_acts_for_its_user_alone
        = "An access key opens the user APIs of its own user and nothing else.",
    "Decision: the secret is shown once": a_key_is_listed_without_its_secret
        = "The list of keys and the key itself never show the secret again.",
    "Decision: revocable": a_revoked_key_is_refused
        = "A revoked key is 401 `access_key.unknown`, within thirty seconds everywhere.",
}

/// A client that signs with these headers, after a change to them.
fn changed(scene: &Scene, headers: &[(String, String)], name: &str, value: Option<&str>) -> Client {
    let mut client = scene.stranger();
    for (header, old) in headers {
        match (header == name, value) {
            (true, Some(new)) => client = client.with(header, new),
            (true, None) => {}
            (false, _) => client = client.with(header, old),
        }
    }
    client
}

async fn a_signed_get_is_accepted(scene: Scene) {
    let user = scene.user().await;
    let key = scene.access_key(&user, None).await;
    for path in [
        "/balance",
        INTERNAL,
        "/api/v1/balance",
        "/api/v1/internal-transfer",
    ] {
        scene.stranger().signed(&key, path, "").get(path).await.ok();
    }
}

async fn a_signed_post_is_accepted(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let key = scene.access_key(&user, None).await;
    // Blanks are part of what is signed.
    let body = send("btc", "1", &other.id)
        .to_string()
        .replace(',', " ,\n ");
    let client = scene.stranger().signed(&key, INTERNAL, &body);
    let answer = client.post(INTERNAL, &body).await.ok();
    assert_eq!(answer.text("sender"), user.id);
}

async fn the_query_may_be_signed_too(scene: Scene) {
    let user = scene.user().await;
    let key = scene.access_key(&user, None).await;
    let path = "/internal-transfer?limit=1&status=success";
    scene
        .stranger()
        .signed(&key, INTERNAL, "")
        .get(path)
        .await
        .ok();
    scene.stranger().signed(&key, path, "").get(path).await.ok();
}

async fn a_signature_may_be_in_capitals(scene: Scene) {
    let user = scene.user().await;
    let headers = scene.access_key(&user, None).await.sign("/balance", "");
    let signature = headers.last().map(|(_, value)| value.to_uppercase());
    let client = changed(&scene, &headers, "x-signature", signature.as_deref());
    client.get("/balance").await.ok();
}

async fn each_missing_header_has_its_code(scene: Scene) {
    let user = scene.user().await;
    let headers = scene.access_key(&user, None).await.sign("/balance", "");
    for (name, code) in [
        ("x-access-key", "access_key.missed"),
        ("x-timestamp", "timestamp.missed"),
        ("x-signature", "signature.missed"),
    ] {
        let client = changed(&scene, &headers, name, None);
        client.get("/balance").await.refused(401, code);
    }
}

async fn an_unknown_key_is_refused(scene: Scene) {
    let key = AccessKey {
        name: "BAKNOBODY".to_owned(),
        secret: "guessed".to_owned(),
    };
    let answer = scene
        .stranger()
        .signed(&key, "/balance", "")
        .get("/balance")
        .await;
    answer.refused(401, "access_key.unknown");
}

async fn a_malformed_time_is_refused(scene: Scene) {
    let user = scene.user().await;
    let headers = scene.access_key(&user, None).await.sign("/balance", "");
    for wrong in ["now", "-1", "1.5", "99999999999999999999999"] {
        let client = changed(&scene, &headers, "x-timestamp", Some(wrong));
        client
            .get("/balance")
            .await
            .refused(401, "timestamp.invalid");
    }
}

async fn an_old_or_early_time_is_refused(scene: Scene) {
    let user = scene.user().await;
    let key = scene.access_key(&user, None).await;
    let at = async |ms: u128| {
        let headers = key.sign_at("/balance", "", ms);
        changed(&scene, &headers, "", None).get("/balance").await
    };
    for ms in [now_ms() - 7_000, now_ms() + 7_000] {
        at(ms).await.refused(401, "timestamp.expired");
    }
    for ms in [now_ms() - 3_000, now_ms() + 3_000] {
        at(ms).await.ok();
    }
}

async fn a_signature_of_anything_else_is_refused(scene: Scene) {
    let user = scene.user().await;
    let key = scene.access_key(&user, None).await;
    let guessed = AccessKey {
        secret: "guessed".to_owned(),
        ..key.clone()
    };
    let body = send("btc", "1", NOBODY).to_string();
    let other = body.replace("\"1\"", "\"2\"");
    for client in [
        scene.stranger().signed(&guessed, INTERNAL, &body),
        scene.stranger().signed(&key, "/balance", &body),
        scene.stranger().signed(&key, INTERNAL, &other),
        changed(
            &scene,
            &key.sign(INTERNAL, &body),
            "x-timestamp",
            Some(&(now_ms() + 1_000).to_string()),
        ),
        changed(
            &scene,
            &key.sign(INTERNAL, &body),
            "x-signature",
            Some("00"),
        ),
    ] {
        let answer = client.post(INTERNAL, &body).await;
        answer.refused(401, "signature.invalid");
    }
}

async fn a_signature_counts_once(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let key = scene.access_key(&user, None).await;
    let body = send("btc", "0.1", NOBODY).to_string();
    let client = scene.stranger().signed(&key, INTERNAL, &body);
    client.post(INTERNAL, &body).await.ok();
    let again = client.post(INTERNAL, &body).await;
    again.refused(401, "signature.replayed");
    let reading = scene.stranger().signed(&key, "/balance", "");
    for _ in 0..2 {
        reading.get("/balance").await.ok();
    }
}

async fn a_retry_is_signed_anew(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let key = scene.access_key(&user, None).await;
    let body = send("btc", "0.1", NOBODY).to_string();
    let idempotency = crate::scene::unique("key");
    let mut codes = vec![];
    for attempt in 0..2_u128 {
        let headers = key.sign_at(INTERNAL, &body, now_ms() + attempt);
        let client = changed(&scene, &headers, "", None).key(&idempotency);
        let answer = client.post(INTERNAL, &body).await.ok();
        assert_eq!(answer.is_replayed(), attempt > 0);
        codes.push(answer.text("code"));
    }
    codes.dedup();
    assert_eq!(codes.len(), 1);
}

async fn an_address_that_is_not_allowed_is_refused(scene: Scene) {
    let user = scene.user().await;
    // Documentation addresses: no request ever comes from there.
    let key = scene
        .access_key(&user, Some(&["192.0.2.0/24", "2001:db8::/32"]))
        .await;
    let answer = scene
        .stranger()
        .signed(&key, "/balance", "")
        .get("/balance")
        .await;
    answer.refused(403, "ip.not_allowed");
    let key = scene.access_key(&user, Some(&["0.0.0.0/0", "::/0"])).await;
    scene
        .stranger()
        .signed(&key, "/balance", "")
        .get("/balance")
        .await
        .ok();
}

async fn a_bad_signature_is_challenged(scene: Scene) {
    let client = scene.stranger().with("x-access-key", "BAKNOBODY");
    let answer = client.get("/balance").await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").is_some());
}

async fn a_key_acts_for_its_user_alone(scene: Scene) {
    let user = scene.user().await;
    let key = scene.access_key(&user, None).await;
    for path in [TRANSFERS, "/admin/v1/users"] {
        let answer = scene.stranger().signed(&key, path, "").get(path).await;
        answer.refused(403, "permission.missing");
    }
}

async fn a_key_is_listed_without_its_secret(scene: Scene) {
    let user = scene.user().await;
    let key = scene.access_key(&user, None).await;
    let mut path = "/admin/v1/access-keys?limit=200".to_owned();
    let mut found: Option<Value> = None;
    loop {
        let page = scene.admin().get(&path).await.ok();
        assert!(!page.text.contains(&key.secret) && !page.text.contains("secret"));
        let rows = page.get("data");
        let mut rows = rows.as_array().into_iter().flatten();
        found = found.or_else(|| rows.find(|row| row["access_key"] == key.name).cloned());
        match page.get("next_cursor").as_str() {
            Some(next) => path = format!("/admin/v1/access-keys?limit=200&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found.expect("the key is listed")["user_id"], json!(user.id));
}

async fn a_revoked_key_is_refused(scene: Scene) {
    let user = scene.user().await;
    let key = scene.access_key(&user, None).await;
    let path = format!("/admin/v1/access-keys/{}", key.name);
    assert_eq!(scene.admin().delete(&path).await.status, 204);
    crate::scene::eventually("the revocation is known", async || {
        let answer = scene
            .stranger()
            .signed(&key, "/balance", "")
            .get("/balance")
            .await;
        (answer.status == 401).then(|| answer.refused(401, "access_key.unknown"))
    })
    .await;
}
