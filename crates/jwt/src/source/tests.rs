use std::{fs, process::Command};

use super::*;

/// Longer than anything may take, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn is_late(read: Option<&Result<Vec<u8>, SourceError>>) -> bool {
    matches!(read, Some(Err(SourceError::Read(error))) if error.kind() == io::ErrorKind::TimedOut)
}

/// A pipe that nobody writes into hangs as a file does whose storage is away.
#[tokio::test]
async fn a_file_that_hangs_is_not_waited_for_and_found_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let mut source = Source::try_new(JwksSource::File(path.clone())).unwrap();
    source.read_timeout = Duration::from_millis(200);
    let first = tokio::time::timeout(PATIENCE, source.read()).await.ok();
    let second = tokio::time::timeout(PATIENCE, source.read()).await.ok();

    // Lets go of whoever reads the pipe, before anything can fail: the test would wait for them.
    let other_end = fs::OpenOptions::new().write(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "as it is now").unwrap();
    drop(other_end);
    source.read_timeout = PATIENCE;
    assert!(is_late(first.as_ref()), "{first:?}");
    assert!(is_late(second.as_ref()), "{second:?}");
    let now = tokio::time::timeout(PATIENCE, source.read()).await;
    assert_eq!(now.unwrap().unwrap(), b"as it is now");
}

#[tokio::test]
async fn a_file_that_is_too_large_or_missing_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let mut source = Source::try_new(JwksSource::File(path.clone())).unwrap();
    let missing = source.read().await;
    assert!(matches!(missing, Err(SourceError::Read(_))), "{missing:?}");
    fs::write(&path, vec![b' '; JWKS_BYTES_MAX + 1]).unwrap();
    let large = source.read().await;
    assert!(matches!(large, Err(SourceError::TooLarge)), "{large:?}");
    fs::write(&path, vec![b' '; JWKS_BYTES_MAX]).unwrap();
    assert_eq!(source.read().await.unwrap().len(), JWKS_BYTES_MAX);
}
