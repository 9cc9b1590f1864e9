//! Figures for people: volumes are what a plain sum of transfers is, whoever counts and whoever dies,
//! and the rest tells of what waits and of what callbacks did.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bursar_domain::Timestamp;
use bursar_ports::{
    EventSequencer, Figures, HostHealth, Summary, VolumeScan, Waiting, WaitingWork,
};
use bursar_postgres::PgFigures;
use bursar_testkit::model::{Plan, Profile, Step, StoreRunner, play};
use uuid::Uuid;

use crate::{
    events::number,
    store::PgHarness,
    support::{Fixture, Row, at, insert, run, texts},
};

/// What succeeded, summed up from the transfers themselves.
const PLAIN: &str = "SELECT concat_ws(' ', date_trunc('hour', updated_at, 'UTC'), asset, kind, \
    count(*), sum(amount)) FROM book_main.transfers WHERE state IN ('Completed', 'Success') \
    GROUP BY date_trunc('hour', updated_at, 'UTC'), asset, kind ORDER BY 1";

/// What was counted.
const COUNTED: &str = "SELECT concat_ws(' ', hour, asset, kind, count, amount) \
    FROM book_main.hourly_volumes ORDER BY 1";

async fn fold_all(figures: &PgFigures) {
    while figures.fold().await.unwrap() {}
    assert!(!figures.fold().await.unwrap());
}

async fn rows(harness: &PgHarness, query: &str) -> Vec<String> {
    let query = format!("SELECT answer FROM ({query}) AS q (answer)");
    let rows = harness.client.query(&query, &[]).await.unwrap();
    rows.iter().map(|row| row.get("answer")).collect()
}

/// Two replicas count while transfers are made, reversed, refused and expire.
#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_what_the_transfers_come_to_after_any_history() {
    let harness = Arc::new(PgHarness::start().await);
    let over = Arc::new(AtomicBool::new(false));
    let mut counting = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let figures = PgFigures::new(harness.connections.clone());
        let (events, over) = (harness.events.clone(), Arc::clone(&over));
        counting.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                events.number().await.unwrap();
                figures.fold().await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    let played = Arc::clone(&harness);
    let runtime = tokio::runtime::Handle::current();
    let histories = tokio::task::spawn_blocking(move || {
        let plan = Plan {
            shrinks: 0,
            ..Plan::from_env(40, Profile::Store)
        };
        plan.run(0, 1, |steps: &[Step]| {
            runtime.block_on(async {
                let mut runner = StoreRunner::new(&*played).await;
                play(&mut runner, steps).await
            })
        });
    });
    histories.await.unwrap();
    over.store(true, Ordering::Relaxed);
    counting.join_all().await;
    number(&harness.events).await;
    let figures = PgFigures::new(harness.connections.clone());
    fold_all(&figures).await;
    let plain = rows(&harness, PLAIN).await;
    assert!(plain.len() > 100, "little has succeeded: {}", plain.len());
    assert_eq!(rows(&harness, COUNTED).await, plain);
    let scan = VolumeScan {
        from: Timestamp::EPOCH,
        hours: 1,
    };
    let volumes = figures.volumes(scan).await.unwrap();
    assert_eq!((volumes.rows.len(), volumes.behind), (plain.len(), 0));
}

/// A book with a journal in which each row tells of one deposit, and figures over it.
async fn journal(deposits: i64) -> (Fixture, PgFigures) {
    let mut fixture = Fixture::new().await;
    let rows: Vec<Row> = (1..=deposits).map(|n| Row::deposit(n, 1, n * 60)).collect();
    for some in rows.chunks(100) {
        insert(&mut fixture, some).await;
    }
    fixture
        .run(
            "INSERT INTO book_main.journal (id, topic, locked_at, transfer_ids, versions, states, \
             ats, count, first_number) \
             SELECT gen_random_uuid(), 'transfers', updated_at, ARRAY[id], '{1}', ARRAY[state], \
             ARRAY[updated_at], 1, id FROM book_main.transfers; \
             UPDATE book_main.sequencers SET next_number = 1 + (SELECT max(id) FROM \
             book_main.transfers) WHERE name = 'events'",
        )
        .await;
    let figures = PgFigures::new(fixture.database.clone());
    (fixture, figures)
}

