//! The internal transfer's states, and how its recipient was named.
//!
//! | state \ command | settle | confirm | cancel | fail |
//! | --- | --- | --- | --- | --- |
//! | `Pending` | `Success` | – | – | `Rejected` |
//! | `Success` | already | – | – | – |
//! | `Rejected` | – | – | – | already, for the same reason |

use crate::{Command, Reason, Status, UserId, transfer::Next};

/// Where an internal transfer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InternalState {
    /// Accepted; nothing has moved yet.
    Pending,
    /// Moved from the sender to the recipient.
    Success,
    /// Refused; nothing moved.
    Rejected {
        /// Why.
        reason: Reason,
    },
}

impl InternalState {
    pub(crate) fn next(&self, command: &Command) -> Next<Self> {
        match (self, command) {
            (Self::Pending, Command::Settle) => Next::To(Self::Success),
            (Self::Pending, Command::Fail { reason }) => {
                Next::To(Self::Rejected { reason: *reason })
            }
            (Self::Success, Command::Settle) => Next::Same,
            (Self::Rejected { reason: had }, Command::Fail { reason }) if had == reason => {
                Next::Same
            }
            (
                Self::Pending | Self::Success | Self::Rejected { .. },
                Command::Confirm { .. } | Command::Cancel { .. },
            )
            | (Self::Success | Self::Rejected { .. }, Command::Fail { .. })
            | (Self::Rejected { .. }, Command::Settle) => Next::Illegal,
        }
    }

    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Success => Status::Success,
            Self::Rejected { .. } => Status::Rejected,
        }
    }
}

/// Whom the sender named, and who that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A user named by id.
    Id(UserId),
    /// A user named by username or email.
    Alias {
        /// What the sender typed.
        typed: String,
        /// Who that is.
        user: UserId,
    },
    /// Nobody answers to what the sender typed.
    Unknown {
        /// What the sender typed.
        typed: String,
    },
}

impl Recipient {
    /// The user, when there is one.
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Id(user) | Self::Alias { user, .. } => Some(*user),
            Self::Unknown { .. } => None,
        }
    }

    /// What was typed, unless it was the user's id.
    pub fn typed(&self) -> Option<&str> {
        match self {
            Self::Id(_) => None,
            Self::Alias { typed, .. } | Self::Unknown { typed } => Some(typed),
        }
    }

    /// What the sender is shown: an alias turns into an id only once money has moved, so that
    /// nobody can turn an address into a user id without paying (contract §2).
    pub fn shown(&self, succeeded: bool) -> String {
        match self {
            Self::Id(user) => user.to_string(),
            Self::Alias { user, .. } if succeeded => user.to_string(),
            Self::Alias { typed, .. } | Self::Unknown { typed } => typed.clone(),
        }
    }
}
