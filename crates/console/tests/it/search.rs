//! Transfers: found by anything, by a link that shows the same again, and as CSV of the same.

use bursar_domain::{Kind, Status, Timestamp};
use bursar_ports::{ListPlace, TransferScan};
use bursar_testkit::{build, fakes::locked};

use crate::{
    browser::Browser,
    markup::Tag,
    world::{ALICE, BOB, OLGA, World, operator},
};

async fn asked(world: &World, path: &str) -> TransferScan {
    let browser = Browser::of(world, operator(OLGA));
    browser.get(path).await.ok();
    locked(&world.query.asked_scan)
        .take()
        .expect("the store is asked")
}

#[actix_web::test]
async fn whatever_is_at_hand_is_looked_for() {
    let world = World::new();
    let find = async |q: &str| asked(&world, &format!("/console/transfers?q={q}")).await;
    assert_eq!(find("42").await.id, Some(build::transfer_id(42)));
    assert_eq!(find(&ALICE.to_string()).await.users, Some(vec![ALICE]));
    assert_eq!(find("alice%40example.com").await.users, Some(vec![ALICE]));
    assert_eq!(find("bob").await.users, Some(vec![BOB]));
    assert_eq!(
        find("order-17").await.custom_id,
        Some("order-17".to_owned())
    );
    assert_eq!(find("custom:42").await.custom_id, Some("42".to_owned()));
    let amount = find("0.25%20btc").await;
    let exact = Some(build::amount(25_000_000));
    assert_eq!(
        (amount.asset, amount.amount_min, amount.amount_max),
        (Some(build::asset_id("btc")), exact, exact)
    );
}

/// Whoever says that it is a name means that, also when nobody has it, and is not led round in a circle.
#[actix_web::test]
async fn what_is_said_to_be_a_name_is_nothing_else() {
    let world = World::new();
    let scan = asked(&world, "/console/transfers?q=user:order-17").await;
    assert_eq!((scan.users, scan.custom_id), (Some(vec![]), None));
    let scan = asked(&world, "/console/transfers?q=user:ali").await;
    assert_eq!(scan.users, Some(vec![ALICE]));
    let browser = Browser::of(&world, operator(OLGA));
    let custom = browser.get("/console/transfers?q=order-17").await.ok();
    let other = custom.document();
    let other = other
        .all("a")
        .filter_map(|(_, tag)| tag.attribute("href"))
        .find(|href| href.contains("user%3Aorder-17"));
    let text = browser.get(other.expect("it may be a name")).await.ok();
    assert!(
        text.text()
            .contains("users with this in their name or email"),
        "{}",
        text.text()
    );
    assert_eq!(browser.get("/console/transfers?q=user:").await.status, 400);
}

/// Neither the box nor a filter is overruled in silence, in the list as in its CSV.
#[actix_web::test]
async fn a_filter_that_says_something_else_than_the_box_is_said() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    for (query, name) in [
        ("q=0.25+btc&asset=eth", "asset"),
        ("q=0.25+btc&min=5", "min"),
        ("q=0.25+btc&max=0.1", "max"),
        (&*format!("q={ALICE}&user={BOB}"), "user"),
    ] {
        let page = browser.get(&format!("/console/transfers?{query}")).await;
        assert_eq!(page.status, 400, "{query}");
        let document = page.document();
        let invalid = document
            .tags
            .iter()
            .find(|tag| tag.attribute("aria-invalid").is_some());
        let invalid = invalid.and_then(|tag| tag.attribute("name"));
        assert_eq!(invalid, Some(name), "{query}");
        let sheet = format!("/console/transfers.csv?{query}");
        assert_eq!(browser.get(&sheet).await.status, 400, "{query}");
    }
    let same = format!("q={ALICE}&user={ALICE}");
    for query in ["q=0.25+btc&asset=btc&min=0.2&max=0.25", &same] {
        asked(&world, &format!("/console/transfers?{query}")).await;
    }
}

