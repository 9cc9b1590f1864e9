//! Health, figures, the document and the page that shows it.

use std::sync::atomic::Ordering;

use crate::world::{Sent, World};

#[actix_web::test]
async fn the_service_says_how_it_is() {
    let world = World::new();
    for path in ["/health/live", "/health/ready"] {
        let answer = world.send(Sent::get(path)).await.ok();
        assert_eq!(answer.body, r#"{"status":"ok"}"#);
    }
    world.state.ready.store(false, Ordering::Relaxed);
    world.send(Sent::get("/health/live")).await.ok();
    let stopping = world.send(Sent::get("/health/ready")).await;
    assert_eq!(stopping.refusal(), (503, "service.unavailable".into()));
}

#[actix_web::test]
async fn figures_are_given_as_text() {
    let world = World::new();
    let answer = world.send(Sent::get("/metrics")).await.ok();
    assert_eq!(answer.body, "bursar_up 1\n");
    let text = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(text));
}

#[actix_web::test]
async fn the_page_needs_no_stranger() {
    let world = World::new();
    let moved = world.send(Sent::get("/docs")).await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("/docs/"))
    );
    let index = world.send(Sent::get("/docs/")).await.ok();
    assert!(
        index
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    for line in index.body.lines() {
        for attribute in ["src=\"", "href=\""] {
            for value in line.split(attribute).skip(1) {
                let file = value.split('"').next().unwrap_or_default();
                assert!(!file.contains("//"), "{file}");
                let path = format!("/docs/{}", file.trim_start_matches("./"));
                world.send(Sent::get(&path)).await.ok();
            }
        }
    }
    let start = world
        .send(Sent::get("/docs/swagger-initializer.js"))
        .await
        .ok();
    assert!(start.body.contains("\"/openapi.json\""), "{}", start.body);
    assert!(
        start.body.contains("\"validatorUrl\": \"none\""),
        "{}",
        start.body
    );
    let missing = world.send(Sent::get("/docs/nothing.js")).await;
    assert_eq!(missing.refusal(), (404, "route.unknown".into()));
}
