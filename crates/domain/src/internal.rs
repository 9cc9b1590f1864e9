//! The internal transfer's states.
//!
//! | state \ command | settle | confirm | cancel | fail |
//! | --- | --- | --- | --- | --- |
//! | `Pending` | `Success` | – | – | `Rejected` |
//! | `Success` | already | – | – | – |
//! | `Rejected` | – | – | – | already, for the same reason |

use crate::{Command, Reason, Status, transfer::Next};

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
                Command::Settle
                | Command::Confirm { .. }
                | Command::Cancel { .. }
                | Command::PaidOut
                | Command::Approve { .. }
                | Command::Reject { .. }
                | Command::Expire
                | Command::Fail { .. },
            ) => Next::Illegal,
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