#[actix_web::test]
async fn a_transfers_code_finds_it() {
    let world = World::new();
    let asset = build::asset("btc", 8);
    let new = build::new_transfer(build::transfer_id(7), &asset, 5, crate::world::NOW);
    let transfer = World::listed_change(build::internal(new, ALICE, BOB));
    let code = world.app().code_of(&transfer).expect("it has one");
    world.listed(vec![transfer]);
    let browser = Browser::of(&world, operator(OLGA));
    let text = browser
        .get(&format!("/console/transfers?q={code}"))
        .await
        .ok()
        .text();
    let scan = locked(&world.query.asked_scan)
        .clone()
        .expect("the store is asked");
    assert_eq!(scan.id, Some(build::transfer_id(7)));
    assert!(text.contains("alice → bob"), "{text}");
}

#[actix_web::test]
async fn filters_are_asked_for_as_they_are_said() {
    let world = World::new();
    let path = "/console/transfers?kind=withdrawal&status=Completed&asset=BTC&min=0.1&max=2&from=2021-04-01&to=2021-04-02&rows=100&after=1617965440116485_9";
    let scan = asked(&world, path).await;
    let at = |text: &str| Some(Timestamp::parse(text).unwrap());
    assert_eq!(scan.kind, Some(Kind::Withdrawal));
    assert_eq!(scan.status, Some(Status::Completed));
    assert_eq!(scan.amount_min, Some(build::amount(10_000_000)));
    assert_eq!(scan.amount_max, Some(build::amount(200_000_000)));
    assert_eq!(scan.from, at("2021-04-01"));
    assert_eq!(scan.to, at("2021-04-02T23:59:59.999999Z"));
    assert_eq!(scan.limit, 100);
    let place = ListPlace {
        created_at: crate::world::NOW,
        id: build::transfer_id(9),
    };
    assert_eq!(scan.after, Some(place));
}

/// What is in force is seen, and is still asked for when the form is sent again.
#[actix_web::test]
async fn the_form_shows_every_filter_that_is_in_force() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let times = "from=2021-04-01T10:00:00Z&to=2021-04-02";
    for path in [
        format!("/console/transfers?status=completed&{times}"),
        format!("/console/audit?{times}"),
    ] {
        let document = browser.get(&path).await.ok().document();
        let field = |name: &str| {
            let named = |tag: &&Tag| tag.attribute("name") == Some(name);
            let field = document.tags.iter().find(named).expect("it is there");
            (field.attribute("type"), field.attribute("value"))
        };
        let exact = (Some("text"), Some("2021-04-01T10:00:00Z"));
        assert_eq!(field("from"), exact, "{path}");
        assert_eq!(field("to"), (Some("date"), Some("2021-04-02")), "{path}");
        let mut options = document.all("option").map(|(_, tag)| tag);
        let chosen = options.any(|tag| {
            tag.attribute("value") == Some("Completed") && tag.attribute("selected").is_some()
        });
        assert_eq!(chosen, path.contains("status="), "{path}");
    }
}

#[actix_web::test]
async fn what_cannot_be_is_said_at_its_field_and_what_was_typed_stays() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser
        .get("/console/transfers?min=1,5&kind=gift&from=yesterday&q=id:x")
        .await;
    assert_eq!(page.status, 400);
    let document = page.document();
    let invalid: Vec<&str> = document
        .tags
        .iter()
        .filter(|tag| tag.attribute("aria-invalid").is_some())
        .filter_map(|tag| tag.attribute("name"))
        .collect();
    assert_eq!(invalid, ["q", "asset", "min", "from"]);
    assert!(page.body.contains("value=\"1,5\""));
    assert!(locked(&world.query.asked_scan).is_none());
}

