use bigdecimal::BigDecimal;
use bursar_ports::{OpenWork, QueueOrder, QueuePlace};
use diesel_async::{AsyncConnection, SimpleAsyncConnection};

use super::*;
use crate::{explain::measure, pool::PoolConfig, testing::TestDatabase};

/// Many transfers of which some wait, the newest ones most.
const BOOKS: &str = "SET search_path = book_main; \
    INSERT INTO transfers (id, version, kind, state, asset, scale, amount, fee, user_id, created_by, \
      root_asset, root_scale, root_rate, created_at, updated_at, entry_refs, stage) \
    SELECT n, 1, 'withdrawal', CASE WHEN n % 5 < 2 THEN 'AwaitingConfirmation' ELSE 'Completed' END, \
      CASE WHEN n % 100 < 2 THEN 'eth' ELSE 'btc' END, 8, 1 + n % 977, 0, gen_random_uuid(), \
      'somebody', 'usd', 2, 1.5, timestamptz '2026-01-01Z' + n * interval '1 minute', \
      timestamptz '2026-01-01Z' + n * interval '1 minute', '{}', \
      CASE WHEN n % 5 = 1 THEN 'approval' END \
    FROM generate_series(1, 100000) AS n";

/// Which index has which order.
const CASES: [(OpenWork, QueueOrder, &str); 4] = [
    (
        OpenWork::Withdrawals,
        QueueOrder::Age,
        "transfers_others_idx",
    ),
    (
        OpenWork::Withdrawals,
        QueueOrder::Value,
        "transfers_open_value_idx",
    ),
    (OpenWork::Approvals, QueueOrder::Age, "transfers_stage_idx"),
    (
        OpenWork::Approvals,
        QueueOrder::Value,
        "transfers_open_value_idx",
    ),
];

fn middle(order: QueueOrder) -> QueuePlace {
    let id = TransferId::try_new(50_000).unwrap();
    match order {
        QueueOrder::Age => QueuePlace::Age {
            created_at: Timestamp::parse("2026-02-04T00:00:00Z").unwrap(),
            id,
        },
        QueueOrder::Value => QueuePlace::Value {
            value: BigDecimal::from(7_320_000_000_000_i64),
            id,
        },
    }
}

/// A page with its horizon looks at no more rows than it shows, or than it may look at.
#[tokio::test]
async fn each_page_of_a_queue_follows_the_index_of_its_order() {
    let database = TestDatabase::create().await;
    let mut filling = AsyncPgConnection::establish(database.url()).await.unwrap();
    filling.batch_execute(BOOKS).await.unwrap();
    filling.batch_execute("VACUUM ANALYZE").await.unwrap();
    let config = PoolConfig::new(database.url());
    let mut connection = config.connect_for_reading().await.unwrap();
    for (which, order, index) in CASES {
        for after in [None, Some(middle(order))] {
            let places = Places::new(which, order, after.clone());
            let eth = Some("eth".to_owned());
            for (query, most) in [
                (places.clone().of(None, None, 100), 320),
                (places.clone().of(eth, after.clone(), 100), 30_000),
                (places.clone().horizon(), 30_000),
            ] {
                let (outline, looked_at) = measure(&mut connection, query).await;
                assert!(outline.contains(index), "{which:?} {order:?}: {outline}");
                assert!(!outline.contains("Sort"), "{which:?} {order:?}: {outline}");
                assert!(
                    !outline.contains("Seq Scan"),
                    "{which:?} {order:?}: {outline}"
                );
                assert!(looked_at <= most, "{which:?} {order:?}: {looked_at}");
            }
        }
    }
}
