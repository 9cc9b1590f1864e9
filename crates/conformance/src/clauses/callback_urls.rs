//! §3, which callback URLs are taken.

use serde_json::{Value, json};

use crate::{
    clause::clauses,
    scene::{CANCEL, CONFIRM, DEPOSIT, INTERNAL, NOBODY, Scene, WITHDRAW, and, finish, open, send},
};

clauses! { "3.2 Callback URLs",
    "Decision: https": an_https_url_is_taken = "An `https` URL is taken as it is, by both APIs.",
    "Decision: http to allowed hosts only": an_http_url_is_refused
        = "An `http` URL to a host that the configuration does not allow is 400 `callback_url.invalid`.",
    "Decision: form": a_malformed_url_is_refused
        = "Other schemes, relative URLs, blanks, userinfo and texts that are no URL are 400 `callback_url.invalid`.",
    "Decision: public hosts only": an_inner_host_is_refused
        = "An address in any spelling, a name that no stranger can have, a fragment and a port that receivers do not use are 400 `callback_url.invalid`.",
    "Decision: at most 2,048 characters": a_long_url_is_refused
        = "A URL of 2,048 characters is taken, a longer one is 400 `callback_url.invalid`.",
    "Decision: one code in both APIs": every_operation_checks_its_url
        = "Deposit, withdraw, confirm, cancel and internal transfers all check their URL, under one code.",
}

async fn refused(scene: &Scene, url: Value) {
    let user = scene.user().await;
    let body = and(open(&user, "btc", "1"), "callbackUrl", url.clone());
    let answer = scene.office().post(DEPOSIT, body).await;
    answer.refused(400, "callback_url.invalid");
    let body = and(send("btc", "1", NOBODY), "callback_url", url);
    user.own
        .post(INTERNAL, body)
        .await
        .refused(400, "callback_url.invalid");
}

async fn an_https_url_is_taken(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    for url in [
        "https://example.com/callbacks?a=b",
        "https://example.com:8443",
        "https://EXAMPLE.com/X",
    ] {
        let body = and(send("btc", "1", &other.id), "callback_url", url);
        let answer = user.own.post(INTERNAL, body).await.ok();
        assert_eq!(answer.text("callback_url"), url);
        let body = and(open(&user, "btc", "1"), "callbackUrl", url);
        scene.office().post(DEPOSIT, body).await.ok();
    }
}

async fn an_http_url_is_refused(scene: Scene) {
    for url in [
        "http://example.com/",
        "HTTP://example.com/",
        "http://192.0.2.1/",
    ] {
        refused(&scene, json!(url)).await;
    }
}

async fn a_malformed_url_is_refused(scene: Scene) {
    for url in [
        "ftp://example.com/",
        "javascript:alert(1)",
        "/callbacks",
        "example.com",
        "https://",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://exa mple.com/",
        " ",
        "nowhere",
    ] {
        refused(&scene, json!(url)).await;
    }
    refused(&scene, json!(7)).await;
}

async fn an_inner_host_is_refused(scene: Scene) {
    for url in [
        "https://192.0.2.1/",
        "https://3221225985/",
        "https://0xc0.0.2.1/",
        "https://[2001:db8::1]/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://localhost.localdomain./",
        "https://receiver/",
        "https://example.com:22/",
        "https://example.com/#x",
        "https:\\\\example.com/",
    ] {
        refused(&scene, json!(url)).await;
    }
}

async fn a_long_url_is_refused(scene: Scene) {
    let user = scene.user().await;
    let most = format!("https://example.com/{}", "x".repeat(2_048 - 20));
    let body = and(open(&user, "btc", "1"), "callbackUrl", &*most);
    scene.office().post(DEPOSIT, body).await.ok();
    refused(&scene, json!(format!("{most}x"))).await;
}

async fn every_operation_checks_its_url(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    for (path, body) in [
        (DEPOSIT, open(&user, "btc", "1")),
        (WITHDRAW, open(&user, "btc", "1")),
        (CONFIRM, finish(&user, held)),
        (CANCEL, finish(&user, held)),
    ] {
        let body = and(body, "callbackUrl", "ftp://example.com/");
        let answer = scene.office().post(path, body).await;
        let wrong = answer.refused(400, "callback_url.invalid").wrong();
        assert_eq!(
            wrong,
            [("callbackUrl".to_owned(), "callback_url.invalid".to_owned())]
        );
    }
}
