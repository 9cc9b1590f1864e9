//! §4 and §5, the service itself and its document.

use reqwest::Method;
use serde_json::Value;

use crate::{clause::clauses, scene::Scene};

clauses! { "4.5 The service itself",
    "Decision: `/health/live`, `/health/ready`": health_needs_no_credentials
        = "`/health/live` and `/health/ready` answer `{\"status\":\"ok\"}` without credentials.",
    "Decision: Prometheus": metrics_are_prometheus_text = "`/metrics` is Prometheus text that counts requests by route.",
    "Decision: OpenAPI 3.1": the_document_is_openapi_3_1
        = "`/openapi.json` is an OpenAPI 3.1 document of the bare paths of both APIs.",
    "Decision: offline": the_page_of_the_document_needs_no_stranger
        = "`/docs/` and every file it names come from this service; no other host is named.",
    "Decision: HEAD is GET without its body": head_answers_like_get
        = "HEAD answers the status and headers of GET, without a body.",
    "Decision: nothing is cached": answers_about_money_are_not_cached
        = "No answer about money may be kept by a cache.",
}

async fn health_needs_no_credentials(scene: Scene) {
    for path in ["/health/live", "/health/ready"] {
        let answer = scene.stranger().get(path).await.ok();
        assert_eq!(answer.text, r#"{"status":"ok"}"#);
    }
}

async fn metrics_are_prometheus_text(scene: Scene) {
    scene.stranger().get("/health/live").await.ok();
    let answer = scene.stranger().get("/metrics").await;
    assert_eq!(answer.status, 200);
    let media = answer.header("content-type").unwrap_or_default();
    assert!(media.starts_with("text/plain"), "{media}");
    assert!(
        answer.text.contains("bursar_http_requests_total{"),
        "{}",
        answer.text
    );
}

async fn the_document_is_openapi_3_1(scene: Scene) {
    let document = scene.stranger().get("/openapi.json").await.ok().json();
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    let paths = document["paths"].as_object().expect("paths");
    for path in [
        crate::scene::DEPOSIT,
        crate::scene::HISTORY,
        crate::scene::TRANSFERS,
        "/internal-transfer/{code}",
        "/balance",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    assert!(!paths.keys().any(|path| path.starts_with("/api/v1")));
}

/// The files that a page names, and what it names of other hosts.
fn named(html: &str) -> Vec<String> {
    let parts = html.split(['"', '\'']);
    let files = parts.filter(|part| {
        let ends = [".js", ".css", ".png", ".json"];
        ends.iter().any(|end| part.ends_with(end)) || part.contains("://")
    });
    files.map(str::to_owned).collect()
}

async fn the_page_of_the_document_needs_no_stranger(scene: Scene) {
    let moved = scene.stranger().get("/docs").await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("/docs/"))
    );
    let page = scene.stranger().get("/docs/").await;
    assert_eq!(page.status, 200);
    let files = named(&page.text);
    assert!(files.len() > 3, "{files:?}");
    for file in files {
        assert!(!file.contains("//"), "{file}");
        let path = match file.strip_prefix('/') {
            Some(_) => file,
            None => format!("/docs/{}", file.trim_start_matches("./")),
        };
        let answer = scene.stranger().get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        // The bundles carry links in their texts; what decides is where the page's set-up points.
        if path.contains("initializer") {
            assert!(
                named(&answer.text).iter().all(|name| !name.contains("//")),
                "{path}"
            );
        }
    }
}

async fn head_answers_like_get(scene: Scene) {
    let user = scene.user().await;
    for path in ["/balance", "/internal-transfer", "/api/v1/balance"] {
        let get = user.own.get(path).await.ok();
        let head = user.own.send(Method::HEAD, path, None).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
    let missing = scene.stranger().send(Method::HEAD, "/nowhere", None).await;
    assert_eq!(missing.status, 404);
}

async fn answers_about_money_are_not_cached(scene: Scene) {
    let user = scene.user().await;
    let history = format!("{}?userId={}", crate::scene::HISTORY, user.id);
    for answer in [
        user.own.get("/balance").await.ok(),
        user.own.get("/internal-transfer").await.ok(),
        scene.reader().get(&history).await.ok(),
        scene.reader().get("/admin/v1/assets").await.ok(),
    ] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_ne!(answer.json(), Value::Null);
    }
}
