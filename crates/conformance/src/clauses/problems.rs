//! §0, errors, status codes and request ids.

use reqwest::Method;
use serde_json::json;

use crate::{
    answer::{Answer, keys},
    clause::clauses,
    scene::{
        CONFIRM, DEPOSIT, INTERNAL, NOBODY, Scene, TRANSFERS, WITHDRAW, finish, open, send, unique,
    },
};

clauses! { "0.4 Errors",
    "Decision: RFC 9457": every_refusal_is_a_problem
        = "Every refusal is `application/problem+json` with `type`, `title`, `status`, `detail`, `instance` and `code`, and nothing is cached.",
    "Decision: a URI for each code": the_type_is_made_of_the_code
        = "`type` is `urn:bursar:problem:` and the code; `status` is the answer's status.",
    "Decision: the request id finds the log lines": the_instance_is_the_request_id
        = "`instance` is the `X-Request-Id` of the answer.",
    "Decision: a client mends everything at once": every_wrong_field_is_listed
        = "`errors` lists every wrong field with `field`, `code` and `detail`; with several the code of the whole is `request.invalid`.",
    "Decision: one wrong field lends its code to the whole": one_wrong_field_lends_its_code
        = "With one wrong field its code is the problem's code.",
    "Decision: 400": a_malformed_request_is_400 = "A malformed or invalid field is 400.",
    "Decision: 401": bad_credentials_are_401_with_a_challenge
        = "No or bad credentials are 401 with `WWW-Authenticate`.",
    "Decision: 403": a_missing_permission_is_403 = "A missing permission is 403 `permission.missing`.",
    "Decision: 404": unknown_things_are_404
        = "Unknown things and other users' things are 404.",
    "Decision: 409": a_state_that_forbids_is_409 = "A transfer whose state forbids it is 409.",
    "Decision: bodies of up to 64 KiB": a_body_over_64_kib_is_413
        = "A body of 65,536 bytes is read, one of 65,537 is 413 `body.too_large`.",
    "Decision: JSON only": another_media_type_is_415
        = "Another media type, none, and compressed bodies are 415 `media_type.unsupported`.",
    "Decision: 422": a_business_rule_refuses_with_422 = "A business rule refuses with 422.",
    "Decision: unknown routes are problems too": an_unknown_route_is_a_problem
        = "An unknown path is 404 `route.unknown`, whatever the method.",
    "Decision: unknown methods are problems too": an_unknown_method_is_a_problem
        = "A method that a path does not answer to is 405 `method.not_allowed` with `Allow`.",
    "Decision: `X-Request-Id` is taken if it is a sane token": a_request_id_is_taken_and_echoed
        = "A request id of 1 to 128 letters, digits and `-_.:+/=@` is echoed on every answer.",
    "Decision: else one is made": a_request_id_is_made
        = "Without a sane one an id is made, a new one for each request.",
}

/// What every problem has.
fn is_problem(answer: &Answer) {
    let problem = answer.json();
    let status = answer.status;
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let names = keys(&answer.text);
    let first = ["type", "title", "status", "detail", "instance", "code"];
    assert_eq!(
        names.get(..6),
        Some(&first.map(String::from)[..]),
        "{problem}"
    );
    for name in ["type", "title", "detail", "instance", "code"] {
        let text = answer.text(name);
        assert!(!text.is_empty(), "{name} of {problem}");
    }
    assert_eq!(problem["status"], status);
}

async fn refusals(scene: &Scene) -> Vec<Answer> {
    let user = scene.user().await;
    vec![
        scene.office().post(DEPOSIT, "{}").await,
        scene.stranger().get(TRANSFERS).await,
        user.own.get(TRANSFERS).await,
        user.own.get("/internal-transfer/TRF123456").await,
        scene.office().get("/nowhere").await,
        scene.office().delete(DEPOSIT).await,
        scene
            .office()
            .with("content-type", "text/plain")
            .post(DEPOSIT, "{}")
            .await,
        scene.office().post(WITHDRAW, open(&user, "btc", "1")).await,
    ]
}

async fn every_refusal_is_a_problem(scene: Scene) {
    for answer in refusals(&scene).await {
        is_problem(&answer);
    }
}

async fn the_type_is_made_of_the_code(scene: Scene) {
    for answer in refusals(&scene).await {
        let expected = format!("urn:bursar:problem:{}", answer.text("code"));
        assert_eq!(answer.text("type"), expected);
        assert_eq!(answer.get("status"), answer.status);
    }
}

async fn the_instance_is_the_request_id(scene: Scene) {
    for answer in refusals(&scene).await {
        assert_eq!(
            Some(&*answer.text("instance")),
            answer.header("x-request-id")
        );
    }
}

async fn every_wrong_field_is_listed(scene: Scene) {
    let body = json!({
        "userId": "942fe02b", "assetId": "no such thing", "amount": -1,
        "comment": "x".repeat(1_001), "callbackUrl": "ftp://127.0.0.1/",
    });
    let answer = scene.office().post(DEPOSIT, body).await;
    let answer = answer.refused(400, "request.invalid");
    let expected = [
        ("userId", "userId.invalid"),
        ("assetId", "assetId.invalid"),
        ("amount", "amount.invalid"),
        ("comment", "comment.too_long"),
        ("callbackUrl", "callback_url.invalid"),
    ];
    assert_eq!(
        answer.wrong(),
        expected.map(|(f, c)| (f.to_owned(), c.to_owned()))
    );
    let errors = answer.get("errors");
    let first = errors.get(0).expect("there is an error").to_string();
    let mut names = keys(&first);
    names.sort();
    assert_eq!(names, ["code", "detail", "field"]);
}

