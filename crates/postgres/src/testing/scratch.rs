//! Folders for tests that run servers of their own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{TestError, folder};
use crate::local;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A folder a local server can run in, also when the tests run as root. It is deleted with its
/// value, and the server of a folder whose test was killed is stopped by the next test that asks
/// for one.
#[derive(Debug)]
pub struct ScratchFolder {
    path: PathBuf,
}

impl ScratchFolder {
    /// A new, empty folder.
    ///
    /// # Errors
    /// What the system said.
    pub async fn create() -> Result<Self, TestError> {
        let parent = folder::shared()?.join("scratch");
        folder::make_passable(&parent)?;
        sweep(&parent).await?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{}-{number}", std::process::id()));
        folder::make_passable(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a scratch folder remains");
        }
    }
}

async fn sweep(parent: &Path) -> Result<(), TestError> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if !is_abandoned(&path) {
            continue;
        }
        stop_servers_below(&path).await?;
        match fs::remove_dir_all(&path) {
            // Another process may be sweeping the same folder.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn is_abandoned(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.split('-').next())
        .and_then(|pid| pid.parse().ok())
        .is_some_and(folder::is_gone)
}

/// A test may have put its server into the folder itself or some way below it.
async fn stop_servers_below(path: &Path) -> Result<(), TestError> {
    let mut waiting = vec![path.to_owned()];
    while let Some(folder) = waiting.pop() {
        if folder.join("data").join("PG_VERSION").is_file() {
            match local::fresh(&folder).await {
                Ok(()) | Err(local::LocalServerError::InUse(_)) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        waiting.extend(
            entries
                .filter_map(Result::ok)
                .map(|e| e.path())
                .filter(|p| p.is_dir()),
        );
    }
    Ok(())
}
