//! An address that stays while the database behind it moves: a restarted server gets a new port.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Passes connections on until it is dropped.
pub(super) struct Relay {
    address: SocketAddr,
    target: Arc<Mutex<String>>,
    listening: JoinHandle<()>,
}

impl Relay {
    /// Stands before the server of this database.
    pub(super) async fn start(database_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(host_of(database_url).to_owned()));
        let shared = Arc::clone(&target);
        let listening = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = shared.lock().unwrap().clone();
                tokio::spawn(async move {
                    client.set_nodelay(true).unwrap();
                    // While the server is away the client is hung up on.
                    if let Ok(mut server) = TcpStream::connect(target).await {
                        server.set_nodelay(true).unwrap();
                        let passed = copy_bidirectional(&mut client, &mut server).await;
                        passed.map(drop).unwrap_or_default();
                    }
                });
            }
        });
        Self {
            address,
            target,
            listening,
        }
    }

    /// From now on the server of this database.
    pub(super) fn point_to(&self, database_url: &str) {
        host_of(database_url).clone_into(&mut self.target.lock().unwrap());
    }

    /// The address of the database behind the relay.
    pub(super) fn url(&self, database_url: &str) -> String {
        database_url.replace(host_of(database_url), &self.address.to_string())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// `host:port`.
pub(super) fn host_of(database_url: &str) -> &str {
    let (_, rest) = database_url.split_once('@').unwrap();
    rest.split_once('/').unwrap().0
}
