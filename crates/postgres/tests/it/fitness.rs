//! A database that would lose texts, or not find what it has, is not served on.

use bursar_postgres::{MigrateError, UnfitDatabase, migrate, require_fit, testing::TestDatabase};
use diesel_async::{AsyncConnection, AsyncPgConnection};

use crate::support::run;

/// A database whose order comes from a library that has versions.
const VERSIONED: &str =
    "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'und'";

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let options = format!("TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
        let database = TestDatabase::try_create_with(&options).await.unwrap();
        let unfit = require_fit(database.url()).await;
        assert!(
            matches!(&unfit, Err(UnfitDatabase::Encoding(said)) if said == encoding),
            "{unfit:?}"
        );
        let unfit = migrate(database.url()).await;
        assert!(
            matches!(&unfit, Err(MigrateError::Unfit(UnfitDatabase::Encoding(said))) if said == encoding),
            "{unfit:?}"
        );
    }
}

#[tokio::test]
async fn a_database_whose_order_has_changed_is_refused_until_its_indexes_are_built_anew() {
    let database = TestDatabase::try_create_with(VERSIONED).await.unwrap();
    migrate(database.url()).await.unwrap();
    require_fit(database.url()).await.unwrap();
    let mut admin = AsyncPgConnection::establish(database.url()).await.unwrap();
    let name = database.name();
    let older = format!("UPDATE pg_database SET datcollversion = '1' WHERE datname = '{name}'");
    run(&mut admin, &older).await;
    let unfit = require_fit(database.url()).await.unwrap_err();
    let said = unfit.to_string();
    for cure in [
        format!("REINDEX DATABASE \"{name}\""),
        format!("ALTER DATABASE \"{name}\" REFRESH COLLATION VERSION"),
    ] {
        assert!(said.contains(&cure), "{said}");
        run(&mut admin, &cure).await;
    }
    require_fit(database.url()).await.unwrap();
}

/// As when the server's files were moved to a system whose library has no versions.
#[tokio::test]
async fn a_version_that_nobody_knows_any_more_is_refused_and_none_at_all_is_not() {
    let database = TestDatabase::create().await;
    require_fit(database.url()).await.unwrap();
    let mut admin = AsyncPgConnection::establish(database.url()).await.unwrap();
    let name = database.name();
    let older = format!("UPDATE pg_database SET datcollversion = '1' WHERE datname = '{name}'");
    run(&mut admin, &older).await;
    let unfit = require_fit(database.url()).await;
    assert!(
        matches!(unfit, Err(UnfitDatabase::Collation { .. })),
        "{unfit:?}"
    );
}
