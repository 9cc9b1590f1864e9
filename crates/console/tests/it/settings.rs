//! How an operator likes it: the theme and the zone, without script.

use crate::{
    browser::Browser,
    world::{ALICE, OLGA, World, operator},
};

#[actix_web::test]
async fn a_theme_and_a_zone_are_kept_in_cookies() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    let path = format!("/console/transfers/{id}");
    let mut browser = Browser::of(&world, operator(OLGA));
    let page = browser.get(&path).await.ok();
    assert!(
        page.body
            .contains("<html lang=\"en\" data-zone=\"browser\">"),
        "{}",
        page.body
    );
    assert!(page.text().contains("2021-04-09 10:50:40"));
    let chosen = [("theme", "dark"), ("zone", "330")];
    let kept = browser.press(&page, "/console/settings", &chosen).await;
    assert_eq!(kept.leads(), path, "back to where it was chosen");
    browser.cookies = kept.cookies();
    let page = browser.get(&path).await.ok();
    assert!(page.body.contains("<html lang=\"en\" data-theme=\"dark\">"));
    assert!(page.text().contains("2021-04-09 16:20:40"));
    assert!(page.body.contains("title=\"2021-04-09 10:50:40 UTC\""));
    assert!(page.text().contains("Times are in UTC+5:30."));
}

#[actix_web::test]
async fn nothing_but_our_own_words_is_kept_or_shown() {
    let world = World::new();
    let mut browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console").await.ok();
    let fields = [("theme", "\"><script>"), ("zone", "99999")];
    let kept = browser.press(&page, "/console/settings", &fields).await;
    assert_eq!(
        (kept.leads().as_str(), kept.cookies().as_str()),
        ("/console", "")
    );
    let token = [
        ("csrf", "token-of-olga"),
        ("back", "https://evil.example/console"),
    ];
    assert_eq!(
        browser.post("/console/settings", &token).await.leads(),
        "/console"
    );
    browser.cookies = "bursar_zone=-2147483648; bursar_theme=blue".to_owned();
    let page = browser.get("/console").await.ok();
    assert!(
        page.body
            .contains("<html lang=\"en\" data-zone=\"browser\">")
    );
    for flash in [
        "bursar_flash=<b>hi</b>.1",
        "bursar_flash=confirmed.x",
        "bursar_flash=confirmed",
    ] {
        browser.cookies = flash.to_owned();
        let page = browser.get("/console/help").await.ok();
        assert!(!page.body.contains("notice good"), "{flash}");
    }
}

#[actix_web::test]
async fn from_a_page_that_answers_a_form_one_goes_back_to_where_the_form_stood() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    let mut browser = Browser::of(&world, operator(OLGA));
    let fields = [("csrf", "token-of-olga"), ("digest", "another")];
    for (referer, back) in [
        (
            "https://bursar.example/console/queue?sort=value",
            "/console/queue?sort=value",
        ),
        ("https://bursar.example/elsewhere", "/console"),
        ("not an address", "/console"),
    ] {
        browser.says = vec![("referer", referer.to_owned())];
        let path = format!("/console/transfers/{id}/confirm");
        let page = browser.post(&path, &fields).await;
        assert_eq!(page.status, 400);
        let kept = browser.press(&page, "/console/settings", &[]).await;
        assert_eq!(kept.leads(), back, "{referer}");
    }
}
