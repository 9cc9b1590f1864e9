//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::commands;

/// Moves money between users, and in and out of an exchange.
#[derive(Debug, Parser)]
#[command(name = "bursar", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the database's schema up to date, and end.
    #[command(after_help = "\
Examples:
  bursar migrate --config /etc/bursar.toml
  BURSAR_DATABASE_URL=postgres://bursar:password@127.0.0.1/bursar bursar migrate")]
    Migrate(ConfigArgs),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file, in TOML; the environment wins over it.
    #[arg(long, value_name = "FILE", env = "BURSAR_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// Runs the command that the command line asks for.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    commands::execute(async move {
        match cli.command {
            Command::Migrate(args) => commands::migrate(args).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            let leaf = command.get_subcommands().next().is_none();
            let help = command.clone().render_long_help().to_string();
            assert!(!leaf || help.contains("Examples:\n  "), "{help}");
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
