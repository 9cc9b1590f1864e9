//! A transfer of any kind.
//!
//! `open` makes new ones, `decide` is the only place where one changes state, `postings` says what
//! each step moves.

mod decide;
mod kind;
mod open;
mod postings;
mod reverse;

use bigdecimal::{BigDecimal, RoundingMode};

pub(crate) use decide::Next;
pub use decide::{Command, PayoutRoute};
pub use kind::{Kind, Stage, Status};
pub use open::{NewTransfer, Terms};
pub use reverse::{ReversalAmounts, ReversalTerms};

use crate::{
    AccountKey, ActorId, Amount, AssetId, CodeSalt, Confirmation, DepositState, InternalState,
    Reason, Recipient, Scale, Timestamp, TransferId, Unit, UserId, Version, WithdrawalState,
};

/// What one asset was worth in the root asset when a transfer was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootRate {
    /// The root asset.
    pub asset: AssetId,
    /// The root asset's scale: figures in it are rounded to it, half away from zero.
    pub scale: Scale,
    /// Root asset per one of the transfer's asset.
    pub rate: BigDecimal,
    /// Who or what said so; none for what is true by definition.
    pub source: Option<String>,
    /// When that was said.
    pub rated_at: Option<Timestamp>,
}

impl RootRate {
    /// The unit in which it tells values.
    pub const fn unit(&self) -> Unit {
        Unit {
            asset: self.asset,
            scale: self.scale,
        }
    }

    /// What an amount of the transfer's asset was worth, rounded to the root asset's scale, half
    /// away from zero; none beyond what an account can hold.
    pub fn value_of(&self, amount: Amount, scale: Scale) -> Option<Amount> {
        let root_scale = i64::from(self.scale.get());
        let value = std::ops::Mul::mul(amount.to_decimal(scale), &self.rate)
            .with_scale_round(root_scale, RoundingMode::HalfUp);
        let (units, _) = value.into_bigint_and_exponent();
        i128::try_from(units)
            .ok()
            .and_then(|units| Amount::try_from_units(units).ok())
    }
}

/// Everything about a transfer. Public because stores rebuild transfers from their rows and the
/// edges render them; it is inert data, and a [`Transfer`] can only be had from it unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferParts {
    /// The numeric id.
    pub id: TransferId,
    /// How often it changed.
    pub version: Version,
    /// What is moved.
    pub asset: AssetId,
    /// The asset's scale.
    pub scale: Scale,
    /// How much, without the fee.
    pub amount: Amount,
    /// The fee, fixed at creation.
    pub fee: Amount,
    /// The operator's comment or the sender's note.
    pub note: Option<String>,
    /// Where callbacks of the whole life go.
    pub callback_url: Option<String>,
    /// Who created it.
    pub created_by: ActorId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its state last changed: its status, or what it waits for.
    pub updated_at: Timestamp,
    /// The rate to the root asset at creation; none when none was known.
    pub root_rate: Option<RootRate>,
    /// When it fails unless somebody confirms or approves it; never, when there is none.
    pub expires_at: Option<Timestamp>,
    /// Who confirmed it, whatever became of it then.
    pub confirmed: Option<Confirmation>,
    /// What a second operator said to it.
    pub review: Option<Review>,
    /// Which transfer it reverses, and how.
    pub reversal: Option<Reversal>,
    /// How much of it was reversed.
    pub reversed: Amount,
    /// What is particular to its kind, with its state.
    pub body: Body,
}

/// A second operator's word on a transfer. Its state tells whether it was a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Who; never whoever made or confirmed it.
    pub by: ActorId,
    /// The digest of what that operator was shown.
    pub digest: [u8; 32],
}

/// How a transfer takes another one back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// The other transfer.
    pub of: TransferId,
    /// How much of that transfer's amount it takes back.
    pub covers: Amount,
    /// How much of that transfer's fee it gives back.
    pub fee_returned: Amount,
}

/// What is particular to a kind of transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Money from outside to a user.
    Deposit {
        /// Who is credited.
        user: UserId,
        /// Where it stands.
        state: DepositState,
    },
    /// Money from a user to outside.
    Withdrawal {
        /// Who is debited.
        user: UserId,
        /// Where it stands.
        state: WithdrawalState,
    },
    /// Money from one user to another.
    Internal {
        /// Who pays.
        sender: UserId,
        /// Who is paid.
        recipient: Recipient,
        /// The random part of its public code.
        salt: CodeSalt,
        /// The sender's own identifier for it; need not be unique.
        custom_id: Option<String>,
        /// Where it stands.
        state: InternalState,
    },
}

/// A deposit, withdrawal or internal transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer(TransferParts);

impl Transfer {
    /// A transfer as a store recorded it.
    pub const fn from_parts(parts: TransferParts) -> Self {
        Self(parts)
    }

    /// Everything about it.
    pub const fn parts(&self) -> &TransferParts {
        &self.0
    }

    /// Everything about it, by value.
    pub fn into_parts(self) -> TransferParts {
        self.0
    }

    /// The numeric id.
    pub const fn id(&self) -> TransferId {
        self.0.id
    }

    /// How often it changed.
    pub const fn version(&self) -> Version {
        self.0.version
    }

    /// The kind.
    pub const fn kind(&self) -> Kind {
        match self.0.body {
            Body::Deposit { .. } => Kind::Deposit,
            Body::Withdrawal { .. } => Kind::Withdrawal,
            Body::Internal { .. } => Kind::Internal,
        }
    }

