//! §3 and §4, the secrets that sign callbacks.

use serde_json::json;

use crate::{
    answer::{Answer, keys, text},
    clause::clauses,
    client::Client,
    receiver::{Received, Receiver},
    scene::{DEPOSIT, INTERNAL, NOBODY, Scene, User, and, open, send, unique},
    signing::webhook_signature,
};

const SECRETS: &str = "/admin/v1/callback-secrets";

clauses! { "3.3 Signatures of callbacks", needs Callbacks,
    "Decision: `v1,` base64 HMAC-SHA256 of `id.timestamp.body`": a_user_s_callbacks_are_signed_with_its_secret
        = "A callback of an internal transfer carries `webhook-signature`, `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body` under the user's secret.",
    "Decision: a secret per principal": the_office_s_callbacks_are_signed_with_its_client_s_secret
        = "A callback of the back office is signed with the secret of the credential's subject, whoever the user is.",
    "Decision: two during a rotation": during_a_rotation_both_secrets_sign
        = "After a rotation each callback has two signatures, by the new secret and the one before it, and never three.",
    "Decision: every principal has one from the start": without_a_secret_a_callback_is_signed_too
        = "Before a secret is issued callbacks are signed with one that nobody was told.",
    "Decision: issue, rotate, list; shown once": a_secret_is_shown_once
        = "`POST /admin/v1/callback-secrets` shows `whsec_` and 32 bytes in base64 once; the list never does.",
    "Decision: exactly one of `user_id` and `subject`": a_secret_is_somebody_s
        = "Neither is 400 `user_id.missed`, both are 400 `subject.invalid`, an unknown user is 404 `user.unknown`.",
    "Decision: `DELETE`": a_secret_that_is_ended_signs_no_more
        = "A secret that is deleted signs no more within thirty seconds; an unknown one is 404 `callback_secret.unknown`.",
    "Decision: credentials and secrets need `admin`": secrets_need_admin
        = "Nobody but `admin` issues, lists or deletes callback secrets.",
    "Decision: the sending addresses are published": anybody_reads_the_sending_addresses
        = "`GET /callback-addresses` answers `{\"data\": […]}` of addresses and ranges without credentials.",
}

async fn issue(scene: &Scene, whose: serde_json::Value) -> Answer {
    scene.admin().post(SECRETS, whose).await.ok()
}

/// Whether one of a callback's signatures is this secret's.
fn is_signed(received: &Received, secret: &str) -> bool {
    let header = |name: &str| received.headers.get(name).cloned().unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let expected = webhook_signature(secret, &id, &timestamp, &received.body);
    let signatures = header("webhook-signature");
    signatures.split(' ').any(|signature| signature == expected)
}

fn signatures(received: &Received) -> usize {
    let sent = received.headers.get("webhook-signature");
    sent.map_or(0, |sent| sent.split(' ').count())
}

/// The callback about a payment of this user to nobody.
async fn paid(user: &User, receiver: &Receiver, path: &str) -> Received {
    let body = send("btc", "1", NOBODY);
    let body = and(body, "callback_url", receiver.url(path));
    user.own.post(INTERNAL, body).await.ok();
    let mut received = receiver.expect(path, 1).await;
    received.remove(0)
}

/// A client of the back office with a subject of its own.
async fn client(scene: &Scene) -> (String, Client) {
    let subject = unique("client");
    let body = json!({
        "subject": subject, "permissions": ["backoffice_write"], "ttl_seconds": 600,
    });
    let token = scene.admin().post("/admin/v1/tokens", body).await.ok();
    let client = scene.stranger().bearer(&token.text("token"));
    (subject, client)
}

async fn deposited(scene: &Scene, office: &Client, receiver: &Receiver, path: &str) -> Received {
    let user = scene.user().await;
    let body = and(open(&user, "btc", "1"), "callbackUrl", receiver.url(path));
    office.post(DEPOSIT, body).await.ok();
    let mut received = receiver.expect(path, 1).await;
    received.remove(0)
}

async fn a_user_s_callbacks_are_signed_with_its_secret(scene: Scene) {
    let receiver = Receiver::start().await;
    let (user, other) = (scene.user().await, scene.user().await);
    let secret = issue(&scene, json!({"user_id": user.id})).await;
    let others = issue(&scene, json!({"user_id": other.id})).await;
    let received = paid(&user, &receiver, "/a").await;
    assert!(is_signed(&received, &secret.text("secret")), "{received:?}");
    assert!(
        !is_signed(&received, &others.text("secret")),
        "{received:?}"
    );
}

async fn the_office_s_callbacks_are_signed_with_its_client_s_secret(scene: Scene) {
    let receiver = Receiver::start().await;
    let (subject, office) = client(&scene).await;
    let secret = issue(&scene, json!({"subject": subject})).await;
    let received = deposited(&scene, &office, &receiver, "/a").await;
    assert!(is_signed(&received, &secret.text("secret")), "{received:?}");
    assert_eq!(signatures(&received), 1);
}

