//! Two PostgreSQL nodes: a primary, and a standby that every COMMIT waits for.

use bursar_postgres::{
    local::LocalServer,
    testing::{ScratchFolder, host_of},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    books::Books,
    database_crash::{DATABASE, start_postgres_with},
    eventually,
};

/// What a standby calls itself.
const STANDBY: &str = "standby";

/// SIGKILL for the postmaster, whose other processes end with it in their own time, or, if it is to be
/// the whole, for all of them.
pub(super) fn kill_postgres(postmaster: i32, is_whole: bool) {
    let others = if is_whole {
        children_of(postmaster)
    } else {
        vec![]
    };
    // First, for it would not bear to lose one of the others.
    kill(Pid::from_raw(postmaster), Signal::SIGKILL).unwrap();
    for other in others {
        // Some end before it is their turn.
        let _ended = kill(other, Signal::SIGKILL);
    }
}

/// What a process has started: each is in a process group of its own.
fn children_of(parent: i32) -> Vec<Pid> {
    let is_child = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may hold anything, come the state and the parent.
        let (_, rest) = stat.rsplit_once(')')?;
        let of: i32 = rest.split_whitespace().nth(1)?.parse().ok()?;
        (of == parent).then_some(Pid::from_raw(pid))
    };
    let processes = std::fs::read_dir("/proc").unwrap();
    let children: Vec<Pid> = processes
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter_map(is_child)
        .collect();
    assert!(!children.is_empty(), "nobody is at work in the database");
    children
}

/// A server and its folder, which goes with it.
struct Node {
    server: LocalServer,
    folder: ScratchFolder,
}

impl Node {
    fn url(&self) -> String {
        self.server.url(DATABASE)
    }

    fn books(&self) -> Books {
        Books::of(&self.url())
    }

    /// SIGKILL for the postmaster, and half of the time for all of its processes. The server's folder
    /// stays.
    async fn killed(self) -> ScratchFolder {
        kill_postgres(self.server.process_id(), rand::random());
        self.server.stop().await.unwrap();
        self.folder
    }
}

/// A primary and, most of the time, its standby.
pub(super) struct Nodes {
    primary: Node,
    standby: Option<Node>,
    /// Where a standby is that was stopped.
    stopped: Option<ScratchFolder>,
}

impl Nodes {
    /// A primary alone.
    pub(super) async fn start() -> Self {
        let folder = ScratchFolder::create().await.unwrap();
        let server = start_postgres_with(&folder, &[]).await;
        server.create_database_if_missing(DATABASE).await.unwrap();
        Self {
            primary: Node { server, folder },
            standby: None,
            stopped: None,
        }
    }

    /// The database on the primary.
    pub(super) fn url(&self) -> String {
        self.primary.url()
    }

    /// The database on whichever of the two is the primary.
    pub(super) fn url_of_both(&self) -> String {
        let (primary, standby) = (self.primary.url(), self.standby.as_ref().unwrap().url());
        let second = host_of(&standby);
        primary.replace(
            host_of(&primary),
            &format!("{second},{}", host_of(&primary)),
        )
    }

    /// Makes a standby, which nothing waits for.
    pub(super) async fn follow(&mut self) {
        let folder = ScratchFolder::create().await.unwrap();
        let primary = &self.primary.server;
        primary.copy_to(folder.path(), STANDBY).await.unwrap();
        let server = start_postgres_with(&folder, &[]).await;
        self.standby = Some(Node { server, folder });
        self.streams().await;
    }

    /// From here on every COMMIT waits for the standby.
    pub(super) async fn wait_for_standby(&self) {
        let books = self.primary.books();
        let wait = format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'");
        books.rows(&wait).await;
        books.rows("SELECT pg_reload_conf()").await;
        // A new connection knows what the postmaster does, which by then has told everybody; and
        // whoever does the checkpoint tells those who commit before it begins.
        eventually("commits wait", async || {
            let told = books.rows("SHOW synchronous_standby_names").await;
            (told[0][0] == STANDBY).then_some(())
        })
        .await;
        books.rows("CHECKPOINT").await;
        eventually("the standby is what they wait for", async || {
            (self.following("AND sync_state = 'sync'").await == 1).then_some(())
        })
        .await;
    }

    async fn streams(&self) {
        eventually("the standby streams", async || {
            (self.following("AND state = 'streaming'").await == 1).then_some(())
        })
        .await;
    }

    async fn following(&self, how: &str) -> i64 {
        let standbys = format!(
            "SELECT count(*) FROM pg_stat_replication WHERE application_name = '{STANDBY}' {how}"
        );
        self.primary.books().number(&standbys).await
    }

    /// Nothing reaches the standby any more.
    pub(super) async fn cut_off_standby(&self) {
        let standby = self.standby.as_ref().unwrap().books();
        standby.rows("ALTER SYSTEM SET primary_conninfo = ''").await;
        standby.rows("SELECT pg_reload_conf()").await;
        self.is_alone().await;
    }

    /// Kills the standby.
    pub(super) async fn stop_standby(&mut self) {
        self.stopped = Some(self.standby.take().unwrap().killed().await);
        self.is_alone().await;
    }

    /// Starts the standby that was killed.
    pub(super) async fn start_standby(&mut self) {
        let folder = self.stopped.take().unwrap();
        let server = start_postgres_with(&folder, &[]).await;
        self.standby = Some(Node { server, folder });
        self.streams().await;
    }

    async fn is_alone(&self) {
        eventually("the standby is gone", async || {
            (self.following("").await == 0).then_some(())
        })
        .await;
    }

    /// Kills the primary and promotes its standby. Nothing waits for a standby then.
    pub(super) async fn fail_over(&mut self) {
        let standby = self.standby.take().unwrap();
        let lost = std::mem::replace(&mut self.primary, standby);
        drop(lost.killed().await);
        let promoted = self.primary.books();
        let promote = promoted.rows("SELECT pg_promote(true, 60)").await;
        assert_eq!(promote[0][0], "t", "the standby is not promoted");
    }

    pub(super) async fn stopped(self) {
        if let Some(standby) = self.standby {
            standby.server.stop().await.unwrap();
        }
        self.primary.server.stop().await.unwrap();
    }
}
