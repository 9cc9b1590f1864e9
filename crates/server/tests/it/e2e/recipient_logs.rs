//! What the log says about recipients: nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    exchange::{INTERNAL, WAIT},
    recipients::{ABSENT, Scene, USERS, payment},
};

/// Of each request the log says the same, whoever the recipient is, and never whom it names.
#[tokio::test]
async fn the_log_says_nothing_about_recipients() {
    let scene = Scene::set().await;
    let (rich, poor) = (scene.trader(0), scene.trader(1));
    let all = USERS
        .map(|(name, id, _)| (name, id))
        .into_iter()
        .chain([ABSENT]);
    let all: Vec<(&str, &str)> = all.collect();
    for (sender, who) in [(&rich, "rich"), (&poor, "poor")] {
        for (name, _) in &all {
            let body = payment(&format!("{name}@example.com"), "", "");
            for headers in [vec![], vec![WAIT]] {
                let id = format!("{who}-{}-{name}", headers.len());
                let mut headers = headers.clone();
                headers.push(("x-request-id", &id));
                sender
                    .post_with(INTERNAL, body.clone(), &headers)
                    .await
                    .ok();
            }
            let body = json!({"recipient": format!("{name}@example.com")}).to_string();
            let id = format!("{who}-book-{name}");
            let headers = [("x-request-id", id.as_str())];
            sender.post_with("/address-book", body, &headers).await.ok();
        }
    }
    scene.books.settled().await;
    let log = scene.service.stopped().await.stderr;
    let mut by_name: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let Some(id) = line["request_id"].as_str() else {
            continue;
        };
        if let Some((name, _)) = all.iter().find(|(name, _)| id.ends_with(name)) {
            let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
            let about = id.replace(name, "");
            let said = format!("{about} {keys:?} {} {}", line["message"], line["status"]);
            by_name.entry(name).or_default().push(said);
        }
    }
    assert_eq!(by_name.len(), 4, "{log}");
    let expected = by_name["absent"].clone();
    assert_eq!(expected.len(), 6, "{expected:?}");
    for (name, said) in by_name {
        assert_eq!(said, expected, "{name}");
    }
    for (name, id) in all {
        for secret in [format!("{name}@example.com"), id.to_owned()] {
            // Administrators name users by id in paths, which are patterns in the log.
            let line = log.lines().find(|line| line.contains(&secret));
            assert_eq!(line, None, "{secret} was logged");
        }
    }
}
