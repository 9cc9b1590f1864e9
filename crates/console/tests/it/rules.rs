//! Rules: what would change is shown first, and only what was shown is changed.

use bursar_domain::{FeeSchedule, Kind, Rules};
use bursar_ports::{Breach, RuleBook};
use bursar_testkit::{build, fakes::locked};

use crate::{
    browser::{Browser, Page},
    markup::Tag,
    world::{ALICE, OLGA, OTTO, World, operator},
};

const EDIT: &str = "/console/rules/edit";

#[actix_web::test]
async fn a_change_is_shown_with_its_audit_entry_before_it_is_made() {
    let world = World::new();
    world.fees("btc", 10_000);
    let browser = Browser::of(&world, operator(OLGA));
    let text = browser.get("/console/rules").await.ok().text();
    assert!(text.contains("0.0001 BTC whatever the amount"), "{text}");
    let path =
        "/console/rules/edit?rule=fees:withdrawal:btc&percent=0.5&min=0&max=&absolute=0.0002";
    let page = browser.get(path).await.ok();
    let text = page.text();
    for words in [
        "This would change",
        "On top0.00010.0002",
        "olga did fees.put to fees:withdrawal:btc, with session:olga",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let before = world.rule_book.rules().await.unwrap();
    assert_eq!(
        before.fees[&(Kind::Withdrawal, build::asset_id("btc"))].absolute,
        build::amount(10_000)
    );
    let done = make(&browser, &page).await;
    assert_eq!(done.leads(), "/console/rules");
    let after = world.rule_book.rules().await.unwrap();
    let fees = after.fees[&(Kind::Withdrawal, build::asset_id("btc"))];
    assert_eq!(
        (fees.absolute, fees.percent.to_plain()),
        (build::amount(20_000), "0.5".to_owned())
    );
    let audited = locked(&world.rule_book.audited);
    assert_eq!(audited[0].target, "fees:withdrawal:btc");
}

/// Presses the button that makes the change.
async fn make(browser: &Browser<'_>, page: &Page) -> Page {
    let document = page.document();
    let makes = |tag: &Tag| {
        tag.attribute("action") == Some(EDIT) && tag.attribute("method") == Some("post")
    };
    let form = document.all("form").find(|(_, tag)| makes(tag));
    let (form, _) = form.expect("there is a form that makes it");
    let inputs = document
        .all("input")
        .filter(|(_, tag)| tag.path.contains(&form));
    let fields: Vec<(&str, &str)> = inputs
        .filter_map(|(_, tag)| Some((tag.attribute("name")?, tag.attribute("value")?)))
        .collect();
    browser.post(EDIT, &fields).await
}

/// A maximum bounds a share of the amount: where there is none, it costs nothing.
#[actix_web::test]
async fn a_maximum_alone_is_told_as_what_it_comes_to() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    let browser = Browser::of(&world, operator(OLGA));
    let without = browser.get("/console/rules").await.ok().text();
    world.rule_book.put(|rules: &mut Rules| {
        let schedule = FeeSchedule {
            max: Some(build::amount(10_000)),
            ..FeeSchedule::default()
        };
        let key = (Kind::Deposit, build::asset_id("btc"));
        rules.fees.insert(key, schedule);
    });
    assert_eq!(browser.get("/console/rules").await.ok().text(), without);
    let story = format!("/console/transfers/{id}");
    let text = browser.get(&story).await.ok().text();
    assert!(text.contains("The rule today: nothing."), "{text}");
}

#[actix_web::test]
async fn what_another_operator_changed_meanwhile_is_not_overwritten() {
    let world = World::new();
    let path = "/console/rules/edit?rule=limits:withdrawal&daily=1000";
    let (olga, otto) = (
        Browser::of(&world, operator(OLGA)),
        Browser::of(&world, operator(OTTO)),
    );
    let one = olga.get(path).await.ok();
    let other = otto.get(&path.replace("1000", "2000")).await.ok();
    make(&olga, &one).await.leads();
    let late = make(&otto, &other).await;
    assert_eq!(late.status, 409);
    assert!(
        late.text()
            .contains("Somebody else has changed limits of withdrawals in all assets")
    );
}

