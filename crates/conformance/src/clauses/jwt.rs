//! §0, credentials: JWT access tokens.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::{
    clause::clauses,
    client::Client,
    scene::{DEPOSIT, Scene, TRANSFERS, and},
    signing::{hmac, now_ms},
};

clauses! { "0.9 JWT access tokens", needs Jwt,
    "Documented: Authorization: Bearer <access_token>; decision: a JWT of the configured issuer": a_jwt_is_accepted
        = "A JWT of the configured issuer for this audience opens what its `permissions` or `scope` name.",
    "Decision: a user's token acts for its user": a_jwt_acts_for_its_user
        = "A JWT that names a user opens the user APIs for that user and nothing else.",
    "Decision: `exp`, `aud`, `iss` and `sub` are required": a_jwt_without_a_required_claim_is_refused
        = "A JWT without `exp`, `aud`, `iss` or `sub` is 401 `token.invalid`.",
    "Decision: and must be right": a_jwt_with_a_wrong_claim_is_refused
        = "An expired JWT, one of another issuer and one for another audience are 401 `token.invalid`.",
    "Decision: algorithms are fixed by the configuration": a_jwt_with_another_algorithm_is_refused
        = "`none`, another algorithm, a changed body and another key are 401 `token.invalid`.",
    "Decision: permissions": a_jwt_without_the_permission_is_refused
        = "A JWT without the permission is 403 `permission.missing`.",
    "Decision: RFC 6750": a_bad_jwt_is_challenged
        = "The 401 carries `WWW-Authenticate: Bearer error=\"invalid_token\"`.",
}

/// The claims of an operator that may read, for the next minute.
fn claims(scene: &Scene) -> Value {
    let now = u64::try_from(now_ms() / 1_000).expect("seconds fit");
    json!({
        "iss": scene.value("JWT_ISSUER"), "aud": scene.value("JWT_AUDIENCE"),
        "sub": "conformance", "exp": now + 60, "permissions": ["backoffice_read"],
    })
}

/// A token with this header and these claims, signed by this key.
fn token(header: &Value, claims: &Value, key: &str) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = BASE64URL_NOPAD.encode(&hmac(key, &signed));
    format!("{signed}.{signature}")
}

/// A client with a well-made token of these claims.
fn bearing(scene: &Scene, claims: &Value) -> Client {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let token = token(&header, claims, scene.value("JWT_SECRET"));
    scene.stranger().bearer(&token)
}

async fn a_jwt_is_accepted(scene: Scene) {
    let with_list = claims(&scene);
    bearing(&scene, &with_list).get(TRANSFERS).await.ok();
    let mut with_scope = and(with_list, "scope", "other backoffice_read");
    with_scope
        .as_object_mut()
        .expect("claims")
        .remove("permissions");
    bearing(&scene, &with_scope).get(TRANSFERS).await.ok();
}

async fn a_jwt_acts_for_its_user(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let all = json!([
        "allow_balance",
        "allow_transfer",
        "backoffice_read",
        "admin"
    ]);
    let claims = and(
        and(claims(&scene), "user_id", &*user.id),
        "permissions",
        all,
    );
    let client = bearing(&scene, &claims);
    let mine = client.get("/balance").await.ok();
    assert_eq!(mine.text, user.own.get("/balance").await.ok().text);
    client
        .get(TRANSFERS)
        .await
        .refused(403, "permission.missing");
    client
        .get("/admin/v1/users")
        .await
        .refused(403, "permission.missing");
}

async fn refused(client: Client) {
    client.get(TRANSFERS).await.refused(401, "token.invalid");
}

async fn a_jwt_without_a_required_claim_is_refused(scene: Scene) {
    for name in ["exp", "aud", "iss", "sub"] {
        let mut claims = claims(&scene);
        claims.as_object_mut().expect("claims").remove(name);
        refused(bearing(&scene, &claims)).await;
    }
}

async fn a_jwt_with_a_wrong_claim_is_refused(scene: Scene) {
    let past = now_ms() / 1_000 - 60;
    for (name, value) in [
        ("exp", json!(u64::try_from(past).expect("seconds fit"))),
        ("iss", json!("https://stranger.example.com/")),
        ("aud", json!("somebody-else")),
        ("aud", json!(["somebody", "else"])),
        ("sub", json!("")),
    ] {
        refused(bearing(&scene, &and(claims(&scene), name, value))).await;
    }
}

async fn a_jwt_with_another_algorithm_is_refused(scene: Scene) {
    let (claims, key) = (claims(&scene), scene.value("JWT_SECRET").to_owned());
    for algorithm in ["none", "HS384", "RS256", "hs256"] {
        let made = token(&json!({"alg": algorithm}), &claims, &key);
        refused(scene.stranger().bearer(&made)).await;
    }
    let guessed = token(&json!({"alg": "HS256"}), &claims, "guessed");
    refused(scene.stranger().bearer(&guessed)).await;
    let good = token(&json!({"alg": "HS256"}), &claims, &key);
    let more = and(claims, "permissions", json!(["admin"]));
    let other = token(&json!({"alg": "HS256"}), &more, &key);
    let (good, other): (Vec<_>, Vec<_>) = (good.split('.').collect(), other.split('.').collect());
    if let ([head, _, signature], [_, body, _]) = (&good[..], &other[..]) {
        refused(
            scene
                .stranger()
                .bearer(&format!("{head}.{body}.{signature}")),
        )
        .await;
        refused(scene.stranger().bearer(&format!("{head}.{body}."))).await;
    }
}

async fn a_jwt_without_the_permission_is_refused(scene: Scene) {
    let client = bearing(&scene, &claims(&scene));
    client
        .post(DEPOSIT, "{}")
        .await
        .refused(403, "permission.missing");
    client
        .get("/balance")
        .await
        .refused(403, "permission.missing");
}

async fn a_bad_jwt_is_challenged(scene: Scene) {
    let claims = and(claims(&scene), "iss", "https://stranger.example.com/");
    let answer = bearing(&scene, &claims).get(TRANSFERS).await;
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
}
