//! Lanes, and the queue that they are found by.

use bursar_ports::{DueLane, Lane, Outbox};

use super::*;
use crate::support::run;

const UP: &str = include_str!("../../../../../migrations/2026-11-21-000006_callback_lanes/up.sql");
const DOWN: &str =
    include_str!("../../../../../migrations/2026-11-21-000006_callback_lanes/down.sql");

fn lane(subscriber: &str, host: &str) -> Lane {
    Lane {
        subscriber: format!("client:{subscriber}"),
        host: host.to_owned(),
    }
}

/// A callback of a lane of its own transfer, due since a second.
fn in_lane(id: u128, lane: &Lane, is_final: bool, second: i64) -> String {
    let url = format!("https://{}/{id}", lane.host);
    let made = callback(id, i64::try_from(id).unwrap(), "create", &url, second);
    format!(
        "{made} UPDATE book_main.callbacks SET subscriber = '{}', host = '{}', is_final = {is_final} \
         WHERE id = '{}';",
        lane.subscriber,
        lane.host,
        Uuid::from_u128(id)
    )
}

fn due(lane: &Lane, is_final: bool, second: i64) -> DueLane {
    DueLane {
        lane: lane.clone(),
        is_final,
        due_at: at(second),
    }
}

fn share(lane: &Lane, places: u32) -> LaneShare {
    LaneShare {
        lane: lane.clone(),
        places,
    }
}

#[tokio::test]
async fn each_lane_is_found_once_by_what_comes_first_in_it() {
    let [a1, a2, b1] = [lane("a", "h1"), lane("a", "h2"), lane("b", "h1")];
    let callbacks = [
        in_lane(1, &a1, true, 5),
        in_lane(2, &a1, true, 4),
        in_lane(3, &a1, false, 1),
        in_lane(4, &a2, false, 7),
        in_lane(5, &b1, true, 3),
        in_lane(6, &b1, true, 99),
    ];
    let (_fixture, outbox) = fixture(6, &callbacks).await;
    let all = [due(&a1, true, 4), due(&a2, false, 7), due(&b1, true, 3)];
    for (now, after, full, expected) in [
        (10, None, vec![], &all[..]),
        (10, Some(&a1), vec![], &all[1..]),
        (10, Some(&a2), vec![], &all[2..]),
        (10, Some(&b1), vec![], &[]),
        // What is full is seen once at most, and never stands in the way.
        (
            10,
            None,
            vec!["client:a".to_owned()],
            &[all[0].clone(), all[2].clone()],
        ),
        (3, None, vec![], &all[2..]),
    ] {
        let found = outbox
            .due_lanes(at(now), after.cloned(), full)
            .await
            .unwrap();
        assert_eq!(found.lanes, expected);
        assert_eq!(found.next, None);
    }
}

/// Whoever has lanes without end is seen in parts, and everybody else in every look.
#[tokio::test]
async fn a_subscriber_with_many_lanes_is_in_nobodys_way_and_seen_whole_in_a_few_looks() {
    const MANY: usize = 200;
    let other = lane("z", "h");
    let mut callbacks: Vec<String> = (1..=MANY)
        .map(|n| {
            in_lane(
                u128::try_from(n).unwrap(),
                &lane("a", &format!("{n:03}")),
                true,
                1,
            )
        })
        .collect();
    callbacks.push(in_lane(u128::try_from(MANY + 1).unwrap(), &other, true, 9));
    let (_fixture, outbox) = fixture(i64::try_from(MANY + 1).unwrap(), &callbacks).await;
    for _ in 0..2 {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..5 {
            let look = outbox.due_lanes(at(10), None, vec![]).await.unwrap();
            assert_eq!(look.next, None);
            assert_eq!(look.lanes.last().unwrap().lane, other);
            assert!(look.lanes.len() <= 49, "{}", look.lanes.len());
            seen.extend(look.lanes.into_iter().map(|due| due.lane.host));
        }
        assert_eq!(seen.len(), MANY + 1);
    }
}

