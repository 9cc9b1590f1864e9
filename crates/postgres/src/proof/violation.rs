//! What can be wrong, and where.

use std::fmt;

use bursar_audit::Rule;
use uuid::Uuid;

use super::EntryFacts;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

/// A row, or all rows of an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The account with this id.
    Account(i64),
    /// An entry.
    Entry {
        /// The account.
        account: i64,
        /// Its number there.
        seq: i64,
    },
    /// The transfer with this id.
    Transfer(i64),
    /// An asset.
    Asset(String),
    /// What a user has used of a limit.
    Usage {
        /// The user.
        user: Uuid,
        /// The kind of transfer.
        kind: &'static str,
        /// The asset; empty for all of them.
        asset: String,
    },
    /// All of it.
    Books,
}

impl Place {
    pub(super) const fn entry(facts: &EntryFacts) -> Self {
        Self::Entry {
            account: facts.account_id,
            seq: facts.seq,
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A figure is NaN, infinite, a fraction or beyond every account.
    #[error("{column} is no whole number")]
    NoNumber {
        /// The column.
        column: &'static str,
    },
    /// The owner cannot have less than nothing.
    #[error("is below zero")]
    BelowZero,
    /// Neither a user's nor the exchange's.
    #[error("nobody can be its owner")]
    Owner,
    /// The row was changed by somebody who does not have the key.
    #[error("the seal does not fit the row")]
    Seal,
    /// There is no telling whether the seal is right.
    #[error("the seal's key is not configured")]
    UnknownKey,
    /// It must have one.
    #[error("there is no seal")]
    Unsealed,
    /// Entries are missing before this one.
    #[error("follows entry {after}")]
    Gap {
        /// The entry before it.
        after: i64,
    },
    /// The balances after it are not those before it and what it adds.
    #[error("the balances after it are not those before it plus what it adds")]
    Arithmetic,
    /// There is no such account.
    #[error("its account does not exist")]
    NoAccount,
    /// The transfer that it names does not refer to it.
    #[error("its transfer does not refer to it")]
    Unclaimed,
    /// Another entry was exported.
    #[error("is not the entry that was exported")]
    Exported,
    /// The account was exported and does not exist any more.
    #[error("was exported and is gone")]
    Gone,
    /// The last entries are gone.
    #[error("had {exported} entries once and has {seq}")]
    Cut {
        /// How many there were.
        exported: i64,
        /// How many there are.
        seq: i64,
    },
    /// The account is not what its last entry says.
    #[error("is not what its last entry says")]
    LastEntry,
    /// The head is not the seal of the last entry.
    #[error("the head is not the last entry's seal")]
    Head,
    /// What is held is not what open withdrawals hold.
    #[error("holds {} where open withdrawals hold {}", figure(*held), figure(*expected))]
    Holds {
        /// What is held.
        held: Option<i128>,
        /// What open withdrawals hold.
        expected: Option<i128>,
    },
    /// There is no account that holds what an open withdrawal holds.
    #[error("no account of user {owner} holds what its open withdrawals hold")]
    HeldByNobody {
        /// The user.
        owner: Uuid,
    },
    /// The accounts of an asset do not sum to zero.
    #[error("its accounts sum to {}", figure(*sum))]
    Sum {
        /// To what.
        sum: Option<i128>,
    },
    /// What is recorded as used of a limit is not what transfers moved.
    #[error("records {} where transfers moved {}", figure(*recorded), figure(*moved))]
    Used {
        /// What is recorded.
        recorded: Option<i128>,
        /// What was moved in that time.
        moved: Option<i128>,
    },
    /// The row fits no transfer.
    #[error("fits no transfer: {0}")]
    Unreadable(String),
    /// An entry that the transfer refers to is missing, or belongs to another one.
    #[error("refers to entry {seq} of account {account}, which is not its own")]
    NoLine {
        /// The account.
        account: i64,
        /// The entry's number.
        seq: i64,
    },
    /// The transfer's entries are not what its kind, state, amount and fee say.
    #[error("its entries are not what its kind, state, amount and fee say")]
    Lines,
    /// What its reversals took back is not what the transfer says of itself.
    #[error("its reversals take back {excess} more than it says")]
    TakenBack {
        /// How much more, in smallest units; below zero where it is less.
        excess: i128,
    },
    /// Transfers do not refer to every entry once.
    #[error("there are {entries} entries, and transfers refer to {claimed}")]
    Claimed {
        /// How many transfers refer to.
        claimed: u64,
        /// How many there are.
        entries: u64,
    },
}

impl Fault {
    /// The rule that it breaks.
    pub const fn rule(&self) -> Rule {
        match self {
            Self::Sum { .. } => Rule::SumsToZero,
            Self::LastEntry | Self::NoNumber { .. } | Self::Owner => Rule::BalanceIsItsEntries,
            Self::Gap { .. } | Self::NoAccount => Rule::NumberedWithoutGap,
            Self::Arithmetic => Rule::FollowsFromTheLast,
            Self::BelowZero => Rule::NothingNegative,
            Self::Unclaimed
            | Self::Unreadable(_)
            | Self::NoLine { .. }
            | Self::Lines
            | Self::TakenBack { .. }
            | Self::Claimed { .. } => Rule::MovesWhatItSays,
            Self::Holds { .. } | Self::HeldByNobody { .. } => Rule::HeldIsOpen,
            Self::Seal
            | Self::UnknownKey
            | Self::Unsealed
            | Self::Exported
            | Self::Gone
            | Self::Cut { .. }
            | Self::Head => Rule::SealsHold,
            Self::Used { .. } => Rule::UsesAreMoves,
        }
    }
}

fn figure(figure: Option<i128>) -> String {
    figure.map_or_else(|| "no number".to_owned(), |figure| figure.to_string())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account {id}"),
            Self::Entry { account, seq } => write!(f, "entry {seq} of account {account}"),
            Self::Transfer(id) => write!(f, "transfer {id}"),
            Self::Asset(asset) => write!(f, "asset {asset}"),
            Self::Usage { user, kind, asset } => {
                let asset = if asset.is_empty() {
                    "all assets"
                } else {
                    asset
                };
                write!(f, "use of the limit of {kind} of {asset} by user {user}")
            }
            Self::Books => f.write_str("books"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, fault } = self;
        write!(f, "violated A{}: {place}: {fault}", fault.rule().number())
    }
}
