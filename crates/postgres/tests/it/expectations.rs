//! Changes that expect something of what they replace, by replicas that do not hear of each other at
//! once.

use std::sync::Arc;

use bursar_postgres::{PgDirectory, PgRuleBook};
use bursar_testkit::{FixedClock, expectations::Replicas, expectations_contract};

use crate::support::Fixture;

async fn scene() -> (Replicas, Fixture) {
    let fixture = Fixture::new().await;
    let clock = Arc::new(FixedClock::default());
    let directory = || Arc::new(PgDirectory::new(fixture.database.clone(), clock.clone()));
    let replicas = Replicas {
        here: directory(),
        elsewhere: directory(),
        rule_book: Arc::new(PgRuleBook::new(fixture.database.clone(), clock.clone())),
    };
    (replicas, fixture)
}

expectations_contract!(scene().await);
