//! What operators and their programs say by the admin API: why they do things, and what they look for.

use serde_json::json;

use super::{
    super::exchange::{WITHDRAW, issue},
    Scene,
    planted::Planted,
};

/// Lists with a filter in the place of the star.
const LISTS: [(&str, &str); 6] = [
    ("a search for transfers", "/admin/v1/transfers?search=*"),
    (
        "the own id of a transfer that is looked for",
        "/admin/v1/transfers?custom_id=*",
    ),
    (
        "the code of a transfer that is looked for",
        "/admin/v1/transfers?code=*",
    ),
    ("an actor who is looked for", "/admin/v1/audit?actor=*"),
    ("a target that is looked for", "/admin/v1/audit?target=*"),
    (
        "a subscriber who is looked for",
        "/admin/v1/callback-secrets?subject=*",
    ),
];

/// The same of exports.
const EXPORTS: [(&str, &str); 6] = [
    ("a search of an export", "/admin/v1/transfers.csv?search=*"),
    (
        "the own id of an export",
        "/admin/v1/transfers.jsonl?custom_id=*",
    ),
    ("the code of an export", "/admin/v1/transfers.csv?code=*"),
    ("the asset of an export", "/admin/v1/entries.csv?asset=*"),
    ("the actor of an export", "/admin/v1/audit.csv?actor=*"),
    ("the target of an export", "/admin/v1/audit.jsonl?target=*"),
];

/// What cannot be looked for.
const WRONG: [(&str, &str, u16, &str); 6] = [
    (
        "a cursor",
        "/admin/v1/transfers?cursor=*",
        400,
        "cursor.invalid",
    ),
    (
        "a time of a list",
        "/admin/v1/transfers?created_from=*",
        400,
        "created_from.invalid",
    ),
    (
        "the user of an export",
        "/admin/v1/entries.jsonl?user_id=*",
        400,
        "user_id.invalid",
    ),
    (
        "the id of a user in a path",
        "/admin/v1/users/*",
        400,
        "id.invalid",
    ),
    (
        "the id of a transfer in a path",
        "/admin/v1/transfers/*",
        400,
        "id.invalid",
    ),
    (
        "the name of an operator in a path",
        "/admin/v1/operators/*/sessions",
        404,
        "operator.unknown",
    ),
];

pub(super) async fn plant(scene: &Scene, planted: &mut Planted) {
    stop(scene, planted).await;
    take_back(scene, planted).await;
    set_rules(scene, planted).await;
    try_callbacks(scene, planted).await;
    look_up(scene, planted).await;
    be_refused(scene, planted).await;
}

/// Stops everything and one asset, and lets both go on.
async fn stop(scene: &Scene, planted: &mut Planted) {
    let admin = scene.admin();
    for (what, status, code) in [
        ("read-only", 503, "service.read_only"),
        ("outgoing/btc", 422, "asset.outgoing_stopped"),
    ] {
        let path = format!("/admin/v1/stops/{what}");
        let reason = planted.canary(&format!("the reason of the stop {what}"));
        let body = json!({"reason": reason}).to_string();
        assert_eq!(admin.put(&path, body).await.status, 204);
        let listed = admin.get("/admin/v1/stops").await.ok();
        assert!(listed.text.contains(&reason), "{}", listed.text);
        let body = json!({
            "userId": scene.user(), "assetId": "btc", "amount": "0.01",
            "comment": planted.canary(&format!("a comment during the stop {what}")),
        });
        let refused = scene.backoffice().post(WITHDRAW, body.to_string()).await;
        let refused = refused.refused(status, code);
        planted.assert_not_in("a refusal", &refused.text);
        assert_eq!(admin.delete(&path).await.status, 204);
    }
}

/// Takes a deposit back, and what there is not.
async fn take_back(scene: &Scene, planted: &mut Planted) {
    let admin = scene.admin();
    let path = format!("/admin/v1/transfers/{}/reverse", scene.deposit().await);
    let comment = planted.canary("the comment of a reversal");
    let body = json!({"return_fee": false, "comment": comment}).to_string();
    let key = planted.canary("the idempotency key of a reversal");
    let headers = [("idempotency-key", key.as_str())];
    let back = admin.post_with(&path, body, &headers).await.ok();
    assert_eq!(back.text_of("comment"), comment);
    let comment = planted.canary("the comment of a reversal of nothing");
    let body = json!({"return_fee": false, "comment": comment}).to_string();
    let nothing = "/admin/v1/transfers/9007199254740000/reverse";
    let refused = admin.post(nothing, body).await;
    let refused = refused.refused(404, "transfer.unknown");
    planted.assert_not_in("a refusal", &refused.text);
}

