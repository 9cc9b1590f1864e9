//! Operators, where they are signed in, and the end of that by a colleague.

use std::net::SocketAddr;

use bursar_app::{Caller, csrf_token};
use bursar_console::Visitor;

use crate::{
    browser::Browser,
    world::{NOW, OLGA, OTTO, World, operator, reader},
};

const END: &str = "/console/operators/end";

#[actix_web::test]
async fn the_page_tells_who_may_sign_in_and_who_has_from_where() {
    let world = World::new();
    world.signed_in(OTTO, "Firefox on a lost laptop").await;
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console/operators").await.ok();
    let text = page.text();
    for words in [
        "otto Active",
        "backoffice_read",
        "In use",
        "192.0.2.7",
        "Firefox on a lost laptop",
        "End signs otto out there at once: what that browser sends next is refused",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(page.body.contains("/console/audit?target=operator:otto"));
}

#[actix_web::test]
async fn a_colleague_ends_a_session_and_the_log_says_who() {
    let world = World::new();
    let session = world.signed_in(OTTO, "a browser").await;
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console/operators").await.ok();
    let done = browser.press(&page, END, &[]).await;
    assert_eq!(done.leads(), "/console/operators");
    assert_eq!(world.operators.sessions()[0].ended_at, Some(NOW));
    let audit = world.operators.audited().pop().expect("it is told");
    assert_eq!(audit.action, "operator.end_session");
    assert_eq!(audit.target, "operator:otto");
    assert_eq!(audit.actor.as_str(), OLGA);
    assert_eq!(audit.credential, format!("session:{OLGA}"));
    assert_eq!(audit.request_id, "request-1");
    let text = browser.get("/console/operators").await.ok().text();
    assert!(text.contains("Signed in nowhere."), "{text}");
    // Who is not there has no session to end, and neither has somebody else this one.
    let id = session.id.to_string();
    let token = format!("token-of-{OLGA}");
    for (who, id, status) in [(OTTO, "x", 404), (OLGA, id.as_str(), 404)] {
        let fields = [("csrf", token.as_str()), ("operator", who), ("id", id)];
        assert_eq!(
            browser.post(END, &fields).await.status,
            status,
            "{who} {id}"
        );
    }
}

#[actix_web::test]
async fn whoever_ends_their_own_session_is_out() {
    let world = World::new();
    let session = world.signed_in(OLGA, "a browser").await;
    let visitor = Visitor {
        session: session.id.to_string(),
        ..operator(OLGA)
    };
    let browser = Browser::of(&world, visitor);
    let page = browser.get("/console/operators").await.ok();
    assert!(page.text().contains("End yours: sign out"));
    let done = browser.press(&page, END, &[]).await;
    assert_eq!(done.leads(), "/console/sign-in");
    assert_eq!(world.operators.sessions()[0].ended_at, Some(NOW));
}

#[actix_web::test]
async fn whoever_makes_sessions_up_is_sent_away_and_may_still_sign_in() {
    let world = World::new();
    let at: SocketAddr = "203.0.113.9:1000".parse().expect("it is an address");
    let caller = Caller {
        request_id: "request-1".to_owned(),
        address: Some(at.ip()),
    };
    // Whatever has the form of a session's token.
    for number in 0..600 {
        let made_up = csrf_token(&number.to_string());
        let found = world.app().session(&made_up, &caller, true).await;
        assert!(found.expect("it is looked up").is_none());
    }
    let mut browser = Browser::stranger(&world);
    browser.at = Some(at);
    browser.cookies = format!("bursar_session={}", csrf_token("new"));
    let page = browser.get("/console/queue").await;
    assert_eq!(page.status, 429, "{}", page.body);
    assert_eq!(page.header("retry-after"), "60");
    browser.get("/console/sign-in").await.ok();
    // What has not the form of one is none, and costs nothing.
    browser.cookies = "bursar_session=x".to_owned();
    let form = browser.get("/console/queue").await.leads();
    assert!(form.starts_with("/console/sign-in"), "{form}");
}

#[actix_web::test]
async fn the_page_is_for_those_who_may_administer() {
    let world = World::new();
    let session = world.signed_in(OTTO, "a browser").await;
    let rita = Browser::of(&world, reader("rita"));
    assert_eq!(rita.get("/console/operators").await.status, 403);
    let overview = rita.get("/console").await.ok();
    assert!(!overview.body.contains("/console/operators"));
    let id = session.id.to_string();
    let fields = [
        ("csrf", "token-of-rita"),
        ("operator", OTTO),
        ("id", id.as_str()),
    ];
    assert_eq!(rita.post(END, &fields).await.status, 403);
    assert_eq!(world.operators.sessions()[0].ended_at, None);
}

#[actix_web::test]
async fn many_operators_come_page_by_page() {
    let world = World::new();
    for number in 0..26 {
        world.employed(&format!("op{number:02}")).await;
    }
    let browser = Browser::of(&world, operator(OLGA));
    let first = browser.get("/console/operators").await.ok();
    assert!(first.text().contains("Waits for its first code"));
    assert!(first.text().contains("op24") && !first.text().contains("op25"));
    let next = "/console/operators?after=op24";
    assert!(first.body.contains(next), "{}", first.body);
    let second = browser.get(next).await.ok().text();
    assert!(second.contains("op25") && !second.contains("op24"));
}
