//! The private server survives what happens to a developer's machine.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use bursar_postgres::{
    local::{self, LocalServer, LocalServerConfig, LocalServerError},
    testing::ScratchFolder,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

fn config(directory: &Path) -> LocalServerConfig {
    LocalServerConfig {
        directory: directory.to_owned(),
        bin_dir: std::env::var_os("PG_BIN").map(Into::into),
        durable: false,
        settings: vec![("shared_buffers".to_owned(), "16MB".to_owned())],
    }
}

async fn run(server: &LocalServer, statement: &str) {
    let mut connection = AsyncPgConnection::establish(&server.url("kept"))
        .await
        .unwrap();
    connection.batch_execute(statement).await.unwrap();
}

async fn answer(server: &LocalServer, query: &str) -> String {
    let mut connection = AsyncPgConnection::establish(&server.url("kept"))
        .await
        .unwrap();
    diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>(query))
        .get_result(&mut connection)
        .await
        .unwrap()
}

async fn start_with_a_note(config: LocalServerConfig) -> LocalServer {
    let server = LocalServer::start(config).await.unwrap();
    server.create_database_if_missing("kept").await.unwrap();
    run(
        &server,
        "CREATE TABLE notes (text text); INSERT INTO notes VALUES ('still here')",
    )
    .await;
    server
}

async fn note(server: &LocalServer) -> String {
    answer(server, "(SELECT text FROM notes)").await
}

#[tokio::test]
async fn a_stopped_server_starts_again_with_its_data() {
    let folder = ScratchFolder::create().await.unwrap();
    let server = start_with_a_note(config(folder.path())).await;
    server.create_database_if_missing("kept").await.unwrap();
    assert_eq!(
        answer(&server, "current_setting('data_checksums')").await,
        "on"
    );
    assert_eq!(
        answer(&server, "current_setting('listen_addresses')").await,
        "127.0.0.1"
    );
    assert_eq!(answer(&server, "current_setting('fsync')").await, "off");
    assert_eq!(
        answer(&server, "current_setting('shared_buffers')").await,
        "16MB"
    );
    let first = server.process_id();
    server.stop().await.unwrap();
    assert_eq!(
        kill(Pid::from_raw(first), None),
        Err(nix::errno::Errno::ESRCH)
    );

    let server = LocalServer::start(config(folder.path())).await.unwrap();
    assert_eq!(note(&server).await, "still here");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_starts_again_with_its_data() {
    let folder = ScratchFolder::create().await.unwrap();
    let durable = LocalServerConfig {
        durable: true,
        ..config(folder.path())
    };
    let server = start_with_a_note(durable).await;
    kill(Pid::from_raw(server.process_id()), Signal::SIGKILL).unwrap();
    drop(server);

    let server = LocalServer::start(config(folder.path())).await.unwrap();
    assert_eq!(note(&server).await, "still here");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_left_running_is_adopted_and_stopped() {
    let folder = ScratchFolder::create().await.unwrap();
    let server = start_with_a_note(config(folder.path())).await;
    let (process, url) = (server.process_id(), server.url("kept"));
    server.leave_running();

    let adopted = LocalServer::start(config(folder.path())).await.unwrap();
    assert_eq!(adopted.process_id(), process);
    assert_eq!(adopted.url("kept"), url);
    assert_eq!(note(&adopted).await, "still here");
    adopted.stop().await.unwrap();
    assert!(AsyncPgConnection::establish(&url).await.is_err());
}

#[tokio::test]
async fn dropping_a_server_stops_it() {
    let folder = ScratchFolder::create().await.unwrap();
    let server = start_with_a_note(config(folder.path())).await;
    let url = server.url("kept");
    drop(server);
    assert!(AsyncPgConnection::establish(&url).await.is_err());
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let folder = ScratchFolder::create().await.unwrap();
    let server = LocalServer::start(config(folder.path())).await.unwrap();
    let second = LocalServer::start(config(folder.path())).await;
    assert!(
        matches!(second, Err(LocalServerError::InUse(_))),
        "{second:?}"
    );
    let deleted = local::fresh(folder.path()).await;
    assert!(
        matches!(deleted, Err(LocalServerError::InUse(_))),
        "{deleted:?}"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn fresh_stops_what_was_left_running_and_deletes_it() {
    let folder = ScratchFolder::create().await.unwrap();
    let server = start_with_a_note(config(folder.path())).await;
    let url = server.url("kept");
    std::fs::write(folder.path().join("demo.env"), "kept").unwrap();
    server.leave_running();

    local::fresh(folder.path()).await.unwrap();
    assert!(AsyncPgConnection::establish(&url).await.is_err());
    assert!(!folder.path().join("data").exists());
    assert!(folder.path().join("demo.env").exists());

    let server = LocalServer::start(config(folder.path())).await.unwrap();
    server.create_database_if_missing("kept").await.unwrap();
    assert_eq!(
        answer(
            &server,
            "(SELECT count(*)::text FROM pg_class WHERE relname = 'notes')"
        )
        .await,
        "0"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_the_servers_user_cannot_enter_is_replaced_by_one_it_can() {
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
    let wanted = closed.path().join("database");
    let server = LocalServer::start(config(&wanted)).await.unwrap();
    server.create_database_if_missing("kept").await.unwrap();
    run(
        &server,
        "CREATE TABLE notes (text text); INSERT INTO notes VALUES ('still here')",
    )
    .await;
    server.stop().await.unwrap();
    // An unprivileged user owns the folder, so there is nobody who could not enter it.
    assert_eq!(
        wanted.join("moved-to").is_file(),
        nix::unistd::Uid::effective().is_root()
    );

    let server = LocalServer::start(config(&wanted)).await.unwrap();
    assert_eq!(note(&server).await, "still here");
    server.stop().await.unwrap();
    local::fresh(&wanted).await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let folder = ScratchFolder::create().await.unwrap();
    let mut config = config(folder.path());
    config
        .settings
        .push(("work_mem".to_owned(), "plenty".to_owned()));
    let started = tokio::time::timeout(Duration::from_secs(60), LocalServer::start(config)).await;
    let error = started.unwrap().unwrap_err().to_string();
    assert!(error.contains("work_mem"), "{error}");
}

#[tokio::test]
async fn a_folder_without_programs_is_refused_by_name() {
    let folder = ScratchFolder::create().await.unwrap();
    let mut config = config(folder.path());
    config.bin_dir = Some(folder.path().join("nothing-here"));
    let error = LocalServer::start(config).await.unwrap_err();
    assert!(
        matches!(error, LocalServerError::NoBinaries { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("nothing-here"), "{error}");
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let folder = ScratchFolder::create().await.unwrap();
    let server = LocalServer::start(config(folder.path())).await.unwrap();
    let url = server.url("postgres");
    let (before, after) = url.split_once("bursar:").unwrap();
    let (_, host) = after.split_once('@').unwrap();
    let guessed = format!("{before}bursar:guessed@{host}");
    assert!(AsyncPgConnection::establish(&guessed).await.is_err());
    server.stop().await.unwrap();
}
