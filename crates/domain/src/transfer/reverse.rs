//! How a transfer is taken back.

use bigdecimal::num_bigint::BigInt;

use crate::{
    AccountKey, ActorId, Amount, Body, Change, CodeSalt, DepositState, Expected, InternalState,
    Kind, Linked, NewTransfer, OnRefusal, Operation, Premise, Reason, Recipient, Reversal, Status,
    Transfer, WithdrawalState,
};

/// What is taken back of a transfer, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReversalTerms {
    /// How much of the amount; none = all that is left of it.
    pub covers: Option<Amount>,
    /// Whether the same share of the fee goes back too.
    pub returns_fee: bool,
    /// The random part of the new transfer's public code, if it is an internal one.
    pub salt: CodeSalt,
}

/// How much a reversal moves, in smallest units of the transfer's asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReversalAmounts {
    /// How much of the original's amount it takes back.
    pub covers: Amount,
    /// How much of the original's fee goes back to whoever paid it.
    pub fee_returned: Amount,
    /// The new transfer's amount: less than `covers` where a part of it was never credited.
    pub moved: Amount,
}

impl Transfer {
    /// How much a reversal of so much of this transfer moves; of all that is left, if `covers` is none.
    ///
    /// # Errors
    /// [`Reason::ReversalExceeds`] when less is left of it, when it is no transfer that went through,
    /// or when it is a reversal itself.
    pub fn reversal_amounts(
        &self,
        covers: Option<Amount>,
        returns_fee: bool,
    ) -> Result<ReversalAmounts, Reason> {
        let before = self.0.reversed;
        let left = self.0.amount.checked_sub(before);
        let left = left.map_err(|_| Reason::ReversalExceeds)?;
        let covers = covers.unwrap_or(left);
        let went_through = matches!(self.status(), Status::Completed | Status::Success);
        if !went_through || self.0.reversal.is_some() || covers.is_zero() || covers > left {
            return Err(Reason::ReversalExceeds);
        }
        let after = self.reversed_after(covers);
        let share = self.fee_share(after).saturating_sub(self.fee_share(before));
        let share = Amount::try_from_units(share).unwrap_or(Amount::ZERO);
        // Of a deposit the user never got the fee, so what is kept of it does not go back outside.
        let moved = if self.kind() == Kind::Deposit && !returns_fee {
            covers.checked_sub(share).unwrap_or(Amount::ZERO)
        } else {
            covers
        };
        if moved.is_zero() {
            return Err(Reason::ReversalExceeds);
        }
        Ok(ReversalAmounts {
            covers,
            fee_returned: if returns_fee { share } else { Amount::ZERO },
            moved,
        })
    }

    /// How much of the amount is reversed once so much more of it is.
    fn reversed_after(&self, covers: Amount) -> Amount {
        let after = self.0.reversed.checked_add(covers);
        after.unwrap_or(self.0.amount)
    }

    /// A new transfer that takes this one back, in full or in part: from whoever was paid to whoever
    /// paid. A deposit is taken back by a withdrawal, a withdrawal by a deposit, an internal
    /// transfer by one the other way; each is final at once, costs nothing, and is subject to no
    /// limit. The two know of each other, and the reversals of a transfer never come to more than
    /// its amount.
    ///
    /// Whoever was paid must have the money; that they are frozen or terminated is no obstacle,
    /// for that is when transfers are taken back.
    ///
    /// Of `new`, the asset with its scale, the amount, the fee and the terms are decided here, and
    /// nobody but the original's URL is called back.
    ///
    /// # Errors
    /// As [`Self::reversal_amounts`].
    pub fn reversal(&self, new: NewTransfer, terms: ReversalTerms) -> Result<Change, Reason> {
        let ReversalAmounts {
            covers,
            fee_returned,
            moved,
        } = self.reversal_amounts(terms.covers, terms.returns_fee)?;
        let new = NewTransfer {
            asset: self.0.asset,
            scale: self.0.scale,
            amount: moved,
            fee: Amount::ZERO,
            callback_url: None,
            ..new
        };
        let body = self.reversed_body(&new.created_by, terms.salt)?;
        let mut next = Self::created(new, body);
        next.0.expires_at = None;
        next.0.reversal = Some(Reversal {
            of: self.0.id,
            covers,
            fee_returned,
        });
        let premises = next.reversal_premises(fee_returned);
        let postings = next.reversal_postings(fee_returned);
        // The original's URL hears of it, and it has come as far as the original.
        let callbacks = self.callbacks(Operation::Create, std::iter::empty());
        Ok(Change {
            expected: Expected::Absent,
            premises,
            postings,
            callbacks,
            on_refusal: OnRefusal::Keep,
            pays_fee: false,
            approval: None,
            linked: Some(Box::new(self.with_reversed(self.reversed_after(covers)))),
            next,
        })
    }

    /// How much of the fee belongs to a part of the amount, in smallest units, rounded down: the
    /// shares of all parts come to the fee.
    fn fee_share(&self, part: Amount) -> i128 {
        let product =
            std::ops::Mul::mul(BigInt::from(self.0.fee.units()), BigInt::from(part.units()));
        let share = bigdecimal::num_traits::CheckedDiv::checked_div(
            &product,
            &BigInt::from(self.0.amount.units()),
        );
        share
            .and_then(|share| i128::try_from(share).ok())
            .unwrap_or_default()
    }

    fn reversed_body(&self, by: &ActorId, salt: CodeSalt) -> Result<Body, Reason> {
        Ok(match &self.0.body {
            Body::Deposit { user, .. } => Body::Withdrawal {
                user: *user,
                state: WithdrawalState::Completed { by: by.clone() },
            },
            Body::Withdrawal { user, .. } => Body::Deposit {
                user: *user,
                state: DepositState::Completed,
            },
            Body::Internal {
                sender, recipient, ..
            } => Body::Internal {
                sender: recipient.user().ok_or(Reason::ReversalExceeds)?,
                recipient: Recipient::Id(*sender),
                salt,
                custom_id: None,
                state: InternalState::Success,
            },
        })
    }

    fn reversal_premises(&self, fee_returned: Amount) -> Vec<Premise> {
        let asset = self.0.asset;
        let payer = AccountKey::user(self.owner(), asset);
        let incoming = self
            .0
            .amount
            .checked_add(fee_returned)
            .unwrap_or(Amount::MAX);
        let needed = self.0.amount;
        match self.kind() {
            Kind::Deposit => vec![Premise::Room {
                account: payer,
                incoming,
            }],
            Kind::Withdrawal => vec![Premise::OutgoingOpen(asset)],
            Kind::Internal => {
                let room = self
                    .recipient_account()
                    .map(|account| Premise::Room { account, incoming });
                let mut premises = vec![
                    Premise::OutgoingOpen(asset),
                    Premise::Funds {
                        account: payer,
                        needed,
                    },
                ];
                premises.extend(room);
                premises
            }
        }
    }

    /// This transfer, of which so much is reversed.
    fn with_reversed(&self, reversed: Amount) -> Linked {
        let mut parts = self.0.clone();
        parts.version = parts.version.next();
        parts.reversed = reversed;
        let next = Self(parts);
        let callbacks = next.callbacks(Operation::Reverse, std::iter::empty());
        Linked {
            expected: self.0.version,
            callbacks,
            next,
        }
    }
}
