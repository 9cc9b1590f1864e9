//! What waits for operators, and who is at it: the suite that every queue passes, and what only a
//! database shows.

use std::sync::Arc;

use bursar_domain::{ActorId, TransferId, Version};
use bursar_ports::{Take, Taking, WorkQueue};
use bursar_postgres::PgWorkQueue;
use bursar_testkit::work_queue_contract;

use crate::{
    store::PgHarness,
    support::{Fixture, at, draft, run},
};

async fn scene() -> (PgHarness, Arc<dyn WorkQueue>) {
    let harness = PgHarness::start_as_application().await;
    let queue = PgWorkQueue::new(harness.connections.clone());
    (harness, Arc::new(queue))
}

work_queue_contract!(scene().await);

fn taking(number: i64, by: &str, second: i64) -> Taking {
    Taking {
        transfer: TransferId::try_new(number).unwrap(),
        version: Version::FIRST,
        by: ActorId::new(by),
        taken_at: at(second),
        until: at(second + 300),
    }
}

/// Of two who insert at once the second waits until it is known what became of the first.
#[tokio::test]
async fn whoever_comes_second_is_told_what_the_first_one_has() {
    let mut fixture = Fixture::new().await;
    let queue = PgWorkQueue::new(fixture.database.clone());
    for (end, winner) in [("COMMIT", "alice"), ("ROLLBACK", "bob")] {
        let mut first = fixture.connect().await;
        let insert = "BEGIN; INSERT INTO book_main.takings VALUES \
                      (1, 1, 'alice', '2026-01-01T00:00:00Z', '2026-01-01T00:05:00Z')";
        run(&mut first, insert).await;
        let other = queue.clone();
        let second = tokio::spawn(async move { other.take(taking(1, "bob", 1), draft()).await });
        fixture.until_somebody_waits().await;
        run(&mut first, end).await;
        let taken = second.await.unwrap().unwrap();
        let (Take::Taken(has) | Take::Held(has)) = &taken else {
            panic!("{taken:?}")
        };
        assert_eq!(has.by.as_str(), winner);
        assert_eq!(matches!(taken, Take::Taken(_)), winner == "bob");
        fixture.run("DELETE FROM book_main.takings").await;
    }
}

#[tokio::test]
async fn takings_that_ended_are_swept_away_by_the_next_one() {
    let mut fixture = Fixture::new().await;
    let queue = PgWorkQueue::new(fixture.database.clone());
    for number in 1..=3 {
        let taken = queue
            .take(taking(number, "alice", number), draft())
            .await
            .unwrap();
        assert!(matches!(taken, Take::Taken(_)), "{taken:?}");
    }
    let taken = queue.take(taking(4, "bob", 302), draft()).await.unwrap();
    assert!(matches!(taken, Take::Taken(_)), "{taken:?}");
    let left = "SELECT transfer_id::text FROM book_main.takings ORDER BY transfer_id";
    assert_eq!(fixture.texts(left).await, ["3", "4"]);
}

/// Assets are looked at row by row, but a page ends after ten thousand rows and says where.
#[tokio::test]
async fn a_page_of_a_rare_asset_is_short_and_not_the_last() {
    use bursar_ports::{OpenWork, QueueOrder, QueueScan};
    use bursar_testkit::build;

    let mut fixture = Fixture::new().await;
    fixture
        .run(
            "INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, \
             user_id, created_by, root_asset, root_scale, root_rate, created_at, updated_at, \
             entry_refs) \
             SELECT n, 1, 'withdrawal', 'AwaitingConfirmation', \
             CASE WHEN n IN (2, 15000, 24999) THEN 'eth' ELSE 'btc' END, 8, 30000 - n, 0, \
             gen_random_uuid(), 'somebody', 'usd', 2, 1.5, \
             timestamptz '2026-01-01Z' + n * interval '1 second', timestamptz '2026-06-01Z', '{}' \
             FROM generate_series(1, 25000) AS n",
        )
        .await;
    let queue = PgWorkQueue::new(fixture.database.clone());
    for order in QueueOrder::ALL {
        let mut after = None;
        let mut pages = vec![];
        loop {
            let scan = QueueScan {
                which: OpenWork::Withdrawals,
                order,
                asset: Some(build::asset_id("eth")),
                after,
                limit: 10,
            };
            let slice = queue.list_open(scan).await.unwrap();
            let ids = slice.transfers.iter().map(|one| one.id().get());
            pages.push(ids.collect::<Vec<_>>());
            after = slice.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, [vec![2], vec![15_000], vec![24_999]], "{order:?}");
    }
}
