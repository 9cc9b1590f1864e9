//! Links from chats, mails and tickets.

use crate::{
    browser::{Browser, Page},
    world::World,
};

const LINK: &str = "/console/queue?work=approvals&q=%22%3E%3Cscript%3E";
const TO: &str = "/console/queue?work=approvals&amp;q=%22%3E%3Cscript%3E";

fn following(world: &World) -> Browser<'_> {
    let mut browser = Browser::stranger(world);
    browser.says = says("cross-site", "navigate");
    browser
}

fn says(site: &str, mode: &str) -> Vec<(&'static str, String)> {
    vec![
        ("sec-fetch-site", site.to_owned()),
        ("sec-fetch-mode", mode.to_owned()),
    ]
}

/// Whether it is the page that asks for the same address.
fn asks_again(page: &Page) -> bool {
    page.body.contains("http-equiv=\"refresh\"")
}

#[actix_web::test]
async fn a_link_from_another_site_is_asked_for_again_by_our_own_page() {
    let world = World::new();
    let page = following(&world).get(LINK).await.ok();
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0; url={TO}\">");
    assert!(page.body.contains(&refresh), "{}", page.body);
    assert!(page.body.contains(&format!("href=\"{TO}\">Go on")));
    assert_eq!(page.header("cache-control"), "no-store");
    let set = page.header("set-cookie");
    let kept = "; Path=/console; Max-Age=5; HttpOnly; SameSite=Lax";
    assert!(set.ends_with(kept), "{set}");
    // Who is signed in nowhere comes to the form once our own page asks.
    let mut browser = following(&world);
    browser.says = says("same-origin", "navigate");
    let form = browser.get(LINK).await.leads();
    assert!(form.starts_with("/console/sign-in?next="), "{form}");
}

#[actix_web::test]
async fn nobody_is_asked_again_and_again() {
    let world = World::new();
    let mut browser = following(&world);
    browser.cookies = browser.get(LINK).await.cookies();
    assert_eq!(browser.get(LINK).await.status, 303);
    // Another link is another one.
    assert!(asks_again(&browser.get("/console").await));
    // A browser that sends the session's cookie has nothing to be asked again for.
    browser.cookies = "bursar_session=of-nobody".to_owned();
    assert_eq!(browser.get(LINK).await.status, 303);
}

#[actix_web::test]
async fn only_pages_that_links_lead_to_are_asked_for_again() {
    let world = World::new();
    let mut browser = following(&world);
    assert!(asks_again(&browser.get("/console/sign-in").await));
    // Whoever comes back from signing in elsewhere is looked at where they come to.
    let back = browser
        .get("/console/sign-in/provider/callback?code=1")
        .await;
    assert!(!asks_again(&back));
    assert!(!asks_again(&browser.head(LINK).await));
    assert!(!asks_again(&browser.post(LINK, &[]).await));
    assert!(!asks_again(
        &browser.get("/console/assets/console.css").await
    ));
    for (site, mode) in [
        ("cross-site", "no-cors"),
        ("cross-site", "cors"),
        ("same-origin", "navigate"),
        ("same-site", "navigate"),
        ("none", "navigate"),
    ] {
        browser.says = says(site, mode);
        let page = browser.get(LINK).await;
        assert!(!asks_again(&page), "{site}, {mode}");
    }
    browser.says = vec![];
    assert!(!asks_again(&browser.get(LINK).await));
}
