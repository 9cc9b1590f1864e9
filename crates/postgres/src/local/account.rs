//! Whom the server runs as when Bursar itself runs as root.

use std::{os::unix::process::CommandExt, process::Command};

use nix::unistd::{Uid, User};

use super::LocalServerError;

/// Looked for in this order; the first one that exists is taken.
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// An unprivileged user: PostgreSQL refuses to run as root.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The user to drop to, or `None` when this process is unprivileged already.
    pub(super) fn to_drop_to() -> Result<Option<Self>, LocalServerError> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in NAMES {
            let found = User::from_name(name)
                .map_err(|error| LocalServerError::io("look up user", name, error.into()))?;
            if let Some(user) = found {
                let account = Self {
                    name: user.name,
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                };
                return Ok(Some(account));
            }
        }
        Err(LocalServerError::NoAccount)
    }
}

/// A command that runs as `account`, away from whatever folder Bursar was started in (which that
/// user may not be allowed to enter).
pub(super) fn command(program: &std::path::Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir("/")
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null());
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}
