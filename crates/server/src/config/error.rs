//! What is wrong with a configuration, in words for the person who wrote it.

use std::{fmt, path::PathBuf};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A command brought it itself.
    Command,
    /// This environment variable.
    Variable(String),
    /// The file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1; none for the file as a whole.
        line: Option<usize>,
    },
    /// The default, for this setting nobody gave.
    Default,
    /// Nowhere: it would have to be given.
    Nowhere,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command => f.write_str("given by the command"),
            Self::Variable(name) => write!(f, "from the environment, {name}"),
            Self::File { path, line } => {
                write!(f, "from {}", path.display())?;
                line.map_or(Ok(()), |line| write!(f, ", line {line}"))
            }
            Self::Default => f.write_str("the default"),
            Self::Nowhere => f.write_str("given nowhere"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting, or the file.
    pub setting: String,
    /// What is wrong with it.
    pub detail: String,
    /// Where it came from.
    pub origin: Origin,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.setting, self.detail, self.origin)
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
