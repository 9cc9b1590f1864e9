//! A running server process: started here, or left behind by a Bursar that was killed.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    LocalServerError,
    account::{Account, command},
    binaries::Binaries,
    place::Place,
};

const POLL: Duration = Duration::from_millis(20);
/// Dropping blocks its thread, so it is less patient; the log recovers what it cuts short.
const DROP_PATIENCE: Duration = Duration::from_secs(10);
const LOG_LINES_SHOWN: usize = 20;
const LOG_BYTES_READ: u64 = 16 * 1024;

/// What `postmaster.pid` says. PostgreSQL writes the file, judges whether it is stale and removes
/// it; Bursar only reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: i32,
    pub(super) port: Option<u16>,
    pub(super) ready: bool,
}

impl PidFile {
    pub(super) fn read(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next()?.parse().ok()?;
        let port = lines.nth(2).and_then(|port| port.parse().ok());
        let ready = lines.nth(3) == Some("ready");
        Some(Self { pid, port, ready })
    }

    pub(super) fn is_alive(&self) -> bool {
        is_alive(Pid::from_raw(self.pid))
    }
}

fn is_alive(pid: Pid) -> bool {
    kill(pid, None) != Err(Errno::ESRCH)
}

/// A server process that can be watched and is stopped, as well as possible, on drop.
#[derive(Debug)]
pub(super) struct Postmaster {
    pid: Pid,
    data: PathBuf,
    /// `None` for an adopted process, which is not ours to wait for.
    child: Option<Child>,
    released: bool,
}

impl Postmaster {
    /// Starts the server in a process group of its own: Ctrl-C in the terminal must reach Bursar
    /// alone, which drains its work before it stops the database.
    pub(super) fn spawn(
        binaries: &Binaries,
        place: &Place,
        account: Option<&Account>,
        settings: &[(String, String)],
    ) -> Result<Self, LocalServerError> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(place.log())
            .map_err(|error| LocalServerError::io("open", place.log(), error))?;
        let same_log = log
            .try_clone()
            .map_err(|error| LocalServerError::io("open", place.log(), error))?;
        let mut postgres = command(&binaries.postgres(), account);
        postgres.arg("-D").arg(place.data());
        for (name, value) in settings {
            postgres.arg("-c").arg(format!("{name}={value}"));
        }
        let child = postgres
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(same_log))
            .process_group(0)
            .spawn()
            .map_err(|error| LocalServerError::io("run", binaries.postgres(), error))?;
        let pid = i32::try_from(child.id())
            .map_err(|_| LocalServerError::io("run", binaries.postgres(), Errno::ERANGE.into()))?;
        Ok(Self {
            pid: Pid::from_raw(pid),
            data: place.data(),
            child: Some(child),
            released: false,
        })
    }

    pub(super) fn adopt(pid: i32, data: PathBuf) -> Self {
        Self {
            pid: Pid::from_raw(pid),
            data,
            child: None,
            released: false,
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    pub(super) fn has_ended(&mut self) -> Result<bool, LocalServerError> {
        if let Some(child) = &mut self.child {
            let status = child
                .try_wait()
                .map_err(|error| LocalServerError::io("wait for", &self.data, error))?;
            return Ok(status.is_some());
        }
        let named = PidFile::read(&self.data).is_some_and(|file| file.pid == self.pid.as_raw());
        Ok(!named || !is_alive(self.pid))
    }

    /// Lets the server run on.
    pub(super) fn release(mut self) {
        self.released = true;
    }

    /// Ends the server: fast first (open transactions are rolled back, a checkpoint is written),
    /// then, out of patience, at once (the next start recovers from the log). Blocks.
    pub(super) fn stop(&mut self, patience: Duration) -> Result<(), LocalServerError> {
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            // Checked first: the number of an ended process may belong to somebody else by now.
            if self.has_ended()? {
                return Ok(());
            }
            match kill(self.pid, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(LocalServerError::io("stop", &self.data, error.into())),
            }
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if self.has_ended()? {
                    return Ok(());
                }
                std::thread::sleep(POLL);
            }
            tracing::warn!(pid = self.pid.as_raw(), %signal, "the database has not stopped yet");
        }
        Err(LocalServerError::DoesNotStop {
            pid: self.pid.as_raw(),
        })
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if !self.released
            && let Err(error) = self.stop(DROP_PATIENCE)
        {
            tracing::error!(%error, "the local database was not stopped");
        }
    }
}

/// The last lines a server wrote, for the error of one that did not start.
pub(super) fn log_tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_READ)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_or_else(
        |error| format!("(its log {} cannot be read: {error})", log.display()),
        |text| {
            let lines: Vec<&str> = text.lines().collect();
            let skipped = lines.len().saturating_sub(LOG_LINES_SHOWN);
            lines
                .into_iter()
                .skip(skipped)
                .collect::<Vec<_>>()
                .join("\n")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_of_a_ready_server_is_read() {
        let text = "4711\n/data\n1763664000\n54321\n\n127.0.0.1\n   123456   32768\nready   \n";
        let expected = PidFile {
            pid: 4711,
            port: Some(54321),
            ready: true,
        };
        assert_eq!(PidFile::parse(text), Some(expected));
    }

    #[test]
    fn the_pid_file_of_a_starting_server_is_not_ready() {
        let text = "4711\n/data\n1763664000\n54321\n\n127.0.0.1\n   123456   32768\nstarting\n";
        assert!(PidFile::parse(text).is_some_and(|file| !file.ready));
        let partial = PidFile::parse("4711\n/data\n").unwrap();
        assert_eq!(
            partial,
            PidFile {
                pid: 4711,
                port: None,
                ready: false
            }
        );
        assert_eq!(PidFile::parse(""), None);
    }
}