/// Without script a button can be pressed twice, and nobody else has changed anything.
#[actix_web::test]
async fn whoever_makes_a_change_twice_is_told_that_it_is_done() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    for query in [
        "rule=limits:withdrawal&daily=1000.50",
        "rule=fees:withdrawal:btc&percent=0.50",
        "rule=rate:btc&rate=0.1250",
        "rule=asset:doge&name=Doge&scale=8&deposit=yes&withdraw=no&transfer=yes",
    ] {
        let page = browser.get(&format!("{EDIT}?{query}")).await.ok();
        for _ in 0..2 {
            let made = make(&browser, &page).await;
            assert_eq!(made.leads(), "/console/rules", "{query}");
        }
    }
}

#[actix_web::test]
async fn what_cannot_be_is_said_at_its_field() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    for (query, words) in [
        (
            "rule=fees:withdrawal:btc&percent=x&min=0.000000001",
            "must have at most 8 decimals",
        ),
        (
            "rule=rate:btc&rate=1e5",
            "must be a plain decimal number such as 1 or 0.25",
        ),
        (
            "rule=asset:new&name=&scale=19",
            "is a whole number from 0 to 18",
        ),
        (
            "rule=fees:withdrawal:btc&percent=101",
            "a percentage is between 0 and 100",
        ),
        (
            "rule=fees:withdrawal:btc&min=2&max=1",
            "must not be below the minimum",
        ),
        (
            "rule=limits:withdrawal:btc&min_amount=2&max_amount=1",
            "must not be below the minimum",
        ),
        (
            "rule=rate:btc&rate=0.0000000000000000001",
            "must have at most 18 decimals",
        ),
        ("rule=rate:btc&rate=1000000000000000", "must be below 10^15"),
        ("rule=rate:usd&rate=2", "the root asset is always worth 1"),
        ("rule=asset:btc&withdraw=maybe", "is yes or no"),
    ] {
        let page = browser.get(&format!("{EDIT}?{query}")).await.ok();
        assert!(page.text().contains(words), "{query}: {}", page.text());
        assert!(page.body.contains("aria-invalid"), "{query}");
        assert!(!page.text().contains("This would change"), "{query}");
    }
    assert_eq!(
        browser.get(&format!("{EDIT}?rule=gifts:btc")).await.status,
        404
    );
}

/// An address need not say everything: what it leaves out stays as it is, in the table as in the rule.
#[actix_web::test]
async fn what_an_address_leaves_out_stays_as_it_is() {
    let world = World::new();
    world.fees("btc", 10_000);
    let browser = Browser::of(&world, operator(OLGA));
    let path = "/console/rules/edit?rule=fees:withdrawal:btc&percent=0.5";
    let page = browser.get(path).await.ok();
    let text = page.text();
    assert!(
        text.contains("Percent of the amount00.5") && !text.contains("On top0"),
        "{text}"
    );
    make(&browser, &page).await.leads();
    let rules = world.rule_book.rules().await.unwrap();
    let fees = rules.fees[&(Kind::Withdrawal, build::asset_id("btc"))];
    assert_eq!(
        (fees.absolute, fees.percent.to_plain()),
        (build::amount(10_000), "0.5".to_owned())
    );
}

#[actix_web::test]
async fn a_rate_and_a_new_asset_are_set() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let to = browser
        .get("/console/rules/new-asset?id=DOGE")
        .await
        .leads();
    assert_eq!(to, "/console/rules/edit?rule=asset%3Adoge");
    let page = browser
        .get(&format!(
            "{to}&name=Doge&scale=8&deposit=yes&withdraw=no&transfer=yes"
        ))
        .await
        .ok();
    make(&browser, &page).await.leads();
    let doge = locked(&world.directory.assets)[&build::asset_id("doge")].clone();
    assert_eq!(
        (doge.can_deposit, doge.can_withdraw, doge.can_transfer),
        (true, false, true)
    );
    let page = browser
        .get(&format!("{EDIT}?rule=rate:doge&rate=0.125"))
        .await
        .ok();
    make(&browser, &page).await.leads();
    let rate = locked(&world.directory.rates)[&build::asset_id("doge")].clone();
    assert_eq!(
        (rate.rate.to_string(), rate.source.as_str()),
        ("0.125".to_owned(), OLGA)
    );
}

