//! The application's role does what the application does, and nothing that rewrites what has been.

use bursar_postgres::{
    GrantError, MigrateError, MigrationState, grant, migrate, migration_state,
    testing::TestDatabase,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

use crate::support::{run, texts};

/// A role of the whole server: what it may do is granted in each database anew.
const ROLE: &str = "bursar_test_application";
/// Who owns a database, and nothing else of the server.
const OWNER: &str = "bursar_test_owner";
/// A member of that one.
const MEMBER: &str = "bursar_test_member";
/// Who may make roles, and give them to itself where PostgreSQL lets it.
const MAKER: &str = "bursar_test_maker";

/// What the role may do beside reading and inserting, by table: `UPDATE` of everything, of
/// everything but what names a row, `DELETE`. It may truncate nothing.
const MAY: [(&str, &str); 33] = [
    ("directory.users", "UPDATE"),
    ("directory.asset_rates", "UPDATE"),
    ("directory.tokens", "UPDATE"),
    ("directory.access_keys", "UPDATE"),
    ("directory.callback_secrets", "UPDATE"),
    ("directory.operators", "some UPDATE"),
    ("directory.operator_sessions", "some UPDATE"),
    ("directory.operator_sessions", "DELETE"),
    ("directory.operator_identities", "DELETE"),
    ("directory.address_book", "DELETE"),
    ("directory.id_ranges", "UPDATE"),
    ("book_main.assets", "UPDATE"),
    ("book_main.owners", "UPDATE"),
    ("book_main.id_ranges", "UPDATE"),
    ("book_main.accounts", "some UPDATE"),
    ("book_main.transfers", "some UPDATE"),
    ("book_main.idempotency_keys", "UPDATE"),
    ("book_main.idempotency_keys", "DELETE"),
    ("book_main.callbacks", "UPDATE"),
    ("book_main.rule_sets", "UPDATE"),
    ("book_main.writers", "UPDATE"),
    ("book_main.fee_schedules", "UPDATE"),
    ("book_main.limits", "UPDATE"),
    ("book_main.root_uses", "UPDATE"),
    ("book_main.payouts", "some UPDATE"),
    ("book_main.payouts", "DELETE"),
    ("book_main.stops", "DELETE"),
    ("book_main.journal", "some UPDATE"),
    ("book_main.journal_queue", "DELETE"),
    ("book_main.sequencers", "UPDATE"),
    ("book_main.takings", "some UPDATE"),
    ("book_main.takings", "DELETE"),
    ("book_main.hourly_volumes", "some UPDATE"),
];

/// What must never change, whatever else about the row does.
const NAMED: [&str; 35] = [
    "accounts SET id",
    "accounts SET owner",
    "accounts SET owner_kind",
    "accounts SET asset",
    "transfers SET id",
    "transfers SET kind",
    "transfers SET asset",
    "transfers SET scale",
    "transfers SET amount",
    "transfers SET fee",
    "transfers SET user_id",
    "transfers SET recipient_id",
    "transfers SET recipient_typed",
    "transfers SET code_salt",
    "transfers SET custom_id",
    "transfers SET note",
    "transfers SET callback_url",
    "transfers SET created_by",
    "transfers SET root_asset",
    "transfers SET root_scale",
    "transfers SET root_rate",
    "transfers SET root_source",
    "transfers SET root_rated_at",
    "transfers SET created_at",
    "transfers SET reverses",
    "transfers SET reversal_covers",
    "transfers SET reversal_fee",
    "journal SET locked_at",
    "journal SET versions",
    "journal SET states",
    "journal SET payload",
    "takings SET transfer_id",
    "hourly_volumes SET hour",
    "hourly_volumes SET asset",
    "hourly_volumes SET kind",
];

/// The address of a database for the application's role, which gets its rights there.
pub(crate) async fn as_application(database: &TestDatabase) -> String {
    as_application_of(database, database.url()).await
}

/// The same, with its rights from the role of this address.
async fn as_application_of(database: &TestDatabase, owner_url: &str) -> String {
    let url = as_role(database, ROLE).await;
    grant(owner_url, ROLE).await.unwrap();
    url
}

/// The address of a database for a role that owns it and is no superuser.
pub(crate) async fn as_owner(database: &TestDatabase) -> String {
    let url = as_role(database, OWNER).await;
    let mut admin = AsyncPgConnection::establish(database.url()).await.unwrap();
    let own = format!("ALTER DATABASE \"{}\" OWNER TO {OWNER}", database.name());
    run(&mut admin, &own).await;
    url
}

/// The address of a database for a role that may do nothing there yet.
async fn as_role(database: &TestDatabase, role: &str) -> String {
    let mut admin = AsyncPgConnection::establish(database.url()).await.unwrap();
    // Another test may be making it right now.
    let make = format!(
        "DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD 'application'; \
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    );
    run(&mut admin, &make).await;
    let (scheme, rest) = database.url().split_once("://").unwrap();
    let (_admin, place) = rest.rsplit_once('@').unwrap();
    format!("{scheme}://{role}:application@{place}")
}

/// What PostgreSQL says to a statement.
async fn refusal(connection: &mut AsyncPgConnection, statement: &str) -> Option<String> {
    let done = connection.batch_execute(statement).await;
    done.err().map(|error| error.to_string())
}

#[tokio::test]
async fn every_write_that_is_not_the_applications_is_refused() {
    let database = TestDatabase::create().await;
    let url = as_application(&database).await;
    let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
    let mut application = AsyncPgConnection::establish(&url).await.unwrap();
    let tables = texts(
        &mut owner,
        "SELECT n.nspname || '.' || c.relname FROM pg_class AS c \
         JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname IN ('directory', 'book_main') AND c.relkind = 'r'",
    )
    .await;
    assert!(tables.len() >= 28, "{tables:?}");
    for table in &tables {
        let columns = format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 \
             AND NOT attisdropped"
        );
        let columns = texts(&mut owner, &columns).await;
        let everything: Vec<String> = columns.iter().map(|c| format!("{c} = {c}")).collect();
        for (verb, statement) in [
            (
                "UPDATE",
                format!("UPDATE {table} SET {}", everything.join(", ")),
            ),
            ("DELETE", format!("DELETE FROM {table}")),
            ("TRUNCATE", format!("TRUNCATE {table}")),
            ("DROP", format!("DROP TABLE {table}")),
            ("ALTER", format!("ALTER TABLE {table} ADD COLUMN x int")),
            (
                "DISABLE",
                format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
            ),
        ] {
            let told = refusal(&mut application, &statement).await;
            let may = MAY.contains(&(table.as_str(), verb));
            assert_eq!(told.is_none(), may, "{statement}: {told:?}");
            let denied = |told: &String| {
                told.contains("permission denied") || told.contains("must be owner")
            };
            assert!(told.as_ref().is_none_or(denied), "{statement}: {told:?}");
        }
    }
    for named in NAMED {
        let (_, column) = named.split_once(" SET ").unwrap();
        let statement = format!("UPDATE book_main.{named} = {column}");
        let told = refusal(&mut application, &statement).await.unwrap();
        assert!(told.contains("permission denied"), "{statement}: {told}");
    }
    for statement in [
        "CREATE TABLE book_main.mine (id int)",
        "CREATE TABLE directory.mine (id int)",
        "CREATE OR REPLACE FUNCTION book_main.refuse_to_rewrite() RETURNS trigger LANGUAGE sql \
         AS 'SELECT NULL'",
        "SET session_replication_role = replica",
        "DELETE FROM __diesel_schema_migrations",
    ] {
        let told = refusal(&mut application, statement).await;
        assert!(told.is_some(), "{statement}");
    }
}

/// The second line: not even the owner rewrites the ledger, unless it takes the trigger away.
#[tokio::test]
async fn nobody_rewrites_entries() {
    let database = TestDatabase::create().await;
    let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
    for statement in [
        "UPDATE book_main.entries SET seq = seq",
        "DELETE FROM book_main.entries",
        "TRUNCATE book_main.entries",
    ] {
        let told = refusal(&mut owner, statement).await.unwrap();
        assert!(told.contains("append-only"), "{statement}: {told}");
    }
}

#[tokio::test]
async fn rights_are_given_to_a_role_that_can_be_kept_from_others_alone() {
    let database = TestDatabase::create().await;
    as_application(&database).await;
    grant(database.url(), ROLE).await.unwrap();
    let nobody = grant(database.url(), "no \"such\" role").await;
    assert!(matches!(nobody, Err(GrantError::NoRole(_))), "{nobody:?}");
    let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
    let me = texts(&mut owner, "SELECT current_user::text").await;
    let mighty = grant(database.url(), &me[0]).await;
    assert!(matches!(mighty, Err(GrantError::Owner(_))), "{mighty:?}");
    run(
        &mut owner,
        "CREATE TABLE book_main.later (id int PRIMARY KEY)",
    )
    .await;
    let unknown = grant(database.url(), ROLE).await;
    assert!(
        matches!(&unknown, Err(GrantError::UnknownTables(tables)) if *tables == ["book_main.later"]),
        "{unknown:?}"
    );
    let away = grant("postgres://nobody@127.0.0.1:1/none", ROLE).await;
    assert!(matches!(away, Err(GrantError::Connect(_))), "{away:?}");
}

/// Whoever owns a schema drops its tables, and whoever owns the database drops that.
#[tokio::test]
async fn nothing_can_be_kept_from_whoever_owns_what_the_tables_are_in() {
    let database = TestDatabase::create().await;
    for role in [ROLE, OWNER, MEMBER] {
        as_role(&database, role).await;
    }
    let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
    run(&mut owner, &format!("GRANT {OWNER} TO {MEMBER}")).await;
    let me = texts(&mut owner, "SELECT quote_ident(current_user)").await;
    let whole = format!("DATABASE \"{}\"", database.name());
    for place in [
        "SCHEMA directory",
        "SCHEMA book_main",
        "TABLE public.__diesel_schema_migrations",
        whole.as_str(),
    ] {
        for (now, role) in [(ROLE, ROLE), (OWNER, MEMBER)] {
            run(&mut owner, &format!("ALTER {place} OWNER TO {now}")).await;
            let mighty = grant(database.url(), role).await;
            assert!(
                matches!(mighty, Err(GrantError::Owner(_))),
                "{place}: {role}: {mighty:?}"
            );
        }
        run(&mut owner, &format!("ALTER {place} OWNER TO {}", me[0])).await;
        for role in [ROLE, MEMBER] {
            grant(database.url(), role).await.unwrap();
        }
    }
}

/// Until PostgreSQL 16 it gives itself any role that is no superuser, the owner of the tables too.
#[tokio::test]
async fn nothing_can_be_kept_from_whoever_gives_itself_any_role() {
    let database = TestDatabase::create().await;
    as_role(&database, MAKER).await;
    let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
    // A test that was cut off may have left it.
    run(&mut owner, &format!("ALTER ROLE {MAKER} NOCREATEROLE")).await;
    grant(database.url(), MAKER).await.unwrap();
    run(&mut owner, &format!("ALTER ROLE {MAKER} CREATEROLE")).await;
    let mighty = grant(database.url(), MAKER).await;
    run(&mut owner, &format!("ALTER ROLE {MAKER} NOCREATEROLE")).await;
    let older = "SELECT (current_setting('server_version_num')::int < 160000)::text";
    let is_owner = matches!(mighty, Err(GrantError::Owner(_)));
    let expected = texts(&mut owner, older).await == ["true"];
    assert_eq!(is_owner, expected, "{mighty:?}");
    assert!(is_owner || mighty.is_ok(), "{mighty:?}");
}

/// What a role has of others it has for good, whatever is taken from itself.
#[tokio::test]
async fn what_a_role_inherits_is_told_and_not_called_granted() {
    let database = TestDatabase::create().await;
    as_role(&database, ROLE).await;
    let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
    let given = [
        ("DELETE ON book_main.entries", "DELETE on book_main.entries"),
        (
            "UPDATE (amount) ON book_main.transfers",
            "UPDATE (amount) on book_main.transfers",
        ),
        (
            "UPDATE (seal) ON book_main.entries",
            "UPDATE on book_main.entries",
        ),
        (
            "INSERT (name) ON book_main.writers",
            "INSERT on book_main.writers",
        ),
        ("CREATE ON SCHEMA directory", "CREATE on schema directory"),
        (
            "DELETE ON public.__diesel_schema_migrations",
            "DELETE on public.__diesel_schema_migrations",
        ),
    ];
    for (right, told) in given {
        run(&mut owner, &format!("GRANT {right} TO PUBLIC")).await;
        match grant(database.url(), ROLE).await {
            Err(GrantError::TooMuch { rights, .. }) => assert_eq!(rights, [told]),
            other => panic!("{other:?}"),
        }
        let nothing =
            format!("SELECT has_table_privilege('{ROLE}', 'book_main.writers', 'SELECT')::text");
        assert_eq!(
            texts(&mut owner, &nothing).await,
            ["false"],
            "nothing is changed"
        );
        run(&mut owner, &format!("REVOKE {right} FROM PUBLIC")).await;
    }
    grant(database.url(), ROLE).await.unwrap();
}

/// What a grant of an earlier release gave too much is taken back.
#[tokio::test]
async fn what_was_given_by_hand_is_taken_back() {
    let database = TestDatabase::create().await;
    let url = as_application(&database).await;
    let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
    let by_hand = format!(
        "GRANT ALL ON ALL TABLES IN SCHEMA book_main TO {ROLE}; \
         GRANT UPDATE (amount) ON book_main.transfers TO {ROLE}; \
         GRANT CREATE ON SCHEMA book_main TO {ROLE}; \
         GRANT ALL ON public.__diesel_schema_migrations TO {ROLE}"
    );
    run(&mut owner, &by_hand).await;
    let mut application = AsyncPgConnection::establish(&url).await.unwrap();
    let too_much = [
        "UPDATE book_main.transfers SET amount = amount",
        "TRUNCATE book_main.callbacks",
        "DELETE FROM public.__diesel_schema_migrations WHERE version = ''",
        "CREATE TABLE book_main.mine (id int)",
    ];
    for statement in too_much {
        assert_eq!(refusal(&mut application, statement).await, None);
    }
    // Whoever owns a table there can be kept from nothing.
    let owner_now = grant(database.url(), ROLE).await;
    assert!(
        matches!(owner_now, Err(GrantError::Owner(_))),
        "{owner_now:?}"
    );
    run(&mut owner, "DROP TABLE book_main.mine").await;
    grant(database.url(), ROLE).await.unwrap();
    for statement in [
        "UPDATE book_main.transfers SET amount = amount",
        "TRUNCATE book_main.callbacks",
        "DELETE FROM public.__diesel_schema_migrations WHERE version = ''",
        "INSERT INTO public.__diesel_schema_migrations (version) VALUES ('29991231000000')",
    ] {
        let told = refusal(&mut application, statement).await;
        assert!(told.is_some(), "{statement}");
    }
    let told = refusal(&mut application, "CREATE TABLE book_main.more (id int)").await;
    assert!(told.is_some());
}

/// The record of migrations is one, wherever a role looks for names first.
#[tokio::test]
async fn the_record_of_migrations_is_where_it_is_whatever_path_a_role_has() {
    let database = TestDatabase::try_create_empty().await.unwrap();
    let owner_url = as_owner(&database).await;
    migrate(&owner_url).await.unwrap();
    let mut admin = AsyncPgConnection::establish(database.url()).await.unwrap();
    for path in ["book_main", "directory, public", "\"$user\""] {
        let path = format!(
            "ALTER DATABASE \"{}\" SET search_path = {path}",
            database.name()
        );
        run(&mut admin, &path).await;
        migrate(&owner_url).await.unwrap();
        let url = as_application_of(&database, &owner_url).await;
        let state = migration_state(&url).await.unwrap();
        assert_eq!(state, MigrationState::Current, "{path}");
    }
    let records = "SELECT relnamespace::regnamespace::text FROM pg_class \
                   WHERE relname = '__diesel_schema_migrations'";
    assert_eq!(texts(&mut admin, records).await, ["public"]);
}

#[tokio::test]
async fn a_database_where_nobody_may_use_public_is_served_on_after_a_grant() {
    let database = TestDatabase::try_create_empty().await.unwrap();
    let mut admin = AsyncPgConnection::establish(database.url()).await.unwrap();
    run(&mut admin, "REVOKE ALL ON SCHEMA public FROM PUBLIC").await;
    let owner_url = as_owner(&database).await;
    migrate(&owner_url).await.unwrap();
    let url = as_role(&database, ROLE).await;
    // Not "nothing is applied".
    let unseen = migration_state(&url).await;
    assert!(matches!(unseen, Err(MigrateError::Read(_))), "{unseen:?}");
    let url = as_application_of(&database, &owner_url).await;
    assert_eq!(
        migration_state(&url).await.unwrap(),
        MigrationState::Current
    );
}
