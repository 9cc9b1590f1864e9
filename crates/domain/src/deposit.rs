//! The deposit's states.
//!
//! | state \ command | settle | approve | reject, expire | fail |
//! | --- | --- | --- | --- | --- |
//! | `Pending` | `Completed` | – | – | `Failed` |
//! | `AwaitingApproval` | already | `Completed` | `Failed` | `Failed` |
//! | `Completed` | already | already, if it was approved | – | – |
//! | `Failed` | – | – | already, if that is why | already, for the same reason |
//!
//! Everything else is about withdrawals, and forbidden.

use crate::{Command, Reason, Status, transfer::Next};

/// Where a deposit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DepositState {
    /// Accepted; nothing is credited yet.
    Pending,
    /// Accepted, and waiting for a second operator; shown as `Pending`.
    AwaitingApproval,
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
        let failed = |reason| Self::Failed { reason };
        match (self, command) {
            (Self::Pending, Command::Settle)
            | (Self::AwaitingApproval, Command::Approve { .. }) => Next::To(Self::Completed),
            (Self::AwaitingApproval, Command::Expire) => Next::To(failed(Reason::ApprovalExpired)),
            (Self::AwaitingApproval, Command::Reject { .. }) => {
                Next::To(failed(Reason::ApprovalRejected))
            }
            (Self::Pending | Self::AwaitingApproval, Command::Fail { reason }) => {
                Next::To(failed(*reason))
            }
            // What waits for approval settles with it.
            (Self::AwaitingApproval | Self::Completed, Command::Settle)
            | (Self::Completed, Command::Approve { .. })
            | (
                Self::Failed {
                    reason: Reason::ApprovalExpired,
                },
                Command::Expire,
            )
            | (
                Self::Failed {
                    reason: Reason::ApprovalRejected,
                },
                Command::Reject { .. },
            ) => Next::Same,
            (Self::Failed { reason: had }, Command::Fail { reason }) if had == reason => Next::Same,
            (
                Self::Pending | Self::AwaitingApproval | Self::Completed | Self::Failed { .. },
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
            Self::Pending | Self::AwaitingApproval => Status::Pending,
            Self::Completed => Status::Completed,
            Self::Failed { .. } => Status::Failed,
        }
    }
}
