//! Tells cargo when the embedded migrations changed, and gives them a fingerprint.
//!
//! `embed_migrations!` reads a folder, and cargo does not see that a folder gained a migration. The
//! fingerprint names the template database of the tests, so that an edited migration never meets
//! a template made from its older text.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
};

const MIGRATIONS: &str = "../../migrations";

fn main() -> io::Result<()> {
    let mut files = BTreeMap::new();
    read_folder(Path::new(MIGRATIONS), &mut files)?;
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);

    let mut out = io::stdout();
    writeln!(out, "cargo:rerun-if-changed={MIGRATIONS}")?;
    writeln!(
        out,
        "cargo:rustc-env=BURSAR_MIGRATIONS_FINGERPRINT={:016x}",
        hasher.finish()
    )
}

fn read_folder(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_folder(&path, files)?;
        } else {
            files.insert(path.clone(), fs::read(&path)?);
        }
    }
    Ok(())
}