#[actix_web::test]
async fn what_leaves_is_stopped_with_a_reason_and_let_go_on() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console/rules").await.ok();
    let silent = browser
        .press(&page, "/console/rules/stop", &[("scope", "btc")])
        .await;
    assert_eq!(silent.status, 400);
    let fields = [("scope", "btc"), ("reason", "a fork")];
    assert_eq!(
        browser
            .press(&page, "/console/rules/stop", &fields)
            .await
            .leads(),
        "/console/rules"
    );
    let page = browser.get("/console/rules").await.ok();
    let text = page.text();
    assert!(
        text.contains("What leaves users’ accounts in BTC by olga"),
        "{text}"
    );
    assert!(text.contains("a fork"));
    browser
        .press(&page, "/console/rules/lift", &[])
        .await
        .leads();
    let text = browser.get("/console/rules").await.ok().text();
    assert!(text.contains("Nothing is stopped."), "{text}");
}

/// The page shows one stop, and its button lifts no other.
#[actix_web::test]
async fn only_the_stop_that_was_shown_is_lifted() {
    let world = World::new();
    let (olga, otto) = (
        Browser::of(&world, operator(OLGA)),
        Browser::of(&world, operator(OTTO)),
    );
    let page = olga.get("/console/rules").await.ok();
    let fields = [("scope", "btc"), ("reason", "a fork")];
    let stop = olga.press(&page, "/console/rules/stop", &fields).await;
    stop.leads();
    let old = olga.get("/console/rules").await.ok();
    otto.press(
        &otto.get("/console/rules").await.ok(),
        "/console/rules/lift",
        &[],
    )
    .await
    .leads();
    // Whoever did it, it is lifted.
    let gone = olga.press(&old, "/console/rules/lift", &[]).await;
    assert_eq!(gone.leads(), "/console/rules");
    world.clock.advance_ms(1_000);
    let page = otto.get("/console/rules").await.ok();
    let fields = [("scope", "btc"), ("reason", "a thief")];
    let stop = otto.press(&page, "/console/rules/stop", &fields).await;
    stop.leads();
    let late = olga.press(&old, "/console/rules/lift", &[]).await;
    assert_eq!(late.status, 409);
    assert!(late.text().contains("another one stands there now"));
    let stops = world.rule_book.list_stops().await.unwrap();
    assert_eq!(stops[0].reason, "a thief");
}

