//! `bursar demo` in a folder of its own.

use std::{collections::BTreeMap, fs, path::Path};

use bursar_postgres::{local, testing::ScratchFolder};
use nix::sys::signal::Signal;

use super::{
    client::Client,
    eventually,
    process::{Bursar, Ended},
};

/// The folder of a demo; its database is stopped and deleted with it.
pub(super) struct DemoFolder(ScratchFolder);

impl DemoFolder {
    pub(super) async fn create() -> Self {
        Self(ScratchFolder::create().await.unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// What `demo.env` says, if it is there.
    pub(super) fn env(&self) -> Option<BTreeMap<String, String>> {
        let text = fs::read_to_string(self.path().join("demo.env")).ok()?;
        let pairs = text.lines().map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        Some(pairs.collect())
    }

    /// Starts the demo without waiting for it.
    pub(super) fn spawn(&self, arguments: &[&str]) -> Bursar {
        let folder = self.path().to_str().unwrap();
        let arguments = [&["demo", "--directory", folder], arguments].concat();
        Bursar::spawn(&arguments, &[("BURSAR_LISTEN", "127.0.0.1:0")])
    }

    /// Starts the demo and waits until it is ready.
    pub(super) async fn start(&self, arguments: &[&str]) -> Demo {
        let mut process = self.spawn(arguments);
        // A demo that was killed has left its file behind.
        process
            .said(|line| line.contains("serving").then_some(()))
            .await;
        let client = eventually("the demo is ready", async || {
            assert!(process.runs(), "it ended: {}", process.log());
            let client = Client::new(self.env()?.get("BURSAR_URL")?.clone());
            process.log().contains(client.address()).then_some(client)
        })
        .await;
        Demo {
            process,
            client,
            env: self.env().unwrap(),
        }
    }
}

impl Drop for DemoFolder {
    /// A demo that was killed has left its database running.
    fn drop(&mut self) {
        let postgres = self.path().join("postgres");
        let stopped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(local::fresh(&postgres))
        });
        let stopped = stopped.join().unwrap();
        assert!(stopped.is_ok() || std::thread::panicking(), "{stopped:?}");
    }
}

/// A demo that is ready.
pub(super) struct Demo {
    process: Bursar,
    client: Client,
    env: BTreeMap<String, String>,
}

impl Demo {
    /// A client without credentials.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client with the token of this name, such as `ALICE`.
    pub(super) fn as_(&self, name: &str) -> Client {
        self.client.with(self.env(&format!("{name}_TOKEN")))
    }

    /// A value of `demo.env`, by its name without the prefix.
    pub(super) fn env(&self, name: &str) -> &str {
        &self.env[&format!("BURSAR_{name}")]
    }

    pub(super) fn all(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Ctrl-C.
    pub(super) async fn interrupted(self) -> Ended {
        self.process.signal(Signal::SIGINT);
        self.process.ended().await
    }

    /// `kill -9`; its database runs on.
    pub(super) async fn killed(self) {
        self.process.killed().await;
    }
}
