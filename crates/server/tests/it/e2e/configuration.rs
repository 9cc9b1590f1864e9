//! The command line: what is configured wrongly is told by name, at once and without secrets.

use bursar_postgres::testing::TestDatabase;
use nix::sys::signal::Signal;

use super::{
    books::Books,
    process::{Bursar, Ended, run},
    service::{CODE_KEY, MASTER_KEY, Service, environment},
};

#[track_caller]
fn refused(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    for word in words {
        assert!(ended.stderr.contains(word), "{word} in: {}", ended.stderr);
    }
}

#[tokio::test]
async fn everything_wrong_is_told_at_once_and_secrets_are_not_repeated() {
    let secret = "postgres://bursar:hunter2-in-the-clear@";
    let wrong = [
        ("BURSAR_LISTEN", "somewhere"),
        ("BURSAR_DATABASE_URL", secret),
        ("BURSAR_MASTER_KEY", "canary-master-key"),
        ("BURSAR_CODE_KEY", "canary-code-key"),
        ("BURSAR_DATABASE_POOL_SIZE", "0"),
        ("BURSAR_LOG_FORMAT", "xml"),
        ("BURSAR_CALLBACK_HTTP_HOSTS", "localhost"),
        ("BURSAR_CALLBACK_ALLOW_CIDRS", "10.0.0.0/8"),
        ("BURSAR_SHUTDOWN_GRACE_SECONDS", "1h"),
    ];
    let ended = run(&["serve"], &wrong).await;
    refused(&ended, 2, &["\"somewhere\"", "listen:", "database.url:"]);
    refused(
        &ended,
        2,
        &["master_key:", "code_key:", "database.pool_size:"],
    );
    refused(
        &ended,
        2,
        &[
            "log.format:",
            "callback.http_hosts:",
            "callback.allow_cidrs:",
            "shutdown.grace_seconds:",
        ],
    );
    refused(&ended, 2, &["from the environment, BURSAR_CODE_KEY"]);
    for leaked in ["hunter2", "canary", secret] {
        assert!(!ended.stderr.contains(leaked), "{}", ended.stderr);
    }

    let ended = run(&["serve"], &[("BURSAR_CONFIG", "")]).await;
    refused(
        &ended,
        2,
        &["database.url: is required: set BURSAR_DATABASE_URL"],
    );
    refused(
        &ended,
        2,
        &["master_key: is required", "code_key: is required"],
    );
}

#[tokio::test]
async fn a_file_is_told_by_its_line_and_the_environment_wins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bursar.toml");
    let text = format!(
        "code_key = \"{CODE_KEY}\"\nmaster_key = [\"{MASTER_KEY}\"]\nlisten = \"nowhere\"\n\
         [database]\nurl = \"postgres://u@127.0.0.1:1/x\"\nspeed = \"fast\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let arguments = ["serve", "--config", file.to_str().unwrap()];
    let ended = run(&arguments, &[]).await;
    refused(&ended, 2, &["listen: \"nowhere\"", "bursar.toml, line 3"]);
    refused(
        &ended,
        2,
        &["database.speed: there is no such setting", "line 6"],
    );
    let ended = run(&arguments, &[("BURSAR_LISTEN", "here")]).await;
    refused(
        &ended,
        2,
        &["listen: \"here\"", "from the environment, BURSAR_LISTEN"],
    );
    let missing = ["serve", "--config", "/nonexistent/bursar.toml"];
    refused(&run(&missing, &[]).await, 2, &["/nonexistent/bursar.toml"]);
}

