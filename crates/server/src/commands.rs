//! What each command does.

mod after_restore;
mod callback_listen;
mod credentials;
mod demo;
mod grant;
mod heads;
mod import;
mod migrate;
mod operator;
mod reseal;
mod serve;
mod verify;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;

pub(crate) use after_restore::after_restore;
pub(crate) use callback_listen::listen;
pub(crate) use credentials::{create_access_key, create_token};
pub(crate) use demo::{code, demo};
pub(crate) use grant::grant;
pub(crate) use heads::heads;
pub(crate) use import::import;
pub(crate) use migrate::migrate;
pub(crate) use operator::{
    create_operator, disable_operator, enable_operator, link_operator, list_operators,
    reset_operator_password, reset_operator_totp, set_operator_permissions, unlink_operator,
};
pub(crate) use reseal::reseal;
pub(crate) use serve::serve;
pub(crate) use verify::verify;

use crate::config::ConfigErrors;

/// How Bursar ends when it was called or configured wrongly, as clap does.
const USAGE: u8 = 2;

/// Runs a command to its end, and says on standard error why it failed.
pub(crate) fn execute(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    match in_runtime(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            drop(writeln!(io::stderr(), "bursar: {error:#}"));
            if error.is::<ConfigErrors>() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Writes to standard output.
fn say(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("standard output is closed")
}

/// Writes a line to standard error, where it is in nobody's way.
fn note(text: &str) {
    // Nobody is left to tell when standard error is closed.
    drop(writeln!(io::stderr(), "{text}"));
}

fn in_runtime(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("TLS was set up twice"))?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(command)
}
