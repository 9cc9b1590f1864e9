//! What becomes true together, as a value.

use std::borrow::Cow;

use crate::{
    AccountKey, Amount, AssetId, AuditDraft, CallbackDraft, IdempotencyClaim, Kind, Posting,
    Reason, Rules, Status, Timestamp, Transfer, TransferId, UsageKey, Version,
};

/// What [`Transfer::decide`] answers to a command that the state allows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// This is to become true.
    Apply(Box<Change>),
    /// It is true already; repeating the command changes nothing.
    AlreadyApplied,
}

/// A command that the transfer's state forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transfer {id} is {} and cannot be {command}", status.as_str())]
pub struct IllegalTransition {
    /// The transfer.
    pub id: TransferId,
    /// Its status.
    pub status: Status,
    /// The command, as a past participle.
    pub command: &'static str,
}

/// Everything that must become durable together for one transfer, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Change {
    /// What the store must find before the change.
    pub expected: Expected,
    /// The full next state, not a patch. The same version as expected means that the transfer
    /// itself does not change and only callbacks or a key are written.
    pub next: Transfer,
    /// What must hold, judged in this order with the accounts locked.
    pub premises: Vec<Premise>,
    /// The ledger lines; they sum to zero.
    pub postings: Vec<Posting>,
    /// The callbacks that become due.
    pub callbacks: Vec<CallbackDraft>,
    /// What happens when a premise does not hold.
    pub on_refusal: OnRefusal,
    /// Whether the fee is yet to be set, by the schedule in force when the change is made.
    pub pays_fee: bool,
    /// Set where a second operator may have to approve, by the rules in force when the change is
    /// made: the transfer then waits for that instead.
    pub approval: Option<ApprovalTerms>,
    /// Another transfer that changes with it.
    pub linked: Option<Box<Linked>>,
}

/// How a transfer waits for a second operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalTerms {
    /// When it fails unless somebody approved; never, when there is none.
    pub expires_at: Option<Timestamp>,
}

/// Another transfer that changes together with the change's own: the one that is reversed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The version that the store must find.
    pub expected: Version,
    /// The full next state; its status is what it was.
    pub next: Transfer,
    /// What its own callbacks tell.
    pub callbacks: Vec<CallbackDraft>,
}

impl Change {
    /// Whether the transfer's row changes (otherwise only callbacks or a key are written).
    #[must_use]
    pub fn writes_transfer(&self) -> bool {
        self.expected != Expected::At(self.next.version())
    }

    /// The account of the recipient, when the change depends on one.
    pub fn recipient_account(&self) -> Option<AccountKey> {
        self.premises.iter().find_map(|premise| match premise {
            Premise::RecipientAble { account, .. } => *account,
            Premise::OwnerActive(_)
            | Premise::AssetAllows { .. }
            | Premise::OutgoingOpen(_)
            | Premise::WithinLimits
            | Premise::Funds { .. }
            | Premise::Room { .. } => None,
        })
    }

    /// The change with its fee, as these rules have it: a new transfer may cost something.
    ///
    /// # Errors
    /// [`Reason::FeeExceedsAmount`] when the fee leaves nothing of a deposit,
    /// [`Reason::BalanceInsufficient`] when it is more than any account can hold.
    pub fn priced(&self, rules: &Rules) -> Result<Cow<'_, Self>, Reason> {
        let parts = self.next.parts();
        let fee = if self.pays_fee {
            rules.fee_on(self.next.kind(), parts.asset, parts.amount)?
        } else {
            parts.fee
        };
        if fee == parts.fee {
            Ok(Cow::Borrowed(self))
        } else {
            self.with_fee(fee).map(Cow::Owned)
        }
    }

    /// Whose use of the limits the change looks at, or gives back.
    pub fn usage_keys(&self, rules: &Rules) -> Vec<UsageKey> {
        if self.is_limited() || self.gives_back() {
            let kind = self.next.kind();
            rules.usage_keys(self.next.owner(), kind, self.next.parts().asset)
        } else {
            vec![]
        }
    }

    /// Whether the limits are asked: what they admit counts as a use of them.
    pub(crate) fn is_limited(&self) -> bool {
        self.premises.contains(&Premise::WithinLimits)
    }

    /// Whether it ends a withdrawal that was not paid.
    pub(crate) fn gives_back(&self) -> bool {
        self.next.kind() == Kind::Withdrawal
            && self.writes_transfer()
            && self.expected != Expected::Absent
            && matches!(self.next.status(), Status::Failed | Status::Canceled)
    }

    /// Every account the change touches or names: those of its postings and of its parties. A fee is
    /// among the postings once the change is [priced](Self::priced).
    pub fn accounts(&self) -> Vec<AccountKey> {
        let mut accounts: Vec<AccountKey> = self
            .postings
            .iter()
            .map(|posting| posting.account)
            .chain(self.next.party_accounts())
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }
}

/// What the store must find before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No such transfer.
    Absent,
    /// The transfer at this version.
    At(Version),
}

/// Something that must hold when the money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Premise {
    /// The account's owner is neither frozen nor terminated.
    OwnerActive(AccountKey),
    /// The asset accepts transfers of this kind.
    AssetAllows {
        /// The asset.
        asset: AssetId,
        /// The kind.
        kind: Kind,
    },
    /// Nobody stopped what leaves users' accounts of this asset.
    OutgoingOpen(AssetId),
    /// The limits leave room for the amount.
    WithinLimits,
    /// The account has at least this much available.
    Funds {
        /// The account.
        account: AccountKey,
        /// How much.
        needed: Amount,
    },
    /// The account can take this much more.
    Room {
        /// The account.
        account: AccountKey,
        /// How much.
        incoming: Amount,
    },
    /// The recipient exists, is active and can take this much more; one reason for every "no".
    RecipientAble {
        /// The recipient's account; none when nobody answers to what was typed.
        account: Option<AccountKey>,
        /// How much.
        incoming: Amount,
    },
}

/// What becomes true when the ledger refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRefusal {
    /// The transfer is recorded as failed or rejected, with the reason; nothing moves.
    Record,
    /// Nothing, except that an idempotency key remembers the refusal.
    Keep,
}

/// One item of a batch: a change and the key that was claimed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Commit {
    /// What is to become true.
    pub change: Change,
    /// The key that must have no other effect.
    pub idempotency: Option<IdempotencyClaim>,
    /// What the audit log keeps of it if it is applied and changes the transfer; none when nobody
    /// but the transfer's own user, or Bursar itself, is behind it.
    pub audit: Option<AuditDraft>,
}

impl Commit {
    /// A change nobody claimed a key for and no operator made.
    pub const fn new(change: Change) -> Self {
        Self {
            change,
            idempotency: None,
            audit: None,
        }
    }

    /// The draft of the audit row, unless nothing about the transfer changes.
    pub fn audited(&self) -> Option<&AuditDraft> {
        self.audit
            .as_ref()
            .filter(|_| self.change.writes_transfer())
    }
}
