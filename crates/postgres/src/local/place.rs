//! Where a server's files are, and who owns them.
//!
//! Everything lies in the folder the caller names, with one exception: a server that must not run
//! as root cannot enter a checkout below `/root`. Its files then go to a folder below `/var/tmp`
//! whose name follows from the wanted path, so that the next start finds them again.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use nix::unistd::Uid;

use super::{
    LocalServerError,
    account::{Account, command},
};

const POINTER: &str = "moved-to";

/// Others may pass through, to the data folder they own, and see nothing.
const PASSABLE: u32 = 0o711;
pub(super) const PRIVATE: u32 = 0o700;

/// The folder of one server.
#[derive(Clone, Debug)]
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    /// The wanted folder, made if need be, or its replacement when `account` cannot enter it.
    /// `probe` is any program that `account` can run.
    pub(super) fn resolve(
        wanted: &Path,
        account: Option<&Account>,
        probe: &Path,
    ) -> Result<Self, LocalServerError> {
        let wanted = make_folder(wanted, account)?;
        let Some(account) = account else {
            return Ok(Self { root: wanted });
        };
        let replacement = replacement_of(&wanted);
        // Data that went to the replacement stays there, even if the folder has become passable.
        let moved = replacement.join("data").is_dir() && wanted.join(POINTER).is_file();
        if !moved && can_enter(&wanted, account, probe)? {
            return Ok(Self { root: wanted });
        }
        make_owned(&replacement)?;
        if !can_enter(&replacement, account, probe)? {
            return Err(LocalServerError::NotEnterable {
                user: account.name.clone(),
                directory: replacement,
            });
        }
        let pointer = wanted.join(POINTER);
        fs::write(&pointer, format!("{}\n", replacement.display()))
            .map_err(|error| LocalServerError::io("write", &pointer, error))?;
        tracing::info!(
            directory = %replacement.display(),
            "user {} cannot enter {}: the database's files are in {}",
            account.name,
            wanted.display(),
            replacement.display(),
        );
        Ok(Self { root: replacement })
    }

    /// Every place a server of this folder may have left files in, without making any.
    pub(super) fn existing(wanted: &Path) -> Result<Vec<Self>, LocalServerError> {
        let Ok(wanted) = wanted.canonicalize() else {
            return Ok(Vec::new());
        };
        let replacement = replacement_of(&wanted);
        let mut places = vec![Self { root: wanted }];
        if Uid::effective().is_root() && fs::symlink_metadata(&replacement).is_ok() {
            check_owned(&replacement)?;
            places.push(Self { root: replacement });
        }
        Ok(places)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Where `initdb` works; renamed to [`Place::data`] when it is complete.
    pub(super) fn unfinished_data(&self) -> PathBuf {
        self.root.join("data.new")
    }

    pub(super) fn password(&self) -> PathBuf {
        self.root.join("password")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("server.lock")
    }

    /// The release that made the data, if there is data.
    pub(super) fn data_major(&self) -> Option<u32> {
        fs::read_to_string(self.data().join("PG_VERSION"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Deletes the server's files, and nothing else that may lie in the same folder.
    pub(super) fn remove(&self) -> Result<(), LocalServerError> {
        for folder in [self.data(), self.unfinished_data()] {
            ignore_missing("remove", &folder, fs::remove_dir_all(&folder))?;
        }
        for file in [
            self.password(),
            self.log(),
            self.root.join(POINTER),
            self.lock(),
        ] {
            ignore_missing("remove", &file, fs::remove_file(&file))?;
        }
        match fs::remove_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            outcome => ignore_missing("remove", &self.root, outcome),
        }
    }
}

/// Gives a file or folder to the server's user.
pub(super) fn hand_over(path: &Path, account: Option<&Account>) -> Result<(), LocalServerError> {
    account.map_or(Ok(()), |account| {
        chown(path, Some(account.uid), Some(account.gid))
            .map_err(|error| LocalServerError::io("change the owner of", path, error))
    })
}

/// Removing what is not there is no error.
pub(super) fn ignore_missing(
    action: &'static str,
    path: &Path,
    outcome: io::Result<()>,
) -> Result<(), LocalServerError> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LocalServerError::io(action, path, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn make_folder(wanted: &Path, account: Option<&Account>) -> Result<PathBuf, LocalServerError> {
    if !wanted.is_dir() {
        fs::create_dir_all(wanted)
            .map_err(|error| LocalServerError::io("create", wanted, error))?;
        // Said outright: the caller's umask may be stricter than the server's user can bear.
        let mode = if account.is_some() { PASSABLE } else { PRIVATE };
        set_mode(wanted, mode)?;
    }
    wanted
        .canonicalize()
        .map_err(|error| LocalServerError::io("find", wanted, error))
}

/// Asks the kernel rather than reading modes: groups, access lists and mounts all have a say.
fn can_enter(directory: &Path, account: &Account, probe: &Path) -> Result<bool, LocalServerError> {
    match command(probe, Some(account))
        .arg("--version")
        .current_dir(directory)
        .output()
    {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(LocalServerError::io("enter", directory, error)),
    }
}

/// `/var/tmp` outlives a restart of the machine; the temporary folder may not.
fn replacement_of(wanted: &Path) -> PathBuf {
    let lasting = PathBuf::from("/var/tmp");
    let parent = if lasting.is_dir() {
        lasting
    } else {
        std::env::temp_dir()
    };
    let path = wanted.as_os_str().as_encoded_bytes();
    parent.join(format!("bursar-postgres-{:016x}", fnv1a(path)))
}

/// Anyone may create names in a temporary folder: a folder of this name is taken only if it is a
/// real one, ours, and writable by nobody else.
fn make_owned(directory: &Path) -> Result<(), LocalServerError> {
    match fs::DirBuilder::new().mode(PASSABLE).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(LocalServerError::io("create", directory, error));
        }
        Ok(()) | Err(_) => {}
    }
    check_owned(directory)?;
    set_mode(directory, PASSABLE)
}

fn check_owned(directory: &Path) -> Result<(), LocalServerError> {
    let metadata = fs::symlink_metadata(directory)
        .map_err(|error| LocalServerError::io("inspect", directory, error))?;
    let ours = metadata.uid() == Uid::effective().as_raw();
    let writable_by_others = metadata.mode() & 0o022 != 0;
    if metadata.is_dir() && ours && !writable_by_others {
        return Ok(());
    }
    Err(LocalServerError::ForeignFolder(directory.to_owned()))
}

pub(super) fn set_mode(path: &Path, mode: u32) -> Result<(), LocalServerError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| LocalServerError::io("set the mode of", path, error))
}

/// FNV-1a: the same on every machine and with every release of the standard library, which its
/// own hashers do not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replacement_follows_from_the_wanted_path() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_ne!(
            replacement_of(Path::new("/a")),
            replacement_of(Path::new("/b"))
        );
    }

    #[test]
    fn a_folder_others_may_write_to_is_not_taken() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("mine");
        make_owned(&folder).unwrap();
        set_mode(&folder, 0o777).unwrap();
        assert!(matches!(
            make_owned(&folder),
            Err(LocalServerError::ForeignFolder(_))
        ));
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        assert!(matches!(
            make_owned(&link),
            Err(LocalServerError::ForeignFolder(_))
        ));
    }

    #[test]
    fn removing_leaves_what_is_not_the_servers() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            root: folder.path().to_owned(),
        };
        fs::create_dir(place.data()).unwrap();
        fs::write(place.password(), "secret").unwrap();
        fs::write(folder.path().join("demo.env"), "kept").unwrap();
        place.remove().unwrap();
        assert!(!place.data().exists() && !place.password().exists());
        assert!(folder.path().join("demo.env").exists());
    }
}