    /// The status.
    pub const fn status(&self) -> Status {
        match &self.0.body {
            Body::Deposit { state, .. } => state.status(),
            Body::Withdrawal { state, .. } => state.status(),
            Body::Internal { state, .. } => state.status(),
        }
    }

    /// Why it failed or was rejected.
    pub const fn reason(&self) -> Option<Reason> {
        match &self.0.body {
            Body::Deposit {
                state: DepositState::Failed { reason },
                ..
            }
            | Body::Withdrawal {
                state: WithdrawalState::Failed { reason },
                ..
            }
            | Body::Internal {
                state: InternalState::Rejected { reason },
                ..
            } => Some(*reason),
            Body::Deposit { .. } | Body::Withdrawal { .. } | Body::Internal { .. } => None,
        }
    }

    /// When it became final.
    pub fn done_at(&self) -> Option<Timestamp> {
        self.status().is_final().then_some(self.0.updated_at)
    }

    /// The user whose transfer it is: the one credited or debited, or the sender.
    pub const fn owner(&self) -> UserId {
        match self.0.body {
            Body::Deposit { user, .. } | Body::Withdrawal { user, .. } => user,
            Body::Internal { sender, .. } => sender,
        }
    }

    /// Who confirmed or cancelled it.
    pub const fn finished_by(&self) -> Option<&ActorId> {
        match &self.0.body {
            Body::Withdrawal {
                state: WithdrawalState::Completed { by } | WithdrawalState::Canceled { by },
                ..
            } => Some(by),
            Body::Deposit { .. } | Body::Withdrawal { .. } | Body::Internal { .. } => None,
        }
    }

    /// What it waits for beyond what its status tells.
    pub const fn stage(&self) -> Option<Stage> {
        match &self.0.body {
            Body::Deposit {
                state: DepositState::AwaitingApproval,
                ..
            }
            | Body::Withdrawal {
                state: WithdrawalState::AwaitingApproval,
                ..
            } => Some(Stage::Approval),
            Body::Withdrawal {
                state: WithdrawalState::PayingOut,
                ..
            } => Some(Stage::Payout),
            Body::Deposit { .. } | Body::Withdrawal { .. } | Body::Internal { .. } => None,
        }
    }

    /// Whether an operator had a hand in it already, and so cannot be the second one.
    pub fn was_made_by(&self, operator: &ActorId) -> bool {
        let confirmed = self.0.confirmed.as_ref().map(|confirmed| &confirmed.by);
        self.0.created_by == *operator || confirmed == Some(operator)
    }

    /// The accounts of the users whose business it is. A pending internal transfer is the sender's
    /// alone: nothing about its recipient is looked at before the money would move, so that the
    /// work of accepting it does not tell whether there is one.
    pub fn party_accounts(&self) -> impl Iterator<Item = AccountKey> + use<> {
        let recipient = match &self.0.body {
            Body::Internal {
                recipient,
                state: InternalState::Success | InternalState::Rejected { .. },
                ..
            } => recipient.user(),
            Body::Internal {
                state: InternalState::Pending,
                ..
            }
            | Body::Deposit { .. }
            | Body::Withdrawal { .. } => None,
        };
        let asset = self.0.asset;
        std::iter::once(self.owner())
            .chain(recipient)
            .map(move |user| AccountKey::user(user, asset))
    }

    /// Whether both were made by one request: everything that creation fixes is equal, whatever
    /// became of them since.
    #[must_use]
    pub fn is_same_request(&self, other: &Self) -> bool {
        let made = |transfer: &Self| {
            let parts = transfer.0.clone();
            let body = match parts.body {
                Body::Deposit { user, .. } => Body::Deposit {
                    user,
                    state: DepositState::Pending,
                },
                Body::Withdrawal { user, .. } => Body::Withdrawal {
                    user,
                    state: WithdrawalState::AwaitingConfirmation,
                },
                Body::Internal {
                    sender,
                    recipient,
                    salt,
                    custom_id,
                    ..
                } => Body::Internal {
                    sender,
                    recipient,
                    salt,
                    custom_id,
                    state: InternalState::Pending,
                },
            };
            // The fee and when it expires are decided with the rules in force, and the rest later.
            TransferParts {
                version: Version::FIRST,
                fee: Amount::ZERO,
                created_at: Timestamp::EPOCH,
                updated_at: Timestamp::EPOCH,
                expires_at: None,
                confirmed: None,
                review: None,
                reversed: Amount::ZERO,
                body,
                ..parts
            }
        };
        made(self) == made(other)
    }

    /// The same transfer with its time of change set, and its time of creation when it is new.
    #[must_use]
    pub(crate) fn stamped(mut self, at: Timestamp, created: bool) -> Self {
        self.0.updated_at = at;
        if created {
            self.0.created_at = at;
        }
        self
    }

    /// The same version, waiting for a second operator instead.
    #[must_use]
    pub(crate) fn held_for_approval(mut self, expires_at: Option<Timestamp>) -> Self {
        self.0.expires_at = expires_at;
        match &mut self.0.body {
            Body::Deposit { state, .. } => *state = DepositState::AwaitingApproval,
            Body::Withdrawal { state, .. } => *state = WithdrawalState::AwaitingApproval,
            Body::Internal { .. } => {}
        }
        self
    }

    /// The same version, ended by a refusal instead.
    #[must_use]
    pub(crate) fn refused(mut self, because: Reason) -> Self {
        match &mut self.0.body {
            Body::Deposit { state, .. } => *state = DepositState::Failed { reason: because },
            Body::Withdrawal { state, .. } => *state = WithdrawalState::Failed { reason: because },
            Body::Internal { state, .. } => *state = InternalState::Rejected { reason: because },
        }
        self
    }
}
