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
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::BalanceInsufficient,
        Self::BalanceOverflow,
        Self::AccountFrozen,
        Self::AccountTerminated,
        Self::AssetDisabled,
        Self::FeeExceedsAmount,
        Self::RecipientUnavailable,
        Self::RecipientIsSender,
        Self::PayoutRefused,
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
        }
        assert_eq!(Reason::from_code("balance"), None);
    }
}
