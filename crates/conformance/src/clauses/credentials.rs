//! §0, credentials: tokens and permissions.

use reqwest::Method;
use serde_json::json;

use crate::{
    clause::clauses,
    scene::{
        CANCEL, CONFIRM, DEPOSIT, HISTORY, INTERNAL, OWN, Scene, TRANSFERS, WITHDRAW, eventually,
        unique,
    },
};

clauses! { "0.7 Tokens and permissions",
    "Documented: Authorization: Bearer <access_token>": a_token_is_sent_as_bearer
        = "A token is sent as `Authorization: Bearer …`, the scheme in any case.",
    "Decision: issued by Bursar as `bur_…`": an_issued_token_begins_with_bur
        = "Issued tokens begin with `bur_`, are shown once, and are not in the list.",
    "Decision: revocable": a_revoked_token_is_refused
        = "A revoked token is 401 `token.invalid`, within thirty seconds everywhere.",
    "Decision: with an expiry": an_expired_token_is_refused
        = "A token is 401 `token.invalid` once its `ttl_seconds` have passed.",
    "Decision: what is no token is refused": other_authorizations_are_refused
        = "Another scheme is 401 `credentials.missing`; an unknown, empty or malformed token 401 `token.invalid`.",
    "Documented: each method needs its permission": each_operation_needs_its_permission
        = "Every operation of the two APIs refuses each credential that lacks its permission with 403 `permission.missing`.",
    "Decision: `backoffice_write` deposits, withdraws and cancels; `backoffice_confirm` confirms": confirming_is_a_permission_of_its_own
        = "`backoffice_write` alone does not confirm, `backoffice_confirm` alone neither makes nor cancels any.",
    "Documented: allow_transfer; decision: allow_balance": transfers_and_balances_are_two_permissions
        = "`allow_transfer` alone does not read balances, `allow_balance` alone does not transfer.",
    "Decision: a user's credential acts for its own user": a_users_credential_opens_nothing_else
        = "A user's token with every permission written into it still opens only the user APIs.",
    "Decision: a credential without a user gets 403 on the user APIs": a_credential_without_a_user_is_refused
        = "A credential with `allow_transfer` and no user is 403 `user.required`.",
}

async fn a_token_is_sent_as_bearer(scene: Scene) {
    let user = scene.user().await;
    user.own.get("/balance").await.ok();
    let body = json!({
        "subject": unique("token"), "user_id": user.id, "permissions": OWN, "ttl_seconds": 60,
    });
    let token = scene
        .admin()
        .post("/admin/v1/tokens", body)
        .await
        .ok()
        .text("token");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let client = scene
            .stranger()
            .with("authorization", &format!("{scheme} {token}"));
        client.get("/balance").await.ok();
    }
}

async fn an_issued_token_begins_with_bur(scene: Scene) {
    let subject = unique("token");
    let body = json!({"subject": subject, "permissions": ["backoffice_read"], "ttl_seconds": 60});
    let issued = scene.admin().post("/admin/v1/tokens", body).await.ok();
    assert!(issued.text("token").starts_with("bur_"));
    let mut path = "/admin/v1/tokens?limit=200".to_owned();
    loop {
        let page = scene.admin().get(&path).await.ok();
        assert!(!page.text.contains(&issued.text("token")));
        assert!(!page.text.contains("\"token\""));
        match page.get("next_cursor").as_str() {
            Some(next) => path = format!("/admin/v1/tokens?limit=200&cursor={next}"),
            None => break,
        }
    }
}

async fn a_revoked_token_is_refused(scene: Scene) {
    let user = scene.user().await;
    let body = json!({
        "subject": unique("token"), "user_id": user.id, "permissions": OWN, "ttl_seconds": 600,
    });
    let issued = scene.admin().post("/admin/v1/tokens", body).await.ok();
    let client = scene.stranger().bearer(&issued.text("token"));
    client.get("/balance").await.ok();
    let path = format!("/admin/v1/tokens/{}", issued.text("id"));
    assert_eq!(scene.admin().delete(&path).await.status, 204);
    eventually("the revocation is known", async || {
        let answer = client.get("/balance").await;
        (answer.status == 401).then(|| answer.refused(401, "token.invalid"))
    })
    .await;
}

async fn an_expired_token_is_refused(scene: Scene) {
    let user = scene.user().await;
    let body = json!({
        "subject": unique("token"), "user_id": user.id, "permissions": OWN, "ttl_seconds": 1,
    });
    let token = scene
        .admin()
        .post("/admin/v1/tokens", body)
        .await
        .ok()
        .text("token");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let answer = scene.stranger().bearer(&token).get("/balance").await;
    answer.refused(401, "token.invalid");
}

