//! How a transfer begins.

use crate::{
    AccountKey, ActorId, Amount, AssetId, Body, Change, CodeSalt, Command, Decision, DepositState,
    Expected, InternalState, Kind, OnRefusal, Operation, Posting, Premise, Reason, Recipient,
    RootRate, Scale, Timestamp, Transfer, TransferId, TransferParts, UserId, Version,
    WithdrawalState,
};

/// What every new transfer is made of; ids, times and rates come from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransfer {
    /// Its id, made beforehand.
    pub id: TransferId,
    /// What is moved.
    pub asset: AssetId,
    /// The asset's scale.
    pub scale: Scale,
    /// How much.
    pub amount: Amount,
    /// The fee.
    pub fee: Amount,
    /// The comment or note.
    pub note: Option<String>,
    /// Where callbacks go.
    pub callback_url: Option<String>,
    /// Who asks for it.
    pub created_by: ActorId,
    /// Now; the store may move it forward by microseconds to keep an account's history in order.
    pub now: Timestamp,
    /// The rate to the root asset.
    pub root_rate: Option<RootRate>,
}

impl Transfer {
    /// A deposit: `Pending`, nothing credited yet.
    ///
    /// # Errors
    /// [`Reason::FeeExceedsAmount`] when the fee leaves nothing to credit.
    pub fn deposit(new: NewTransfer, user: UserId) -> Result<Change, Reason> {
        let credited = new
            .amount
            .checked_sub(new.fee)
            .map_err(|_| Reason::FeeExceedsAmount)?;
        if credited.is_zero() {
            return Err(Reason::FeeExceedsAmount);
        }
        let account = AccountKey::user(user, new.asset);
        let premises = vec![
            Premise::OwnerActive(account),
            Premise::AssetAllows {
                asset: new.asset,
                kind: Kind::Deposit,
            },
            Premise::Room {
                account,
                incoming: credited,
            },
        ];
        let transfer = Self::created(
            new,
            Body::Deposit {
                user,
                state: DepositState::Pending,
            },
        );
        Ok(transfer.opened(premises, vec![]))
    }

    /// A withdrawal: `AwaitingConfirmation`, the amount and the fee held.
    ///
    /// # Errors
    /// [`Reason::BalanceInsufficient`] when amount and fee together are more than any account has.
    pub fn withdrawal(new: NewTransfer, user: UserId) -> Result<Change, Reason> {
        let needed = new
            .amount
            .checked_add(new.fee)
            .map_err(|_| Reason::BalanceInsufficient)?;
        let account = AccountKey::user(user, new.asset);
        let premises = vec![
            Premise::OwnerActive(account),
            Premise::AssetAllows {
                asset: new.asset,
                kind: Kind::Withdrawal,
            },
            Premise::Funds { account, needed },
        ];
        let state = WithdrawalState::AwaitingConfirmation;
        let transfer = Self::created(new, Body::Withdrawal { user, state });
        let mut change = transfer.opened(premises, transfer.hold_postings());
        change.callbacks = transfer.callbacks(Operation::Create, None);
        Ok(change)
    }

    /// An internal transfer: `pending`, nothing moved yet.
    ///
    /// # Errors
    /// [`Reason::RecipientIsSender`] when sender and recipient are one user;
    /// [`Reason::BalanceInsufficient`] when amount and fee together are more than any account has.
    pub fn internal(
        new: NewTransfer,
        sender: UserId,
        recipient: Recipient,
        salt: CodeSalt,
        custom_id: Option<String>,
    ) -> Result<Change, Reason> {
        if recipient.user() == Some(sender) {
            return Err(Reason::RecipientIsSender);
        }
        new.amount
            .checked_add(new.fee)
            .map_err(|_| Reason::BalanceInsufficient)?;
        let state = InternalState::Pending;
        let body = Body::Internal {
            sender,
            recipient,
            salt,
            custom_id,
            state,
        };
        Ok(Self::created(new, body).opened(vec![], vec![]))
    }

    fn created(new: NewTransfer, body: Body) -> Self {
        Self(TransferParts {
            id: new.id,
            version: Version::FIRST,
            asset: new.asset,
            scale: new.scale,
            amount: new.amount,
            fee: new.fee,
            note: new.note,
            callback_url: new.callback_url,
            created_by: new.created_by,
            created_at: new.now,
            updated_at: new.now,
            root_rate: new.root_rate,
            body,
        })
    }

    fn opened(&self, premises: Vec<Premise>, postings: Vec<Posting>) -> Change {
        Change {
            expected: Expected::Absent,
            next: self.clone(),
            premises,
            postings,
            callbacks: vec![],
            on_refusal: OnRefusal::Keep,
        }
    }
}

impl Change {
    /// Creation and settlement as one change, for callers that wait for the result.
    ///
    /// A deposit that the ledger refuses is then refused as a whole; an internal transfer is
    /// recorded as rejected, as it would be by a settlement of its own. A withdrawal never settles
    /// by itself and comes back unchanged.
    pub fn settled_at_once(self) -> Self {
        let Ok(Decision::Apply(settled)) =
            self.next.decide(&Command::Settle, self.next.0.created_at)
        else {
            return self;
        };
        let on_refusal = match self.next.kind() {
            Kind::Deposit | Kind::Withdrawal => OnRefusal::Keep,
            Kind::Internal => OnRefusal::Record,
        };
        let Self {
            premises,
            postings,
            callbacks,
            ..
        } = self;
        let mut next = settled.next;
        next.0.version = Version::FIRST;
        Self {
            expected: Expected::Absent,
            next,
            premises: premises.into_iter().chain(settled.premises).collect(),
            postings: postings.into_iter().chain(settled.postings).collect(),
            callbacks: callbacks.into_iter().chain(settled.callbacks).collect(),
            on_refusal,
        }
    }
}