/// A look that shows one lane of who is full, and one that comes to others alone, change nothing of where
/// somebody was left.
#[tokio::test]
async fn a_subscriber_goes_on_where_it_was_left_whoever_was_looked_at_meanwhile() {
    const LANES: u32 = 100;
    let mut callbacks = vec![];
    for (nth, subscriber) in ["a", "b"].into_iter().enumerate() {
        for n in 0..LANES {
            let id = u128::try_from(nth).unwrap() * u128::from(LANES) + u128::from(n) + 1;
            callbacks.push(in_lane(id, &lane(subscriber, &format!("{n:03}")), true, 1));
        }
    }
    // More than a look has room for.
    for n in 0..500 {
        callbacks.push(in_lane(1_000 + n, &lane(&format!("c{n:03}"), "h"), true, 1));
    }
    let (_fixture, outbox) = fixture(1_500, &callbacks).await;
    let of = |look: &[DueLane], who: &str| -> Vec<String> {
        let subscriber = format!("client:{who}");
        let lanes = look.iter().map(|due| &due.lane);
        let lanes = lanes.filter(|lane| lane.subscriber == subscriber);
        lanes.map(|lane| lane.host.clone()).collect()
    };
    let hosts = |from: u32, to: u32| (from..to).map(|n| format!("{n:03}")).collect::<Vec<_>>();
    let look = async |after, full| outbox.due_lanes(at(10), after, full).await.unwrap();
    let first = look(None, vec![]).await;
    assert_eq!(of(&first.lanes, "a"), hosts(0, 48));
    assert!(first.next.is_some(), "there is another page");
    let rest = look(first.next, vec![]).await;
    assert_eq!(of(&rest.lanes, "a"), [""; 0]);
    let full = look(None, vec!["client:a".to_owned()]).await;
    assert_eq!(of(&full.lanes, "a"), hosts(48, 49));
    assert_eq!(of(&full.lanes, "b"), hosts(48, 96));
    let third = look(None, vec![]).await;
    assert_eq!(of(&third.lanes, "a"), hosts(48, 96));
    assert_eq!(of(&third.lanes, "b"), hosts(96, 100));
    let last = look(None, vec![]).await;
    assert_eq!(of(&last.lanes, "a"), hosts(96, 100));
    assert_eq!(of(&last.lanes, "b"), hosts(0, 48));
}

/// Behind somebody whose lanes were all seen a look comes to the next one at its first lane.
#[tokio::test]
async fn whoever_comes_behind_one_that_was_seen_to_the_end_stays_where_it_was() {
    let mut callbacks = vec![];
    for (nth, (subscriber, lanes)) in [("a", 48), ("b", 200)].into_iter().enumerate() {
        for n in 0..lanes {
            let id = u128::try_from(nth * 1_000 + n + 1).unwrap();
            callbacks.push(in_lane(id, &lane(subscriber, &format!("{n:03}")), true, 1));
        }
    }
    let (_fixture, outbox) = fixture(1_200, &callbacks).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let look = outbox.due_lanes(at(10), None, vec![]).await.unwrap();
        seen.extend(look.lanes.into_iter().map(|due| due.lane));
    }
    assert_eq!(seen.len(), 248);
}

#[tokio::test]
async fn a_claim_takes_of_each_lane_what_it_may_final_states_first() {
    let [a, b, c] = ["a", "b", "c"].map(|name| lane(name, "h"));
    let callbacks = [
        in_lane(1, &a, false, 1),
        in_lane(2, &a, true, 6),
        in_lane(3, &a, true, 5),
        in_lane(4, &a, true, 7),
        in_lane(5, &b, true, 9),
        in_lane(6, &c, true, 1),
    ];
    let (_fixture, outbox) = fixture(6, &callbacks).await;
    let claimed = async |shares: &[LaneShare]| {
        let claims = outbox.claim_due(at(10), LEASE_MS, shares.to_vec()).await;
        let claims = claims.unwrap();
        let mut ids = ids(&claims);
        ids.sort_unstable();
        (ids, claims)
    };
    let (first, claims) = claimed(&[share(&a, 2), share(&b, 8)]).await;
    assert_eq!(first, [2, 3, 5]);
    let lanes: Vec<&Lane> = claims.iter().map(|claim| &claim.lane).collect();
    assert_eq!(lanes, [&a, &a, &b]);
    assert_eq!(claims[0].due_since, at(5));
    assert_eq!(claimed(&[share(&a, 2), share(&b, 8)]).await.0, [1, 4]);
    assert_eq!(claimed(&[share(&a, 2), share(&b, 8)]).await.0, [0; 0]);
    assert_eq!(claimed(&[]).await.0, [0; 0]);
    assert_eq!(claimed(&[share(&c, 1)]).await.0, [6]);
}

