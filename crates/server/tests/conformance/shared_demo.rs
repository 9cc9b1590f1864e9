//! One demo for all clauses, whichever process tries them.
//!
//! A runner may give every clause a process of its own, and a server for each would cost minutes.
//! So the first process starts a guard, which is this same program and keeps a demo running for as
//! long as any process holds the lock `users`, and a moment longer. Nothing has to be tidied up by
//! hand, and a binary that was built anew gets a demo of its own.

use std::{
    fs::{self, File},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use bursar_conformance::Deployment;
use bursar_postgres::testing::ScratchFolder;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Tells this program that it is the guard.
const GUARD: &str = "CONFORMANCE_GUARD";
const BURSAR: &str = env!("CARGO_BIN_EXE_bursar");
/// Initialising a database and starting takes seconds, on a busy machine many.
const START_MAX: Duration = Duration::from_secs(90);
const STOP_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The demo believes an issuer that signs with a secret known to the clauses.
const JWT: [(&str, &str); 4] = [
    ("BURSAR_JWT_ISSUER", "https://id.example.com/"),
    ("BURSAR_JWT_AUDIENCE", "bursar"),
    ("BURSAR_JWT_ALGORITHMS", "HS256"),
    ("BURSAR_JWT_SECRET", "conformance-conformance-conformance"),
];
/// Longer than a runner takes between one clause and the next.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// The deployment that the environment names, or else the shared demo, which is started if nobody
/// has done so. Until this process ends the demo runs.
#[expect(clippy::zombie_processes, reason = "the guard outlives this process")]
pub(super) fn find() -> Deployment {
    if Deployment::is_given() {
        return Deployment::from_environment()
            .unwrap_or_else(|missing| panic!("{missing} is not set: see docs/CONFORMANCE.md"));
    }
    let users = lock_file("users");
    users.lock_shared().unwrap();
    // The lock goes with the process.
    std::mem::forget(users);
    let starting = lock_file("starting");
    starting.lock().unwrap();
    if let Some(demo) = running() {
        return demo;
    }
    let mut guard = Command::new(std::env::current_exe().unwrap())
        .env(GUARD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(folder().join("guard.log")).unwrap())
        // Ctrl-C in the terminal ends the clauses; the guard then ends by itself.
        .process_group(0)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + START_MAX;
    loop {
        if let Some(demo) = running() {
            return demo;
        }
        let runs = guard.try_wait().unwrap().is_none();
        let log = || fs::read_to_string(folder().join("guard.log")).unwrap();
        assert!(runs && Instant::now() < deadline, "no demo:\n{}", log());
        thread::sleep(LOOK_EVERY);
    }
}

/// A folder for this build of the binary.
fn folder() -> PathBuf {
    let built = fs::metadata(BURSAR).unwrap().modified().unwrap();
    let built = built.duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("conformance-{built}"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn lock_file(name: &str) -> File {
    let path = folder().join(name);
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    options.open(path).unwrap()
}

/// The demo, if it answers.
fn running() -> Option<Deployment> {
    let text = fs::read_to_string(folder().join("demo.env")).ok()?;
    let demo = Deployment::from_env_file(&text).ok()?;
    let address = demo.url().strip_prefix("http://")?;
    TcpStream::connect(address).is_ok().then_some(demo)
}

pub(super) fn is_guard() -> bool {
    std::env::var_os(GUARD).is_some()
}

/// Keeps the demo running while it has users.
pub(super) fn guard() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scratch = runtime.block_on(ScratchFolder::create()).unwrap();
    let mut demo = start(scratch.path());
    let env = folder().join("demo.env");
    let began = Instant::now();
    while !scratch.path().join("demo.env").exists() {
        let ended = demo.try_wait().unwrap();
        assert!(ended.is_none() && began.elapsed() < START_MAX, "{ended:?}");
        thread::sleep(LOOK_EVERY);
    }
    // Whole or not at all: others look for it all the time.
    let fresh = folder().join("demo.env.new");
    let mut text = fs::read_to_string(scratch.path().join("demo.env")).unwrap();
    for (name, value) in JWT {
        text.extend([name, "=", value, "\n"]);
    }
    fs::write(&fresh, text).unwrap();
    fs::rename(&fresh, &env).unwrap();
    let users = lock_file("users");
    let mut last_used = Instant::now();
    while last_used.elapsed() < IDLE_MAX && demo.try_wait().unwrap().is_none() {
        if users.try_lock().is_ok() {
            users.unlock().unwrap();
        } else {
            last_used = Instant::now();
        }
        thread::sleep(LOOK_EVERY);
    }
    // Whoever comes now waits until all is gone, and starts anew.
    users.lock().unwrap();
    fs::remove_file(&env).unwrap();
    stop(demo);
    ExitCode::SUCCESS
}

fn start(directory: &Path) -> Child {
    let mut command = Command::new(BURSAR);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BURSAR_") {
            command.env_remove(name);
        }
    }
    command
        .args(["demo", "--directory"])
        .arg(directory)
        .env("BURSAR_LISTEN", "127.0.0.1:0")
        .envs(JWT)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// As Ctrl-C does, so that it stops its database too.
fn stop(mut demo: Child) {
    let pid = Pid::from_raw(i32::try_from(demo.id()).unwrap());
    let deadline = Instant::now() + STOP_MAX;
    // It may have ended by itself.
    if kill(pid, Signal::SIGINT).is_ok() {
        while demo.try_wait().unwrap().is_none() && Instant::now() < deadline {
            thread::sleep(LOOK_EVERY);
        }
    }
    drop(demo.kill());
    demo.wait().unwrap();
}
