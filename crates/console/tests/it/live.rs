//! Word of what happens, as it happens.

use std::{collections::BTreeMap, time::Duration};

use bursar_domain::{Kind, Transfer, TransferId, Version};
use bursar_ports::{Event, Happening, Permission, Step};
use bursar_testkit::fakes::locked;

use crate::{
    browser::Browser,
    stream::Stream,
    world::{ALICE, NOW, OLGA, OTTO, World, operator, visitor},
};

const QUEUE: &str = "/console/events?page=queue&work=withdrawals";

fn at(number: i64) -> String {
    format!("id: {number}\nevent: at\ndata: {number}\n\n")
}

fn behind(number: i64) -> String {
    format!("id: {number}\nevent: behind\ndata: {number}\n\n")
}

fn step(transfer: &Transfer) -> Step {
    Step {
        transfer: transfer.clone(),
        version: transfer.version(),
        status: transfer.status(),
        reversed: false,
    }
}

/// The feed goes on with this.
fn happens(world: &World, what: Happening) {
    let mut events = locked(&world.events.events);
    let last = events.last().map_or(0, |event: &Event| event.number);
    let number = last + 1;
    events.push(Event {
        number,
        at: NOW,
        what,
    });
    drop(events);
    world.console.live().reach(number);
}

async fn steps(world: &World, id: TransferId) {
    let transfer = world.transfer(id).await;
    happens(world, Happening::Step(step(&transfer)));
}

#[actix_web::test]
async fn a_queue_is_told_what_comes_to_it_and_what_of_it_has_changed() {
    let world = World::new();
    let deposit = world.fund(ALICE, "btc", "5").await;
    let shown = world.withdrawal(ALICE, "btc", "1").await;
    steps(&world, deposit).await;
    let page = Browser::of(&world, operator(OLGA));
    let page = page.get("/console/queue").await.ok();
    let live = "data-live=\"/console/events?after=1&amp;page=queue&amp;work=withdrawals\"";
    assert!(page.body.contains(live), "{}", page.body);
    assert!(
        page.body
            .contains(&format!("data-id=\"{shown}\" data-v=\"1\""))
    );

    let address = format!("{QUEUE}&after=1&rows={shown}.1");
    let mut stream = Stream::open(&world, &address).await.unwrap();
    let first = world.withdrawal(ALICE, "btc", "2").await;
    steps(&world, first).await;
    let told = stream.told(&at(2)).await;
    assert!(
        told.contains(&format!("event: new\ndata: {first}\n\n")),
        "{told}"
    );
    // What it shows already, what is no queue's, and what is only said of a transfer: nothing.
    steps(&world, shown).await;
    steps(&world, deposit).await;
    let expiring = Happening::Notice {
        topic: "withdrawal.expiring".to_owned(),
        about: Some(step(&world.transfer(shown).await)),
        data: BTreeMap::new(),
    };
    happens(&world, expiring);
    let told = stream.told(&at(5)).await;
    let is_quiet = ["new", "changed"].map(|word| !told.contains(&format!("event: {word}")));
    assert_eq!(is_quiet, [true, true], "{told}");
    world.confirm(OTTO, shown).await;
    steps(&world, shown).await;
    let told = stream.told(&at(6)).await;
    assert_eq!(told, format!("event: changed\ndata: {shown}\n\n"));
    world.console.live().end();
}

#[actix_web::test]
async fn a_withdrawal_that_waits_for_a_second_operator_is_new_there_alone() {
    let world = World::new();
    world.second_operator_above(Kind::Withdrawal, "btc", 50_000_000);
    world.fund(ALICE, "btc", "5").await;
    let id = world.withdrawal(ALICE, "btc", "1").await;
    world.confirm(OLGA, id).await;
    steps(&world, id).await;
    let queue = |work: &str, asset: &str| {
        format!("/console/events?page=queue&work={work}&asset={asset}&after=0")
    };
    let new = format!("event: new\ndata: {id}\n\n");
    for (work, asset, is_told) in [
        ("approvals", "", true),
        ("approvals", "btc", true),
        ("approvals", "eth", false),
        ("withdrawals", "", false),
    ] {
        let mut stream = Stream::open(&world, &queue(work, asset)).await.unwrap();
        let told = stream.told(&at(1)).await;
        assert_eq!(told.contains(&new), is_told, "{work}, {asset}: {told}");
    }
    world.console.live().end();
}

#[actix_web::test]
async fn lists_say_how_they_hear_of_what_is_new() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let browser = Browser::of(&world, operator(OLGA));
    for (view, live) in [
        ("", "&amp;new=counted"),
        (
            "?kind=deposit&asset=btc",
            "&amp;kind=deposit&amp;asset=btc&amp;new=counted",
        ),
        ("?kind=deposit&q=alice", "&amp;kind=deposit&amp;new=perhaps"),
        ("?after=1617965440116485_9", "&amp;new=elsewhere"),
    ] {
        let page = browser.get(&format!("/console/transfers{view}")).await.ok();
        let live = format!("data-live=\"/console/events?after=0&amp;page=transfers{live}\"");
        assert!(page.body.contains(&live), "{view}: {}", page.body);
    }
    // Where nothing is shown that changes, nobody listens.
    for path in [
        "/console/help",
        "/console/audit",
        "/console/transfers?min=x",
    ] {
        let page = browser.get(path).await;
        assert!(!page.body.contains("data-live"), "{path}");
    }
}

