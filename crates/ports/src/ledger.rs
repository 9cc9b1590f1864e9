//! The ledger as accountants read it: statements, balances of the past, and what their lines were
//! for.

use bursar_domain::{AssetId, CodeSalt, Kind, Scale, Timestamp, UserId};

use crate::LedgerLine;

/// Whose accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerOwner {
    /// A user's.
    User(UserId),
    /// Those of the exchange itself and of the outside world.
    System,
}

/// A ledger line with what it was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRecord {
    /// The line.
    pub line: LedgerLine,
    /// The scale that its transfer counts in.
    pub scale: Scale,
    /// The kind of its transfer.
    pub kind: Kind,
    /// What the public code of its transfer is made with, if that has one.
    pub salt: Option<CodeSalt>,
}

/// Which part of a user's accounts to read, oldest line first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementFilter {
    /// The user.
    pub user: UserId,
    /// Only its account of this asset.
    pub asset: Option<AssetId>,
    /// What happened at this time or after.
    pub from: Option<Timestamp>,
    /// What happened at this time or before.
    pub to: Option<Timestamp>,
    /// Only what comes after this place.
    pub after: Option<StatementPlace>,
    /// How many lines.
    pub limit: u32,
}

/// Where a page of a statement ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementPlace {
    /// The account that is being read.
    pub asset: AssetId,
    /// Its last line that was read.
    pub seq: i64,
    /// Its last line that belongs to the statement: what is written while the pages are read does
    /// not.
    pub last: i64,
}

/// What an account holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Free to be spent, in smallest units.
    pub available: i128,
    /// Reserved, in smallest units.
    pub held: i128,
}

/// One account in a statement: what it held before its first line and after its last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementAccount {
    /// Its asset.
    pub asset: AssetId,
    /// Before the first line.
    pub opening: Holding,
    /// After the last line.
    pub closing: Holding,
    /// How many lines lie between.
    pub lines: i64,
}

/// A page of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// The accounts that the page is about, in order of assets: those of its lines, and those
    /// without any that lie between.
    pub accounts: Vec<StatementAccount>,
    /// The lines: one account after the other, each from its oldest line on.
    pub lines: Vec<LedgerRecord>,
    /// Where the next page begins; `None` when there is nothing more.
    pub next: Option<StatementPlace>,
}
