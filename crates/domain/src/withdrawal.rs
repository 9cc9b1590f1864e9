//! The withdrawal's states.
//!
//! | state \ command | settle | confirm | cancel | fail |
//! | --- | --- | --- | --- | --- |
//! | `AwaitingConfirmation` | – | `Completed` | `Canceled` | `Failed` |
//! | `Completed` | – | already | – | – |
//! | `Failed` | – | – | – | already, for the same reason |
//! | `Canceled` | – | – | already | – |

use crate::{ActorId, Command, Reason, Status, transfer::Next};

/// Where a withdrawal stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithdrawalState {
    /// The amount and the fee are held until somebody confirms or cancels.
    AwaitingConfirmation,
    /// Paid out of the hold.
    Completed {
        /// Who confirmed.
        by: ActorId,
    },
    /// Not paid; the hold went back.
    Failed {
        /// Why.
        reason: Reason,
    },
    /// Cancelled; the hold went back.
    Canceled {
        /// Who cancelled.
        by: ActorId,
    },
}

impl WithdrawalState {
    pub(crate) fn next(&self, command: &Command) -> Next<Self> {
        match (self, command) {
            (Self::AwaitingConfirmation, Command::Confirm { by, .. }) => {
                Next::To(Self::Completed { by: by.clone() })
            }
            (Self::AwaitingConfirmation, Command::Cancel { by, .. }) => {
                Next::To(Self::Canceled { by: by.clone() })
            }
            (Self::AwaitingConfirmation, Command::Fail { reason }) => {
                Next::To(Self::Failed { reason: *reason })
            }
            (Self::Completed { .. }, Command::Confirm { .. })
            | (Self::Canceled { .. }, Command::Cancel { .. }) => Next::Same,
            (Self::Failed { reason: had }, Command::Fail { reason }) if had == reason => Next::Same,
            (
                Self::AwaitingConfirmation
                | Self::Completed { .. }
                | Self::Failed { .. }
                | Self::Canceled { .. },
                Command::Settle,
            )
            | (Self::Failed { .. } | Self::Canceled { .. }, Command::Confirm { .. })
            | (Self::Failed { .. } | Self::Completed { .. }, Command::Cancel { .. })
            | (
                Self::Completed { .. } | Self::Failed { .. } | Self::Canceled { .. },
                Command::Fail { .. },
            ) => Next::Illegal,
        }
    }

    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::AwaitingConfirmation => Status::AwaitingConfirmation,
            Self::Completed { .. } => Status::Completed,
            Self::Failed { .. } => Status::Failed,
            Self::Canceled { .. } => Status::Canceled,
        }
    }
}