#[actix_web::test]
async fn a_page_that_is_far_behind_is_told_so_and_goes_on() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    let transfer = world.transfer(id).await;
    let event = |number| Event {
        number,
        at: NOW,
        what: Happening::Step(step(&transfer)),
    };
    *locked(&world.events.events) = (1..=5_000).map(event).collect();
    world.console.live().reach(5_000);
    let overview = "/console/events?page=overview&after=";
    let listen = |after: i64| Stream::open(&world, format!("{overview}{after}"));
    let mut far = listen(3_999).await.unwrap();
    far.told(&behind(5_000)).await;
    let mut near = listen(4_000).await.unwrap();
    let told = near.told(&at(5_000)).await;
    assert!(
        told.contains("event: moved") && !told.contains("behind"),
        "{told}"
    );
    steps(&world, id).await;
    for mut stream in [far, near] {
        let told = stream.told(&at(5_001)).await;
        assert!(told.contains("event: moved"), "{told}");
    }
    world.console.live().end();
}

#[actix_web::test]
async fn a_page_whose_events_are_gone_is_told_so_and_goes_on() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    for _ in 0..9 {
        steps(&world, id).await;
    }
    *locked(&world.events.oldest) = 8;
    let address = format!("/console/events?page=transfer&after=3&rows={id}.1");
    let mut stream = Stream::open(&world, &address).await.unwrap();
    stream.told(&behind(9)).await;
    steps(&world, id).await;
    stream.told(&at(10)).await;
    world.console.live().end();
}

/// The database was restored to an earlier time since the page was made.
#[actix_web::test]
async fn a_page_that_knows_more_than_the_database_is_told_so_and_goes_on() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    steps(&world, id).await;
    let overview = "/console/events?page=overview&after=";
    let mut stream = Stream::open(&world, &format!("{overview}70"))
        .await
        .unwrap();
    stream.told(&behind(1)).await;
    steps(&world, id).await;
    stream.told(&at(2)).await;
    // What it asked for keeps the others from nothing.
    let mut other = Stream::open(&world, &format!("{overview}1")).await.unwrap();
    other.told(&at(2)).await;
    world.console.live().end();
}

#[actix_web::test]
async fn what_many_pages_listen_to_is_read_once() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    steps(&world, id).await;
    let address = "/console/events?page=overview&after=1";
    let mut streams = vec![];
    for _ in 0..5 {
        streams.push(Stream::open(&world, address).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    locked(&world.events.asked).clear();
    steps(&world, id).await;
    for stream in &mut streams {
        stream.told(&at(2)).await;
    }
    let asked = locked(&world.events.asked).clone();
    let reads = asked.iter().filter(|after| **after == 1).count();
    assert_eq!(reads, 1, "{asked:?}");
    world.console.live().end();
}

#[actix_web::test]
async fn an_operators_oldest_stream_makes_room_for_the_newest() {
    let world = World::new();
    let mut streams = vec![];
    for _ in 0..13 {
        streams.push(Stream::open(&world, QUEUE).await.unwrap());
    }
    let [oldest, .., newest] = &mut streams[..] else {
        panic!("there are two");
    };
    newest.told("retry: ").await;
    oldest.ends().await;
    world.console.live().end();
}

#[actix_web::test]
async fn only_what_a_page_asks_for_is_a_stream() {
    let world = World::new();
    for wrong in ["", "?page=x", "?page=queue", "?page=queue&work=x"] {
        let opened = Stream::open(&world, format!("/console/events{wrong}")).await;
        assert_eq!(opened.err(), Some(400), "{wrong}");
    }
}

#[actix_web::test]
async fn what_was_taken_before_it_changed_is_nobodys() {
    let world = World::new();
    world.second_operator_above(Kind::Withdrawal, "btc", 50_000_000);
    world.fund(ALICE, "btc", "5").await;
    let id = world.withdrawal(ALICE, "btc", "1").await;
    let taker = visitor(OTTO, &[Permission::BackofficeConfirm]).principal;
    let grant = taker.grant(Permission::BackofficeConfirm).unwrap();
    world.app().take(&grant, Some(id)).await.unwrap();
    let taken = format!("event: taken\ndata: {id} 2021-04-09T10:55:40Z otto\n\n");
    let free = format!("event: taken\ndata: {id}\n\n");
    let mut stream = Stream::open(&world, &format!("{QUEUE}&rows={id}.1"))
        .await
        .unwrap();
    stream.told(&taken).await;
    world.confirm(OTTO, id).await;
    assert_eq!(world.transfer(id).await.version(), Version::new(2));
    let approvals = "/console/events?page=queue&work=approvals";
    let mut stream = Stream::open(&world, &format!("{approvals}&rows={id}.2"))
        .await
        .unwrap();
    let told = stream.told(&free).await;
    assert!(!told.contains("otto"), "{told}");
    world.console.live().end();
}
