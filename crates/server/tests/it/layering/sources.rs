//! The files the rules are read from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::scan::{Scanned, scan};

/// A source file, with its path from the workspace's root.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    scanned: Scanned,
}

impl Source {
    /// Whether it is built for tests or benches only.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.contains("/benches/")
            || self.path.ends_with("/tests.rs")
    }

    /// The file without comments and string literals.
    pub(super) fn code(&self) -> &str {
        &self.scanned.code
    }

    pub(super) fn is_below(&self, prefix: &str) -> bool {
        self.path.strip_prefix(prefix).is_some_and(|rest| {
            prefix.ends_with('/') || rest.starts_with('/') || rest.starts_with('.')
        })
    }

    /// The places where one of `needles` stands in code, not in a comment or a string.
    pub(super) fn code_lines_with(&self, needles: &[&str]) -> Vec<String> {
        let mut places = Vec::new();
        for (index, line) in self.scanned.code.lines().enumerate() {
            for needle in needles.iter().filter(|needle| line.contains(**needle)) {
                places.push(format!("{}:{}: `{needle}`", self.path, index + 1));
            }
        }
        places
    }

    /// The places of the string literals that `is_wrong` finds.
    pub(super) fn literals_where(
        &self,
        fault: &str,
        is_wrong: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        self.scanned
            .literals
            .iter()
            .filter(|(_, literal)| is_wrong(literal))
            .map(|(line, literal)| {
                let shown: String = literal.trim().chars().take(60).collect();
                format!("{}:{line}: \"{shown}\" {fault}", self.path)
            })
            .collect()
    }
}

pub(super) fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

pub(super) fn all_rust() -> Vec<Source> {
    files("crates", "rs")
        .into_iter()
        .map(|(path, text)| Source {
            scanned: scan(&text),
            path,
            text,
        })
        .collect()
}

pub(super) fn sql_migrations() -> Vec<(String, String)> {
    files("migrations", "sql")
}

fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let root = workspace_root();
    let mut found = Vec::new();
    let mut waiting = vec![root.join(folder)];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(
        !found.is_empty(),
        "no .{extension} file was found below {folder}"
    );
    found.sort();
    found
}