/// Its connection is cut when it has added some sums and not committed.
#[tokio::test]
async fn a_count_that_is_killed_in_the_middle_loses_and_doubles_nothing() {
    let (mut fixture, figures) = journal(300).await;
    assert!(figures.fold().await.unwrap());
    let counted = fixture.texts(COUNTED).await;
    let mut other = fixture.connect().await;
    // Whoever adds to the last of these hours waits.
    let row = "BEGIN; SELECT FROM book_main.hourly_volumes ORDER BY hour DESC LIMIT 1 FOR UPDATE";
    run(&mut other, row).await;
    let killed = tokio::spawn({
        let figures = figures.clone();
        async move { figures.fold().await }
    });
    fixture.until_somebody_waits().await;
    // Another replica passes by meanwhile.
    assert!(!figures.fold().await.unwrap());
    let kill = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
    assert_eq!(texts(&mut other, kill).await, ["true"]);
    killed.await.unwrap().unwrap_err();
    run(&mut other, "ROLLBACK").await;
    assert_eq!(fixture.texts(COUNTED).await, counted);
    fold_all(&figures).await;
    let (plain, counted) = (fixture.texts(PLAIN).await, fixture.texts(COUNTED).await);
    assert_eq!(counted, plain);
}

#[tokio::test]
async fn a_backlog_is_counted_chunk_by_chunk_and_told_of_as_what_is_behind() {
    let (mut fixture, figures) = journal(300).await;
    let scan = VolumeScan {
        from: at(0),
        hours: 24,
    };
    let mut behind = vec![];
    loop {
        behind.push(figures.volumes(scan).await.unwrap().behind);
        if !figures.fold().await.unwrap() {
            break;
        }
    }
    assert_eq!(behind, [300, 172, 44]);
    let volumes = figures.volumes(scan).await.unwrap();
    assert_eq!(volumes.behind, 0);
    let total: u64 = volumes.rows.iter().map(|row| row.count).sum();
    let days: Vec<Timestamp> = volumes.rows.iter().map(|row| row.start).collect();
    assert_eq!((total, days), (300, vec![at(0)]));
    // Notices and steps that are no success count for nothing, and are passed.
    fixture
        .run(
            "INSERT INTO book_main.journal (id, topic, locked_at, transfer_ids, versions, states, \
             ats, payload, count, first_number) VALUES \
             (gen_random_uuid(), 'withdrawal.expiring', now(), '{1}', '{1}', '{Completed}', \
              ARRAY[now()], '{}', 1, 301), \
             (gen_random_uuid(), 'transfers', now(), '{1,2}', '{1,1}', '{Failed,Reversed}', \
              ARRAY[now(), now()], NULL, 2, 302); \
             UPDATE book_main.sequencers SET next_number = 304 WHERE name = 'events'",
        )
        .await;
    fold_all(&figures).await;
    assert_eq!(figures.volumes(scan).await.unwrap(), volumes);
    // Numbers that were left out are no backlog.
    fixture
        .run("UPDATE book_main.sequencers SET next_number = 1000000 WHERE name = 'events'")
        .await;
    assert_eq!(figures.volumes(scan).await.unwrap().behind, 999_696);
    fold_all(&figures).await;
    assert_eq!(figures.volumes(scan).await.unwrap(), volumes);
    fixture
        .run(
            "INSERT INTO book_main.journal (id, topic, locked_at, transfer_ids, versions, states, \
             ats, count, first_number) VALUES (gen_random_uuid(), 'transfers', now(), '{7}', '{1}', \
             '{Completed}', ARRAY[timestamptz '2026-01-01Z'], 1, 1000000); \
             UPDATE book_main.sequencers SET next_number = 1000001 WHERE name = 'events'",
        )
        .await;
    fold_all(&figures).await;
    let volumes = figures.volumes(scan).await.unwrap();
    let total: u64 = volumes.rows.iter().map(|row| row.count).sum();
    assert_eq!((total, volumes.behind), (301, 0));
}

/// Pieces of a period begin at whole ones of UTC.
#[tokio::test]
async fn hours_are_put_together_into_pieces() {
    let (mut fixture, figures) = journal(1).await;
    fixture
        .run(
            "INSERT INTO book_main.hourly_volumes SELECT \
             timestamptz '2026-01-01Z' + n * interval '1 hour', asset, 'internal', 2, 10 ^ 38 \
             FROM generate_series(0, 13) AS n, unnest(ARRAY['eth', 'btc']) AS asset",
        )
        .await;
    let told = async |from, hours| {
        let scan = VolumeScan { from, hours };
        let mut told: BTreeMap<String, Vec<(i64, u64, Option<i128>)>> = BTreeMap::new();
        for row in figures.volumes(scan).await.unwrap().rows {
            let second = (row.start.as_micros() - at(0).as_micros()) / 1_000_000;
            let of_asset = told.entry(row.asset.to_string()).or_default();
            of_asset.push((second / 3_600, row.count, row.amount));
        }
        told
    };
    let each = 10_i128.pow(38);
    let of_six = told(at(0), 6).await;
    assert_eq!(of_six["btc"], of_six["eth"]);
    // Six of them are more than can be told.
    assert_eq!(of_six["btc"], [(0, 12, None), (6, 12, None), (12, 4, None)]);
    let of_one = told(at(12 * 3_600 + 5), 1).await;
    assert_eq!(of_one["btc"], [(12, 2, Some(each)), (13, 2, Some(each))]);
}

