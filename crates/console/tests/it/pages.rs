//! Every page, with nothing on it and with much: well-formed, light, labelled, and of our own words alone.

use crate::{
    browser::{Browser, Page},
    crowd::crowded,
    markup::Document,
    world::{BOB, OLGA, World, operator, reader},
};

const PAGES: [&str; 17] = [
    "/console",
    "/console?period=month",
    "/console/queue",
    "/console/queue?work=approvals&sort=value",
    "/console/transfers",
    "/console/transfers?rows=200&q=alice",
    "/console/users",
    "/console/callbacks",
    "/console/callbacks?state=all",
    "/console/rules",
    "/console/rules?asset=asset-1&from=20",
    "/console/audit",
    "/console/integrity",
    "/console/integrity?examine=now",
    "/console/operators",
    "/console/help",
    "/console/transfers?min=x&max=1",
];
/// The most that a page weighs, in bytes.
const WEIGHT_MAX: usize = 100 * 1024;

/// What must hold of any page.
#[track_caller]
fn is_sound(path: &str, page: &Page) {
    let weight = page.body.len();
    assert!(weight < WEIGHT_MAX, "{path} weighs {weight}");
    assert!(
        !page.body.contains("<script>alert"),
        "{path}: something is not escaped"
    );
    let document = page.document();
    let ids = document.ids();
    for tag in &document.tags {
        for (name, value) in &tag.attributes {
            assert!(
                name != "style" && !name.starts_with("on"),
                "{path}: {name} is inline"
            );
            let outside = ["href", "src", "action", "formaction"].contains(&name.as_str());
            let own = value.starts_with("/console") || value.starts_with('#');
            assert!(!outside || own, "{path}: {name} leads to {value}");
            if ["for", "aria-labelledby", "aria-describedby"].contains(&name.as_str()) {
                let known = value.split_whitespace().all(|id| ids.contains(id));
                assert!(known, "{path}: {name} names {value}, which is not there");
            }
        }
        let has = |name: &str| tag.attribute(name).is_some();
        match tag.name.as_str() {
            "style" => panic!("{path}: style is inline"),
            "script" => assert!(has("src"), "{path}: script is inline"),
            "th" => assert!(has("scope"), "{path}: a header of nothing"),
            "img" => assert!(has("alt"), "{path}: an image without words"),
            "svg" => assert!(has("aria-label"), "{path}: a chart without words"),
            _ => {}
        }
    }
    are_labelled(path, &document);
    let one = |name| document.all(name).count();
    assert_eq!((one("h1"), one("main"), one("title")), (1, 1, 1), "{path}");
    assert!(
        page.body.contains("class=\"skip\" href=\"#main\""),
        "{path}"
    );
}

#[track_caller]
fn are_labelled(path: &str, document: &Document) {
    let labels: Vec<&str> = document
        .all("label")
        .filter_map(|(_, tag)| tag.attribute("for"))
        .collect();
    for tag in &document.tags {
        let is_field = ["input", "select", "textarea"].contains(&tag.name.as_str());
        if is_field && tag.attribute("type") != Some("hidden") {
            let id = tag
                .attribute("id")
                .unwrap_or_else(|| panic!("{path}: a field without id"));
            assert!(labels.contains(&id), "{path}: {id} has no label");
        }
    }
    for name in ["button", "a", "summary"] {
        for (number, tag) in document.all(name) {
            let named = tag.attribute("aria-label").is_some();
            let text = document.text_of(number);
            assert!(
                named || !text.trim().is_empty(),
                "{path}: a {name} without words"
            );
        }
    }
}

#[actix_web::test]
async fn every_page_is_sound_with_nothing_on_it() {
    for world in [World::empty(), World::new()] {
        let browser = Browser::of(&world, operator(OLGA));
        for path in PAGES {
            let page = browser.get(path).await;
            assert!([200, 400].contains(&page.status), "{path}: {}", page.body);
            is_sound(path, &page);
        }
    }
}

