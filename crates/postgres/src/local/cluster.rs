//! Makes the data folder once, with a password nobody has to know.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rand::distr::{Alphanumeric, SampleString};

use super::{
    LocalServerError,
    account::{Account, command},
    binaries::Binaries,
    place::{Place, hand_over, ignore_missing},
};

pub(super) const USER: &str = "bursar";
const PASSWORD_LENGTH: usize = 40;

/// Makes sure there is data, and returns the superuser's password.
pub(super) fn prepare(
    place: &Place,
    binaries: &Binaries,
    account: Option<&Account>,
    durable: bool,
) -> Result<String, LocalServerError> {
    if place.data().is_dir() {
        return read_password(place);
    }
    let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH);
    write_password(place, &password, account)?;
    initialise(place, binaries, account, durable)?;
    Ok(password)
}

fn read_password(place: &Place) -> Result<String, LocalServerError> {
    let path = place.password();
    match fs::read_to_string(&path) {
        Ok(password) => Ok(password.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(LocalServerError::NoPassword {
                data: place.data(),
                password: path,
            })
        }
        Err(error) => Err(LocalServerError::io("read", &path, error)),
    }
}

/// The server's user owns the file, because `initdb` reads it as that user.
pub(super) fn write_password(
    place: &Place,
    password: &str,
    account: Option<&Account>,
) -> Result<(), LocalServerError> {
    let path = place.password();
    ignore_missing("remove", &path, fs::remove_file(&path))?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| {
            writeln!(file, "{password}")?;
            file.sync_all()
        })
        .map_err(|error| LocalServerError::io("write", &path, error))?;
    hand_over(&path, account)
}

/// Works in a folder beside the final one and renames it at the end: whatever kills Bursar in
/// between, a data folder that exists is whole.
fn initialise(
    place: &Place,
    binaries: &Binaries,
    account: Option<&Account>,
    durable: bool,
) -> Result<(), LocalServerError> {
    let unfinished = place.unfinished_data();
    ignore_missing("remove", &unfinished, fs::remove_dir_all(&unfinished))?;
    fs::create_dir(&unfinished)
        .map_err(|error| LocalServerError::io("create", &unfinished, error))?;
    hand_over(&unfinished, account)?;

    let mut initdb = command(&binaries.initdb(), account);
    initdb
        .arg("--pgdata")
        .arg(&unfinished)
        .arg("--pwfile")
        .arg(place.password())
        .args([
            "--data-checksums",
            "--encoding=UTF8",
            "--locale=C",
            "--auth=scram-sha-256",
            "--username",
            USER,
        ]);
    if !durable {
        initdb.arg("--no-sync");
    }
    let output = initdb
        .output()
        .map_err(|error| LocalServerError::io("run", binaries.initdb(), error))?;
    if !output.status.success() {
        return Err(LocalServerError::InitialisationFailed {
            status: output.status,
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    let data = place.data();
    fs::rename(&unfinished, &data)
        .and_then(|()| if durable { sync_parent(&data) } else { Ok(()) })
        .map_err(|error| LocalServerError::io("move into place", &data, error))
}

/// Makes the rename itself survive a power cut.
fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
