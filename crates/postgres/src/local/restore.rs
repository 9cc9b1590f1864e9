//! Puts a plain SQL dump into a database of a local server.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::{LocalServer, LocalServerError, blocking, cluster::USER};

/// What PostgreSQL says of a dump's owners and grantees, who need not exist here.
const NO_ROLE: (&str, &str) = ("role \"", "\" does not exist");

impl LocalServer {
    /// Restores a dump that `pg_dump` wrote as plain SQL. Roles that it names need not exist.
    ///
    /// Such a dump is a program for `psql`, which may run commands: it must come from where one's
    /// backups are.
    ///
    /// # Errors
    /// [`LocalServerError::NoPsql`] without the program, [`LocalServerError::NotRestored`] with
    /// what the dump failed with.
    pub async fn restore(&self, database: &str, dump: &Path) -> Result<(), LocalServerError> {
        let mut psql = Command::new(&self.psql);
        psql.args(["--no-psqlrc", "--quiet", "--output=/dev/null", "--file"])
            .arg(dump)
            .stdin(Stdio::null())
            .env("LC_ALL", "C")
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", USER)
            // On the command line everybody on the machine could see it.
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", database);
        blocking(move || run(psql)).await
    }
}

fn run(mut psql: Command) -> Result<(), LocalServerError> {
    let output = psql
        .output()
        .map_err(|source| LocalServerError::NoPsql { source })?;
    let told = String::from_utf8_lossy(&output.stderr);
    let mut errors = told.lines().filter(|line| is_trouble(line));
    match errors.next() {
        None if output.status.success() => Ok(()),
        first => Err(LocalServerError::NotRestored {
            error: first.unwrap_or(told.trim()).to_owned(),
        }),
    }
}

fn is_trouble(line: &str) -> bool {
    let (role, missing) = NO_ROLE;
    let is_error = line.contains("ERROR:") || line.contains("FATAL:");
    is_error && !(line.contains(role) && line.ends_with(missing))
}