#[actix_web::test]
async fn every_page_is_sound_with_much_on_it_by_hostile_hands() {
    let world = crowded().await;
    let browser = Browser::of(&world, operator(OLGA));
    let more = [
        "/console/transfers/6".to_owned(),
        format!("/console/users/{BOB}"),
        "/console/rules/edit?rule=fees:withdrawal:btc".to_owned(),
        "/console/rules/edit?rule=limits:withdrawal:btc&daily=x".to_owned(),
        "/console/rules/edit?rule=asset:new".to_owned(),
        "/console/rules/edit?rule=rate:btc&rate=51000".to_owned(),
        "/console/transfers/999".to_owned(),
        "/console/nowhere".to_owned(),
    ];
    let all = PAGES.iter().map(|path| (*path).to_owned()).chain(more);
    for path in all {
        let page = browser.get(&path).await;
        assert!(page.status < 500, "{path}: {}", page.body);
        is_sound(&path, &page);
    }
}

#[actix_web::test]
async fn every_page_answers_whoever_asks_for_its_head() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    for path in PAGES {
        assert_eq!(
            browser.head(path).await.status,
            browser.get(path).await.status,
            "{path}"
        );
    }
}

#[actix_web::test]
async fn empty_pages_say_what_would_be_there() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    for (path, words) in [
        ("/console/queue", "Nothing waits."),
        ("/console/transfers", "There is no transfer yet."),
        ("/console/callbacks", "No dead letters."),
        ("/console/audit", "Nothing was done that matches."),
        ("/console/rules", "Nothing is stopped."),
        ("/console", "Nothing moved in this time."),
    ] {
        let text = browser.get(path).await.ok().text();
        assert!(text.contains(words), "{path}: {text}");
    }
}

#[actix_web::test]
async fn where_one_is_stands_out_in_the_navigation() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    for (path, name) in [
        ("/console", "Overview"),
        ("/console/queue", "Queue"),
        ("/console/audit", "Audit"),
        ("/console/operators", "Operators"),
    ] {
        let document = browser.get(path).await.ok().document();
        let current: Vec<String> = document
            .all("a")
            .filter(|(_, tag)| {
                tag.attribute("aria-current") == Some("page") && tag.attribute("data-key").is_some()
            })
            .map(|(number, _)| document.text_of(number))
            .collect();
        assert_eq!(current, [name], "{path}");
    }
}

#[actix_web::test]
async fn whoever_has_not_signed_in_is_led_there_and_back() {
    let world = World::new();
    let stranger = Browser::stranger(&world);
    let page = stranger.get("/console/queue?work=approvals&sort=age").await;
    let to = "/console/sign-in?next=%2Fconsole%2Fqueue%3Fwork%3Dapprovals%26sort%3Dage";
    assert_eq!(page.leads(), to);
    let page = stranger.post("/console/transfers/1/confirm", &[]).await;
    assert_eq!(page.status, 401);
    is_sound("signed out", &page);
}

#[actix_web::test]
async fn what_may_not_be_done_is_not_offered() {
    let world = crowded().await;
    let browser = Browser::of(&world, reader("rita"));
    for path in PAGES {
        let document = browser.get(path).await.document();
        let posts = document
            .all("form")
            .filter(|(_, tag)| tag.attribute("method") == Some("post"));
        let actions: Vec<&str> = posts
            .filter_map(|(_, tag)| tag.attribute("action"))
            .collect();
        assert_eq!(
            actions,
            ["/console/sign-out", "/console/settings"],
            "{path}"
        );
        assert!(
            !document
                .tags
                .iter()
                .any(|tag| tag.attribute("formaction").is_some()),
            "{path}"
        );
    }
    for path in ["/console/rules/edit?rule=fees:withdrawal:btc"] {
        assert_eq!(browser.get(path).await.status, 403);
    }
}
