//! Why a transfer is refused, with the codes both APIs publish.

use std::fmt;

/// A business reason to refuse a transfer: the `code` of a 422 answer, the `reason_code` of a
/// rejected internal transfer, and what `ErrorDetails` of a failed deposit or withdrawal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Less is available than the transfer takes.
    BalanceInsufficient,
    /// An account would hold more than 10^38 − 1 smallest units.
    BalanceOverflow,
    /// The user is frozen.
    AccountFrozen,
    /// The user is terminated.
    AccountTerminated,
    /// The asset does not accept transfers of this kind.
    AssetDisabled,
    /// The fee would eat the whole deposit.
    FeeExceedsAmount,
    /// The recipient is unknown or cannot receive: one answer for all, so that nobody learns who
    /// has an account.
    RecipientUnavailable,
    /// The sender named itself.
    RecipientIsSender,
    /// The payout was refused by whoever pays it out.
    PayoutRefused,
    /// Less than one transfer must move.
    LimitMinAmount,
    /// More than one transfer may move.
    LimitMaxAmount,
    /// More than is left of what may be moved in 24 hours.
    LimitDaily,
    /// More than is left of what may be moved in 30 days.
    LimitMonthly,
    /// A limit is counted in the root asset, and nobody said what the asset is worth.
    RateUnknown,
    /// Nothing of the asset leaves users' accounts for now.
    OutgoingStopped,
    /// A second operator looked at it and said no.
    ApprovalRejected,
    /// Nobody approved it in time.
    ApprovalExpired,
    /// Nobody confirmed it in time.
    TransferExpired,
    /// The reversals of a transfer would come to more than the transfer.
    ReversalExceeds,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::BalanceInsufficient,
        Self::BalanceOverflow,
        Self::AccountFrozen,
        Self::AccountTerminated,
        Self::AssetDisabled,
        Self::FeeExceedsAmount,
        Self::RecipientUnavailable,
        Self::RecipientIsSender,
        Self::PayoutRefused,
        Self::LimitMinAmount,
        Self::LimitMaxAmount,
        Self::LimitDaily,
        Self::LimitMonthly,
        Self::RateUnknown,
        Self::OutgoingStopped,
        Self::ApprovalRejected,
        Self::ApprovalExpired,
        Self::TransferExpired,
        Self::ReversalExceeds,
    ];

    /// The stable code that programs read.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BalanceInsufficient => "balance.insufficient",
            Self::BalanceOverflow => "balance.overflow",
            Self::AccountFrozen => "account.frozen",
            Self::AccountTerminated => "account.terminated",
            Self::AssetDisabled => "asset.disabled",
            Self::FeeExceedsAmount => "fee.exceeds_amount",
            Self::RecipientUnavailable => "recipient.unavailable",
            Self::RecipientIsSender => "recipient.is_sender",
            Self::PayoutRefused => "payout.refused",
            Self::LimitMinAmount => "limit.min_amount",
            Self::LimitMaxAmount => "limit.max_amount",
            Self::LimitDaily => "limit.daily",
            Self::LimitMonthly => "limit.monthly",
            Self::RateUnknown => "rate.unknown",
            Self::OutgoingStopped => "asset.outgoing_stopped",
            Self::ApprovalRejected => "approval.rejected",
            Self::ApprovalExpired => "approval.expired",
            Self::TransferExpired => "transfer.expired",
            Self::ReversalExceeds => "reversal.exceeds_original",
        }
    }

    /// The sentence that people read.
    pub const fn message(self) -> &'static str {
        match self {
            Self::BalanceInsufficient => "The available balance does not cover the transfer.",
            Self::BalanceOverflow => "The account cannot hold that much.",
            Self::AccountFrozen => "The account is frozen.",
            Self::AccountTerminated => "The account is terminated.",
            Self::AssetDisabled => "The asset does not accept this kind of transfer.",
            Self::FeeExceedsAmount => "The fee is not less than the amount.",
            Self::RecipientUnavailable => "The recipient cannot receive this transfer.",
            Self::RecipientIsSender => "The recipient is the sender.",
            Self::PayoutRefused => "The payout was refused.",
            Self::LimitMinAmount => "The amount is below the minimum.",
            Self::LimitMaxAmount => "The amount is above the maximum.",
            Self::LimitDaily => "The limit for 24 hours leaves less than the amount.",
            Self::LimitMonthly => "The limit for 30 days leaves less than the amount.",
            Self::RateUnknown => {
                "The asset has no rate to the root asset, in which a limit is counted."
            }
            Self::OutgoingStopped => "Outgoing transfers of the asset are stopped.",
            Self::ApprovalRejected => "The second operator rejected the transfer.",
            Self::ApprovalExpired => "No second operator approved the transfer in time.",
            Self::TransferExpired => "Nobody confirmed the withdrawal in time.",
            Self::ReversalExceeds => "More would be reversed than is left of the original.",
        }
    }

    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_own_and_reads_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
            assert!(reason.message().ends_with('.'));
            assert_eq!(reason.to_string(), reason.message());
        }
        assert_eq!(Reason::from_code("balance"), None);
    }
}
