//! Why a batch came to nothing, and what becomes of its requests.

use bursar_ports::StoreError;

use super::describe;

/// Why a batch came to nothing.
pub(super) enum Trouble {
    /// Another replica writes the book; nothing happened.
    Standby,
    /// The database cannot be reached; nothing happened.
    Unavailable(String),
    /// Nobody knows whether it was committed.
    Unknown(String),
    /// The database refuses it, every time; nothing happened. The driver does not tell a lock that
    /// was not to be had from data that no table takes, so this too may pass with time.
    Poison(String),
    /// It has waited in vain for an account that somebody keeps locked; nothing happened.
    Kept,
    /// A row contradicts itself; nothing happened.
    Inconsistent(&'static str, String),
}

impl Trouble {
    /// What nothing that a batcher can do would cure.
    pub(super) fn of(error: StoreError) -> Self {
        match error {
            StoreError::Inconsistent { table, detail } => Self::Inconsistent(table, detail),
            StoreError::Standby => Self::Standby,
            StoreError::Overloaded | StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) => {
                Self::Unavailable(describe(&error))
            }
        }
    }

    /// What to do with its batch.
    pub(super) fn next(&self) -> Next<'_> {
        match self {
            Self::Kept => Next::Again,
            Self::Poison(cause) | Self::Inconsistent(_, cause) => Next::Split(cause),
            Self::Standby | Self::Unavailable(_) | Self::Unknown(_) => Next::Refuse,
        }
    }

    /// What a caller is told; what only an operator can mend is told to the log too.
    pub(super) fn to_reported_error(&self) -> StoreError {
        if let Self::Poison(cause) = self {
            tracing::error!(cause, "the database keeps refusing a request");
        }
        match self {
            Self::Standby => StoreError::Standby,
            Self::Kept => kept(),
            Self::Unavailable(cause) | Self::Poison(cause) => {
                StoreError::Unavailable(cause.clone().into())
            }
            Self::Unknown(cause) => StoreError::OutcomeUnknown(cause.clone().into()),
            Self::Inconsistent(table, detail) => StoreError::Inconsistent {
                table,
                detail: detail.clone(),
            },
        }
    }
}

/// What is told to those that touch an account that somebody keeps locked.
pub(super) fn kept() -> StoreError {
    StoreError::Unavailable("somebody keeps an account locked".into())
}

/// What becomes of the requests of a batch that came to nothing.
pub(super) enum Next<'t> {
    /// They are told why.
    Refuse,
    /// They are tried again, but for those that touch what is kept.
    Again,
    /// Each half is tried by itself, for this is what the database refuses; one alone is told so.
    Split(&'t str),
}
