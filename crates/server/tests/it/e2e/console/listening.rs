//! Windows that listen, and windows that come from elsewhere.

use super::{super::eventually, at_work::Office, browser::operator};

/// As if the window had been hidden and is seen again: it listens anew.
const SEEN_AGAIN: &str = "document.dispatchEvent(new Event('visibilitychange'))";

#[tokio::test]
async fn a_link_from_a_chat_opens_the_page_for_whoever_is_signed_in() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let anna = office.anna().await;
    let page = format!("/console/transfers/{id}");
    let chat = format!(
        "data:text/html,<a id=go href=\"{}{page}\">Look</a>",
        anna.base
    );
    for _ in 0..2 {
        anna.open_elsewhere(&chat).await;
        anna.click("#go").await;
        anna.find("header.bar").await;
        assert_eq!(anna.path().await, page);
    }
    // Nobody is let in by it.
    let stranger = office.chromium.browser(&office.service).await;
    stranger.open_elsewhere(&chat).await;
    stranger.click("#go").await;
    stranger.find("form.sign-in").await;
    let form = format!("/console/sign-in?next=%2Fconsole%2Ftransfers%2F{id}");
    assert_eq!(stranger.path().await, form);
    stranger.close().await;
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn a_page_that_may_not_listen_any_more_says_so() {
    let office = Office::open().await;
    let anna = office.anna().await;
    anna.open("/console/queue").await;
    let out = operator(office.database.url(), &["disable", "anna"]).await;
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    anna.run(SEEN_AGAIN).await;
    anna.sees("No longer live · Load again").await;
    anna.click("#news a").await;
    anna.find("form.sign-in").await;
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn whoever_goes_from_page_to_page_is_told_on_each_of_them() {
    let office = Office::open().await;
    let anna = office.anna().await;
    for _ in 0..20 {
        for path in ["/console/queue", "/console/transfers"] {
            anna.open(path).await;
            anna.run(SEEN_AGAIN).await;
        }
    }
    let id = office.withdrawal("12.50", None).await;
    anna.sees("1 new").await;
    anna.click("#news a").await;
    anna.find(&format!("#rows [data-id=\"{id}\"]")).await;
    let client = office.service.client();
    // Those of the pages that it has left end once the service hears of it.
    eventually("few streams are open", async || {
        let metrics = client.get("/metrics").await.text;
        let open = metrics
            .lines()
            .find_map(|line| line.strip_prefix("bursar_console_streams "));
        let open: u32 = open.expect("streams are counted").parse().unwrap();
        (1..=12).contains(&open).then_some(())
    })
    .await;
    anna.close().await;
    office.close().await;
}
