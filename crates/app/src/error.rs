//! What a use case answers when it does not do what was asked.

use std::borrow::Cow;

use bursar_domain::{InvalidUser, Reason, Room, Stage, Status, Transfer, TransferId};
use bursar_ports::{Permission, StoreError};

use crate::{AuthError, ItemError, RateLimited, Taken};

/// Why a use case did not do what was asked. The edges turn it into their own form; nothing in it
/// but [`Error::Store`] needs an operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The credentials are missing or not accepted.
    #[error(transparent)]
    Unauthenticated(AuthError),
    /// The credential lacks the permission.
    #[error("the permission {} is missing", .0.as_str())]
    Forbidden(Permission),
    /// The credential stands for no user, and this is about a user's own money.
    #[error("the credential does not belong to a user")]
    NoUser,
    /// Something named in the request does not exist, or is none of the caller's business.
    #[error("{} does not exist", .0.noun())]
    NotFound(Missing),
    /// Something happened too often.
    #[error(transparent)]
    RateLimited(#[from] RateLimited),
    /// Fields that are wrong in themselves.
    #[error("the request is invalid")]
    Invalid(Vec<FieldError>),
    /// The transfer's state forbids it.
    #[error("{}", .0.message())]
    Conflict(Conflict),
    /// Another operator is at it.
    #[error("{} has taken it", .0.by.as_str())]
    TakenByOther(Taken),
    /// A business rule refuses it.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: Reason,
        /// Whether this repeats an earlier refusal of the same request.
        replayed: bool,
    },
    /// A limit refuses it.
    #[error("{reason}")]
    OverLimit {
        /// Which.
        reason: Reason,
        /// What it leaves.
        room: Room,
    },
    /// Nothing moves right now, by an operator's word. Nothing happened.
    #[error("nothing moves right now")]
    ReadOnly,
    /// Whoever approves or rejects made or confirmed it.
    #[error("a second operator must say so")]
    SameOperator,
    /// All or none was asked for, and some cannot be. Nothing happened.
    #[error("not every item of the bulk can be executed")]
    BulkRefused {
        /// What is to be said of each item, in order.
        results: Vec<ItemError>,
        /// Whether this repeats an earlier refusal of the same request.
        replayed: bool,
    },
    /// The idempotency key belongs to another request.
    #[error("the idempotency key belongs to another request")]
    KeyReused {
        /// The transfer of the first request, if it made one.
        original: Option<Original>,
        /// The fields in which the two differ.
        fields: Vec<String>,
    },
    /// What was asked for is not kept any more.
    #[error("events before number {oldest} are not kept")]
    EventsPruned {
        /// The first event that is.
        oldest: i64,
    },
    /// What was to be gone on after was never told, or is forgotten.
    #[error("events end with number {last}")]
    EventsAhead {
        /// The last event that was told; 0 when there is none.
        last: i64,
    },
    /// What is to be changed is not what the caller expected. Nothing happened.
    #[error("what is there is not what was expected")]
    Overtaken,
    /// The asset is in use, so its scale cannot change.
    #[error("the scale of an asset that is in use cannot change")]
    ScaleInUse,
    /// Another user has the name.
    #[error("another user has this username")]
    UsernameTaken,
    /// Another user has the address.
    #[error("another user has this email")]
    EmailTaken,
    /// The user has another address-book entry with this code.
    #[error("another entry of the address book has this code")]
    AddressBookCodeTaken,
    /// The user has as many address-book entries as one may have.
    #[error("the address book is full")]
    AddressBookFull,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store lost its connection round a commit; this names the transfer that exists if it
    /// landed.
    #[error("the outcome is unknown")]
    OutcomeUnknown {
        /// The transfer, if it exists.
        transfer: Original,
        /// What happened.
        #[source]
        source: StoreError,
    },
    /// Something that cannot happen did.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl Error {
    /// The same as [`StoreError::may_be_its_own`]; what is no trouble of the store is its own.
    pub(crate) const fn may_be_its_own(&self) -> bool {
        if let Self::Store(source) | Self::OutcomeUnknown { source, .. } = self {
            source.may_be_its_own()
        } else {
            true
        }
    }

    /// What is to be said when it stands in the way of reading what has happened: the store's trouble
    /// says by itself that nothing did.
    #[must_use]
    pub fn of_what_happened(self) -> Self {
        if let Self::Store(error) = self {
            Self::Store(error.of_what_happened())
        } else {
            self
        }
    }
}

/// A transfer as its callers name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Original {
    /// A deposit or withdrawal.
    Id(TransferId),
    /// An internal transfer, by its public code.
    Code(String),
    /// The internal transfers of a bulk, by their public codes.
    Codes(Vec<String>),
}

/// What does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A user.
    User,
    /// An asset of the back-office or admin API.
    Asset,
    /// A currency of the internal-transfer API.
    Currency,
    /// A transfer.
    Transfer,
    /// A token.
    Token,
    /// An access key.
    AccessKey,
    /// A callback secret.
    CallbackSecret,
    /// A rate.
    Rate,
    /// An entry of the caller's address book.
    AddressBookEntry,
    /// A callback.
    Callback,
    /// A stop.
    Stop,
    /// An operator of the console.
    Operator,
    /// A session of an operator.
    OperatorSession,
}

impl Missing {
    /// Everything that may be missing.
    pub const ALL: [Self; 13] = [
        Self::User,
        Self::Asset,
        Self::Currency,
        Self::Transfer,
        Self::Token,
        Self::AccessKey,
        Self::CallbackSecret,
        Self::Rate,
        Self::AddressBookEntry,
        Self::Callback,
        Self::Stop,
        Self::Operator,
        Self::OperatorSession,
    ];

