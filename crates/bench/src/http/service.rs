//! The service as it is deployed: a process of its own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::sleep;

use super::client::Connection;
use crate::Load;

/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(60);

/// Keys that protect nothing.
const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// A running service.
pub(super) struct Service {
    child: Child,
    environment: Vec<(&'static str, String)>,
    pub(super) host: String,
    /// How long it took from its start to its first answer.
    pub(super) started_in: Duration,
}

impl Service {
    /// The program, which is built beside this one.
    pub(super) fn program() -> anyhow::Result<PathBuf> {
        let program = std::env::current_exe()?.with_file_name("bursar");
        ensure!(
            program.is_file(),
            "{} is missing: cargo build --release -p bursar-server",
            program.display()
        );
        Ok(program)
    }

    /// Serves a database, and answers.
    pub(super) async fn start(database: &str, load: &Load) -> anyhow::Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let environment = vec![
            ("BURSAR_PROFILE", "development".to_owned()),
            ("BURSAR_LISTEN", listen.clone()),
            ("BURSAR_ROOT_ASSET", "usd".to_owned()),
            ("BURSAR_MASTER_KEY", format!("bench:{KEY}")),
            ("BURSAR_CODE_KEY", KEY.to_owned()),
            ("BURSAR_DATABASE_URL", database.to_owned()),
            ("BURSAR_DATABASE_ENGINE", load.engine.to_string()),
            ("BURSAR_DATABASE_BATCHERS", load.batchers.to_string()),
            (
                "BURSAR_DATABASE_BATCH_ITEMS",
                load.batch_items
                    .map(|max| max.to_string())
                    .unwrap_or_default(),
            ),
            ("BURSAR_LOG_LEVEL", "warn".to_owned()),
            // Counted like any other, and only high enough not to be what is measured.
            ("BURSAR_LIMITS_INTERNAL_PER_MINUTE", "1000000000".to_owned()),
        ];
        let began = Instant::now();
        let child = command(&environment)?.arg("serve").spawn()?;
        let mut service = Self {
            child,
            environment,
            host: listen,
            started_in: Duration::ZERO,
        };
        while !service.is_ready().await {
            ensure!(service.child.try_wait()?.is_none(), "the service has ended");
            ensure!(began.elapsed() < START_MAX, "the service does not answer");
            sleep(Duration::from_millis(5)).await;
        }
        service.started_in = began.elapsed();
        Ok(service)
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(&self.host).await else {
            return false;
        };
        let answer = connection.ask("GET", "/health/ready", &[], "").await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// What a command of the program prints, with the same configuration.
    pub(super) fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = command(&self.environment)?
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()?;
        let (out, err) = (
            String::from_utf8(output.stdout)?,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        ensure!(output.status.success(), "{arguments:?}: {out}{err}");
        Ok(out.trim().to_owned())
    }

    /// A figure of its memory in bytes: `VmRSS` now, `VmHWM` at most so far.
    pub(super) fn memory(&self, figure: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(figure));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes: u64 = kilobytes.context("no such figure")?.parse()?;
        Ok(kilobytes.saturating_mul(1_024))
    }

    pub(super) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as an operator does.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            Signal::SIGTERM,
        )?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the service ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has ended, or the benchmark has failed: nobody waits for it any more.
        let _ended = self.child.kill();
    }
}

/// The program, configured by this alone.
fn command(environment: &[(&'static str, String)]) -> anyhow::Result<Command> {
    let mut command = Command::new(Service::program()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BURSAR_") {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null());
    Ok(command)
}

/// How large a file is, in bytes.
pub(super) fn size_of(path: &Path) -> anyhow::Result<u64> {
    Ok(fs::metadata(path)?.len())
}