#[actix_web::test]
async fn a_link_shows_the_same_view_again_and_so_does_its_csv() {
    let world = World::new();
    world.fund(ALICE, "btc", "10").await;
    let mut transfers = vec![];
    for amount in ["1", "1.5"] {
        let id = world
            .withdrawal_noted(ALICE, "btc", amount, Some("=1+1, \"so\""))
            .await;
        transfers.push(world.transfer(id).await);
    }
    world.listed(transfers);
    let browser = Browser::of(&world, operator(OLGA));
    let path = "/console/transfers?q=ali+ce%26&kind=withdrawal&asset=btc&min=0.5&to=2021-05-01";
    let page = browser.get(path).await.ok().document();
    let first = locked(&world.query.asked_scan).take();
    let links: Vec<&str> = page
        .all("a")
        .filter_map(|(_, tag)| tag.attribute("href"))
        .collect();
    let link = links
        .iter()
        .find(|link| link.starts_with("/console/transfers?q=ali%20ce%26&"));
    let link = link.expect("there is a link to the view");
    browser.get(link).await.ok();
    assert_eq!(locked(&world.query.asked_scan).take(), first);
    let csv = links
        .iter()
        .find(|link| link.starts_with("/console/transfers.csv?"));
    let sheet = browser.get(csv.expect("there is a CSV")).await.ok();
    assert_eq!(locked(&world.exports.asked_transfers).take(), first);
    assert!(
        sheet
            .header("content-disposition")
            .contains("transfers.csv")
    );
    let shown: Vec<&str> = page
        .all("tr")
        .filter_map(|(_, tag)| tag.attribute("data-id"))
        .collect();
    let lines: Vec<&str> = sheet.body.lines().collect();
    let ids: Vec<&str> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(ids, shown);
    assert!(
        lines[0].starts_with("id,code,kind,status,waits_for,"),
        "{}",
        lines[0]
    );
    assert!(lines[2].contains(",btc,1.5,0,"), "{}", lines[2]);
    assert!(lines[1].contains("\"'=1+1, \"\"so\"\"\""), "{}", lines[1]);
}

/// As in exports: what somebody wrote is no formula, however it is written, and can be had back.
#[actix_web::test]
async fn no_note_in_a_sheet_is_a_formula() {
    let notes = ["=1", "\n1", "＝1", "＋1", "－1", "＠1", "'=1", "1"];
    let world = World::new();
    world.fund(ALICE, "btc", "10").await;
    let mut transfers = vec![];
    for note in notes {
        let id = world.withdrawal_noted(ALICE, "btc", "1", Some(note)).await;
        transfers.push(world.transfer(id).await);
    }
    world.listed(transfers);
    let browser = Browser::of(&world, operator(OLGA));
    let sheet = browser.get("/console/transfers.csv").await.ok();
    let mut sheet = csv::Reader::from_reader(sheet.body.as_bytes());
    let column = sheet.headers().unwrap().iter().position(|it| it == "note");
    let found: Vec<String> = sheet
        .records()
        .map(|row| row.unwrap()[column.unwrap()].to_owned())
        .collect();
    assert_eq!(found.len(), notes.len());
    for note in notes {
        let expected = if note == "1" {
            note.to_owned()
        } else {
            format!("'{note}")
        };
        assert!(found.contains(&expected), "{note:?} in {found:?}");
    }
}

#[actix_web::test]
async fn the_next_page_begins_where_this_one_ends() {
    let world = World::new();
    let place = ListPlace {
        created_at: crate::world::NOW,
        id: build::transfer_id(9),
    };
    *locked(&world.query.next) = Some(place);
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console/transfers?kind=deposit").await.ok();
    assert!(page.text().contains("None among those looked at so far."));
    let document = page.document();
    let next = document
        .all("a")
        .find(|(_, tag)| tag.attribute("rel") == Some("next"));
    let next = next
        .expect("there is more")
        .1
        .attribute("href")
        .unwrap()
        .to_owned();
    let scan = asked(&world, &next).await;
    assert_eq!((scan.after, scan.kind), (Some(place), Some(Kind::Deposit)));
    let second = browser.get(&next).await.ok().document();
    let this = second
        .all("a")
        .find(|(number, _)| second.text_of(*number) == "Link to this view");
    let this = this.expect("there is a link").1.attribute("href");
    assert_eq!(this, Some(next.as_str()));
}