async fn one_wrong_field_lends_its_code(scene: Scene) {
    let user = scene.user().await;
    let answer = scene.office().post(DEPOSIT, open(&user, "btc", "0")).await;
    let answer = answer.refused(400, "amount.zero");
    assert_eq!(
        answer.wrong(),
        [("amount".to_owned(), "amount.zero".to_owned())]
    );
}

async fn a_malformed_request_is_400(scene: Scene) {
    scene
        .office()
        .post(DEPOSIT, "{")
        .await
        .refused(400, "json.malformed");
    let answer = scene.reader().get(&format!("{TRANSFERS}?userId=x")).await;
    answer.refused(400, "userId.invalid");
}

async fn bad_credentials_are_401_with_a_challenge(scene: Scene) {
    let answer = scene.stranger().get("/balance").await;
    let answer = answer.refused(401, "credentials.missing");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    let answer = scene.stranger().bearer("bur_nobodys").get("/balance").await;
    let answer = answer.refused(401, "token.invalid");
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
}

async fn a_missing_permission_is_403(scene: Scene) {
    let answer = scene.reader().post(DEPOSIT, "{}").await;
    let answer = answer.refused(403, "permission.missing");
    assert!(
        answer.text("detail").contains("backoffice_write"),
        "{}",
        answer.text
    );
}

async fn unknown_things_are_404(scene: Scene) {
    let (user, other) = (scene.user().await, scene.rich("btc", "1").await);
    let held = scene.withdrawal(&other, "btc", "1").await.id();
    let answer = scene.office().post(CONFIRM, finish(&user, held)).await;
    answer.refused(404, "transfer.unknown");
    let body = json!({"userId": NOBODY, "assetId": "btc", "amount": 1});
    scene
        .office()
        .post(DEPOSIT, body)
        .await
        .refused(404, "user.unknown");
    let answer = scene
        .office()
        .post(DEPOSIT, open(&user, "cf-none", "1"))
        .await;
    answer.refused(404, "asset.unknown");
    let answer = user
        .own
        .post(INTERNAL, send("cf-none", "1", &other.id))
        .await;
    answer.refused(404, "currency.unknown");
}

async fn a_state_that_forbids_is_409(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    scene.office().post(CONFIRM, finish(&user, held)).await.ok();
    let cancel = crate::scene::CANCEL;
    let answer = scene.office().post(cancel, finish(&user, held)).await;
    answer.refused(409, "transfer.already_completed");
}

async fn a_body_over_64_kib_is_413(scene: Scene) {
    for (length, status, code) in [
        (65_536, 400, "request.invalid"),
        (65_537, 413, "body.too_large"),
        (1_000_000, 413, "body.too_large"),
    ] {
        let body = format!("{{{}}}", " ".repeat(length - 2));
        scene
            .office()
            .post(DEPOSIT, body)
            .await
            .refused(status, code);
    }
}

async fn another_media_type_is_415(scene: Scene) {
    let office = scene.office();
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "text/json",
        "",
    ] {
        let answer = office.with("content-type", media).post(DEPOSIT, "{}").await;
        answer.refused(415, "media_type.unsupported");
    }
    let answer = office
        .with("content-encoding", "gzip")
        .post(DEPOSIT, "{}")
        .await;
    answer.refused(415, "media_type.unsupported");
    for media in ["application/json; charset=utf-8", "APPLICATION/JSON"] {
        let answer = office.with("content-type", media).post(DEPOSIT, "{}").await;
        answer.refused(400, "request.invalid");
    }
}

async fn a_business_rule_refuses_with_422(scene: Scene) {
    let user = scene.user().await;
    let answer = scene.office().post(WITHDRAW, open(&user, "btc", "1")).await;
    answer.refused(422, "balance.insufficient");
}

async fn an_unknown_route_is_a_problem(scene: Scene) {
    for path in [
        "/",
        "/nowhere",
        "/admin/v1",
        "/back-api",
        "/internal-transfer/a/b",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = scene.stranger().send(method, path, None).await;
            answer.refused(404, "route.unknown");
        }
    }
}

async fn an_unknown_method_is_a_problem(scene: Scene) {
    for (path, method, allow) in [
        (DEPOSIT, Method::GET, "POST"),
        (DEPOSIT, Method::DELETE, "POST"),
        (TRANSFERS, Method::POST, "GET, HEAD"),
        (INTERNAL, Method::PATCH, "GET, HEAD, POST"),
        ("/balance", Method::PUT, "GET, HEAD"),
    ] {
        let answer = scene.stranger().send(method, path, None).await;
        let answer = answer.refused(405, "method.not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
}

async fn a_request_id_is_taken_and_echoed(scene: Scene) {
    let longest = "x".repeat(128);
    for id in [&*unique("id"), "a", "A-b_c.d:e+f/g=h@i", &longest] {
        let answer = scene.office().with("x-request-id", id).get(TRANSFERS).await;
        assert_eq!(answer.ok().header("x-request-id"), Some(id));
        let answer = scene
            .office()
            .with("x-request-id", id)
            .post(DEPOSIT, "{")
            .await;
        assert_eq!(answer.header("x-request-id"), Some(id));
        assert_eq!(answer.text("instance"), id);
    }
}

async fn a_request_id_is_made(scene: Scene) {
    let mut seen = vec![];
    let long = "x".repeat(129);
    for id in [
        None,
        None,
        Some(&*long),
        Some("two words"),
        Some("<b>"),
        Some(""),
    ] {
        let client = match id {
            Some(id) => scene.office().with("x-request-id", id),
            None => scene.office(),
        };
        let answer = client.get("/health/live").await;
        let made = answer.header("x-request-id").expect("there is an id");
        assert!(made.len() >= 16 && Some(made) != id, "{made}");
        assert!(!seen.contains(&made.to_owned()), "{made}");
        seen.push(made.to_owned());
    }
}
