//! The withdrawal's states.
//!
//! | state \ command | confirm | approve | cancel | paid out | reject, expire, fail |
//! | --- | --- | --- | --- | --- | --- |
//! | `AwaitingConfirmation` | `Completed`, `PayingOut` or `AwaitingApproval` | – | `Canceled` | – | `Failed`; reject – |
//! | `AwaitingApproval` | already | `Completed` or `PayingOut` | `Canceled` | – | `Failed` |
//! | `PayingOut` | already | already, if it was approved | – | `Completed` | fail: `Failed` |
//! | `Completed` | already | already, if it was approved | – | already | – |
//! | `Failed` | – | – | – | – | already, for the same reason |
//! | `Canceled` | – | – | already | – | – |
//!
//! The first three are shown as `AwaitingConfirmation`. Whether a confirm needs an approval is
//! decided when it is made ([`crate::ledger`]); a withdrawal never settles by itself.

use crate::{ActorId, Command, PayoutRoute, Reason, Status, transfer::Next};

/// Who confirmed a withdrawal, and whom that operation's result is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Who.
    pub by: ActorId,
    /// Where the result goes, beside the transfer's own URL.
    pub callback_url: Option<String>,
}

impl Confirmation {
    /// The URL, and who gave it.
    pub(crate) fn told(&self) -> Option<(&String, &ActorId)> {
        self.callback_url.as_ref().map(|url| (url, &self.by))
    }
}

/// Where a withdrawal stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithdrawalState {
    /// The amount and the fee are held until somebody confirms or cancels.
    AwaitingConfirmation,
    /// Confirmed; the hold stays until a second operator approves.
    AwaitingApproval,
    /// Confirmed and handed over to whoever pays it out; the hold stays until it is known what came
    /// of that.
    PayingOut,
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
    /// `confirmed` is who confirmed it before, if anybody did.
    pub(crate) fn next(&self, command: &Command, confirmed: Option<&Confirmation>) -> Next<Self> {
        let failed = |reason| Self::Failed { reason };
        match (self, command) {
            (Self::AwaitingConfirmation, Command::Confirm { by, route, .. }) => {
                Next::To(Self::released(by, *route))
            }
            (Self::AwaitingApproval, Command::Approve { route, .. }) => confirmed
                .map_or(Next::Illegal, |confirmed| {
                    Next::To(Self::released(&confirmed.by, *route))
                }),
            (Self::PayingOut, Command::PaidOut) => confirmed.map_or(Next::Illegal, |confirmed| {
                Next::To(Self::released(&confirmed.by, PayoutRoute::Manual))
            }),
            (Self::AwaitingConfirmation | Self::AwaitingApproval, Command::Cancel { by, .. }) => {
                Next::To(Self::Canceled { by: by.clone() })
            }
            (Self::AwaitingConfirmation, Command::Expire) => {
                Next::To(failed(Reason::TransferExpired))
            }
            (Self::AwaitingApproval, Command::Expire) => Next::To(failed(Reason::ApprovalExpired)),
            (Self::AwaitingApproval, Command::Reject { .. }) => {
                Next::To(failed(Reason::ApprovalRejected))
            }
            (
                Self::AwaitingConfirmation | Self::AwaitingApproval | Self::PayingOut,
                Command::Fail { reason },
            ) => Next::To(failed(*reason)),
            (
                Self::AwaitingApproval | Self::PayingOut | Self::Completed { .. },
                Command::Confirm { .. },
            )
            | (Self::PayingOut | Self::Completed { .. }, Command::Approve { .. })
            | (Self::Completed { .. }, Command::PaidOut)
            | (Self::Canceled { .. }, Command::Cancel { .. })
            | (
                Self::Failed {
                    reason: Reason::TransferExpired | Reason::ApprovalExpired,
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
                Self::AwaitingConfirmation
                | Self::AwaitingApproval
                | Self::PayingOut
                | Self::Completed { .. }
                | Self::Failed { .. }
                | Self::Canceled { .. },
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

    /// What becomes of a withdrawal that nothing stands in the way of any more.
    fn released(by: &ActorId, route: PayoutRoute) -> Self {
        match route {
            PayoutRoute::Manual => Self::Completed { by: by.clone() },
            PayoutRoute::Gateway => Self::PayingOut,
        }
    }

    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::AwaitingConfirmation | Self::AwaitingApproval | Self::PayingOut => {
                Status::AwaitingConfirmation
            }
            Self::Completed { .. } => Status::Completed,
            Self::Failed { .. } => Status::Failed,
            Self::Canceled { .. } => Status::Canceled,
        }
    }
}
