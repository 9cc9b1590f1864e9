//! A second server that follows a first one, for tests of what becomes of the second when the first
//! is lost.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    LocalServer, LocalServerError,
    account::{Account, command},
    blocking, cluster,
    cluster::USER,
    place::{PRIVATE, Place, hand_over, set_mode},
};

/// What `pg_basebackup` needs to know.
struct Copy {
    program: PathBuf,
    directory: PathBuf,
    port: u16,
    password: String,
    name: String,
}

impl LocalServer {
    /// Copies the running server to an empty folder. A server that is started there follows this one
    /// as its standby, by this name, until it is promoted; it has the same password.
    ///
    /// # Errors
    /// [`LocalServerError::NotCopied`] with what `pg_basebackup` said, or what the system said.
    pub async fn copy_to(&self, directory: &Path, name: &str) -> Result<(), LocalServerError> {
        let copy = Copy {
            program: self.psql.with_file_name("pg_basebackup"),
            directory: directory.to_owned(),
            port: self.port,
            password: self.password.clone(),
            name: name.to_owned(),
        };
        blocking(move || copy.make()).await
    }
}

impl Copy {
    fn make(&self) -> Result<(), LocalServerError> {
        let account = Account::to_drop_to()?;
        let account = account.as_ref();
        let place = Place::resolve(&self.directory, account, &self.program)?;
        let unfinished = place.unfinished_data();
        fs::create_dir(&unfinished)
            .map_err(|error| LocalServerError::io("create", &unfinished, error))?;
        set_mode(&unfinished, PRIVATE)?;
        hand_over(&unfinished, account)?;
        let output = command(&self.program, account)
            .arg("--pgdata")
            .arg(&unfinished)
            .arg("--dbname")
            .arg(format!(
                "host=127.0.0.1 port={} user={USER} application_name={}",
                self.port, self.name
            ))
            .args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf"])
            // Kept in the standby's settings, and out of the command line.
            .env("PGPASSWORD", &self.password)
            .output()
            .map_err(|error| LocalServerError::io("run", &self.program, error))?;
        if !output.status.success() {
            return Err(LocalServerError::NotCopied {
                status: output.status,
                output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        cluster::write_password(&place, &self.password, account)?;
        let data = place.data();
        fs::rename(&unfinished, &data)
            .map_err(|error| LocalServerError::io("move into place", &data, error))
    }
}
