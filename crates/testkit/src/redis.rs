//! A private Redis server for one test.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// How often another port is tried when somebody else took the one that was free.
const PORTS_MAX: u32 = 8;

/// A running `redis-server` on a loopback port, which keeps nothing; it ends with its value.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    password: Option<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no `redis-server` on this machine, or it does not start.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts one that asks for a password.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub fn start_protected(password: &str) -> Self {
        Self::start_with(Some(password.to_owned()))
    }

    fn start_with(password: Option<String>) -> Self {
        let mut server = Self {
            port: 0,
            password,
            folder: TempDir::new().expect("there is a folder for temporary files"),
            child: None,
        };
        for _ in 0..PORTS_MAX {
            server.port = free_port();
            if server.try_launch() {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let login = self.password.as_ref();
        let login = login.map_or_else(String::new, |password| format!(":{password}@"));
        format!("redis://{login}127.0.0.1:{}", self.port)
    }

    /// Kills it; what it knew is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; waiting tells either way.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Starts it again, empty, where it was.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        assert!(self.try_launch(), "redis-server does not start again");
    }

    /// Stops its clock: connections stay open and nothing is answered.
    ///
    /// # Panics
    /// When it is not running.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on after [`RedisServer::freeze`].
    ///
    /// # Panics
    /// When it is not running.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = i32::try_from(child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it runs");
    }

    /// Whether it runs and takes connections.
    fn try_launch(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command
            .current_dir(self.folder.path())
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        let child = command.spawn();
        let mut child = child.expect("redis-server is missing: apt-get install redis-server");
        let output = child.stdout.take().expect("it was piped");
        // It says so, or ends and with it the output: another program may have taken the port.
        let ready = BufReader::new(output)
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("Ready to accept connections"));
        self.child = Some(child);
        if !ready {
            self.kill();
        }
        ready
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.expect("a loopback port is free").port()
}
