//! How a transfer changes.

use crate::{
    AccountKey, ActorId, Amount, ApprovalTerms, Body, CallbackDraft, Change, Confirmation,
    Decision, Expected, IllegalTransition, Kind, OnRefusal, Operation, Posting, Premise, Reason,
    Review, Stage, Status, Subscriber, Timestamp, Transfer,
};

/// What pays a confirmed withdrawal out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayoutRoute {
    /// Whoever confirms has seen to it.
    #[default]
    Manual,
    /// A gateway, which says later what came of it.
    Gateway,
}

/// What somebody wants to happen to a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a deposit or internal transfer final.
    Settle,
    /// Pay a withdrawal out.
    Confirm {
        /// Who says so.
        by: ActorId,
        /// Where the result of this operation goes, beside the transfer's own URL.
        callback_url: Option<String>,
        /// What pays it out.
        route: PayoutRoute,
        /// When it fails, should it need a second operator and none approve.
        approval_expires_at: Option<Timestamp>,
    },
    /// Let a transfer through that waits for a second operator.
    Approve {
        /// Who says so; never whoever made or confirmed it.
        by: ActorId,
        /// The digest of what that operator was shown.
        digest: [u8; 32],
        /// What pays it out, if it is a withdrawal.
        route: PayoutRoute,
    },
    /// End a transfer that waits for a second operator.
    Reject {
        /// Who says so; never whoever made or confirmed it.
        by: ActorId,
        /// The digest of what that operator was shown.
        digest: [u8; 32],
    },
    /// Make a withdrawal final that was paid out.
    PaidOut,
    /// Give a withdrawal's hold back.
    Cancel {
        /// Who says so.
        by: ActorId,
        /// Where the result of this operation goes, beside the transfer's own URL.
        callback_url: Option<String>,
    },
    /// End what nobody confirmed or approved in time. Whoever gives it has judged the time, by the clock
    /// of the store that keeps it: this looks neither at the clock nor at `expires_at`.
    Expire,
    /// End it without success.
    Fail {
        /// Why.
        reason: Reason,
    },
}

impl Command {
    const fn participle(&self) -> &'static str {
        match self {
            Self::Settle => "settled",
            Self::Confirm { .. } => "confirmed",
            Self::Approve { .. } => "approved",
            Self::Reject { .. } => "rejected",
            Self::PaidOut => "paid out",
            Self::Cancel { .. } => "canceled",
            Self::Expire => "expired",
            Self::Fail { .. } => "failed",
        }
    }

    const fn operation(&self) -> Operation {
        match self {
            Self::Settle => Operation::Settle,
            Self::Confirm { .. } => Operation::Confirm,
            Self::Approve { .. } | Self::Reject { .. } => Operation::Review,
            Self::PaidOut => Operation::Payout,
            Self::Cancel { .. } => Operation::Cancel,
            Self::Expire | Self::Fail { .. } => Operation::Fail,
        }
    }

    /// Who confirms, and where the result of that goes.
    fn confirmation(&self) -> Option<Confirmation> {
        match self {
            Self::Confirm {
                by, callback_url, ..
            } => Some(Confirmation {
                by: by.clone(),
                callback_url: callback_url.clone(),
            }),
            Self::Settle
            | Self::Approve { .. }
            | Self::Reject { .. }
            | Self::PaidOut
            | Self::Cancel { .. }
            | Self::Expire
            | Self::Fail { .. } => None,
        }
    }

    /// The second operator who says so, and on what.
    fn review(&self) -> Option<Review> {
        match self {
            Self::Approve { by, digest, .. } | Self::Reject { by, digest } => Some(Review {
                by: by.clone(),
                digest: *digest,
            }),
            Self::Settle
            | Self::Confirm { .. }
            | Self::PaidOut
            | Self::Cancel { .. }
            | Self::Expire
            | Self::Fail { .. } => None,
        }
    }

    /// The operation's own URL, and who gave it.
    fn callback(&self) -> Option<(&String, &ActorId)> {
        match self {
            Self::Confirm {
                callback_url, by, ..
            }
            | Self::Cancel { callback_url, by } => callback_url.as_ref().map(|url| (url, by)),
            Self::Settle
            | Self::Approve { .. }
            | Self::Reject { .. }
            | Self::PaidOut
            | Self::Expire
            | Self::Fail { .. } => None,
        }
    }
}

/// What a state machine answers to a command.
pub(crate) enum Next<S> {
    To(S),
    Same,
    Illegal,
}

