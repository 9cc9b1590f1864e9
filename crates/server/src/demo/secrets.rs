//! The demo's keys and credentials, kept between two starts in a file that only its owner reads.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::Context;
use data_encoding::HEXLOWER;

const NAME: &str = "secrets.env";
const MASTER_KEY: &str = "MASTER_KEY";
const CODE_KEY: &str = "CODE_KEY";

/// Keys and credentials by name.
#[derive(Clone)]
pub(crate) struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// Keys that have the right form and protect nothing.
    pub(crate) fn placeholder() -> Self {
        Self::with_keys([0; 32], [0; 32])
    }

    fn with_keys(master_key: [u8; 32], code_key: [u8; 32]) -> Self {
        Self(BTreeMap::from([
            (MASTER_KEY.to_owned(), HEXLOWER.encode(&master_key)),
            (CODE_KEY.to_owned(), HEXLOWER.encode(&code_key)),
        ]))
    }

    /// What an earlier demo left, or new keys, which are kept before anything is encrypted.
    pub(crate) fn load_or_make(directory: &Path) -> anyhow::Result<Self> {
        if let Some(found) = Self::load(directory)? {
            return Ok(found);
        }
        let made = Self::with_keys(rand::random(), rand::random());
        made.save(directory)?;
        Ok(made)
    }

    /// What an earlier demo left, if there was one.
    pub(crate) fn load(directory: &Path) -> anyhow::Result<Option<Self>> {
        let path = directory.join(NAME);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text)
                .map(Some)
                .with_context(|| format!("{} is damaged: start anew with --fresh", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let pairs = text
            .lines()
            .map(|line| {
                line.split_once('=')
                    .map(|(name, value)| (name.into(), value.into()))
            })
            .collect::<Option<BTreeMap<String, String>>>()?;
        let whole = pairs.contains_key(MASTER_KEY) && pairs.contains_key(CODE_KEY);
        whole.then_some(Self(pairs))
    }

    /// Writes everything to the file, whole or not at all.
    pub(crate) fn save(&self, directory: &Path) -> anyhow::Result<()> {
        let text = to_lines(self.0.iter());
        write_private(directory, NAME, &text)
    }

    /// Deletes the file.
    pub(crate) fn forget(directory: &Path) -> anyhow::Result<()> {
        remove(&directory.join(NAME))
    }

    pub(crate) fn master_key(&self) -> String {
        format!("demo:{}", self.get(MASTER_KEY).unwrap_or_default())
    }

    pub(crate) fn code_key(&self) -> String {
        self.get(CODE_KEY).unwrap_or_default().to_owned()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }
}

/// `NAME=value`, a line each.
pub(super) fn to_lines<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    pairs
        .flat_map(|(name, value)| [name.as_str(), "=", value.as_str(), "\n"])
        .collect()
}

/// Writes a file that only its owner reads, whole or not at all.
pub(super) fn write_private(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = directory.join(name);
    let fresh = directory.join(format!("{name}.new"));
    let write = || {
        // Others may pass through: the database's files lie below and belong to another user.
        DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(directory)?;
        remove_if_there(&fresh)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// Deletes a file that may be there.
pub(super) fn remove(path: &Path) -> anyhow::Result<()> {
    remove_if_there(path).with_context(|| format!("{} cannot be deleted", path.display()))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_is_found_again_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut made = Secrets::load_or_make(folder.path()).unwrap();
        made.set("ADMIN_TOKEN", "bur_x=".to_owned());
        made.save(folder.path()).unwrap();
        let found = Secrets::load_or_make(folder.path()).unwrap();
        assert_eq!(found.0, made.0);
        let mode = fs::metadata(folder.path().join(NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        Secrets::forget(folder.path()).unwrap();
        assert_ne!(Secrets::load_or_make(folder.path()).unwrap().0, made.0);
    }

    #[test]
    fn a_damaged_file_is_said_to_be_damaged() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), "MASTER_KEY\n").unwrap();
        let error = Secrets::load_or_make(folder.path())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("--fresh"), "{error}");
    }
}