/// The first stop stands, and whoever placed another one would look for a reason that nobody kept.
#[actix_web::test]
async fn whoever_stops_what_is_stopped_is_told_whose_stop_stands() {
    let world = World::new();
    let (olga, otto) = (
        Browser::of(&world, operator(OLGA)),
        Browser::of(&world, operator(OTTO)),
    );
    let page = olga.get("/console/rules").await.ok();
    let fields = [("scope", "btc"), ("reason", "a fork")];
    for _ in 0..2 {
        let stop = olga.press(&page, "/console/rules/stop", &fields).await;
        assert_eq!(stop.leads(), "/console/rules", "pressed twice, it is done");
    }
    let thief = [("scope", "btc"), ("reason", "a thief")];
    for (browser, fields) in [(&otto, &thief), (&olga, &thief), (&otto, &fields)] {
        let mine = browser.get("/console/rules").await.ok();
        let stop = browser.press(&mine, "/console/rules/stop", fields).await;
        let text = stop.ok().text();
        for words in ["was stopped by olga", "a fork", "Your reason is not kept."] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
    let stops = world.rule_book.list_stops().await.unwrap();
    assert_eq!((stops.len(), stops[0].reason.as_str()), (1, "a fork"));
}

/// Whoever lifts a stop is told when the books are wrong, and nobody is told that something is stopped
/// which is not.
#[actix_web::test]
async fn wrong_books_are_said_where_a_stop_is_lifted_and_what_leaves_where_it_is_not_stopped() {
    let world = World::new();
    world.watch_finds_wrong("btc").await;
    let browser = Browser::of(&world, operator(OLGA));
    for path in [
        "/console",
        "/console/integrity",
        "/console/integrity?examine=now",
    ] {
        let text = browser.get(path).await.ok().text();
        assert!(
            text.contains("What leaves in BTC is not stopped."),
            "{text}"
        );
    }
    let page = browser.get("/console/rules").await.ok();
    let fields = [("scope", "btc"), ("reason", "maintenance")];
    let stop = browser.press(&page, "/console/rules/stop", &fields).await;
    stop.leads();
    let text = browser.get("/console/rules").await.ok().text();
    assert!(
        text.contains("the watch stops the asset for that reason"),
        "{text}"
    );
    for path in [
        "/console",
        "/console/integrity",
        "/console/integrity?examine=now",
    ] {
        let text = browser.get(path).await.ok().text();
        assert!(text.contains("What leaves in them is stopped."), "{text}");
    }
}

/// Whether pages say that the books are in order, and something that they say of them.
async fn assert_books(browser: &Browser<'_>, in_order: bool, words: &str) {
    let pages = [
        ("/console", "In order"),
        ("/console/integrity", "assets in order"),
    ];
    for (path, good) in pages {
        let text = browser.get(path).await.ok().text();
        assert_eq!(text.contains(good), in_order, "{path}: {text}");
        assert!(text.contains(words), "{words}: {path}: {text}");
    }
}

/// Wrong accounts are not all that can be wrong: sums are another thing, and so is what has no asset.
#[actix_web::test]
async fn books_are_in_order_while_sums_are_taken_and_nothing_is_of_no_asset() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let mut watch = world.watch();
    watch.check_accounts(10).await.unwrap();
    let words = "has not taken the sums of the books since it started";
    assert_books(&browser, false, words).await;
    watch.check_sums().await.unwrap();
    assert_books(&browser, true, "0 assets").await;
    world.clock.advance_ms(6 * 60_000);
    watch.check_accounts(10).await.unwrap();
    assert_books(&browser, false, "were last taken 6 min ago").await;
    watch.check_sums().await.unwrap();
    assert_books(&browser, true, "0 assets").await;
    *locked(&world.integrity.breaches) = vec![Breach {
        asset: None,
        detail: "account 7: \"no asset\" can be no asset".to_owned(),
    }];
    watch.check_accounts(10).await.unwrap();
    assert_books(&browser, false, "is of no asset that can be").await;
    let page = browser.get("/console/integrity?examine=now").await.ok();
    let text = page.text();
    assert!(
        text.contains("account 7: ") && !text.contains("✓"),
        "{text}"
    );
}

/// However many assets there are, a page shows some of them, and every one is found.
#[actix_web::test]
async fn assets_come_page_by_page_and_by_a_part_of_their_name() {
    let world = crate::crowd::crowded().await;
    let browser = Browser::of(&world, operator(OLGA));
    let mut seen = vec![];
    let mut next = Some("/console/rules".to_owned());
    while let Some(path) = next {
        let document = browser.get(&path).await.ok().document();
        let changes = document
            .all("a")
            .filter_map(|(_, tag)| tag.attribute("href"))
            .filter_map(|href| href.strip_prefix("/console/rules/edit?rule=asset%3A"));
        let shown: Vec<String> = changes.map(str::to_owned).collect();
        assert!(shown.len() <= 20, "{path}");
        seen.extend(shown);
        next = document
            .all("a")
            .find(|(_, tag)| tag.attribute("rel") == Some("next"))
            .and_then(|(_, tag)| tag.attribute("href").map(str::to_owned));
    }
    let all: Vec<String> = locked(&world.directory.assets)
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(seen, all);
    let text = browser.get("/console/rules?asset=BT").await.ok().text();
    assert!(text.contains("BTC") && !text.contains("ASSET-3"), "{text}");
    // The stop of an asset that is looked for is shown, however many others there are.
    let text = browser
        .get("/console/rules?asset=asset-199")
        .await
        .ok()
        .text();
    assert!(
        text.contains("What leaves users’ accounts in ASSET-199 by"),
        "{text}"
    );
    assert!(!text.contains("more: look for the asset below"), "{text}");
}
