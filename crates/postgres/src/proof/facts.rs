//! Rows as they stand in the database, whatever somebody may have made of them.

use bigdecimal::BigDecimal;
use bursar_domain::Transfer;
use diesel::prelude::{Queryable, Selectable};
use uuid::Uuid;

use super::Fault;
use crate::{
    row::TransferRow,
    schema::{accounts, entries, transfers},
    seal::{AccountName, Line, Seal, TransferFields},
    value::{At, Decimal, Figure},
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

/// A row of `transfers`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = transfers)]
pub(crate) struct TransferFacts {
    pub(crate) id: i64,
    pub(crate) version: i32,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) asset: String,
    pub(crate) scale: i16,
    pub(crate) amount: Figure,
    pub(crate) fee: Figure,
    pub(crate) user_id: Uuid,
    pub(crate) recipient_id: Option<Uuid>,
    pub(crate) recipient_typed: Option<String>,
    pub(crate) code_salt: Option<Vec<u8>>,
    pub(crate) custom_id: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) callback_url: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) created_by: String,
    pub(crate) finished_by: Option<String>,
    pub(crate) root_asset: Option<String>,
    pub(crate) root_scale: Option<i16>,
    pub(crate) root_rate: Option<Decimal>,
    pub(crate) created_at: At,
    pub(crate) updated_at: At,
    pub(crate) entry_refs: Vec<i64>,
    pub(crate) stage: Option<String>,
    pub(crate) expires_at: Option<At>,
    pub(crate) confirmed_by: Option<String>,
    pub(crate) confirm_url: Option<String>,
    pub(crate) reviewed_by: Option<String>,
    pub(crate) review_digest: Option<Vec<u8>>,
    pub(crate) reverses: Option<i64>,
    pub(crate) reversal_covers: Option<Figure>,
    pub(crate) reversal_fee: Option<Figure>,
    pub(crate) reversed: Figure,
    pub(crate) root_source: Option<String>,
    pub(crate) root_rated_at: Option<At>,
    pub(crate) seal: Option<Seal>,
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

impl TransferFacts {
    pub(super) fn figures(&self) -> Result<Figures, Fault> {
        let number = |column, figure: Figure| figure.0.ok_or(Fault::NoNumber { column });
        let perhaps = |column, figure: Option<Figure>| {
            let read = figure.map(|figure| number(column, figure));
            read.transpose()
        };
        let root_rate = self.root_rate.clone().map(|rate| rate.0.ok_or(()));
        Ok(Figures {
            amount: number("amount", self.amount)?,
            fee: number("fee", self.fee)?,
            root_rate: root_rate.transpose().map_err(|()| Fault::NoNumber {
                column: "root_rate",
            })?,
            reversal_covers: perhaps("reversal_covers", self.reversal_covers)?,
            reversal_fee: perhaps("reversal_fee", self.reversal_fee)?,
            reversed: number("reversed", self.reversed)?,
        })
    }

    pub(super) fn fields<'a>(&'a self, figures: &'a Figures) -> TransferFields<'a> {
        TransferFields {
            id: self.id,
            version: self.version,
            kind: &self.kind,
            state: &self.state,
            asset: &self.asset,
            scale: self.scale,
            amount: figures.amount,
            fee: figures.fee,
            user: self.user_id,
            recipient: self.recipient_id,
            recipient_typed: self.recipient_typed.as_deref(),
            code_salt: self.code_salt.as_deref(),
            custom_id: self.custom_id.as_deref(),
            note: self.note.as_deref(),
            callback_url: self.callback_url.as_deref(),
            reason: self.reason.as_deref(),
            created_by: &self.created_by,
            finished_by: self.finished_by.as_deref(),
            root_asset: self.root_asset.as_deref(),
            root_scale: self.root_scale,
            root_rate: figures.root_rate.as_ref(),
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            stage: self.stage.as_deref(),
            expires_at: self.expires_at.map(|at| at.0),
            confirmed_by: self.confirmed_by.as_deref(),
            confirm_url: self.confirm_url.as_deref(),
            reviewed_by: self.reviewed_by.as_deref(),
            review_digest: self.review_digest.as_deref(),
            reverses: self.reverses,
            reversal_covers: figures.reversal_covers,
            reversal_fee: figures.reversal_fee,
            reversed: figures.reversed,
            root_source: self.root_source.as_deref(),
            root_rated_at: self.root_rated_at.map(|at| at.0),
        }
    }

    /// The transfer that the row stands for.
    pub(super) fn read(&self, figures: &Figures) -> Result<Transfer, Fault> {
        let row = TransferRow {
            id: self.id,
            version: self.version,
            kind: self.kind.clone(),
            state: self.state.clone(),
            asset: self.asset.clone(),
            scale: self.scale,
            amount: Figure(Some(figures.amount)),
            fee: Figure(Some(figures.fee)),
            user_id: self.user_id,
            recipient_id: self.recipient_id,
            recipient_typed: self.recipient_typed.clone(),
            code_salt: self.code_salt.clone(),
            custom_id: self.custom_id.clone(),
            note: self.note.clone(),
            callback_url: self.callback_url.clone(),
            reason: self.reason.clone(),
            created_by: self.created_by.clone(),
            finished_by: self.finished_by.clone(),
            root_asset: self.root_asset.clone(),
            root_scale: self.root_scale,
            root_rate: figures.root_rate.clone().map(|rate| Decimal(Some(rate))),
            created_at: self.created_at,
            updated_at: self.updated_at,
            stage: self.stage.clone(),
            expires_at: self.expires_at,
            confirmed_by: self.confirmed_by.clone(),
            confirm_url: self.confirm_url.clone(),
            reviewed_by: self.reviewed_by.clone(),
            review_digest: self.review_digest.clone(),
            reverses: self.reverses,
            reversal_covers: figures.reversal_covers.map(|units| Figure(Some(units))),
            reversal_fee: figures.reversal_fee.map(|units| Figure(Some(units))),
            reversed: Figure(Some(figures.reversed)),
            root_source: self.root_source.clone(),
            root_rated_at: self.root_rated_at,
        };
        Transfer::try_from(row).map_err(|error| Fault::Unreadable(error.to_string()))
    }
}
