//! Callbacks, the audit log and the overview.

use bursar_app::OpenBreaker;
use bursar_domain::{Kind, Timestamp};
use bursar_ports::{CallbackState, HostHealth, Replayable, Volume, Volumes, Waiting};
use bursar_testkit::{build, fakes::locked};

use crate::{
    browser::Browser,
    world::{NOW, OLGA, World, operator},
};

#[actix_web::test]
async fn callbacks_are_listed_by_state_dead_letters_first() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    for (path, state) in [
        ("/console/callbacks", Some(CallbackState::Dead)),
        (
            "/console/callbacks?state=pending",
            Some(CallbackState::Pending),
        ),
        ("/console/callbacks?state=all", None),
    ] {
        browser.get(path).await.ok();
        let asked = locked(&world.callback_log.asked)
            .take()
            .expect("the log is read");
        assert_eq!(asked.state, state, "{path}");
    }
    assert_eq!(
        browser.get("/console/callbacks?state=odd").await.status,
        400
    );
}

/// A list that ends with a full page says so: nothing leads on to an empty one.
#[actix_web::test]
async fn a_full_page_leads_on_only_where_there_is_more() {
    let world = crate::crowd::crowded().await;
    let browser = Browser::of(&world, operator(OLGA));
    let leads_on = async |path: &str| {
        let document = browser.get(path).await.ok().document();
        document
            .all("a")
            .any(|(_, tag)| tag.attribute("rel") == Some("next"))
    };
    for (path, rows) in [("/console/callbacks", 25), ("/console/audit", 50)] {
        for (there_are, more) in [(rows, false), (rows + 1, true)] {
            *locked(&world.callback_log.callbacks) = crate::crowd::callbacks(there_are);
            *locked(&world.audit_log.records) = crate::crowd::audits(there_are);
            assert_eq!(leads_on(path).await, more, "{path}: {there_are}");
        }
    }
}

#[actix_web::test]
async fn the_period_is_changed_and_the_asset_stays() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console?period=week&asset=btc").await.ok();
    assert!(
        page.body.contains("/console?period=month&amp;asset=btc"),
        "{}",
        page.body
    );
}

/// An asset of which nothing moved is no sign that nothing moved at all.
#[actix_web::test]
async fn the_overview_of_one_asset_names_it_and_leads_to_all() {
    let world = World::new();
    *locked(&world.figures.volumes) = Volumes {
        rows: vec![Volume {
            asset: build::asset_id("btc"),
            kind: Kind::Withdrawal,
            start: NOW,
            count: 3,
            amount: Some(125_000_000),
        }],
        behind: 0,
    };
    let browser = Browser::of(&world, operator(OLGA));
    let all = "/console?period=week";
    for (asset, nothing) in [(None, false), (Some("BTC"), false), (Some("doge"), true)] {
        let path = asset.map_or(all.to_owned(), |asset| format!("{all}&asset={asset}"));
        let page = browser.get(&path).await.ok();
        let text = page.text();
        let told = text.contains("Nothing of DOGE moved in this time.");
        assert_eq!(told, nothing, "{path}: {text}");
        assert!(!text.contains("Nothing moved"), "{path}: {text}");
        let document = page.document();
        let link = document
            .all("a")
            .find(|(number, _)| document.text_of(*number) == "All assets");
        let link = link.and_then(|(_, tag)| tag.attribute("href"));
        assert_eq!(link, asset.map(|_| all), "{path}");
    }
}

/// What was tried to the end first became due days ago.
#[actix_web::test]
async fn the_day_that_the_form_for_dead_letters_begins_with_reaches_all_that_just_died() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console/callbacks").await.ok();
    assert!(page.text().contains("that first became due since"));
    let document = page.document();
    let since = document
        .all("input")
        .find(|(_, tag)| tag.attribute("name") == Some("since"));
    let since = since.and_then(|(_, tag)| tag.attribute("value"));
    let since = Timestamp::parse(since.expect("there is a day")).unwrap();
    assert!(
        since <= NOW.plus_micros(-91 * 3_600_000_000),
        "{since} is too late"
    );
}

#[actix_web::test]
async fn dead_letters_since_a_day_are_delivered_again() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console/callbacks").await.ok();
    let path = "/console/callbacks/replay";
    assert_eq!(
        browser.press(&page, path, &[("since", "x")]).await.status,
        400
    );
    let done = browser.press(&page, path, &[("since", "2021-04-01")]).await;
    assert_eq!(done.leads(), "/console/callbacks");
    let since = Timestamp::parse("2021-04-01").unwrap();
    assert_eq!(
        *locked(&world.callback_log.replayed),
        Some((Replayable::Dead, since))
    );
    let mut again = Browser::of(&world, operator(OLGA));
    again.cookies = done.cookies();
    let text = again.get("/console/callbacks").await.ok().text();
    assert!(text.contains("3 callbacks are due again."), "{text}");
}

