//! Finds PostgreSQL's server programs on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    LocalServerError,
    account::{Account, command},
};

/// The oldest release whose behaviour the schema and the engine rely on.
const MAJOR_MIN: u32 = 15;

/// Folders in which packages put each release: parent, prefix of the release's folder, and what
/// follows it.
const PACKAGE_FOLDERS: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// Folders that hold one release, whichever it is.
const SINGLE_FOLDERS: [&str; 1] = ["/usr/local/pgsql/bin"];

/// A folder with a server's programs in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    directory: PathBuf,
    major: u32,
}

impl Binaries {
    /// Finds a release to run: the one the data was made by, or else the first one that is new
    /// enough. An explicit folder is taken or refused, never replaced.
    pub(super) fn find(
        explicit: Option<&Path>,
        data_major: Option<u32>,
        account: Option<&Account>,
    ) -> Result<Self, LocalServerError> {
        let searched = explicit.map_or_else(usual_folders, |folder| vec![folder.to_owned()]);
        let installed: Vec<Self> = searched
            .iter()
            .filter_map(|folder| Self::inspect(folder, account))
            .collect();
        choose(&installed, data_major, &searched)
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    /// The client program, which may be installed apart from the server's.
    pub(super) fn psql(&self) -> PathBuf {
        let beside = self.directory.join("psql");
        if beside.is_file() {
            beside
        } else {
            PathBuf::from("psql")
        }
    }

    /// `None` when the folder holds no server that `account` can run: a machine with only the
    /// client programs answers `pg_config` too.
    fn inspect(folder: &Path, account: Option<&Account>) -> Option<Self> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let output = command(&folder.join("postgres"), account)
            .arg("--version")
            .output()
            .ok()?;
        let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self {
            directory: folder.to_owned(),
            major,
        })
    }
}

fn choose(
    installed: &[Binaries],
    data_major: Option<u32>,
    searched: &[PathBuf],
) -> Result<Binaries, LocalServerError> {
    let wanted =
        |found: &&Binaries| data_major.map_or(found.major >= MAJOR_MIN, |m| found.major == m);
    if let Some(found) = installed.iter().find(wanted) {
        return Ok(found.clone());
    }
    let found: Vec<String> = installed
        .iter()
        .map(|binaries| binaries.major.to_string())
        .collect();
    match data_major {
        Some(data) if !found.is_empty() => Err(LocalServerError::OtherRelease {
            data,
            found: found.join(", "),
        }),
        Some(_) | None => Err(LocalServerError::NoBinaries {
            wanted: data_major.unwrap_or(MAJOR_MIN),
            searched: searched
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        }),
    }
}

/// `pg_config`'s answer first, because whoever set it up meant it; then where packages install,
/// the newest release first; then `PATH`.
fn usual_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    folders.extend(ask_pg_config());
    for (parent, prefix, bin) in PACKAGE_FOLDERS {
        folders.extend(
            releases_in(Path::new(parent), prefix)
                .into_iter()
                .map(|f| f.join(bin)),
        );
    }
    folders.extend(SINGLE_FOLDERS.map(PathBuf::from));
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path).filter(|folder| folder.is_absolute()));
    }
    let mut seen = std::collections::BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

fn ask_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| PathBuf::from(folder.trim()))
}

fn releases_in(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut releases: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name();
            let release = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((release, entry.path()))
        })
        .collect();
    releases.sort_unstable_by(|left, right| right.cmp(left));
    releases.into_iter().map(|(_, path)| path).collect()
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)`, also `17beta1` and `18devel`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(majors: &[u32]) -> Vec<Binaries> {
        majors
            .iter()
            .map(|major| Binaries {
                directory: PathBuf::from(format!("/pg/{major}")),
                major: *major,
            })
            .collect()
    }

    #[test]
    fn versions_are_read_from_packages_and_previews() {
        assert_eq!(
            parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("mysqld 8"), None);
    }

    #[test]
    fn releases_too_old_are_passed_over() {
        let found = choose(&installed(&[13, 16, 15]), None, &[]).unwrap();
        assert_eq!(found.major, 16);
    }

    #[test]
    fn existing_data_keeps_its_release() {
        assert_eq!(
            choose(&installed(&[17, 15]), Some(15), &[]).unwrap().major,
            15
        );
        let error = choose(&installed(&[17, 16]), Some(15), &[]).unwrap_err();
        assert!(error.to_string().contains("PostgreSQL 15"), "{error}");
        assert!(error.to_string().contains("17, 16"), "{error}");
    }

    #[test]
    fn without_programs_the_error_names_the_folders_and_the_remedy() {
        let error = choose(&[], None, &[PathBuf::from("/nowhere/bin")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/bin"), "{error}");
        assert!(error.contains("apt-get install postgresql"), "{error}");
        assert!(error.contains("PG_BIN"), "{error}");
    }

    #[test]
    fn release_folders_come_newest_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["postgresql@9", "postgresql@15", "postgresql@17", "other"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let names: Vec<_> = releases_in(parent.path(), "postgresql@")
            .iter()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["postgresql@17", "postgresql@15", "postgresql@9"]);
    }
}
