//! A way to the database that swallows everything for a while and keeps every connection.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use bursar_postgres::testing::host_of;

/// Passes connections on until it is dropped.
pub(super) struct Hole {
    address: SocketAddr,
    swallows: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

impl Hole {
    /// Stands before the server of this database.
    pub(super) async fn before(database_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = host_of(database_url).to_owned();
        let swallows = watch::Sender::new(false);
        let mouth = swallows.subscribe();
        let listening = tokio::spawn(async move {
            for number in 0_u32.. {
                let Ok((client, _)) = listener.accept().await else {
                    return;
                };
                let Ok(server) = TcpStream::connect(&target).await else {
                    continue;
                };
                tokio::spawn(pass(
                    client,
                    server,
                    mouth.clone(),
                    number.is_multiple_of(2),
                ));
            }
        });
        Self {
            address,
            swallows,
            listening,
        }
    }

    /// The address of the database behind it.
    pub(super) fn url(&self, database_url: &str) -> String {
        database_url.replace(host_of(database_url), &self.address.to_string())
    }

    /// From now on nothing comes out. A connection that has something swallowed is silent for good.
    pub(super) fn open(&self) {
        self.swallows.send_replace(true);
    }

    /// New connections, and those that nobody used meanwhile, are as ever.
    pub(super) fn close(&self) {
        self.swallows.send_replace(false);
    }
}

impl Drop for Hole {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Passes on what both sides say until one of them hangs up, or something is swallowed. Every other
/// connection lets through what the server is told, so that only the answers get lost.
async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    swallows: watch::Receiver<bool>,
    server_hears: bool,
) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut asked, mut said) = (vec![0; 65_536], vec![0; 65_536]);
    let mut silent = false;
    loop {
        let passed = tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(length @ 1..) => {
                    silent |= *swallows.borrow();
                    if silent && !server_hears {
                        continue;
                    }
                    server.write_all(&asked[..length]).await
                }
                Ok(0) | Err(_) => return,
            },
            read = server.read(&mut said) => match read {
                Ok(length @ 1..) => {
                    silent |= *swallows.borrow();
                    if silent {
                        continue;
                    }
                    client.write_all(&said[..length]).await
                }
                Ok(0) | Err(_) => return,
            },
        };
        if passed.is_err() {
            return;
        }
    }
}
