//! Sequencers side by side, and one that dies.

use bursar_ports::EventSequencer;

use super::{Scene, number};
use crate::support::{run, texts};

#[tokio::test]
async fn one_numbers_and_the_others_pass_by() {
    let mut scene = Scene::new().await;
    scene.deposits(2).await;
    let mut other = scene.fixture.connect().await;
    let lease = "BEGIN; SELECT FROM book_main.sequencers FOR UPDATE";
    run(&mut other, lease).await;
    let passed = scene.events.number().await.unwrap();
    assert_eq!((passed.last, passed.more), (0, false));
    run(&mut other, "ROLLBACK").await;
    assert_eq!(scene.events.number().await.unwrap().last, 2);
    let next = "SELECT next_number::text FROM book_main.sequencers WHERE name = 'events'";
    assert_eq!(scene.fixture.text(next).await, "3");
}

/// Its connection is cut when it has numbered some rows and not committed.
#[tokio::test]
async fn a_sequencer_that_is_killed_in_the_middle_loses_and_doubles_nothing() {
    let mut scene = Scene::new().await;
    scene.deposits(2).await;
    scene.deposits(3).await;
    let mut other = scene.fixture.connect().await;
    let row = "BEGIN; SELECT FROM book_main.journal WHERE count = 3 FOR UPDATE";
    run(&mut other, row).await;
    let events = scene.events.clone();
    let killed = tokio::spawn(async move { events.number().await });
    scene.fixture.until_somebody_waits().await;
    let kill = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
    assert_eq!(texts(&mut other, kill).await, ["true"]);
    killed.await.unwrap().unwrap_err();
    run(&mut other, "ROLLBACK").await;
    assert_eq!(scene.transfers(0, 9).await, []);
    assert_eq!(number(&scene.events).await, 5);
    let numbers = scene.transfers(0, 9).await;
    assert_eq!(numbers, [1, 2, 3, 4, 5].map(|number| (number, number)));
}

/// More than one transaction numbers at once.
#[tokio::test]
async fn a_backlog_is_numbered_chunk_by_chunk() {
    let mut scene = Scene::new().await;
    scene.deposits(1).await;
    scene
        .fixture
        .run(
            "INSERT INTO book_main.journal (id, topic, locked_at, transfer_ids, versions, states, \
             ats, count) \
             SELECT gen_random_uuid(), topic, locked_at + n * interval '1 second', transfer_ids, \
             versions, states, ats, count \
             FROM book_main.journal, generate_series(1, 1200) AS n; \
             INSERT INTO book_main.journal_queue SELECT locked_at, id FROM book_main.journal \
             ON CONFLICT DO NOTHING",
        )
        .await;
    let mut chunks = vec![];
    loop {
        let numbering = scene.events.number().await.unwrap();
        chunks.push(numbering.last);
        if !numbering.more {
            break;
        }
    }
    assert_eq!(chunks, [512, 1_024, 1_201]);
    let disorder = "SELECT count(*)::text FROM (SELECT first_number - lag(first_number) OVER o AS \
                    gap FROM book_main.journal WINDOW o AS (ORDER BY locked_at)) AS n WHERE gap <> 1";
    assert_eq!(scene.fixture.text(disorder).await, "0");
}
