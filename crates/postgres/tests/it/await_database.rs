//! A database that is not up yet is waited for, and one that refuses is not.

use std::time::Duration;

use bursar_postgres::{
    await_database,
    testing::{TestDatabase, host_of},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::support::PATIENCE;

/// The same address at another port of this machine.
fn at(url: &str, port: u16) -> String {
    url.replacen(host_of(url), &format!("127.0.0.1:{port}"), 1)
}

/// What a server says that is starting up.
fn starting_up() -> Vec<u8> {
    let fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
    let length = i32::try_from(fields.len() + 4).unwrap();
    [b"E", length.to_be_bytes().as_slice(), fields].concat()
}

#[tokio::test]
async fn a_database_that_starts_is_waited_for() {
    let database = TestDatabase::create().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody is there.
    drop(listener);
    let url = at(database.url(), port);
    let waiting = tokio::spawn(async move { await_database(&url, PATIENCE).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "it did not wait");
    // It starts up.
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let (mut client, _) = listener.accept().await.unwrap();
    client
        .read_buf(&mut Vec::with_capacity(1024))
        .await
        .unwrap();
    client.write_all(&starting_up()).await.unwrap();
    drop(client);
    // It is up.
    let (mut client, _) = listener.accept().await.unwrap();
    let mut server = TcpStream::connect(host_of(database.url())).await.unwrap();
    tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_pass_is_not_waited_for() {
    let database = TestDatabase::create().await;
    let (scheme, rest) = database.url().split_once("://").unwrap();
    let (_, place) = rest.rsplit_once('@').unwrap();
    let stranger = format!("{scheme}://bursar_test_nobody:wrong@{place}");
    let nowhere = database
        .url()
        .replace(database.name(), "bursar_no_such_database");
    for (url, said) in [
        (stranger, "bursar_test_nobody"),
        (nowhere, "bursar_no_such"),
    ] {
        let refused = tokio::time::timeout(PATIENCE, await_database(&url, PATIENCE * 2)).await;
        let refused = refused.expect("it waited").unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[tokio::test]
async fn patience_has_an_end() {
    let nobody = "postgres://nobody@127.0.0.1:1/none";
    await_database(nobody, Duration::ZERO).await.unwrap_err();
}
