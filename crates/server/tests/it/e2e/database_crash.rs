//! `kill -9` of PostgreSQL in the middle of load: the service says what it does not know, finds the
//! database again by itself, and everything is as it was told.

use bursar_postgres::{
    local::{LocalServer, LocalServerConfig},
    testing::{ScratchFolder, WireProxy},
};

use super::{
    books::Books,
    eventually,
    exchange::Exchange,
    load::{Load, assert_kept, assert_told},
    nodes::kill_postgres,
    receiver::Receiver,
    service::{SINGLE_WRITER, Service},
    verify::{SEALED, verified},
};

pub(super) const DATABASE: &str = "bursar";

/// A server of the test's own, whose death hurts nobody else, and which loses nothing by it.
async fn start_postgres(folder: &ScratchFolder) -> LocalServer {
    start_postgres_with(folder, &[]).await
}

/// The same with these settings on top of what makes it durable.
pub(super) async fn start_postgres_with(
    folder: &ScratchFolder,
    settings: &[(&str, &str)],
) -> LocalServer {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let config = LocalServerConfig {
        directory: folder.path().to_owned(),
        bin_dir: std::env::var_os("PG_BIN").map(Into::into),
        durable: true,
        settings: settings.iter().map(owned).collect(),
    };
    LocalServer::start(config).await.unwrap()
}

#[tokio::test]
async fn the_service_outlives_its_database_and_loses_nothing_with_it() {
    outlives_its_database(&[]).await;
}

#[tokio::test]
async fn a_single_writer_outlives_its_database_and_loses_nothing_with_it() {
    outlives_its_database(SINGLE_WRITER).await;
}

async fn outlives_its_database(settings: &[(&str, &str)]) {
    let folder = ScratchFolder::create().await.unwrap();
    let server = start_postgres(&folder).await;
    server.create_database_if_missing(DATABASE).await.unwrap();
    let direct = server.url(DATABASE);
    let relay = WireProxy::start(&direct).await;
    let through = relay.url(&direct);
    let service = Service::start_with(&through, settings).await;
    let client = service.client();
    let exchange = Exchange::open(&through, &client, 4).await;
    exchange.fund_all(&client, "1").await;
    let receiver = Receiver::start().await;

    let load = Load::start(&client, &exchange, &receiver, "outage");
    load.answered(rand::random_range(20..100)).await;
    let before = load.count_uncertain();
    kill_postgres(server.process_id(), rand::random());
    eventually("a request fails", async || {
        (load.count_uncertain() > before).then_some(())
    })
    .await;
    // Whoever was at work in the database may be so for a moment after its death.
    eventually("the service misses its database", async || {
        (client.get("/health/ready").await.status == 503).then_some(())
    })
    .await;
    let history = load.ended().await;
    assert_eq!(client.get("/health/live").await.status, 200);

    server.stop().await.unwrap();
    let server = start_postgres(&folder).await;
    let direct = server.url(DATABASE);
    relay.point_to(&direct);
    let books = Books::of(&direct);
    eventually("the service finds its database again", async || {
        (client.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    books.settled().await;
    books.audit().await;
    assert_kept(&history, &client, &books).await;
    books.settled().await;
    books.audit().await;
    books.let_leases_run_out().await;
    assert_told(&receiver, &books).await;
    verified(&direct, &SEALED, 0).await;
    service.stopped().await;
    server.stop().await.unwrap();
}