async fn set_rules(scene: &Scene, planted: &mut Planted) {
    let admin = scene.admin();
    let source = planted.canary("the source of a rate");
    let rate = json!({"rate": "1", "source": source}).to_string();
    let set = admin.put("/admin/v1/rates/btc", rate).await.ok();
    assert_eq!(set.text_of("source"), source);
    let name = planted.canary("the name of an asset");
    let asset = json!({
        "name": name, "scale": 18,
        "can_deposit": true, "can_withdraw": true, "can_transfer": true,
    });
    let asset = asset.to_string();
    let set = admin.put("/admin/v1/assets/eth", asset).await.ok();
    assert_eq!(set.text_of("name"), name);
    let wrong = json!({"daily": planted.canary("a limit that is none")}).to_string();
    let wrong = admin.put("/admin/v1/limits/withdrawal/btc", wrong).await;
    let wrong = wrong.refused(400, "daily.invalid");
    planted.assert_not_in("a refusal", &wrong.text);
}

/// Callbacks on demand: one that arrives, one that its receiver refuses, and one that nobody sends.
async fn try_callbacks(scene: &Scene, planted: &mut Planted) {
    let callbacks = planted.callback_path("an operator's try");
    let url = scene.receiver.url(&callbacks);
    let body = json!({"subject": "backoffice", "callback_url": url}).to_string();
    let path = "/admin/v1/callbacks/test";
    let tried = scene.admin().post(path, body).await.ok().json();
    assert_eq!(tried["http_status"], 200, "{tried}");

    let callbacks = planted.callback_path("a user's own try");
    scene.receiver.answer_next(&callbacks, 500);
    let body = json!({"callback_url": scene.receiver.url(&callbacks)}).to_string();
    let trading = scene.trading();
    let tried = trading.post("/callback-tests", body).await.ok().json();
    assert_eq!(tried["http_status"], 500, "{tried}");

    let name = planted.canary("the user name in a callback URL");
    let password = planted.canary("the password in a callback URL");
    let url = format!("http://{name}:{password}@127.0.0.1:9/");
    let body = json!({"callback_url": url}).to_string();
    let refused = trading.post("/callback-tests", body).await;
    let refused = refused.refused(400, "callback_url.invalid");
    planted.assert_not_in("a refusal", &refused.text);
}

async fn look_up(scene: &Scene, planted: &mut Planted) {
    let admin = scene.admin();
    for (place, path) in LISTS {
        let path = path.replace('*', &planted.canary(place));
        admin.get(&path).await.ok();
    }
    for (place, path) in EXPORTS {
        let path = path.replace('*', &planted.canary(place));
        let export = admin.get(&path).await;
        assert_eq!(export.status, 200, "{path}: {}", export.text);
        let last = export.text.lines().next_back().unwrap_or_default();
        assert!(last.contains("end"), "{path}: {}", export.text);
    }
    for (place, path, status, code) in WRONG {
        let path = path.replace('*', &planted.canary(place));
        let refused = admin.get(&path).await.refused(status, code);
        planted.assert_not_in("a refusal", &refused.text);
    }
    let last = planted.canary("the last event that somebody has");
    let headers = [("last-event-id", last.as_str())];
    let refused = admin.get_with("/admin/v1/events", &headers).await;
    let refused = refused.refused(400, "last_event_id.invalid");
    planted.assert_not_in("a refusal", &refused.text);
}

/// What cannot be done.
async fn be_refused(scene: &Scene, planted: &mut Planted) {
    let admin = scene.admin();
    let key = planted.canary("an access key that is to be revoked");
    let path = format!("/admin/v1/access-keys/{key}");
    let unknown = admin.delete(&path).await.refused(404, "access_key.unknown");
    planted.assert_not_in("a refusal", &unknown.text);
    // An unknown name is told to whoever sent it, so that it can be mended.
    let name = planted.canary("the name of a field that the admin API does not know");
    let email = planted.canary("an email that is none");
    let mut user = json!({"username": "x", "email": email, "roles": [], "status": "Active"});
    user[name.as_str()] = json!(planted.canary("a field that the admin API does not know"));
    let path = "/admin/v1/users/55555555-5555-4555-8555-555555555555";
    let wrong = admin.put(path, user.to_string()).await;
    wrong.refused(400, "request.invalid");
    let name = planted.canary("a parameter that nobody knows");
    let path = format!("/admin/v1/users?{name}=1");
    admin.get(&path).await.refused(400, "parameter.unknown");

    let second = issue(&admin, "second", None, &["backoffice_approve"]).await;
    planted.secret("the token of a second operator", &second);
    let digest = json!({"digest": planted.canary("a digest that is none")}).to_string();
    let path = "/admin/v1/transfers/1/approve";
    let refused = scene.client.with(&second).post(path, digest).await;
    let refused = refused.refused(400, "digest.invalid");
    planted.assert_not_in("a refusal", &refused.text);
}