    /// What has this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|missing| missing.code() == code)
    }

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::User => "user.unknown",
            Self::Asset => "asset.unknown",
            Self::Currency => "currency.unknown",
            Self::Transfer => "transfer.unknown",
            Self::Token => "token.unknown",
            Self::AccessKey => "access_key.unknown",
            Self::CallbackSecret => "callback_secret.unknown",
            Self::Rate => "rate.unknown",
            Self::AddressBookEntry => "address_book_code.unknown",
            Self::Callback => "callback.unknown",
            Self::Stop => "stop.unknown",
            Self::Operator => "operator.unknown",
            Self::OperatorSession => "session.unknown",
        }
    }

    /// The word for people.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::User => "The user",
            Self::Asset => "The asset",
            Self::Currency => "The currency",
            Self::Transfer => "The transfer",
            Self::Token => "The token",
            Self::AccessKey => "The access key",
            Self::CallbackSecret => "The callback secret",
            Self::Rate => "The rate",
            Self::AddressBookEntry => "The address-book entry",
            Self::Callback => "The callback",
            Self::Stop => "The stop",
            Self::Operator => "The operator",
            Self::OperatorSession => "The session",
        }
    }
}

/// Why something cannot be done to a withdrawal or callback any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It was cancelled.
    AlreadyCanceled,
    /// It was paid out.
    AlreadyCompleted,
    /// It failed.
    AlreadyFailed,
    /// Nobody confirmed or approved it in time.
    Expired,
    /// It is being paid out.
    PayoutInProgress,
    /// Nobody was asked to pay it out.
    PayoutNotUnderWay,
    /// It does not wait for a second operator.
    NotAwaitingApproval,
    /// It is not what the operator was shown.
    DigestMismatch,
    /// Other changes to it kept getting in first.
    Busy,
    /// A newer state of the callback's transfer is due or was delivered.
    CallbackOvertaken,
}

impl Conflict {
    /// Why a transfer as it is cannot be confirmed, cancelled or reviewed.
    pub(crate) fn of(transfer: &Transfer) -> Self {
        match transfer.status() {
            Status::Canceled => Self::AlreadyCanceled,
            Status::Completed | Status::Success => Self::AlreadyCompleted,
            Status::Failed if transfer.reason() == Some(Reason::TransferExpired) => Self::Expired,
            Status::Failed | Status::Rejected => Self::AlreadyFailed,
            Status::Pending | Status::AwaitingConfirmation
                if transfer.stage() == Some(Stage::Payout) =>
            {
                Self::PayoutInProgress
            }
            Status::Pending | Status::AwaitingConfirmation => Self::NotAwaitingApproval,
        }
    }

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AlreadyCanceled => "transfer.already_canceled",
            Self::AlreadyCompleted => "transfer.already_completed",
            Self::AlreadyFailed => "transfer.already_failed",
            Self::Expired => "transfer.expired",
            Self::PayoutInProgress => "transfer.payout_in_progress",
            Self::PayoutNotUnderWay => "transfer.payout_not_under_way",
            Self::NotAwaitingApproval => "transfer.not_awaiting_approval",
            Self::DigestMismatch => "approval.digest_mismatch",
            Self::Busy => "transfer.busy",
            Self::CallbackOvertaken => "callback.overtaken",
        }
    }

    /// The sentence for people; also `ErrorDetails` of the refused operation's callback.
    pub const fn message(self) -> &'static str {
        match self {
            Self::AlreadyCanceled => "The transfer is already canceled.",
            Self::AlreadyCompleted => "The transfer is already completed.",
            Self::AlreadyFailed => "The transfer has already failed.",
            Self::Expired => "Nobody confirmed the withdrawal in time.",
            Self::PayoutInProgress => "The withdrawal is being paid out.",
            Self::PayoutNotUnderWay => "The transfer is not being paid out.",
            Self::NotAwaitingApproval => "The transfer does not wait for a second operator.",
            Self::DigestMismatch => "The transfer is not what the digest was made of.",
            Self::Busy => "The transfer is being changed by somebody else.",
            Self::CallbackOvertaken => {
                "A newer state of the transfer is due or was delivered to the same URL."
            }
        }
    }
}

impl From<InvalidUser> for FieldError {
    fn from(fault: InvalidUser) -> Self {
        let (field, code) = match fault {
            InvalidUser::Username => ("username", "username.invalid"),
            InvalidUser::UsernameIsId => ("username", "username.is_id"),
            InvalidUser::Email => ("email", "email.invalid"),
            InvalidUser::Roles => ("roles", "roles.invalid"),
            InvalidUser::Status => ("status", "status.invalid"),
        };
        Self::new(field, code, fault.to_string())
    }
}

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name on the wire.
    pub field: String,
    /// The stable code.
    pub code: Cow<'static, str>,
    /// The sentence for people.
    pub detail: String,
}

/// So many characters are told of a field's name. No field of ours has a longer one, and one that a
/// stranger made up may be as long as a whole body; a bulk's key remembers it for ever.
const NAME_TOLD_MAX: usize = 64;

impl FieldError {
    /// Names a wrong field; of a name that no field of ours could have, the beginning.
    pub fn new(
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        let mut field = field.into();
        if let Some((end, _)) = field.char_indices().nth(NAME_TOLD_MAX) {
            field.truncate(end);
            field.push('…');
        }
        Self {
            field,
            code: code.into(),
            detail: detail.into(),
        }
    }
}