impl<S> Next<S> {
    fn map<T>(self, into: impl FnOnce(S) -> T) -> Next<T> {
        match self {
            Self::To(state) => Next::To(into(state)),
            Self::Same => Next::Same,
            Self::Illegal => Next::Illegal,
        }
    }
}

impl Transfer {
    /// The only place where a transfer changes state. Pure: no clock, no I/O.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the state forbids the command, or when whoever approves or rejects
    /// had a hand in the transfer before.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Decision, IllegalTransition> {
        let next = match &self.0.body {
            Body::Deposit { user, state } => state
                .next(command)
                .map(|state| Body::Deposit { user: *user, state }),
            Body::Withdrawal { user, state } => state
                .next(command, self.0.confirmed.as_ref())
                .map(|state| Body::Withdrawal { user: *user, state }),
            Body::Internal {
                sender,
                recipient,
                salt,
                custom_id,
                state,
            } => state.next(command).map(|state| Body::Internal {
                sender: *sender,
                recipient: recipient.clone(),
                salt: *salt,
                custom_id: custom_id.clone(),
                state,
            }),
        };
        let review = command.review();
        let is_second = review
            .as_ref()
            .is_none_or(|review| !self.was_made_by(&review.by));
        // What went through without a second operator was not approved by anybody.
        let is_repeated = review.is_none() || self.0.review.is_some();
        match next {
            Next::Same if is_repeated => Ok(Decision::AlreadyApplied),
            Next::To(body) if is_second => {
                Ok(Decision::Apply(Box::new(self.changed(body, command, now))))
            }
            Next::To(_) | Next::Same | Next::Illegal => Err(IllegalTransition {
                id: self.0.id,
                status: self.status(),
                command: command.participle(),
            }),
        }
    }

    /// Callbacks without a change: the result of a confirm or cancel that was repeated (no
    /// `error`) or refused, to a URL that has not heard it. Also what binds a key to a repetition.
    /// As long as there is no result, nothing is told: a URL hears of an operation once. Those of the
    /// transfer and of its confirmation hear of its end by whatever ends it, a review or a payout.
    pub fn acknowledge(&self, command: &Command, error: Option<String>) -> Change {
        let status = if error.is_some() {
            Status::Failed
        } else {
            self.status()
        };
        let is_known = error.is_some() || status.is_final();
        let callbacks = command
            .callback()
            .filter(|(url, _)| is_known && (error.is_some() || !self.is_told_of_its_end(url)))
            .map(|(url, by)| CallbackDraft {
                operation: command.operation(),
                url: url.clone(),
                subscriber: self.subscriber_of(url, by),
                status,
                error,
            })
            .into_iter()
            .collect();
        Change {
            expected: Expected::At(self.0.version),
            next: self.clone(),
            premises: vec![],
            postings: vec![],
            callbacks,
            on_refusal: OnRefusal::Keep,
            pays_fee: false,
            approval: None,
            linked: None,
        }
    }

    fn is_told_of_its_end(&self, url: &str) -> bool {
        let confirmed = self.0.confirmed.as_ref();
        let confirmed = confirmed.and_then(|confirmed| confirmed.callback_url.as_deref());
        [self.0.callback_url.as_deref(), confirmed].contains(&Some(url))
    }

    fn changed(&self, body: Body, command: &Command, now: Timestamp) -> Change {
        let mut parts = self.0.clone();
        parts.version = parts.version.next();
        parts.updated_at = now;
        parts.expires_at = None;
        parts.confirmed = command.confirmation().or(parts.confirmed);
        parts.review = command.review().or(parts.review);
        parts.body = body;
        let next = Self(parts);
        let (premises, postings, on_refusal) = if next.status() == self.status() {
            // On its way to be paid out: nothing moves yet, but it may not go further than this.
            (self.release_premises(), vec![], OnRefusal::Keep)
        } else if *command == Command::PaidOut {
            // It left already, whatever has become of its owner since.
            (vec![], self.payout_postings(), OnRefusal::Keep)
        } else {
            self.consequences(next.status())
        };
        let callbacks = if next.status() == self.status() {
            vec![]
        } else {
            // Whoever confirmed earlier has not heard yet what came of it.
            let earlier = self.0.confirmed.as_ref().and_then(Confirmation::told);
            let others = command.callback().into_iter().chain(earlier);
            let operation = match self.stage() {
                Some(Stage::Payout) => Operation::Payout,
                Some(Stage::Approval) | None => command.operation(),
            };
            next.callbacks(operation, others)
        };
        let approval = match command {
            Command::Confirm {
                approval_expires_at,
                ..
            } => Some(ApprovalTerms {
                expires_at: *approval_expires_at,
            }),
            Command::Settle
            | Command::Approve { .. }
            | Command::Reject { .. }
            | Command::PaidOut
            | Command::Cancel { .. }
            | Command::Expire
            | Command::Fail { .. } => None,
        };
        Change {
            expected: Expected::At(self.0.version),
            next,
            premises,
            postings,
            callbacks,
            on_refusal,
            pays_fee: false,
            approval,
            linked: None,
        }
    }

    /// What must hold when a withdrawal leaves for good.
    fn release_premises(&self) -> Vec<Premise> {
        let asset = self.0.asset;
        vec![
            Premise::OwnerActive(AccountKey::user(self.owner(), asset)),
            Premise::OutgoingOpen(asset),
        ]
    }

    /// What must hold, what moves, and what a refusal leaves behind, on the way to `status`.
    pub(super) fn consequences(&self, status: Status) -> (Vec<Premise>, Vec<Posting>, OnRefusal) {
        let account = AccountKey::user(self.owner(), self.0.asset);
        let credited = self
            .0
            .amount
            .checked_sub(self.0.fee)
            .unwrap_or(Amount::ZERO);
        let needed = self.0.amount.checked_add(self.0.fee).unwrap_or(Amount::MAX);
        match status {
            Status::Completed if self.kind() == Kind::Deposit => (
                vec![
                    Premise::OwnerActive(account),
                    Premise::Room {
                        account,
                        incoming: credited,
                    },
                ],
                self.credit_postings(),
                OnRefusal::Record,
            ),
            Status::Completed => (
                self.release_premises(),
                self.payout_postings(),
                OnRefusal::Keep,
            ),
            Status::Success => (
                vec![
                    Premise::OwnerActive(account),
                    Premise::AssetAllows {
                        asset: self.0.asset,
                        kind: Kind::Internal,
                    },
                    Premise::OutgoingOpen(self.0.asset),
                    Premise::WithinLimits,
                    Premise::Funds { account, needed },
                    Premise::RecipientAble {
                        account: self.recipient_account(),
                        incoming: self.0.amount,
                    },
                ],
                self.move_postings(),
                OnRefusal::Record,
            ),
            Status::Failed | Status::Canceled if self.kind() == Kind::Withdrawal => {
                (vec![], self.release_postings(), OnRefusal::Keep)
            }
            Status::Failed
            | Status::Canceled
            | Status::Rejected
            | Status::Pending
            | Status::AwaitingConfirmation => (vec![], vec![], OnRefusal::Keep),
        }
    }

    pub(super) fn recipient_account(&self) -> Option<AccountKey> {
        match &self.0.body {
            Body::Internal { recipient, .. } => recipient
                .user()
                .map(|user| AccountKey::user(user, self.0.asset)),
            Body::Deposit { .. } | Body::Withdrawal { .. } => None,
        }
    }

    /// The transfer's own URL, and those of operations when they are others.
    pub(super) fn callbacks<'a>(
        &'a self,
        operation: Operation,
        others: impl Iterator<Item = (&'a String, &'a ActorId)>,
    ) -> Vec<CallbackDraft> {
        let own = self.0.callback_url.as_ref();
        let error = self.reason().map(|reason| reason.message().to_owned());
        let mut drafts: Vec<CallbackDraft> = vec![];
        for (url, by) in own
            .map(|url| (url, &self.0.created_by))
            .into_iter()
            .chain(others)
        {
            if drafts.iter().all(|draft| draft.url != *url) {
                drafts.push(CallbackDraft {
                    operation,
                    url: url.clone(),
                    subscriber: self.subscriber_of(url, by),
                    status: self.status(),
                    error: error.clone(),
                });
            }
        }
        drafts
    }

    /// Who gave the transfer's own URL.
    pub fn subscriber(&self) -> Subscriber {
        self.subscriber_by(&self.0.created_by)
    }

    /// Who gave a URL: the transfer's own its creator, another one whoever asked for the operation.
    fn subscriber_of(&self, url: &String, by: &ActorId) -> Subscriber {
        if self.0.callback_url.as_ref() == Some(url) {
            self.subscriber()
        } else {
            self.subscriber_by(by)
        }
    }

    fn subscriber_by(&self, actor: &ActorId) -> Subscriber {
        match &self.0.body {
            Body::Internal { sender, .. } => Subscriber::User(*sender),
            Body::Deposit { .. } | Body::Withdrawal { .. } => Subscriber::Client(actor.clone()),
        }
    }
}
