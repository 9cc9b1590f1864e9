//! Variables that stand for arguments.

use std::{env, ffi::OsStr};

use clap::Command;

/// The command line without the variables that are empty: such a one counts as not given, like those of
/// settings.
pub(super) fn without_empty(command: Command) -> Command {
    without(command, &|variable| {
        env::var_os(variable).is_some_and(|text| text.is_empty())
    })
}

/// The command line without these variables.
fn without(command: Command, these: &dyn Fn(&OsStr) -> bool) -> Command {
    command
        .mut_args(|argument| {
            if argument.get_env().is_some_and(these) {
                argument.env(None::<&'static str>)
            } else {
                argument
            }
        })
        .mut_subcommands(|command| without(command, these))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    /// The variables that count, one for each argument that has one.
    fn variables(command: &Command) -> Vec<String> {
        let arguments = command.get_arguments();
        let own = arguments.filter_map(|argument| argument.get_env()?.to_str());
        let own = own.map(str::to_owned);
        let below = command.get_subcommands().flat_map(variables);
        own.chain(below).collect()
    }

    /// Else `BURSAR_CONFIG=` would be a file without a name.
    #[test]
    fn an_empty_variable_counts_as_not_given() {
        let given = variables(&without(Cli::command(), &|_| false));
        for name in ["BURSAR_CONFIG", "PG_BIN"] {
            assert!(given.iter().any(|given| given == name), "{given:?}");
        }
        let left = variables(&without(Cli::command(), &|name| name == "PG_BIN"));
        assert!(left.len() < given.len(), "{left:?}");
        assert!(left.iter().all(|left| left == "BURSAR_CONFIG"), "{left:?}");
        let none = without(Cli::command(), &|_| true);
        assert!(variables(&none).is_empty());
        none.debug_assert();
    }
}
