//! How a transfer changes.

use crate::{
    AccountKey, ActorId, Amount, Body, CallbackDraft, Change, Decision, Expected,
    IllegalTransition, Kind, OnRefusal, Operation, Posting, Premise, Reason, Status, Subscriber,
    Timestamp, Transfer,
};

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
    },
    /// Give a withdrawal's hold back.
    Cancel {
        /// Who says so.
        by: ActorId,
        /// Where the result of this operation goes, beside the transfer's own URL.
        callback_url: Option<String>,
    },
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
            Self::Cancel { .. } => "canceled",
            Self::Fail { .. } => "failed",
        }
    }

    const fn operation(&self) -> Operation {
        match self {
            Self::Settle => Operation::Settle,
            Self::Confirm { .. } => Operation::Confirm,
            Self::Cancel { .. } => Operation::Cancel,
            Self::Fail { .. } => Operation::Fail,
        }
    }

    /// The operation's own URL, and who gave it.
    fn callback(&self) -> Option<(&String, &ActorId)> {
        match self {
            Self::Confirm { callback_url, by } | Self::Cancel { callback_url, by } => {
                callback_url.as_ref().map(|url| (url, by))
            }
            Self::Settle | Self::Fail { .. } => None,
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
    /// [`IllegalTransition`] when the state forbids the command.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Decision, IllegalTransition> {
        let next = match &self.0.body {
            Body::Deposit { user, state } => state
                .next(command)
                .map(|state| Body::Deposit { user: *user, state }),
            Body::Withdrawal { user, state } => state
                .next(command)
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
        match next {
            Next::Same => Ok(Decision::AlreadyApplied),
            Next::Illegal => Err(IllegalTransition {
                id: self.0.id,
                status: self.status(),
                command: command.participle(),
            }),
            Next::To(body) => Ok(Decision::Apply(Box::new(self.changed(body, command, now)))),
        }
    }

    /// Callbacks without a change: the result of a confirm or cancel that was repeated (no
    /// `error`) or refused, to a URL that has not heard it. Also what binds a key to a repetition.
    pub fn acknowledge(&self, command: &Command, error: Option<String>) -> Change {
        let status = if error.is_some() {
            Status::Failed
        } else {
            self.status()
        };
        let callbacks = command
            .callback()
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
        }
    }

    fn changed(&self, body: Body, command: &Command, now: Timestamp) -> Change {
        let mut parts = self.0.clone();
        parts.version = parts.version.next();
        parts.updated_at = now;
        parts.body = body;
        let next = Self(parts);
        let (premises, postings, on_refusal) = self.consequences(next.status());
        let callbacks = next.callbacks(command.operation(), command.callback());
        Change {
            expected: Expected::At(self.0.version),
            next,
            premises,
            postings,
            callbacks,
            on_refusal,
        }
    }

    /// What must hold, what moves, and what a refusal leaves behind, on the way to `status`.
    fn consequences(&self, status: Status) -> (Vec<Premise>, Vec<Posting>, OnRefusal) {
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
                vec![Premise::OwnerActive(account)],
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

    /// The transfer's own URL, and the operation's when it is another one.
    pub(super) fn callbacks(
        &self,
        operation: Operation,
        other: Option<(&String, &ActorId)>,
    ) -> Vec<CallbackDraft> {
        let own = self.0.callback_url.as_ref();
        let second = other.filter(|(url, _)| Some(*url) != own);
        let error = self.reason().map(|reason| reason.message().to_owned());
        own.map(|url| (url, &self.0.created_by))
            .into_iter()
            .chain(second)
            .map(|(url, by)| CallbackDraft {
                operation,
                url: url.clone(),
                subscriber: self.subscriber_of(url, by),
                status: self.status(),
                error: error.clone(),
            })
            .collect()
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
