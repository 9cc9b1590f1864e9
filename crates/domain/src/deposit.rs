//! The deposit's states.
//!
//! | state \ command | settle | confirm | cancel | fail |
//! | --- | --- | --- | --- | --- |
//! | `Pending` | `Completed` | – | – | `Failed` |
//! | `Completed` | already | – | – | – |
//! | `Failed` | – | – | – | already, for the same reason |

use crate::{Command, Reason, Status, transfer::Next};

/// Where a deposit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DepositState {
    /// Accepted; nothing is credited yet.
    Pending,
    /// Credited.
    Completed,
    /// Refused at settlement; nothing is credited.
    Failed {
        /// Why.
        reason: Reason,
    },
}

impl DepositState {
    pub(crate) fn next(&self, command: &Command) -> Next<Self> {
        match (self, command) {
            (Self::Pending, Command::Settle) => Next::To(Self::Completed),
            (Self::Pending, Command::Fail { reason }) => Next::To(Self::Failed { reason: *reason }),
            (Self::Completed, Command::Settle) => Next::Same,
            (Self::Failed { reason: had }, Command::Fail { reason }) if had == reason => Next::Same,
            (
                Self::Pending | Self::Completed | Self::Failed { .. },
                Command::Confirm { .. } | Command::Cancel { .. },
            )
            | (Self::Completed | Self::Failed { .. }, Command::Fail { .. })
            | (Self::Failed { .. }, Command::Settle) => Next::Illegal,
        }
    }

    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Completed => Status::Completed,
            Self::Failed { .. } => Status::Failed,
        }
    }
}
