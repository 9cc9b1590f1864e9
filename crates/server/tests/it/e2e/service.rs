//! `bursar serve` on a free port.

#[cfg(feature = "failpoints")]
use bursar_postgres::faults::Point;
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
#[cfg(feature = "failpoints")]
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use super::{
    client::Client,
    eventually,
    process::{Bursar, Ended, THIS, run},
};

/// Encrypts the secrets of test databases.
pub(super) const MASTER_KEY: &str =
    "test:6d61737465726d61737465726d61737465726d61737465726d61737465726b65";
/// Makes the codes of test databases.
pub(super) const CODE_KEY: &str =
    "636f6465636f6465636f6465636f6465636f6465636f6465636f6465636f6465";

/// Has one replica alone move money.
pub(super) const SINGLE_WRITER: &[(&str, &str)] = &[("BURSAR_DATABASE_ENGINE", "single_writer")];

/// The name of the socket by which a service is told what is to go wrong.
const SOCKET: &str = "failpoints";

/// A running service.
pub(super) struct Service {
    process: Bursar,
    client: Client,
    /// Where it listens for what is to go wrong.
    failpoints: TempDir,
}

/// What a service on this database is configured with.
pub(super) fn environment(database_url: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("BURSAR_PROFILE", "development"),
        ("BURSAR_LOG_FORMAT", "json"),
        ("BURSAR_LISTEN", "127.0.0.1:0"),
        ("BURSAR_MASTER_KEY", MASTER_KEY),
        ("BURSAR_CODE_KEY", CODE_KEY),
        ("BURSAR_DATABASE_URL", database_url),
        // Patience for a busy machine; impatience has tests of its own.
        ("BURSAR_DATABASE_QUEUE_WAIT_MS", "30000"),
        // A test does in seconds what a user does in days; limits have tests of their own.
        ("BURSAR_LIMITS_INTERNAL_PER_MINUTE", "1000000"),
    ]
}

impl Service {
    /// Starts it and waits until it serves.
    pub(super) async fn start(database_url: &str) -> Self {
        Self::start_with(database_url, &[]).await
    }

    /// The same with further settings.
    pub(super) async fn start_with(database_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_program(THIS, database_url, settings).await
    }

    /// The same of another build.
    pub(super) async fn start_program(
        program: &str,
        database_url: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let failpoints = tempfile::tempdir().unwrap();
        let socket = failpoints.path().join(SOCKET);
        let mut all = environment(database_url);
        all.push(("FAILPOINTS_SOCKET", socket.to_str().unwrap()));
        all.extend(settings);
        let mut process = Bursar::spawn_program(program, &["serve"], &all);
        let address = process.said(address).await;
        Self {
            process,
            client: Client::new(format!("http://{address}")),
            failpoints,
        }
    }

    /// How often its log says that whoever came to a point was struck.
    #[cfg(feature = "failpoints")]
    pub(super) fn strikes(&self, point: Point, act: &str) -> usize {
        strikes_in(&self.log(), point, act)
    }

    /// Chooses what happens at a point.
    #[cfg(feature = "failpoints")]
    pub(super) async fn arm(&self, point: Point, actions: &str) {
        let path = self.failpoints.path().join(SOCKET);
        let mut stream = UnixStream::connect(path).await.unwrap();
        let line = format!("{}={actions}\n", point.name());
        stream.write_all(line.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut wrong = String::new();
        let read = stream.read_to_string(&mut wrong).await;
        // Whoever dies of it at once says nothing any more.
        let may_be_dead = actions.contains("abort") && wrong.is_empty();
        assert!(
            may_be_dead || (read.is_ok() && wrong == "\n"),
            "{line}: {wrong} {read:?}"
        );
    }

    /// Whether it has not ended.
    pub(super) fn runs(&mut self) -> bool {
        self.process.runs()
    }

    /// Two replicas on one database, with these settings.
    pub(super) async fn pair(database_url: &str, settings: &[(&str, &str)]) -> [Self; 2] {
        [
            Self::start_with(database_url, settings).await,
            Self::start_with(database_url, settings).await,
        ]
    }

    /// Starts it where it must not serve, and gives what it says.
    pub(super) async fn refused(database_url: &str, settings: &[(&str, &str)]) -> Ended {
        let mut all = environment(database_url);
        all.extend(settings);
        let ended = run(&["serve"], &all).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        ended
    }

    /// A client without credentials.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The same at the address of operators.
    pub(super) async fn operators(&mut self) -> Client {
        let serving = |line: &str| address_told(line, "serving operators");
        let address = self.process.said(serving).await;
        Client::new(format!("http://{address}"))
    }

    pub(super) fn log(&self) -> String {
        self.process.log()
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(super) async fn ended(self) -> Ended {
        self.process.ended().await
    }

    /// `kill -9`.
    pub(super) async fn killed(self) {
        self.process.killed().await;
    }

    /// Stops it as an operator does.
    pub(super) async fn stopped(self) -> Ended {
        self.signal(Signal::SIGTERM);
        let ended = self.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }
}

/// How often a log says that whoever came to a point was struck.
#[cfg(feature = "failpoints")]
pub(super) fn strikes_in(log: &str, point: Point, act: &str) -> usize {
    let words = format!("\"point\":\"{}\",\"what\":\"{act}\"", point.name());
    log.matches(words.as_str()).count()
}

/// A client of a service, once it is ready for traffic.
pub(super) async fn ready(service: &Service) -> Client {
    let client = service.client();
    eventually("the service is ready", async || {
        (client.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    client
}

/// The address in the log line that says that requests are taken.
fn address(line: &str) -> Option<String> {
    address_told(line, "serving")
}

/// The address in a line of the log that says this.
fn address_told(line: &str, message: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == message).then(|| line["address"].as_str().unwrap().to_owned())
}

/// Issues a token by the command line, as the first operator of an exchange does.
pub(super) async fn create_token(database_url: &str, subject: &str, permission: &str) -> String {
    create_token_by(THIS, database_url, subject, permission).await
}

/// The same by another build.
pub(super) async fn create_token_by(
    program: &str,
    database_url: &str,
    subject: &str,
    permission: &str,
) -> String {
    let arguments = [
        "token",
        "create",
        "--subject",
        subject,
        "--permission",
        permission,
    ];
    let ended = Bursar::spawn_program(program, &arguments, &environment(database_url));
    let ended = ended.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let token = ended.stdout.trim();
    assert!(token.starts_with("bur_"), "{token}");
    token.to_owned()
}
