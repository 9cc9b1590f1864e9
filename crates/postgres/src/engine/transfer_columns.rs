//! Transfers as the columns of their statements.

use bigdecimal::BigDecimal;
use uuid::Uuid;

use crate::{
    seal::{Seal, TransferFields},
    statement::{InsertTransfers, RowTypes, UpdateTransfers},
    value::{At, Units},
};

/// Columns of new or changed transfers, a row for each.
#[derive(Default)]
pub(super) struct TransferColumns<'a> {
    ids: Vec<i64>,
    versions: Vec<i32>,
    kinds: Vec<&'a str>,
    states: Vec<&'a str>,
    assets: Vec<&'a str>,
    scales: Vec<i16>,
    amounts: Vec<Units>,
    fees: Vec<Units>,
    users: Vec<Uuid>,
    recipients: Vec<Option<Uuid>>,
    recipients_typed: Vec<Option<&'a str>>,
    code_salts: Vec<Option<&'a [u8]>>,
    custom_ids: Vec<Option<&'a str>>,
    notes: Vec<Option<&'a str>>,
    callback_urls: Vec<Option<&'a str>>,
    reasons: Vec<Option<&'a str>>,
    creators: Vec<&'a str>,
    finishers: Vec<Option<&'a str>>,
    root_assets: Vec<Option<&'a str>>,
    root_scales: Vec<Option<i16>>,
    root_rates: Vec<Option<&'a BigDecimal>>,
    created: Vec<At>,
    updated: Vec<At>,
    entry_refs: Vec<Vec<i64>>,
    stages: Vec<Option<&'a str>>,
    expires: Vec<Option<At>>,
    confirmers: Vec<Option<&'a str>>,
    confirm_urls: Vec<Option<&'a str>>,
    reviewers: Vec<Option<&'a str>>,
    review_digests: Vec<Option<&'a [u8]>>,
    reverses: Vec<Option<i64>>,
    reversal_covers: Vec<Option<Units>>,
    reversal_fees: Vec<Option<Units>>,
    reversed: Vec<Units>,
    root_sources: Vec<Option<&'a str>>,
    root_rated: Vec<Option<At>>,
    seals: Vec<Option<Seal>>,
}

impl<'a> TransferColumns<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// A row, with the references to entries that this step adds.
    pub(super) fn push(
        &mut self,
        fields: &TransferFields<'a>,
        added_refs: &[i64],
        seal: Option<Seal>,
    ) {
        let TransferFields {
            id,
            version,
            kind,
            state,
            asset,
            scale,
            amount,
            fee,
            user,
            recipient,
            recipient_typed,
            code_salt,
            custom_id,
            note,
            callback_url,
            reason,
            created_by,
            finished_by,
            root_asset,
            root_scale,
            root_rate,
            root_source,
            root_rated_at,
            created_at,
            updated_at,
            ..
        } = *fields;
        self.ids.push(id);
        self.versions.push(version);
        self.kinds.push(kind);
        self.states.push(state);
        self.assets.push(asset);
        self.scales.push(scale);
        self.amounts.push(Units(amount));
        self.fees.push(Units(fee));
        self.users.push(user);
        self.recipients.push(recipient);
        self.recipients_typed.push(recipient_typed);
        self.code_salts.push(code_salt);
        self.custom_ids.push(custom_id);
        self.notes.push(note);
        self.callback_urls.push(callback_url);
        self.reasons.push(reason);
        self.creators.push(created_by);
        self.finishers.push(finished_by);
        self.root_assets.push(root_asset);
        self.root_scales.push(root_scale);
        self.root_rates.push(root_rate);
        self.root_sources.push(root_source);
        self.root_rated.push(root_rated_at.map(At));
        self.created.push(At(created_at));
        self.updated.push(At(updated_at));
        self.entry_refs.push(added_refs.to_vec());
        self.seals.push(seal);
        self.push_oversight(fields);
    }

    /// What operators decide about it later, and what it takes back.
    fn push_oversight(&mut self, fields: &TransferFields<'a>) {
        self.stages.push(fields.stage);
        self.expires.push(fields.expires_at.map(At));
        self.confirmers.push(fields.confirmed_by);
        self.confirm_urls.push(fields.confirm_url);
        self.reviewers.push(fields.reviewed_by);
        self.review_digests.push(fields.review_digest);
        self.reverses.push(fields.reverses);
        self.reversal_covers.push(fields.reversal_covers.map(Units));
        self.reversal_fees.push(fields.reversal_fee.map(Units));
        self.reversed.push(Units(fields.reversed));
    }

    pub(super) fn insert(&self, types: &RowTypes) -> InsertTransfers<'_> {
        InsertTransfers {
            row_type: types.transfers,
            ids: &self.ids,
            versions: &self.versions,
            kinds: &self.kinds,
            states: &self.states,
            assets: &self.assets,
            scales: &self.scales,
            amounts: &self.amounts,
            fees: &self.fees,
            users: &self.users,
            recipients: &self.recipients,
            recipients_typed: &self.recipients_typed,
            code_salts: &self.code_salts,
            custom_ids: &self.custom_ids,
            notes: &self.notes,
            callback_urls: &self.callback_urls,
            reasons: &self.reasons,
            creators: &self.creators,
            finishers: &self.finishers,
            root_assets: &self.root_assets,
            root_scales: &self.root_scales,
            root_rates: &self.root_rates,
            created: &self.created,
            updated: &self.updated,
            entry_refs: &self.entry_refs,
            stages: &self.stages,
            expires: &self.expires,
            reverses: &self.reverses,
            reversal_covers: &self.reversal_covers,
            reversal_fees: &self.reversal_fees,
            root_sources: &self.root_sources,
            root_rated: &self.root_rated,
            seals: &self.seals,
        }
    }

    pub(super) fn update(&self, types: &RowTypes) -> UpdateTransfers<'_> {
        UpdateTransfers {
            row_type: types.transfer_changes,
            ids: &self.ids,
            versions: &self.versions,
            states: &self.states,
            reasons: &self.reasons,
            finishers: &self.finishers,
            updated: &self.updated,
            entry_refs: &self.entry_refs,
            stages: &self.stages,
            expires: &self.expires,
            confirmers: &self.confirmers,
            confirm_urls: &self.confirm_urls,
            reviewers: &self.reviewers,
            review_digests: &self.review_digests,
            reversed: &self.reversed,
            seals: &self.seals,
        }
    }
}
