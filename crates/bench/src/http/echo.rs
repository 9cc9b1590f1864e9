//! The floor of HTTP: a server that reads the same JSON, writes it back, and does nothing else.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::ensure;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{
    client::{Connection, Connections},
    payer::item,
};
use crate::load::{Payer, Payment};

/// What is read and written.
#[derive(Debug, Deserialize, Serialize)]
struct Body {
    currency_code: String,
    amount: String,
    recipient: String,
}

/// Serves until it is killed.
pub(crate) async fn serve(listen: &str) -> anyhow::Result<()> {
    let server = HttpServer::new(|| {
        let echo = async |body: web::Json<Body>| HttpResponse::Ok().json(body.into_inner());
        App::new().route("/internal-transfer", web::post().to(echo))
    });
    Ok(server.bind(listen)?.run().await?)
}

/// An echo in a process of its own, and a connection to it for each worker.
pub(super) struct Echo {
    _server: Server,
    connections: Connections,
}

impl Echo {
    pub(super) async fn start(connections: u32) -> anyhow::Result<Self> {
        let host = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let child = Command::new(std::env::current_exe()?)
            .args(["echo", &host])
            .stdin(Stdio::null())
            .spawn()?;
        let mut server = Server(child);
        for _ in 0..1_000 {
            if Connection::open(&host).await.is_ok() {
                break;
            }
            ensure!(server.0.try_wait()?.is_none(), "the echo has ended");
            sleep(Duration::from_millis(5)).await;
        }
        Ok(Self {
            _server: server,
            connections: Connections::open(&host, connections).await?,
        })
    }
}

/// The echo's process, which ends with its value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing, so a kill is its end.
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[async_trait]
impl Payer for Echo {
    async fn pay(&self, worker: u32, payment: Payment) -> anyhow::Result<()> {
        let body = item(payment, payment.to, None)?;
        let mut connection = self.connections.of(worker).await?;
        let answer = connection
            .ask("POST", "/internal-transfer", &[("Prefer", "wait")], &body)
            .await?;
        ensure!(answer.ok()? == body.as_bytes(), "an echo says the same");
        Ok(())
    }
}