#[tokio::test]
async fn whoever_mistypes_is_helped() {
    let ended = run(&[], &[]).await;
    refused(
        &ended,
        2,
        &[
            "Usage: bursar <COMMAND>",
            "serve",
            "migrate",
            "demo",
            "token",
        ],
    );
    let ended = run(&["sreve"], &[]).await;
    refused(
        &ended,
        2,
        &["unrecognized subcommand 'sreve'", "'serve'", "--help"],
    );
    let ended = run(&["token", "create", "--subject", "x"], &[]).await;
    refused(&ended, 2, &["--permission"]);
    for command in [
        &["serve"][..],
        &["migrate"],
        &["demo"],
        &["token", "create"],
        &["access-key", "create"],
    ] {
        let ended = run(&[command, &["--help"]].concat(), &[]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains("Examples:"), "{}", ended.stdout);
    }
    let version = run(&["--version"], &[]).await;
    assert_eq!(
        version.stdout,
        concat!("bursar ", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn migrating_twice_is_migrating_once_and_serving_needs_it() {
    let database = TestDatabase::try_create_empty().await.unwrap();
    let books = Books::of(database.url());
    let unmigrated = [
        &environment(database.url())[..],
        &[("BURSAR_DATABASE_MIGRATE", "false")],
    ];
    let ended = run(&["serve"], &unmigrated.concat()).await;
    refused(
        &ended,
        1,
        &["the database lacks migrations", "run bursar migrate"],
    );
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('directory', 'book_main')";
    assert_eq!(books.number(schemas).await, 0);

    // No other command does it by the way, whatever serving may do.
    let token: &[&str] = &["token", "create", "--subject", "x", "--permission", "admin"];
    for command in [
        token,
        &["operator", "list"],
        &["reseal"],
        &["after-restore"],
    ] {
        let ended = run(command, &environment(database.url())).await;
        refused(&ended, 1, &["run bursar migrate"]);
        assert_eq!(books.number(schemas).await, 0, "{command:?}");
    }

    // Nothing but the database needs to be configured.
    let settings = [("BURSAR_DATABASE_URL", database.url())];
    for _ in 0..2 {
        let ended = run(&["migrate"], &settings).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("up to date"), "{}", ended.stderr);
    }
    assert_eq!(books.number(schemas).await, 2);
    let settings = [("BURSAR_DATABASE_MIGRATE", "false")];
    let service = Service::start_with(database.url(), &settings).await;
    assert_eq!(service.client().get("/health/ready").await.status, 200);
    service.stopped().await;
}

#[tokio::test]
async fn a_newer_database_is_served_by_nobody_older() {
    let database = TestDatabase::create().await;
    Books::of(database.url())
        .rows("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')")
        .await;
    for migrate in ["true", "false"] {
        let settings = [("BURSAR_DATABASE_MIGRATE", migrate)];
        let settings = [&environment(database.url())[..], &settings].concat();
        let ended = run(&["serve"], &settings).await;
        refused(&ended, 1, &["99991231000000"]);
        let password = database.url().split([':', '@']).nth(2).unwrap();
        assert!(!ended.stderr.contains(password), "{}", ended.stderr);
    }
    let ended = run(&["migrate"], &environment(database.url())).await;
    refused(&ended, 1, &["99991231000000"]);
}

/// Somebody has begun to roll the next release out: this one may still be started.
#[tokio::test]
async fn a_newer_database_is_served_by_those_that_its_migrations_admit() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let says = async |knows: &str| {
        let words = format!(
            "COMMENT ON TABLE __diesel_schema_migrations IS
             'up to 99991231000000 for programs that know {knows}'"
        );
        books.rows(&words).await;
    };
    books
        .rows("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')")
        .await;
    says("20261128000020").await;
    for migrate in ["true", "false"] {
        let settings = [("BURSAR_DATABASE_MIGRATE", migrate)];
        let service = Service::start_with(database.url(), &settings).await;
        assert_eq!(service.client().get("/health/ready").await.status, 200);
        let ended = service.stopped().await;
        assert!(
            ended.stderr.contains("newer than this program"),
            "{}",
            ended.stderr
        );
    }
    let ended = run(&["migrate"], &environment(database.url())).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // What the release after that removes is missed by this one.
    says("99991230000000").await;
    let ended = run(&["serve"], &environment(database.url())).await;
    refused(&ended, 1, &["99991231000000"]);
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_without_its_password() {
    let url = "postgres://bursar:canary-password@127.0.0.1:1/bursar";
    let ended = run(&["migrate"], &environment(url)).await;
    refused(&ended, 1, &["bursar: the database could not be migrated"]);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    // It may be on its way up; whoever does not want to wait for it need not.
    let mut waiting = Bursar::spawn(&["serve"], &environment(url));
    let waits = |line: &str| line.contains("is waited for").then_some(());
    waiting.said(waits).await;
    waiting.signal(Signal::SIGTERM);
    let ended = waiting.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);

    let database = TestDatabase::create().await;
    let first = Service::start(database.url()).await;
    let client = first.client();
    let taken = [("BURSAR_LISTEN", client.address())];
    let settings = [&environment(database.url())[..], &taken].concat();
    let ended = run(&["serve"], &settings).await;
    refused(&ended, 1, &["listen:", client.address()]);
    first.stopped().await;
}

#[tokio::test]
async fn operators_may_have_an_address_of_their_own() {
    let database = TestDatabase::create().await;
    let settings = [("BURSAR_LISTEN_OPERATORS", "127.0.0.1:0")];
    let mut service = Service::start_with(database.url(), &settings).await;
    let (clients, operators) = (service.client(), service.operators().await);
    for path in ["/console/sign-in", "/metrics", "/docs/"] {
        assert_eq!(clients.get(path).await.status, 404, "{path}");
        assert_eq!(operators.get(path).await.status, 200, "{path}");
    }
    for client in [clients, operators] {
        assert_eq!(client.get("/health/ready").await.status, 200);
        assert_eq!(client.get("/internal-transfer").await.status, 401);
    }
    service.stopped().await;
}