#[actix_web::test]
async fn a_host_that_is_left_alone_says_until_when() {
    let world = World::new();
    *locked(&world.figures.hosts) = vec![HostHealth {
        host: "gone.example:443".to_owned(),
        pending: 3,
        dead: 0,
        oldest_pending: Some(NOW),
        last_success: None,
        last_failure: Some(NOW),
        last_failure_outcome: Some("timeout".to_owned()),
    }];
    let browser = Browser::of(&world, operator(OLGA));
    let text = browser.get("/console/callbacks").await.ok().text();
    assert!(!text.contains("Breaker open") && !text.contains("each one has its own"));
    for (probe_at, words) in [
        (
            Some(NOW.plus_micros(60_000_000)),
            "Breaker open until the probe at 10:51",
        ),
        (Some(NOW), "Breaker open the next probe is due"),
        (None, "Breaker open a probe is under way"),
    ] {
        let open = [("gone.example:443".to_owned(), OpenBreaker { probe_at })];
        world.breakers_seen.tell(open.into());
        let text = browser.get("/console/callbacks").await.ok().text();
        assert!(text.contains(words), "{words}: {text}");
        assert!(text.contains("what the replica that made this page knows"));
    }
}

#[actix_web::test]
async fn the_audit_log_is_asked_as_the_form_says() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    let path = "/console/audit?actor=carla&action=withdrawal.confirm&target=transfer%3A42&from=2021-04-01&to=";
    browser.get(path).await.ok();
    let asked = locked(&world.audit_log.asked)
        .clone()
        .expect("the log is read");
    assert_eq!(asked.actor.as_deref(), Some("carla"));
    assert_eq!(asked.action.as_deref(), Some("withdrawal.confirm"));
    assert_eq!(asked.target.as_deref(), Some("transfer:42"));
    assert_eq!(
        (asked.from, asked.to),
        (Some(Timestamp::parse("2021-04-01").unwrap()), None)
    );
}

#[actix_web::test]
async fn the_overview_tells_what_waits_and_what_moved_with_a_table_behind_the_chart() {
    let world = World::new();
    *locked(&world.figures.waiting) = bursar_ports::WaitingWork {
        withdrawals: Waiting {
            count: 12,
            oldest: Some(NOW.plus_micros(-11_520_000_000)),
        },
        approvals: Waiting {
            count: 10_000,
            oldest: None,
        },
        dead_callbacks: Waiting::default(),
    };
    let hour = 3_600_000_000;
    let start = Timestamp::from_micros(NOW.as_micros().div_euclid(hour) * hour);
    *locked(&world.figures.volumes) = Volumes {
        rows: vec![Volume {
            asset: build::asset_id("btc"),
            kind: Kind::Withdrawal,
            start,
            count: 3,
            amount: Some(125_000_000),
        }],
        behind: 0,
    };
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console").await.ok();
    let text = page.text();
    for words in [
        "To confirm 12 the oldest for 3 h 12 min",
        "To approve 10000 or more",
        "Withdrawal BTC 1.25 BTC in 3 transfers",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(page.body.contains("<svg ") && page.body.contains("<td class=\"num\">3</td>"));
    browser.get("/console?period=week").await.ok();
    let asked = locked(&world.figures.asked).expect("volumes are asked for");
    assert_eq!(asked.hours, 6);
}

#[actix_web::test]
async fn whoever_may_not_look_is_told_so() {
    let world = World::new();
    let nobody = Browser::of(&world, crate::world::visitor("nora", &[]));
    let text = nobody.get("/console").await.ok().text();
    assert!(
        text.contains("Your account may not look at transfers."),
        "{text}"
    );
    let page = nobody.get("/console/queue").await;
    assert_eq!(page.status, 403);
    assert!(!page.body.contains("data-live"), "nothing is told live");
    assert_eq!(nobody.get("/console/events").await.status, 403);
}

#[actix_web::test]
async fn the_list_shows_the_last_attempts_and_leads_to_all_of_them() {
    let world = crate::crowd::crowded().await;
    let browser = Browser::of(&world, operator(OLGA));
    let count = async |path: &str| {
        let text = browser.get(path).await.ok().text();
        (
            text.matches("12 ms").count(),
            text.contains("The last 6; all of them"),
        )
    };
    assert_eq!(count("/console/callbacks").await, (25 * 6, true));
    assert_eq!(count("/console/transfers/6").await, (20 * 8, false));
}

#[actix_web::test]
async fn the_worst_hosts_are_shown_and_how_many_more_there_are() {
    let world = crate::crowd::crowded().await;
    {
        let mut hosts = locked(&world.figures.hosts);
        let host = hosts.last_mut().unwrap();
        (host.host, host.dead) = ("worst.example".to_owned(), 7);
    }
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console/callbacks").await.ok();
    let text = page.text();
    assert!(text.contains("450 more fare no worse"), "{text}");
    let first = text.find("worst.example").expect("it is shown");
    assert!(
        first < text.find("<script>").expect("so are others"),
        "{text}"
    );
}
