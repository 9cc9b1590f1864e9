//! A real HAProxy before replicas, configured as docs/OPERATIONS.md says.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{client::Client, eventually};

/// Runs until it is dropped.
pub(super) struct HaProxy {
    child: Child,
    client: Client,
    figures: Client,
    _folder: TempDir,
}

impl HaProxy {
    /// Stands before whoever listens, or will, at these addresses.
    pub(super) async fn before(servers: &[String]) -> Self {
        let (front, stats) = (free_address(), free_address());
        let mut config = include_str!("haproxy.cfg").replace("FRONT", &front);
        config = config.replace("STATS", &stats);
        let servers = servers.iter().enumerate();
        config.extend(
            servers.map(|(number, server)| format!("    server replica{number} {server}\n")),
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .expect("haproxy is there; scripts/test installs it");
        let proxy = Self {
            child,
            client: Client::new(format!("http://{front}")),
            figures: Client::new(format!("http://{stats}")),
            _folder: folder,
        };
        eventually("haproxy listens", async || {
            proxy.figures.try_get("/").await.ok()
        })
        .await;
        proxy
    }

    /// A client that speaks to whichever replica it is given.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Waits until this replica is sent requests.
    pub(super) async fn sends_to(&self, replica: usize) {
        eventually(&format!("haproxy sends to replica{replica}"), async || {
            self.is_up(replica).await.then_some(())
        })
        .await;
    }

    /// Whether this replica is sent requests.
    pub(super) async fn is_up(&self, replica: usize) -> bool {
        let table = self.figures.get("/;csv").await.text;
        let name = format!("bursar,replica{replica},");
        let row = table.lines().find(|row| row.starts_with(&name));
        let row = row.unwrap_or_else(|| panic!("{name} {table}"));
        row.split(',').any(|field| field == "UP")
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// An address that nobody listens at. It lies below what the system gives to whoever asks for any, so
/// that it stays free while nobody listens there.
pub(super) fn free_address() -> String {
    let listens = |address: &String| TcpListener::bind(address.as_str()).is_ok();
    let mut drawn =
        std::iter::repeat_with(|| format!("127.0.0.1:{}", rand::random_range(10_000..20_000)));
    drawn.find(listens).unwrap()
}
