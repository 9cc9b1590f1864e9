//! §4, what the admin API has today: credentials, balances, rates and stories.

use serde_json::json;

use crate::{
    answer::{MICROS, keys, shape, text},
    clause::clauses,
    scene::{CONFIRM, OWN, Scene, finish, unique},
};

clauses! { "4.2 Credentials, balances and stories",
    "Decision: the token is shown once": an_issued_token_has_its_members
        = "An issued token is `id`, `token`, `subject`, `user_id`, `permissions`, `created_at`, `expires_at`, `revoked_at`.",
    "Decision: the secret is shown once": an_issued_key_has_its_members
        = "An issued access key is `access_key`, `secret_key`, `user_id`, `permissions`, `allowed_ips`, `requests_per_minute`, `created_at`, `revoked_at`.",
    "Decision: what was never issued": revoking_what_is_unknown_is_404
        = "Revoking an unknown token is 404 `token.unknown`, an unknown key 404 `access_key.unknown`.",
    "Decision: `available`, `held` per asset": a_users_balances_tell_available_and_held
        = "`GET /balances?user_id=` tells `available` and `held` of every asset, plain and trimmed.",
    "Decision: `?owner=system`": the_system_accounts_balance_the_users
        = "`GET /balances?owner=system` shows the world's accounts, which a deposit makes smaller.",
    "Decision: `{\"ok\", \"assets\"}`": the_books_are_what_they_must_be
        = "`GET /integrity` tells `ok` and of every asset `asset`, `ok`, `sum`, `accounts`, `entries`, `holds`; after money moved all is still zero.",
    "Decision: `{\"rate\"}`": a_rate_is_a_positive_decimal
        = "A rate has the form of an amount, and a source and a time; without one it is 404 `rate.unknown`.",
    "Decision: all of it": a_story_tells_everything
        = "`GET /transfers/{id}` tells a transfer of any kind with its timeline, who did what, and ledger entries that sum to zero.",
}

async fn an_issued_token_has_its_members(scene: Scene) {
    let user = scene.user().await;
    let body = json!({
        "subject": unique("token"), "user_id": user.id, "permissions": OWN, "ttl_seconds": 60,
    });
    let issued = scene.admin().post("/admin/v1/tokens", body).await.ok();
    let expected = [
        "id",
        "token",
        "subject",
        "user_id",
        "permissions",
        "created_at",
        "expires_at",
        "revoked_at",
    ];
    assert_eq!(keys(&issued.text), expected);
    assert_eq!(shape(&issued.text("expires_at")), MICROS);
    assert_eq!(
        (issued.text("user_id"), issued.get("revoked_at")),
        (user.id, json!(null))
    );
}

async fn an_issued_key_has_its_members(scene: Scene) {
    let user = scene.user().await;
    let body = json!({
        "user_id": user.id, "permissions": OWN, "allowed_ips": ["192.0.2.0/24"],
        "requests_per_minute": 100,
    });
    let issued = scene.admin().post("/admin/v1/access-keys", body).await.ok();
    let expected = [
        "access_key",
        "secret_key",
        "user_id",
        "permissions",
        "allowed_ips",
        "requests_per_minute",
        "created_at",
        "revoked_at",
    ];
    assert_eq!(keys(&issued.text), expected);
    assert_eq!(issued.get("requests_per_minute"), 100);
}

async fn revoking_what_is_unknown_is_404(scene: Scene) {
    let nobody = crate::scene::NOBODY;
    let answer = scene
        .admin()
        .delete(&format!("/admin/v1/tokens/{nobody}"))
        .await;
    answer.refused(404, "token.unknown");
    let answer = scene
        .admin()
        .delete("/admin/v1/access-keys/BAKNOBODY")
        .await;
    answer.refused(404, "access_key.unknown");
}

async fn a_users_balances_tell_available_and_held(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    scene.withdrawal(&user, "btc", "1.50").await;
    let path = format!("/admin/v1/balances?limit=200&user_id={}", user.id);
    let data = scene.reader().get(&path).await.ok().get("data");
    let rows = data.as_array().expect("data is a list");
    let btc = rows
        .iter()
        .find(|row| row["asset"] == "btc")
        .expect("btc is there");
    assert_eq!(
        (text(btc, "available"), text(btc, "held")),
        ("3.5".into(), "1.5".into())
    );
    assert!(rows.len() >= 4);
}