#[tokio::test]
async fn what_waits_for_its_time_is_in_no_lane_until_it_comes() {
    let a = lane("a", "h");
    let callbacks: Vec<String> = (1..=3).map(|id| in_lane(id, &a, true, 1)).collect();
    let (_fixture, outbox) = fixture(3, &callbacks).await;
    let claims = outbox
        .claim_due(at(10), LEASE_MS, vec![share(&a, 3)])
        .await
        .unwrap();
    let retry = attempt(&claims[0], at(10), Verdict::RetryAt(at(20)));
    assert!(outbox.record_attempt(retry).await.unwrap());
    let given_back = (claims[1].id, claims[1].lease);
    outbox.release(vec![given_back]).await.unwrap();
    // The third stays leased until 40.
    for (now, enqueued) in [(19, 0), (20, 1), (20, 0), (39, 0), (40, 1), (99, 0)] {
        assert_eq!(outbox.enqueue_due(at(now), 10).await.unwrap(), enqueued);
    }
    let lanes = outbox.due_lanes(at(50), None, vec![]).await.unwrap().lanes;
    assert_eq!(lanes, [due(&a, true, 1)]);
    assert_eq!(ids(&claim(&outbox, 50, 9).await), [2, 1, 3]);
    assert_eq!(outbox.enqueue_due(at(60), 0).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_given_up_is_old_and_tells_why() {
    let [a, b] = ["a", "b"].map(|name| lane(name, "h"));
    let callbacks = [
        in_lane(1, &a, true, 1),
        in_lane(2, &a, true, 2),
        in_lane(3, &a, true, 3),
        in_lane(4, &b, true, 1),
    ];
    let (mut fixture, outbox) = fixture(4, &callbacks).await;
    let gave_up = outbox.give_up(a.clone(), at(3), at(10)).await.unwrap();
    assert_eq!(gave_up, 2);
    assert_eq!(outbox.give_up(a, at(3), at(10)).await.unwrap(), 0);
    assert_eq!(
        states(&mut fixture).await,
        ["dead", "dead", "pending", "pending"]
    );
    let told = "SELECT outcome || ' ' || attempt || ' ' || duration_ms || ' ' \
                || coalesce(http_status::text, 'none') FROM book_main.callback_attempts";
    let told = fixture.texts(told).await;
    assert_eq!(told, ["breaker 1 0 none", "breaker 1 0 none"]);
}

#[tokio::test]
async fn the_figures_tell_what_is_due() {
    let a = lane("a", "h");
    let callbacks: Vec<String> = (1..=3)
        .map(|id| in_lane(id, &a, true, i64::try_from(id).unwrap() * 10))
        .collect();
    let (_fixture, outbox) = fixture(3, &callbacks).await;
    for (now, due, oldest) in [(5, 0, None), (20, 2, Some(at(10))), (30, 3, Some(at(10)))] {
        let figures = outbox.figures(at(now)).await.unwrap();
        assert_eq!((figures.due, figures.oldest_due_at), (due, oldest));
    }
    // What is being tried does not wait.
    outbox
        .claim_due(at(30), LEASE_MS, vec![share(&a, 1)])
        .await
        .unwrap();
    assert_eq!(outbox.figures(at(30)).await.unwrap().due, 2);
}

#[tokio::test]
async fn a_migration_finds_the_lanes_of_what_is_on_its_way() {
    let urls = [
        "https://Example.com/a",
        "https://example.com:8443?x",
        "http://127.0.0.1/",
        "http://[::1]:9000/x",
        "u",
    ];
    let callbacks: Vec<String> = (1..)
        .zip(urls)
        .map(|(id, url)| callback(u128::try_from(id).unwrap(), id, "create", url, id))
        .collect();
    let (fixture, outbox) = fixture(6, &[]).await;
    let mut connection = fixture.connect().await;
    run(&mut connection, DOWN).await;
    run(&mut connection, &callbacks.join(" ")).await;
    let retry = "UPDATE book_main.callbacks SET next_attempt_at = '2030-01-01Z' \
                 WHERE id = '00000000-0000-0000-0000-000000000003'";
    run(&mut connection, retry).await;
    run(&mut connection, UP).await;
    // One by a replica that has not been replaced yet.
    run(&mut connection, &callback(6, 6, "create", "https://a", 6)).await;
    let found = crate::support::texts(
        &mut connection,
        "SELECT subscriber || ' ' || host || ' ' || is_final || ' ' || queued \
         FROM book_main.callbacks ORDER BY id",
    )
    .await;
    assert_eq!(
        found,
        [
            "client:operator example.com:443 false true",
            "client:operator example.com:8443 false true",
            "client:operator 127.0.0.1:80 false false",
            "client:operator [::1]:9000 false true",
            "client:operator  false true",
            "  true true",
        ]
    );
    assert_eq!(ids(&claim(&outbox, 10, 9).await), [1, 2, 4, 5, 6]);
}
