//! What can go wrong with a local server, in words for the person at the terminal.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
};

/// Why a local server could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
pub enum LocalServerError {
    /// No usable server programs are installed.
    #[error(
        "no PostgreSQL server (release {wanted} or newer) was found. Looked for `initdb` and \
         `postgres` in: {}. Install it (Debian, Ubuntu: `apt-get install postgresql`; Fedora: \
         `dnf install postgresql-server`; macOS: `brew install postgresql@17`), or set PG_BIN to \
         the folder that holds them",
        searched.join(", ")
    )]
    NoBinaries {
        /// The release that is needed.
        wanted: u32,
        /// The folders that were searched.
        searched: Vec<String>,
    },
    /// The data was made by a release that is not installed.
    #[error(
        "the data was made by PostgreSQL {data}, but only {found} is installed: install that \
         release, set PG_BIN to its folder, or start with fresh data"
    )]
    OtherRelease {
        /// The release that made the data.
        data: u32,
        /// The releases found.
        found: String,
    },
    /// Bursar runs as root and there is nobody else to run the server as.
    #[error("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")]
    NoAccount,
    /// The server's user cannot enter the folder, nor its replacement.
    #[error("user {user} cannot enter {}", directory.display())]
    NotEnterable {
        /// The server's user.
        user: String,
        /// The folder.
        directory: PathBuf,
    },
    /// A folder in a shared place belongs to somebody else, or others may write to it.
    #[error("{} is not a folder that only this user can write to: remove it", .0.display())]
    ForeignFolder(PathBuf),
    /// The folder is in use by another process.
    #[error("another process is using the database in {}: stop it first", .0.display())]
    InUse(PathBuf),
    /// The data is there, but not the password that opens it.
    #[error(
        "{} holds a database, but its password is missing ({}): start with fresh data",
        data.display(),
        password.display()
    )]
    NoPassword {
        /// The data folder.
        data: PathBuf,
        /// Where the password should be.
        password: PathBuf,
    },
    /// The client program that restores dumps cannot be run.
    #[error("psql cannot be run: install PostgreSQL's client programs beside the server's")]
    NoPsql {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A dump is not what `pg_dump` writes, or not all of it.
    #[error("the dump cannot be restored: {error}")]
    NotRestored {
        /// What PostgreSQL said first.
        error: String,
    },
    /// `initdb` failed.
    #[error("initdb failed ({status}): {output}")]
    InitialisationFailed {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// `pg_basebackup` failed.
    #[error("pg_basebackup failed ({status}): {output}")]
    NotCopied {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// The server ended, or did not answer in time.
    #[error("PostgreSQL did not start. The end of its log:\n{log}")]
    DoesNotStart {
        /// The last lines it wrote.
        log: String,
    },
    /// The server outlived every signal it was sent.
    #[error("PostgreSQL (process {pid}) does not stop")]
    DoesNotStop {
        /// Its process id.
        pid: i32,
    },
    /// The name would have to be quoted in SQL and encoded in an address.
    #[error("`{0}` is no plain database name: use lower case letters, digits and `_`")]
    BadDatabaseName(String),
    /// The running server refused a connection or a statement.
    #[error("the local PostgreSQL refused: {action}")]
    Refused {
        /// What was tried.
        action: String,
        /// What it answered.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A file or a process could not be handled.
    #[error("cannot {action} {target}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        target: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A helper task ended before its time.
    #[error("a task of the local server was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl LocalServerError {
    pub(super) fn io(action: &'static str, target: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io {
            action,
            target: target.as_ref().display().to_string(),
            source,
        }
    }
}
