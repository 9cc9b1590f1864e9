//! Rows as they stand in the database, whatever somebody may have made of them.

use bigdecimal::BigDecimal;
use bursar_domain::Transfer;
use diesel::prelude::{Queryable, Selectable};
use uuid::Uuid;

use super::Fault;
use crate::{
    row::SealedRow,
    schema::{accounts, entries},
    seal::{AccountName, Line, Seal, TransferFields},
    value::{At, Figure},
};

/// A row of `accounts`, but for what is no matter of the ledger.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = accounts)]
pub(crate) struct AccountFacts {
    pub(crate) id: i64,
    pub(crate) owner_kind: String,
    pub(crate) owner: Uuid,
    pub(crate) asset: String,
    pub(crate) available: Figure,
    pub(crate) held: Figure,
    pub(crate) seq: i64,
    pub(crate) head: Option<Seal>,
}

impl AccountFacts {
    pub(crate) fn name(&self) -> AccountName<'_> {
        AccountName {
            id: self.id,
            owner_kind: &self.owner_kind,
            owner: self.owner,
            asset: &self.asset,
        }
    }

    pub(crate) fn is_user(&self) -> bool {
        self.owner_kind == "user"
    }

    /// Whether it may have less than nothing. A fee may be given back from another row than the one
    /// it was posted to.
    pub(super) fn may_owe(&self) -> bool {
        !self.is_user()
    }
}

/// A row of `entries`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = entries)]
pub(crate) struct EntryFacts {
    pub(crate) account_id: i64,
    pub(crate) seq: i64,
    pub(crate) transfer_id: i64,
    pub(crate) available_delta: Figure,
    pub(crate) held_delta: Figure,
    pub(crate) available_after: Figure,
    pub(crate) held_after: Figure,
    pub(crate) created_at: At,
    pub(crate) seal: Option<Seal>,
}

impl EntryFacts {
    /// The line, if all of its figures are numbers.
    pub(super) fn line(&self) -> Result<Line, Fault> {
        let number = |column, figure: Figure| figure.0.ok_or(Fault::NoNumber { column });
        Ok(Line {
            account: self.account_id,
            seq: self.seq,
            transfer: self.transfer_id,
            available_delta: number("available_delta", self.available_delta)?,
            held_delta: number("held_delta", self.held_delta)?,
            available_after: number("available_after", self.available_after)?,
            held_after: number("held_after", self.held_after)?,
            created_at: self.created_at.0,
        })
    }
}

/// The figures of a transfer's row that may be no numbers.
pub(super) struct Figures {
    amount: i128,
    fee: i128,
    root_rate: Option<BigDecimal>,
    reversal_covers: Option<i128>,
    reversal_fee: Option<i128>,
    reversed: i128,
}

impl SealedRow {
    pub(super) fn figures(&self) -> Result<Figures, Fault> {
        let row = &self.row;
        let number = |column, figure: Figure| figure.0.ok_or(Fault::NoNumber { column });
        let perhaps = |column, figure: Option<Figure>| {
            let read = figure.map(|figure| number(column, figure));
            read.transpose()
        };
        let root_rate = row.root_rate.clone().map(|rate| rate.0.ok_or(()));
        Ok(Figures {
            amount: number("amount", row.amount)?,
            fee: number("fee", row.fee)?,
            root_rate: root_rate.transpose().map_err(|()| Fault::NoNumber {
                column: "root_rate",
            })?,
            reversal_covers: perhaps("reversal_covers", row.reversal_covers)?,
            reversal_fee: perhaps("reversal_fee", row.reversal_fee)?,
            reversed: number("reversed", row.reversed)?,
        })
    }

    pub(super) fn fields<'a>(&'a self, figures: &'a Figures) -> TransferFields<'a> {
        let row = &self.row;
        TransferFields {
            id: row.id,
            version: row.version,
            kind: &row.kind,
            state: &row.state,
            asset: &row.asset,
            scale: row.scale,
            amount: figures.amount,
            fee: figures.fee,
            user: row.user_id,
            recipient: row.recipient_id,
            recipient_typed: row.recipient_typed.as_deref(),
            code_salt: row.code_salt.as_deref(),
            custom_id: row.custom_id.as_deref(),
            note: row.note.as_deref(),
            callback_url: row.callback_url.as_deref(),
            reason: row.reason.as_deref(),
            created_by: &row.created_by,
            finished_by: row.finished_by.as_deref(),
            root_asset: row.root_asset.as_deref(),
            root_scale: row.root_scale,
            root_rate: figures.root_rate.as_ref(),
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            stage: row.stage.as_deref(),
            expires_at: row.expires_at.map(|at| at.0),
            confirmed_by: row.confirmed_by.as_deref(),
            confirm_url: row.confirm_url.as_deref(),
            reviewed_by: row.reviewed_by.as_deref(),
            review_digest: row.review_digest.as_deref(),
            reverses: row.reverses,
            reversal_covers: figures.reversal_covers,
            reversal_fee: figures.reversal_fee,
            reversed: figures.reversed,
            root_source: row.root_source.as_deref(),
            root_rated_at: row.root_rated_at.map(|at| at.0),
        }
    }

    /// The transfer that the row stands for.
    pub(super) fn transfer(&self) -> Result<Transfer, Fault> {
        let read = Transfer::try_from(self.row.clone());
        read.map_err(|error| Fault::Unreadable(error.to_string()))
    }
}
