//! A demo of one's own, and a shell to talk to it.

use std::{
    fs::{self, File, Permissions},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tempfile::TempDir;

/// Initialising a database and starting takes seconds, on a busy machine many.
const START_MAX: Duration = Duration::from_secs(90);
/// A tour takes a second, and six when a callback came before its receiver.
const TOUR_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Printed after each step.
const STEP_END: &str = "--- end of step ---";

/// A port that was free a moment ago.
pub(super) fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

fn pid(process: &Child) -> Pid {
    Pid::from_raw(i32::try_from(process.id()).unwrap())
}

fn ended_within(process: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match process.try_wait().unwrap() {
            Some(status) => return Some(status),
            None if Instant::now() > deadline => return None,
            None => thread::sleep(LOOK_EVERY),
        }
    }
}

/// A running demo. It and its database are stopped when this is dropped.
pub(super) struct Demo {
    process: Child,
    folder: TempDir,
}

impl Demo {
    /// Starts a fresh demo in `.bursar` of a folder of its own.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Started by root, the database runs as somebody else, who must get through.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let log = File::create(folder.path().join("demo.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BURSAR_") {
                command.env_remove(name);
            }
        }
        command
            .arg("demo")
            .env("BURSAR_LISTEN", "127.0.0.1:0")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let process = command.spawn().unwrap();
        let mut demo = Self { process, folder };
        demo.wait_until_ready();
        demo
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + START_MAX;
        while !self.folder.path().join(".bursar/demo.env").exists() {
            let ended = self.process.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the demo is not ready: {ended:?}\n{}",
                self.read("demo.log")
            );
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Runs the steps in one shell, beside the demo's folder, and tells what each printed.
    pub(super) fn run(&self, steps: &[String]) -> Vec<String> {
        let end = format!("echo '{STEP_END}'\n");
        let script: String = steps.iter().flat_map(|step| [step, &*end]).collect();
        let folder = self.folder.path();
        fs::write(folder.join("tour.sh"), script).unwrap();
        let open = |name: &str| File::create(folder.join(name)).unwrap();
        let mut shell = Command::new("bash")
            .arg("tour.sh")
            .env("no_proxy", "127.0.0.1")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(open("printed"))
            .stderr(open("complaints"))
            .process_group(0)
            .spawn()
            .unwrap();
        let ended = ended_within(&mut shell, TOUR_MAX);
        if ended.is_none() {
            // The shell, and what it started in the background.
            killpg(pid(&shell), Signal::SIGKILL).unwrap();
            shell.wait().unwrap();
        }
        let (printed, complaints) = (self.read("printed"), self.read("complaints"));
        assert!(
            ended.is_some_and(|status| status.success()) && complaints.is_empty(),
            "the tour ended with {ended:?} and complains:\n{complaints}\nafter it printed:\n{printed}"
        );
        let end = format!("{STEP_END}\n");
        let printed: Vec<String> = printed
            .split_terminator(&end)
            .map(|text| text.replace('\r', ""))
            .collect();
        assert_eq!(printed.len(), steps.len(), "{printed:#?}");
        printed
    }

    fn read(&self, name: &str) -> String {
        super::read(&self.folder.path().join(name))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // As Ctrl-C does: it then stops its database too.
        let asked = kill(pid(&self.process), Signal::SIGINT);
        if asked.is_err() || ended_within(&mut self.process, STOP_MAX).is_none() {
            drop(self.process.kill());
            drop(self.process.wait());
        }
    }
}
