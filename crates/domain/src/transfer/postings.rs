//! What each step of a transfer moves. Each list sums to zero.

use crate::{
    AccountKey, Amount, Body, DepositState, InternalState, Posting, Transfer, Version,
    WithdrawalState,
};

impl Transfer {
    /// Everything that its steps have moved until now, in order: what must stand in the ledger for a
    /// transfer in this state.
    pub fn postings_so_far(&self) -> Vec<Posting> {
        if let Some(reversal) = &self.0.reversal {
            // Final from the start, with lines of its own.
            return self.reversal_postings(reversal.fee_returned);
        }
        match &self.0.body {
            Body::Deposit { state, .. } => match state {
                DepositState::Pending
                | DepositState::AwaitingApproval
                | DepositState::Failed { .. } => vec![],
                DepositState::Completed => self.credit_postings(),
            },
            Body::Withdrawal { state, .. } => {
                let end = match state {
                    // It was refused as it was made, and nothing was held.
                    WithdrawalState::Failed { .. } if self.0.version == Version::FIRST => {
                        return vec![];
                    }
                    WithdrawalState::AwaitingConfirmation
                    | WithdrawalState::AwaitingApproval
                    | WithdrawalState::PayingOut => vec![],
                    WithdrawalState::Completed { .. } => self.payout_postings(),
                    WithdrawalState::Failed { .. } | WithdrawalState::Canceled { .. } => {
                        self.release_postings()
                    }
                };
                [self.hold_postings(), end].concat()
            }
            Body::Internal { state, .. } => match state {
                InternalState::Pending | InternalState::Rejected { .. } => vec![],
                InternalState::Success => self.move_postings(),
            },
        }
    }

    fn lines(lines: &[(AccountKey, i128, i128)]) -> Vec<Posting> {
        lines
            .iter()
            .filter(|(_, available, held)| *available != 0 || *held != 0)
            .map(|(account, available, held)| Posting {
                account: *account,
                available: *available,
                held: *held,
            })
            .collect()
    }

    /// The amount, the fee, their sum and their difference, in smallest units. A sum that leaves an i128
    /// ends there: no account can hold it, so no transfer is opened with it.
    const fn figures(&self) -> (i128, i128, i128, i128) {
        let (amount, fee) = (self.0.amount.units(), self.0.fee.units());
        (
            amount,
            fee,
            amount.saturating_add(fee),
            amount.saturating_sub(fee),
        )
    }

    pub(super) fn credit_postings(&self) -> Vec<Posting> {
        let (amount, fee, _, credited) = self.figures();
        let asset = self.0.asset;
        Self::lines(&[
            (AccountKey::world(asset), amount.saturating_neg(), 0),
            (AccountKey::user(self.owner(), asset), credited, 0),
            (AccountKey::fees(asset), fee, 0),
        ])
    }

    pub(super) fn hold_postings(&self) -> Vec<Posting> {
        let (_, _, total, _) = self.figures();
        Self::lines(&[(
            AccountKey::user(self.owner(), self.0.asset),
            total.saturating_neg(),
            total,
        )])
    }

    pub(super) fn release_postings(&self) -> Vec<Posting> {
        let (_, _, total, _) = self.figures();
        Self::lines(&[(
            AccountKey::user(self.owner(), self.0.asset),
            total,
            total.saturating_neg(),
        )])
    }

    pub(super) fn payout_postings(&self) -> Vec<Posting> {
        let (amount, fee, total, _) = self.figures();
        let asset = self.0.asset;
        Self::lines(&[
            (
                AccountKey::user(self.owner(), asset),
                0,
                total.saturating_neg(),
            ),
            (AccountKey::world(asset), amount, 0),
            (AccountKey::fees(asset), fee, 0),
        ])
    }

    pub(super) fn move_postings(&self) -> Vec<Posting> {
        let Some(recipient) = self.recipient_account() else {
            return vec![];
        };
        let (amount, fee, total, _) = self.figures();
        let asset = self.0.asset;
        Self::lines(&[
            (
                AccountKey::user(self.owner(), asset),
                total.saturating_neg(),
                0,
            ),
            (recipient, amount, 0),
            (AccountKey::fees(asset), fee, 0),
        ])
    }

    /// Money that goes back where it came from, with some of the fee when that is returned too.
    pub(super) fn reversal_postings(&self, fee_returned: Amount) -> Vec<Posting> {
        let (amount, returned) = (self.0.amount.units(), fee_returned.units());
        let asset = self.0.asset;
        let own = AccountKey::user(self.owner(), asset);
        let (world, fees) = (AccountKey::world(asset), AccountKey::fees(asset));
        let with_fee = amount.saturating_add(returned);
        match (&self.0.body, self.recipient_account()) {
            (Body::Withdrawal { .. }, _) => Self::lines(&[
                (own, returned.saturating_sub(amount), 0),
                (world, amount, 0),
                (fees, returned.saturating_neg(), 0),
            ]),
            (Body::Deposit { .. }, _) => Self::lines(&[
                (world, amount.saturating_neg(), 0),
                (own, with_fee, 0),
                (fees, returned.saturating_neg(), 0),
            ]),
            (Body::Internal { .. }, Some(recipient)) => Self::lines(&[
                (own, amount.saturating_neg(), 0),
                (recipient, with_fee, 0),
                (fees, returned.saturating_neg(), 0),
            ]),
            (Body::Internal { .. }, None) => vec![],
        }
    }
}
