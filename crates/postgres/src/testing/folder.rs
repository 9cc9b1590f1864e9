//! The folder all test processes of one user share.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid, unistd::Uid};

/// Others may pass through, because a server started by root runs as somebody else.
const PASSABLE: u32 = 0o711;

/// The folder, made if it is missing. It lies in a place anyone may write to, so one that is not
/// ours alone is refused.
pub(super) fn shared() -> io::Result<PathBuf> {
    let uid = Uid::effective();
    let path = std::env::temp_dir().join(format!("bursar-test-postgres-{uid}"));
    match fs::DirBuilder::new().mode(PASSABLE).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let metadata = fs::symlink_metadata(&path)?;
    if !metadata.is_dir() || metadata.uid() != uid.as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "{} is not ours alone: remove it",
            path.display()
        )));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(PASSABLE))?;
    Ok(path)
}

/// Waits until no other test process holds the lock of this name.
pub(super) fn lock(name: &str) -> io::Result<File> {
    let path = shared()?.join(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    file.lock()?;
    Ok(file)
}

/// Makes a folder that others may pass through, whatever the umask says.
pub(super) fn make_passable(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(PASSABLE))
}

/// Whether the process that put its number into a name is gone.
pub(super) fn is_gone(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)
}
