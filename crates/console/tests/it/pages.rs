//! Every page, with nothing on it and with much: well-formed, light, labelled, and of our own words alone.

use bursar_domain::{AccountKey, Entry, Kind, Operation, Status};
use bursar_ports::{
    AssetIntegrity, AssetSums, AuditRecord, CallbackAttempt, CallbackRecord, CallbackState,
    HostHealth, Volume, Volumes, Waiting,
};
use bursar_testkit::{build, fakes::locked};
use uuid::Uuid;

use crate::{
    browser::{Browser, Page},
    markup::Document,
    world::{ALICE, BOB, NOW, OLGA, World, operator, reader},
};

const PAGES: [&str; 14] = [
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
    "/console/audit",
    "/console/integrity",
    "/console/help",
    "/console/transfers?min=x&max=1",
];
/// The most that a page weighs, in bytes.
const WEIGHT_MAX: usize = 100 * 1024;

/// What hostile users and operators would write.
const HOSTILE: &str = "<script>alert(1)</script>\"' onx=1 & =1+1";

/// A world in which there is something of everything, written by hostile hands.
async fn crowded() -> World {
    let world = World::new();
    for (id, name) in [(ALICE, "alice"), (BOB, HOSTILE)] {
        world.put_user(id, name);
    }
    world.fund(ALICE, "btc", "1000000").await;
    world.fund(BOB, "eth", "1234567.123456789012345678").await;
    world.second_operator_above("btc", 300_000_000);
    let mut transfers = vec![];
    for number in 1..=60 {
        let amount = format!("{number}.12345678");
        let (user, asset) = if number % 2 == 0 {
            (ALICE, "btc")
        } else {
            (BOB, "eth")
        };
        let id = world
            .withdrawal_noted(user, asset, &amount, Some(HOSTILE))
            .await;
        if number % 4 == 0 {
            world.confirm("carla", id).await;
        }
        transfers.push(world.transfer(id).await);
    }
    let many: Vec<_> = transfers.iter().cycle().take(200).cloned().collect();
    world.listed(many);
    let shown = transfers.get(3).expect("there are sixty").clone();
    let line = |held: i128, after| Entry {
        account: AccountKey::user(ALICE, build::asset_id("btc")),
        seq: 2,
        transfer: shown.id(),
        available_delta: -held,
        held_delta: held,
        available_after: after,
        held_after: held,
        at: NOW,
    };
    *locked(&world.query.entries) = vec![line(412_345_678, 99_999_587_654_322)];
    *locked(&world.callback_log.callbacks) = callbacks(50);
    *locked(&world.audit_log.records) = audits(50);
    *locked(&world.figures.volumes) = volumes();
    locked(&world.figures.waiting).withdrawals = Waiting {
        count: 10_000,
        oldest: Some(NOW.plus_micros(-11_520_000_000)),
    };
    *locked(&world.figures.hosts) = vec![HostHealth {
        host: HOSTILE.to_owned(),
        pending: 3,
        dead: 1,
        oldest_pending: Some(NOW.plus_micros(-60_000_000)),
        last_success: None,
        last_failure: Some(NOW),
        last_failure_outcome: Some("timeout".to_owned()),
    }];
    *locked(&world.integrity.books) = vec![AssetIntegrity {
        sums: AssetSums {
            asset: build::asset_id("btc"),
            sum: Some(-1),
            holds: Some(0),
            entries: 1_234_567,
        },
        accounts: 1,
    }];
    world
}

fn callbacks(count: u128) -> Vec<CallbackRecord> {
    let attempt = CallbackAttempt {
        at: NOW,
        duration_ms: 12,
        http_status: Some(500),
        outcome: "answered".to_owned(),
    };
    let one = |number| CallbackRecord {
        id: Uuid::from_u128(number),
        transfer: build::transfer_id(1),
        kind: Kind::Withdrawal,
        operation: Operation::Settle,
        url: format!("https://example.com/{HOSTILE}"),
        status: Status::Completed,
        state: CallbackState::Dead,
        created_at: NOW,
        next_attempt_at: None,
        attempts: vec![attempt.clone(); 8],
    };
    (1..=count).map(one).collect()
}

fn audits(count: u128) -> Vec<AuditRecord> {
    let one = |number| AuditRecord {
        id: Uuid::from_u128(number),
        at: NOW,
        actor: HOSTILE.to_owned(),
        credential: "session:1".to_owned(),
        request_id: HOSTILE.to_owned(),
        address: "192.0.2.1".to_owned(),
        action: "withdrawal.confirm".to_owned(),
        target: "transfer:1".to_owned(),
        before: Some("{\"version\":1}".to_owned()),
        after: None,
    };
    (1..=count).map(one).collect()
}

fn volumes() -> Volumes {
    let mut rows = vec![];
    for asset in ["btc", "eth", "usd"] {
        for kind in Kind::ALL {
            for hour in 0..30 {
                rows.push(Volume {
                    asset: build::asset_id(asset),
                    kind,
                    start: NOW.floor_second().plus_micros(-3_600_000_000 * hour),
                    count: 7,
                    amount: Some(1_000 * i128::from(hour)),
                });
            }
        }
    }
    // Pieces begin at whole hours.
    for row in &mut rows {
        let hour = row.start.as_micros().div_euclid(3_600_000_000) * 3_600_000_000;
        row.start = bursar_domain::Timestamp::from_micros(hour);
    }
    Volumes { rows, behind: 5 }
}

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
