//! Sums of what an export hands on. They have no limit, and they add up decimals, so that it does not
//! matter in which unit a transfer counts.

use std::collections::BTreeMap;

use bursar_domain::{AssetId, BigDecimal, Kind, Owner, Scale, Status, Transfer};
use bursar_ports::{AuditRecord, LedgerRecord};

/// The total of the transfers of one asset, kind and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferTotal {
    /// The asset.
    pub asset: AssetId,
    /// The kind.
    pub kind: Kind,
    /// The status.
    pub status: Status,
    /// How many there are.
    pub count: u64,
    /// The sum of their amounts.
    pub amount: BigDecimal,
    /// The sum of their fees, less what those of them that reverse others gave back.
    pub fee: BigDecimal,
}

/// Whose accounts are summed up together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerKind {
    /// Those of all users.
    User,
    /// What the exchange earned.
    Fees,
    /// What is outside.
    World,
}

impl From<Owner> for OwnerKind {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::User(_) => Self::User,
            Owner::Fees => Self::Fees,
            Owner::World => Self::World,
        }
    }
}

/// The total of the lines of one asset, owner and kind of transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryTotal {
    /// The asset.
    pub asset: AssetId,
    /// Whose accounts.
    pub owner: OwnerKind,
    /// The kind of their transfers.
    pub kind: Kind,
    /// How many there are.
    pub count: u64,
    /// The sum of what they add to what is available.
    pub available_delta: BigDecimal,
    /// The sum of what they add to what is held.
    pub held_delta: BigDecimal,
}

/// The total of the rows of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditTotal {
    /// The action.
    pub action: String,
    /// How many there are.
    pub count: u64,
}

/// A number of rows and two sums over them.
#[derive(Clone, Debug, Default)]
struct Sums {
    count: u64,
    first: BigDecimal,
    second: BigDecimal,
}

impl Sums {
    fn add(&mut self, first: i128, second: i128, scale: Scale) {
        let decimal = |units: i128| BigDecimal::new(units.into(), i64::from(scale.get()));
        self.count = self.count.saturating_add(1);
        self.first += decimal(first);
        self.second += decimal(second);
    }
}

#[derive(Debug, Default)]
pub(super) struct TransferTotals(BTreeMap<(AssetId, Kind, Status), Sums>);

impl TransferTotals {
    pub(super) fn add(&mut self, transfer: &Transfer) {
        let parts = transfer.parts();
        let key = (parts.asset, transfer.kind(), transfer.status());
        // A reversal costs nothing, and the ledger takes from the fees what it gives back.
        let returned = parts
            .reversal
            .map_or(0, |reversal| reversal.fee_returned.units());
        let fee = parts.fee.units().saturating_sub(returned);
        let sums = self.0.entry(key).or_default();
        sums.add(parts.amount.units(), fee, parts.scale);
    }

    pub(super) fn all(&self) -> Vec<TransferTotal> {
        let total = |((asset, kind, status), sums): (&(AssetId, Kind, Status), &Sums)| {
            let Sums {
                count,
                first,
                second,
            } = sums.clone();
            TransferTotal {
                asset: *asset,
                kind: *kind,
                status: *status,
                count,
                amount: first,
                fee: second,
            }
        };
        self.0.iter().map(total).collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct EntryTotals(BTreeMap<(AssetId, OwnerKind, Kind), Sums>);

impl EntryTotals {
    pub(super) fn add(&mut self, record: &LedgerRecord) {
        let line = &record.line;
        let owner = OwnerKind::from(line.account.owner);
        let sums = self
            .0
            .entry((line.account.asset, owner, record.kind))
            .or_default();
        sums.add(line.available_delta, line.held_delta, record.scale);
    }

    pub(super) fn all(&self) -> Vec<EntryTotal> {
        let total = |((asset, owner, kind), sums): (&(AssetId, OwnerKind, Kind), &Sums)| {
            let Sums {
                count,
                first,
                second,
            } = sums.clone();
            EntryTotal {
                asset: *asset,
                owner: *owner,
                kind: *kind,
                count,
                available_delta: first,
                held_delta: second,
            }
        };
        self.0.iter().map(total).collect()
    }
}

/// There is nothing in the audit log to sum up, so its rows are counted. There are as many counts as
/// actions, and no more than the program knows.
#[derive(Debug, Default)]
pub(super) struct AuditTotals(BTreeMap<String, u64>);

impl AuditTotals {
    pub(super) fn add(&mut self, record: &AuditRecord) {
        match self.0.get_mut(&record.action) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                self.0.insert(record.action.clone(), 1);
            }
        }
    }

    pub(super) fn all(&self) -> Vec<AuditTotal> {
        let total = |(action, count): (&String, &u64)| AuditTotal {
            action: action.clone(),
            count: *count,
        };
        self.0.iter().map(total).collect()
    }
}
