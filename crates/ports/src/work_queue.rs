//! What waits for an operator, and who is at it.

use async_trait::async_trait;
use bursar_domain::{
    ActorId, AssetId, AuditDraft, BigDecimal, Timestamp, Transfer, TransferId, Version,
};

use crate::StoreError;

/// What operators are waited for with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenWork {
    /// Withdrawals that nobody has confirmed.
    Withdrawals,
    /// Deposits and withdrawals that wait for a second operator.
    Approvals,
}

impl OpenWork {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Withdrawals, Self::Approvals];

    /// The name in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Withdrawals => "withdrawals",
            Self::Approvals => "approvals",
        }
    }

    /// The work with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|which| which.as_str().eq_ignore_ascii_case(name))
    }
}

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueOrder {
    /// The oldest, by creation.
    Age,
    /// What is worth most in the root asset, at the rate that the transfer keeps; what has none
    /// comes last.
    Value,
}

impl QueueOrder {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Age, Self::Value];

    /// The name in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Value => "value",
        }
    }

    /// The order with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|order| order.as_str().eq_ignore_ascii_case(name))
    }
}

/// Where a transfer stands in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueuePlace {
    /// In order of age.
    Age {
        /// When it was created.
        created_at: Timestamp,
        /// Its id.
        id: TransferId,
    },
    /// In order of value.
    Value {
        /// What it is sorted by: see [`sort_value`].
        value: BigDecimal,
        /// Its id.
        id: TransferId,
    },
}

impl QueuePlace {
    /// The order that it is a place in.
    pub const fn order(&self) -> QueueOrder {
        match self {
            Self::Age { .. } => QueueOrder::Age,
            Self::Value { .. } => QueueOrder::Value,
        }
    }

    /// Where a transfer stands in this order.
    pub fn of(transfer: &Transfer, order: QueueOrder) -> Self {
        let id = transfer.id();
        match order {
            QueueOrder::Age => Self::Age {
                created_at: transfer.parts().created_at,
                id,
            },
            QueueOrder::Value => Self::Value {
                value: sort_value(transfer),
                id,
            },
        }
    }
}

/// What a transfer is worth in 10^-18 of the root asset, exactly, or -1 when nobody said.
pub fn sort_value(transfer: &Transfer) -> BigDecimal {
    let parts = transfer.parts();
    parts.root_rate.as_ref().map_or_else(
        || BigDecimal::from(-1),
        |rate| {
            let value = std::ops::Mul::mul(parts.amount.to_decimal(parts.scale), &rate.rate);
            std::ops::Mul::mul(value, BigDecimal::from(1_000_000_000_000_000_000_i64)).normalized()
        },
    )
}

/// Which part of a queue to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueScan {
    /// Which queue.
    pub which: OpenWork,
    /// What comes first.
    pub order: QueueOrder,
    /// Only of this asset.
    pub asset: Option<AssetId>,
    /// Only what comes after this place; one of the other order is the beginning.
    pub after: Option<QueuePlace>,
    /// How many.
    pub limit: u32,
}

/// A part of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSlice {
    /// The rows; fewer than asked for, even none, when few of those looked at are of the asset. One
    /// that was acted on while they were read may be among them.
    pub transfers: Vec<Transfer>,
    /// Where the next part begins; `None` when there is nothing more.
    pub next: Option<QueuePlace>,
}

/// That an operator is at something. It holds for the version that it was taken at: whoever acts on
/// the transfer ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taking {
    /// The transfer.
    pub transfer: TransferId,
    /// The version at which it was taken.
    pub version: Version,
    /// Who took it.
    pub by: ActorId,
    /// When.
    pub taken_at: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
}

/// What came of taking something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Take {
    /// It is taken now, or for longer.
    Taken(Taking),
    /// Somebody else has it.
    Held(Taking),
    /// It has moved on from this version.
    Stale,
}

/// What came of letting something go.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum LetGo {
    /// The one who asks has it no longer, or never had.
    Free,
    /// Somebody else has it.
    Held(Taking),
}

/// What waits for an operator, and who is at it.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// A part of a queue, in its order and then by id. A part looks at a bounded number of rows.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_open(&self, scan: QueueScan) -> Result<QueueSlice, StoreError>;

    /// Takes what nobody else has at this version, or takes one's own for longer. Of several who
    /// ask at once one gets it. What is taken is written with its row of the audit log.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn take(&self, taking: Taking, audit: AuditDraft) -> Result<Take, StoreError>;

    /// Ends what this operator has of a transfer at this version, with its row of the audit log when
    /// there was something to end.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn let_go(
        &self,
        transfer: TransferId,
        version: Version,
        by: ActorId,
        now: Timestamp,
        audit: AuditDraft,
    ) -> Result<LetGo, StoreError>;

    /// Who has these transfers at `now`, at whatever version.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_takings(
        &self,
        transfers: Vec<TransferId>,
        now: Timestamp,
    ) -> Result<Vec<Taking>, StoreError>;
}