async fn other_authorizations_are_refused(scene: Scene) {
    for (authorization, code) in [
        ("Basic YTpi", "credentials.missing"),
        ("Bearer bur_unknown", "token.invalid"),
        ("Bearer not-even-one", "token.invalid"),
    ] {
        let client = scene.stranger().with("authorization", authorization);
        client.get("/balance").await.refused(401, code);
    }
}

const OPERATIONS: [(Method, &str, &str); 10] = [
    (Method::POST, DEPOSIT, "backoffice_write"),
    (Method::POST, WITHDRAW, "backoffice_write"),
    (Method::POST, CANCEL, "backoffice_write"),
    (Method::POST, CONFIRM, "backoffice_confirm"),
    (Method::GET, HISTORY, "backoffice_read"),
    (Method::GET, TRANSFERS, "backoffice_read"),
    (Method::POST, INTERNAL, "allow_transfer"),
    (Method::GET, INTERNAL, "allow_transfer"),
    (Method::GET, "/internal-transfer/TRF1", "allow_transfer"),
    (Method::GET, "/balance", "allow_balance"),
];

async fn each_operation_needs_its_permission(scene: Scene) {
    let user = scene.user().await;
    for permission in [
        "backoffice_read",
        "backoffice_write",
        "backoffice_confirm",
        "admin",
    ] {
        let client = scene.token(None, &[permission]).await;
        for (method, path, needed) in OPERATIONS {
            let body = (method == Method::POST).then(|| b"{}".to_vec());
            let answer = client.send(method, path, body).await;
            if needed == permission {
                assert!(answer.status != 401 && answer.status != 403, "{path}");
            } else {
                answer.refused(403, "permission.missing");
            }
        }
    }
    for (method, path, needed) in OPERATIONS {
        let body = (method == Method::POST).then(|| b"{}".to_vec());
        let answer = user.own.send(method, path, body).await;
        if OWN.contains(&needed) {
            assert!(answer.status != 401 && answer.status != 403, "{path}");
        } else {
            answer.refused(403, "permission.missing");
        }
    }
}

async fn confirming_is_a_permission_of_its_own(scene: Scene) {
    let writer = scene.token(None, &["backoffice_write"]).await;
    writer
        .post(CONFIRM, "{}")
        .await
        .refused(403, "permission.missing");
    writer
        .post(CANCEL, "{}")
        .await
        .refused(400, "request.invalid");
    let confirmer = scene.token(None, &["backoffice_confirm"]).await;
    confirmer
        .post(CONFIRM, "{}")
        .await
        .refused(400, "request.invalid");
    for path in [CANCEL, DEPOSIT, WITHDRAW] {
        confirmer
            .post(path, "{}")
            .await
            .refused(403, "permission.missing");
    }
}

async fn transfers_and_balances_are_two_permissions(scene: Scene) {
    let user = scene.user().await;
    let transfers = scene.token(Some(&user.id), &["allow_transfer"]).await;
    transfers.get(INTERNAL).await.ok();
    transfers
        .get("/balance")
        .await
        .refused(403, "permission.missing");
    let balances = scene.token(Some(&user.id), &["allow_balance"]).await;
    balances.get("/balance").await.ok();
    balances
        .get(INTERNAL)
        .await
        .refused(403, "permission.missing");
}

async fn a_users_credential_opens_nothing_else(scene: Scene) {
    let user = scene.user().await;
    let all = [
        "backoffice_read",
        "backoffice_write",
        "admin",
        "allow_balance",
    ];
    let body = json!({
        "subject": unique("token"), "user_id": user.id, "permissions": all, "ttl_seconds": 60,
    });
    let issued = scene.admin().post("/admin/v1/tokens", body).await;
    // Such a token is refused, or opens no more than a user's.
    if issued.status == 200 {
        let client = scene.stranger().bearer(&issued.text("token"));
        client.get("/balance").await.ok();
        client
            .get(TRANSFERS)
            .await
            .refused(403, "permission.missing");
        client
            .post(DEPOSIT, "{}")
            .await
            .refused(403, "permission.missing");
        client
            .get("/admin/v1/tokens")
            .await
            .refused(403, "permission.missing");
    } else {
        issued.refused(400, "permissions.invalid");
    }
}

async fn a_credential_without_a_user_is_refused(scene: Scene) {
    let body = json!({"subject": unique("token"), "permissions": OWN, "ttl_seconds": 60});
    let token = scene
        .admin()
        .post("/admin/v1/tokens", body)
        .await
        .ok()
        .text("token");
    let client = scene.stranger().bearer(&token);
    for path in [INTERNAL, "/internal-transfer/TRF1", "/balance"] {
        client.get(path).await.refused(403, "user.required");
    }
    client
        .post(INTERNAL, "{}")
        .await
        .refused(403, "user.required");
}