async fn during_a_rotation_both_secrets_sign(scene: Scene) {
    let receiver = Receiver::start().await;
    let user = scene.user().await;
    let mut secrets = vec![];
    for _ in 0..3 {
        let issued = issue(&scene, json!({"user_id": user.id})).await;
        secrets.push(issued.text("secret"));
    }
    let received = paid(&user, &receiver, "/a").await;
    let good: Vec<bool> = secrets
        .iter()
        .map(|secret| is_signed(&received, secret))
        .collect();
    assert_eq!((good, signatures(&received)), (vec![false, true, true], 2));
    let listed = format!("{SECRETS}?user_id={}", user.id);
    let listed = scene.admin().get(&listed).await.ok().json();
    let rows = listed["data"].as_array().expect("data is a list");
    let ends: Vec<_> = rows
        .iter()
        .map(|row| (row["expires_at"].is_null(), row["revoked_at"].is_null()))
        .collect();
    assert_eq!(ends, [(false, false), (false, true), (true, true)]);
}

async fn without_a_secret_a_callback_is_signed_too(scene: Scene) {
    let receiver = Receiver::start().await;
    let user = scene.user().await;
    let received = paid(&user, &receiver, "/a").await;
    assert_eq!(signatures(&received), 1, "{received:?}");
    let listed = format!("{SECRETS}?user_id={}", user.id);
    let listed = scene.admin().get(&listed).await.ok().json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
}

async fn a_secret_is_shown_once(scene: Scene) {
    let subject = unique("client");
    let issued = issue(&scene, json!({"subject": subject})).await;
    let members = [
        "id",
        "secret",
        "user_id",
        "subject",
        "created_at",
        "expires_at",
        "revoked_at",
    ];
    assert_eq!(keys(&issued.text), members);
    let secret = issued.text("secret");
    assert!(
        secret.starts_with("whsec_") && secret.len() == 50,
        "{secret}"
    );
    let listed = scene
        .admin()
        .get(&format!("{SECRETS}?subject={subject}"))
        .await
        .ok();
    assert_eq!(keys(&listed.text), ["data", "next_cursor"]);
    assert!(!listed.text.contains(&secret) && !listed.text.contains("whsec_"));
    let rows = listed.get("data");
    let rows = rows.as_array().expect("data is a list");
    let ids: Vec<_> = rows.iter().map(|row| text(row, "id")).collect();
    assert_eq!(ids, [issued.text("id")]);
}

async fn a_secret_is_somebody_s(scene: Scene) {
    let user = scene.user().await;
    let both = json!({"user_id": user.id, "subject": "x"});
    for (body, status, code) in [
        (json!({}), 400, "user_id.missed"),
        (both, 400, "subject.invalid"),
        (json!({"user_id": NOBODY}), 404, "user.unknown"),
        (json!({"subject": "x", "secret": "x"}), 400, "field.unknown"),
    ] {
        scene
            .admin()
            .post(SECRETS, body)
            .await
            .refused(status, code);
    }
}

async fn a_secret_that_is_ended_signs_no_more(scene: Scene) {
    let receiver = Receiver::start().await;
    let user = scene.user().await;
    let issued = issue(&scene, json!({"user_id": user.id})).await;
    let path = format!("{SECRETS}/{}", issued.text("id"));
    for _ in 0..2 {
        assert_eq!(scene.admin().delete(&path).await.status, 204);
    }
    let mut number = 0;
    crate::scene::eventually("the secret signs no more", async || {
        number += 1;
        let received = paid(&user, &receiver, &format!("/{number}")).await;
        assert_eq!(signatures(&received), 1, "{received:?}");
        (!is_signed(&received, &issued.text("secret"))).then_some(())
    })
    .await;
    let unknown = scene.admin().delete(&format!("{SECRETS}/{NOBODY}")).await;
    unknown.refused(404, "callback_secret.unknown");
}

async fn secrets_need_admin(scene: Scene) {
    let user = scene.user().await;
    for client in [scene.reader(), scene.office(), user.own] {
        let missing = "permission.missing";
        client.get(SECRETS).await.refused(403, missing);
        client.post(SECRETS, "{}").await.refused(403, missing);
        let path = format!("{SECRETS}/{NOBODY}");
        client.delete(&path).await.refused(403, missing);
    }
}

async fn anybody_reads_the_sending_addresses(scene: Scene) {
    let answer = scene.stranger().get("/callback-addresses").await.ok();
    assert_eq!(keys(&answer.text), ["data"]);
    let rows = answer.get("data");
    for row in rows.as_array().expect("data is a list") {
        let text = row.as_str().expect("an address is text");
        let address = text.split('/').next().unwrap_or_default();
        assert!(address.parse::<std::net::IpAddr>().is_ok(), "{text}");
    }
}
