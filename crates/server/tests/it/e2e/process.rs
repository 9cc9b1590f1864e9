//! A running binary, what it writes, and its end.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::eventually;

/// How much of what it has written is shown when a test fails.
const LINES_SHOWN: usize = 40;

/// What a process has written so far.
type Lines = Arc<Mutex<Vec<String>>>;

/// A process of the binary; it is killed with its value.
pub(super) struct Bursar {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    out: Lines,
    err: Lines,
}

/// How a process ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The exit code; none when a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// The binary of this build.
pub(super) const THIS: &str = env!("CARGO_BIN_EXE_bursar");

/// Runs the binary to its end.
pub(super) async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    Bursar::spawn(arguments, environment).ended().await
}

impl Bursar {
    /// Starts the binary with this environment and nothing else that could configure it.
    pub(super) fn spawn(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::spawn_program(THIS, arguments, environment)
    }

    /// The same of another build.
    pub(super) fn spawn_program(
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BURSAR_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (Lines::default(), Lines::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&out)),
            collect(child.stderr.take().unwrap(), Arc::clone(&err)),
        ];
        Self {
            child,
            readers,
            out,
            err,
        }
    }

    /// What it has written to standard error.
    pub(super) fn log(&self) -> String {
        self.err.lock().unwrap().join("\n")
    }

    /// What `find` makes of the first line of standard error that it makes anything of.
    pub(super) async fn said<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        eventually("a line of the log", async || {
            let found = self.err.lock().unwrap().iter().find_map(|line| find(line));
            assert!(found.is_some() || self.runs(), "it ended: {}", self.log());
            found
        })
        .await
    }

    pub(super) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal.
    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> Ended {
        let status = eventually("the end of the process", async || {
            self.child.try_wait().unwrap()
        })
        .await;
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        Ended {
            code: status.code(),
            stdout: self.out.lock().unwrap().join("\n"),
            stderr: self.log(),
        }
    }

    /// Ends it as a crash of the machine would, without a chance to tidy up.
    pub(super) async fn killed(self) -> Ended {
        self.signal(Signal::SIGKILL);
        self.ended().await
    }
}

impl Drop for Bursar {
    /// Whoever looks into a test that failed wants to know what the service said.
    fn drop(&mut self) {
        if thread::panicking() {
            let said = self.err.lock().unwrap();
            let last = said.get(said.len().saturating_sub(LINES_SHOWN)..);
            let last = last.unwrap_or_default().join("\n");
            eprintln!("process {} said last:\n{last}", self.child.id());
        }
        if self.runs() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Keeps reading, so that a full pipe never holds the process up.
fn collect(from: impl Read + Send + 'static, lines: Lines) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            lines.lock().unwrap().push(line);
        }
    })
}