async fn the_system_accounts_balance_the_users(scene: Scene) {
    let world = async || {
        let path = "/admin/v1/balances?owner=system&limit=200";
        let data = scene.reader().get(path).await.ok().get("data");
        let rows = data.as_array().expect("data is a list").clone();
        let mut rows = rows.into_iter();
        let found = rows.find(|row| row["asset"] == "cf-world" && row["owner"] == "world");
        found.map_or("0".to_owned(), |row| text(&row, "available"))
    };
    scene.asset("cf-world", 0, true, true).await;
    let before: i64 = world().await.parse().expect("a whole number");
    scene.rich("cf-world", "7").await;
    let after: i64 = world().await.parse().expect("a whole number");
    assert_eq!(after, before - 7);
}

async fn the_books_are_what_they_must_be(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    scene.withdrawal(&user, "btc", "1.50").await;
    let answer = scene.reader().get("/admin/v1/integrity").await.ok();
    assert_eq!(keys(&answer.text), ["ok", "assets"]);
    assert_eq!(answer.get("ok"), true);
    let assets = answer.get("assets");
    let rows = assets.as_array().expect("assets is a list");
    let btc = rows
        .iter()
        .find(|row| row["asset"] == "btc")
        .expect("btc is there");
    let members = ["asset", "ok", "sum", "accounts", "entries", "holds"];
    assert_eq!(keys(&btc.to_string()).len(), members.len());
    for member in members {
        assert!(!btc[member].is_null(), "{member}: {btc}");
    }
    assert_eq!(
        (text(btc, "sum"), text(btc, "holds")),
        ("0".into(), "0".into())
    );
    assert_eq!((&btc["ok"], &btc["accounts"]), (&json!(true), &json!(0)));
    assert!(btc["entries"].as_i64().is_some_and(|entries| entries >= 3));
}

async fn a_rate_is_a_positive_decimal(scene: Scene) {
    scene.asset("cf-rates", 8, true, true).await;
    let path = "/admin/v1/rates/cf-rates";
    let answer = scene
        .admin()
        .put(path, json!({"rate": "150.250", "source": "a feed"}))
        .await
        .ok();
    assert_eq!(keys(&answer.text), ["asset", "rate", "source", "rated_at"]);
    assert_eq!(answer.text("rate"), "150.25");
    assert_eq!(answer.text("source"), "a feed");
    assert_eq!(shape(&answer.text("rated_at")), MICROS);
    assert_eq!(scene.reader().get(path).await.ok().text, answer.text);
    scene
        .admin()
        .put(path, json!({"rate": "0"}))
        .await
        .refused(400, "rate.zero");
    scene
        .admin()
        .put(path, json!({"rate": "-1"}))
        .await
        .refused(400, "rate.invalid");
    scene.asset("cf-unrated", 8, true, true).await;
    let answer = scene.reader().get("/admin/v1/rates/cf-unrated").await;
    answer.refused(404, "rate.unknown");
}

async fn a_story_tells_everything(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    scene.office().post(CONFIRM, finish(&user, held)).await.ok();
    let story = scene
        .reader()
        .get(&format!("/admin/v1/transfers/{held}"))
        .await
        .ok()
        .json();
    let timeline = story["timeline"].as_array().expect("a timeline");
    let states: Vec<_> = timeline.iter().map(|step| text(step, "status")).collect();
    assert_eq!(states, ["AwaitingConfirmation", "Completed"]);
    assert!(timeline.iter().all(|step| !text(step, "by").is_empty()));
    let entries = story["entries"].as_array().expect("entries");
    let mut sum = 0;
    for entry in entries {
        for name in ["available", "held"] {
            sum += text(entry, name).parse::<i64>().expect("whole bitcoins");
        }
    }
    assert!(sum == 0 && entries.len() >= 3, "{entries:?}");
    assert_eq!(story["user_id"], json!(user.id));
}