/// A callback of some transfer, and its attempts as seconds and outcomes.
fn callback(
    number: u128,
    host: &str,
    state: &str,
    second: i64,
    attempts: &[(i64, &str)],
) -> String {
    let id = Uuid::from_u128(number);
    let next = match state {
        "pending" => format!("'{}'", at(second + 60)),
        _ => "NULL".to_owned(),
    };
    let (created, count) = (at(second), attempts.len());
    let mut text = format!(
        "INSERT INTO book_main.callbacks (id, transfer_id, operation, url, url_digest, status, \
         state, attempts, created_at, next_attempt_at, subscriber, host, queued) VALUES \
         ('{id}', {number}, 'create', 'https://{host}', 'd', 'Completed', '{state}', {count}, \
         '{created}', {next}, 'client:a', '{host}', {});",
        state == "pending"
    );
    for (place, (second, outcome)) in (1..).zip(attempts) {
        let (place, at): (i32, _) = (place, at(*second));
        write!(
            text,
            "INSERT INTO book_main.callback_attempts (callback_id, attempt, at, duration_ms, \
             outcome) VALUES ('{id}', {place}, '{at}', 250, '{outcome}');"
        )
        .unwrap();
    }
    text
}

#[tokio::test]
async fn hosts_tell_what_waits_what_died_and_what_was_tried_last() {
    let mut fixture = Fixture::new().await;
    let callbacks = [
        callback(
            1,
            "good:443",
            "succeeded",
            1,
            &[(1, "timeout"), (9, "delivered")],
        ),
        callback(2, "good:443", "succeeded", 5, &[(6, "delivered")]),
        callback(3, "dead:443", "dead", 2, &[(3, "connect"), (7, "status")]),
        callback(4, "slow:443", "pending", 3, &[(4, "timeout")]),
        callback(5, "slow:443", "pending", 8, &[]),
        callback(6, "", "pending", 1, &[]),
    ];
    fixture.run(&callbacks.join(" ")).await;
    let figures = PgFigures::new(fixture.database.clone());
    let quiet = |host: &str| HostHealth {
        host: host.to_owned(),
        pending: 0,
        dead: 0,
        oldest_pending: None,
        last_success: None,
        last_failure: None,
        last_failure_outcome: None,
    };
    let failed = |second, outcome: &str, health| HostHealth {
        last_failure: Some(at(second)),
        last_failure_outcome: Some(outcome.to_owned()),
        ..health
    };
    let expected = [
        HostHealth {
            dead: 1,
            ..failed(7, "status", quiet("dead:443"))
        },
        HostHealth {
            last_success: Some(at(9)),
            ..failed(1, "timeout", quiet("good:443"))
        },
        HostHealth {
            pending: 2,
            oldest_pending: Some(at(3)),
            ..failed(4, "timeout", quiet("slow:443"))
        },
    ];
    assert_eq!(figures.callback_hosts().await.unwrap(), expected);
    // Two were delivered: 8.25 s and 1.25 s after they had become due.
    let lag = figures.callback_lag(at(64)).await.unwrap();
    assert_eq!((lag.pending, lag.oldest_due), (3, Some(at(61))));
    assert_eq!(
        (lag.sample, lag.p50_ms, lag.p95_ms),
        (2, Some(1_250), Some(8_250))
    );
    let waiting = figures.waiting().await.unwrap();
    let dead = Waiting {
        count: 1,
        oldest: Some(at(2)),
    };
    assert_eq!(waiting.dead_callbacks, dead);
}

#[tokio::test]
async fn what_waits_is_counted_by_what_it_waits_for() {
    let mut fixture = Fixture::new().await;
    let figures = PgFigures::new(fixture.database.clone());
    let nothing = figures.waiting().await.unwrap();
    assert_eq!(nothing, WaitingWork::default());
    let lag = figures.callback_lag(at(0)).await.unwrap();
    assert_eq!((lag.pending, lag.sample, lag.p50_ms), (0, 0, None));
    assert_eq!(figures.callback_hosts().await.unwrap(), []);
    let rows: Vec<Row> = (1..=9).map(|id| Row::withdrawal(id, 1, id)).collect();
    insert(&mut fixture, &rows).await;
    fixture
        .run(
            "UPDATE book_main.transfers SET state = 'AwaitingConfirmation', \
             stage = CASE id % 3 WHEN 1 THEN 'approval' WHEN 2 THEN 'payout' END; \
             UPDATE book_main.transfers SET state = 'Canceled', stage = NULL WHERE id IN (1, 3)",
        )
        .await;
    let waiting = figures.waiting().await.unwrap();
    let told = |waiting: Waiting| (waiting.count, waiting.oldest);
    assert_eq!(told(waiting.withdrawals), (2, Some(at(6))));
    assert_eq!(told(waiting.approvals), (2, Some(at(4))));
    assert_eq!(told(waiting.dead_callbacks), (0, None));
}
