//! Windows that come from elsewhere.

use super::at_work::Office;

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
