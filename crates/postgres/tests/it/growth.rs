//! Statements keep to the rows that they name while the books grow.

use std::{sync::Arc, time::Duration};

use bursar_domain::Commit;
use bursar_ports::TransferStore;
use bursar_postgres::{EngineConfig, PgStore};
use bursar_testkit::{FixedClock, SequentialIds, build};

use crate::support::{Fixture, patient, patient_engine};

/// How many get their first deposit in one batch.
const TOGETHER: usize = 50;
/// After so many batches a plan that was made for empty books would read thousands of accounts.
const BEFORE: usize = 40;
const COUNTED: usize = 10;

/// How many entries of the accounts' key were read until now.
async fn read_accounts(fixture: &mut Fixture) -> i64 {
    // A session tells what it has read when it has been a second since it last did.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let read = "SELECT idx_tup_read::text FROM pg_stat_user_indexes \
        WHERE schemaname = 'book_main' AND indexrelname = 'accounts_id_pk'";
    fixture.text(read).await.parse().unwrap()
}

#[tokio::test]
async fn plans_that_were_made_for_empty_books_are_made_anew_when_they_grow() {
    let mut fixture = Fixture::with_usd().await;
    // Now the server knows that nobody has an account, and nobody tells it of new ones.
    let small = "VACUUM (ANALYZE) book_main.accounts";
    fixture.run(small).await;
    let never = "ALTER TABLE book_main.accounts SET (autovacuum_enabled = false)";
    fixture.run(never).await;
    let pool = patient(fixture.url());
    let config = EngineConfig {
        batchers: 1,
        ..patient_engine()
    };
    let clock = Arc::new(FixedClock::default());
    let (store, _tasks) = PgStore::start(&pool, fixture.database.clone(), &config, clock);
    let (ids, usd) = (SequentialIds::default(), build::asset("usd", 2));
    let deposit_to_new_users = async || {
        let deposits = (0..TOGETHER).map(|_| {
            let new = build::new_transfer(ids.transfer(), &usd, 1, FixedClock::START);
            Commit::new(build::deposit(new, ids.user()).settled_at_once())
        });
        let made = store.commit(deposits.collect()).await.unwrap();
        assert_eq!(made.len(), TOGETHER);
    };
    for _ in 0..BEFORE {
        deposit_to_new_users().await;
    }
    let before = read_accounts(&mut fixture).await;
    for _ in 0..COUNTED {
        deposit_to_new_users().await;
    }
    // What a session has read it tells with its next transaction at the earliest.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    deposit_to_new_users().await;
    let read = read_accounts(&mut fixture).await - before;
    let accounts = i64::try_from((COUNTED + 1) * (TOGETHER + 1)).unwrap();
    assert!(
        read < 10 * accounts,
        "{read} entries were read for {accounts} accounts"
    );
}
