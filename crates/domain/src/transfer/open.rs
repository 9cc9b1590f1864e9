//! How a transfer begins.

use crate::{
    AccountKey, ActorId, Amount, ApprovalTerms, AssetId, Body, Change, CodeSalt, Command, Decision,
    DepositState, Expected, InternalState, Kind, OnRefusal, Operation, Posting, Premise, Reason,
    Recipient, RootRate, Scale, Timestamp, Transfer, TransferId, TransferParts, UserId, Version,
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
    /// What is decided about it with the rules in force.
    pub terms: Terms,
}

/// What is decided about a new transfer with the rules in force when it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether it costs what the schedule says; else it costs the fee that it has.
    pub pays_fee: bool,
    /// When a withdrawal fails unless somebody confirms it.
    pub expires_at: Option<Timestamp>,
    /// When a deposit fails, should it need a second operator and none approve.
    pub approval_expires_at: Option<Timestamp>,
}

impl Transfer {
    /// A deposit: `Pending`, nothing credited yet.
    ///
    /// # Errors
    /// [`Reason::FeeExceedsAmount`] when the fee leaves nothing to credit.
    pub fn deposit(new: NewTransfer, user: UserId) -> Result<Change, Reason> {
        let state = DepositState::Pending;
        Self::opened(new, Body::Deposit { user, state })
    }

    /// A withdrawal: `AwaitingConfirmation`, the amount and the fee held.
    ///
    /// # Errors
    /// [`Reason::BalanceInsufficient`] when amount and fee together are more than any account has.
    pub fn withdrawal(new: NewTransfer, user: UserId) -> Result<Change, Reason> {
        let state = WithdrawalState::AwaitingConfirmation;
        Self::opened(new, Body::Withdrawal { user, state })
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
        let state = InternalState::Pending;
        let body = Body::Internal {
            sender,
            recipient,
            salt,
            custom_id,
            state,
        };
        Self::opened(new, body)
    }

    pub(super) fn created(new: NewTransfer, body: Body) -> Self {
        let expires_at = match &body {
            Body::Withdrawal { .. } => new.terms.expires_at,
            Body::Deposit { .. } | Body::Internal { .. } => None,
        };
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
            expires_at,
            confirmed: None,
            review: None,
            reversal: None,
            reversed: Amount::ZERO,
            body,
        })
    }

    fn opened(new: NewTransfer, body: Body) -> Result<Change, Reason> {
        let terms = new.terms;
        let next = Self::created(new, body);
        let (premises, postings) = next.opening()?;
        let (callbacks, approval) = match next.kind() {
            Kind::Deposit => {
                let expires_at = terms.approval_expires_at;
                (vec![], Some(ApprovalTerms { expires_at }))
            }
            Kind::Withdrawal => (next.callbacks(Operation::Create, std::iter::empty()), None),
            Kind::Internal => (vec![], None),
        };
        Ok(Change {
            expected: Expected::Absent,
            next,
            premises,
            postings,
            callbacks,
            on_refusal: OnRefusal::Keep,
            pays_fee: terms.pays_fee,
            approval,
            linked: None,
        })
    }

    /// What must hold and what moves when a transfer of this amount and fee begins.
    fn opening(&self) -> Result<(Vec<Premise>, Vec<Posting>), Reason> {
        let asset = self.0.asset;
        let account = AccountKey::user(self.owner(), asset);
        let (amount, fee) = (self.0.amount, self.0.fee);
        let allowed = |kind| {
            [
                Premise::OwnerActive(account),
                Premise::AssetAllows { asset, kind },
            ]
        };
        Ok(match self.kind() {
            Kind::Deposit => {
                let credited = amount
                    .checked_sub(fee)
                    .ok()
                    .filter(|credited| !credited.is_zero());
                let incoming = credited.ok_or(Reason::FeeExceedsAmount)?;
                let mut premises = allowed(Kind::Deposit).to_vec();
                premises.push(Premise::WithinLimits);
                premises.push(Premise::Room { account, incoming });
                (premises, vec![])
            }
            Kind::Withdrawal => {
                let needed = amount.checked_add(fee);
                let needed = needed.map_err(|_| Reason::BalanceInsufficient)?;
                let mut premises = allowed(Kind::Withdrawal).to_vec();
                premises.push(Premise::OutgoingOpen(asset));
                premises.push(Premise::WithinLimits);
                premises.push(Premise::Funds { account, needed });
                (premises, self.hold_postings())
            }
            Kind::Internal => {
                let needed = amount.checked_add(fee);
                needed.map_err(|_| Reason::BalanceInsufficient)?;
                (vec![], vec![])
            }
        })
    }
}

impl Change {
    /// Creation and settlement as one change, for callers that wait for the result.
    ///
    /// A deposit that the ledger refuses is then refused as a whole; an internal transfer is
    /// recorded as rejected, as it would be by a settlement of its own. A withdrawal never settles
    /// by itself and comes back unchanged.
    pub fn settled_at_once(self) -> Self {
        let settled = self.next.decide(&Command::Settle, self.next.0.created_at);
        let Ok(Decision::Apply(settled)) = settled else {
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
            pays_fee: self.pays_fee,
            approval: self.approval,
            linked: self.linked,
        }
    }

    /// The same new transfer at this price.
    pub(crate) fn with_fee(&self, fee: Amount) -> Result<Self, Reason> {
        let mut next = self.next.clone();
        next.0.fee = fee;
        let (mut premises, mut postings) = next.opening()?;
        if next.status().is_final() {
            let (more_premises, more_postings, _) = next.consequences(next.status());
            premises.extend(more_premises);
            postings.extend(more_postings);
        }
        Ok(Self {
            next,
            premises,
            postings,
            ..self.clone()
        })
    }
}
