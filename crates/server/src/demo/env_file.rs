//! `demo.env`: how to reach the demo, for shells and tests (contract §5), and what the other commands
//! need to be run beside it.

use std::{net::SocketAddr, path::Path};

use super::{
    Secrets,
    exchange::{CALLBACK_SECRET, OPERATORS, USERS},
    operators::{CONSOLE_OPERATORS, PASSWORD},
    secrets::{remove as remove_file, to_lines, write_private},
};

/// What every demo is configured with.
pub(crate) const ROOT_ASSET: &str = "usd";
pub(crate) const PROFILE: &str = "development";

/// The file's name.
pub(crate) const NAME: &str = "demo.env";

/// Writes the file. It is there exactly while the demo serves.
pub(crate) fn write(
    directory: &Path,
    address: SocketAddr,
    database_url: &str,
    secrets: &Secrets,
) -> anyhow::Result<()> {
    let mut lines = vec![
        ("BURSAR_URL".to_owned(), format!("http://{address}")),
        ("BURSAR_DATABASE_URL".to_owned(), database_url.to_owned()),
        ("BURSAR_MASTER_KEY".to_owned(), secrets.master_key()),
        ("BURSAR_CODE_KEY".to_owned(), secrets.code_key()),
        ("BURSAR_ROOT_ASSET".to_owned(), ROOT_ASSET.to_owned()),
        ("BURSAR_PROFILE".to_owned(), PROFILE.to_owned()),
    ];
    let secret = |name: &str| secrets.get(name).unwrap_or_default().to_owned();
    for operator in &OPERATORS {
        lines.push((format!("BURSAR_{}", operator.token), secret(operator.token)));
    }
    lines.push((
        "BURSAR_CONSOLE_URL".to_owned(),
        format!("http://{address}/console"),
    ));
    lines.push(("BURSAR_CONSOLE_PASSWORD".to_owned(), PASSWORD.to_owned()));
    for operator in &CONSOLE_OPERATORS {
        let name = format!("BURSAR_{}", operator.secret);
        lines.push((name, secret(operator.secret)));
    }
    let name = format!("BURSAR_{CALLBACK_SECRET}");
    lines.push((name, secret(CALLBACK_SECRET)));
    for user in &USERS {
        let name = user.name.to_ascii_uppercase();
        lines.push((format!("BURSAR_{name}_ID"), user.id.to_owned()));
        lines.push((format!("BURSAR_{name}_EMAIL"), user.email()));
        for what in ["TOKEN", "ACCESS_KEY", "SECRET_KEY", CALLBACK_SECRET] {
            let name = format!("{name}_{what}");
            lines.push((format!("BURSAR_{name}"), secret(&name)));
        }
    }
    let text = to_lines(lines.iter().map(|(name, value)| (name, value)));
    write_private(directory, NAME, &text)
}

/// Deletes the file.
pub(crate) fn remove(directory: &Path) -> anyhow::Result<()> {
    remove_file(&directory.join(NAME))
}
