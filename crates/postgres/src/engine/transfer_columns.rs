//! Transfers as the columns of their statements.

use bigdecimal::BigDecimal;
use bursar_domain::{ActorId, Body, Reason, Recipient, Stage, Transfer};
use uuid::Uuid;

use crate::{
    statement::{InsertTransfers, UpdateTransfers},
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
    entry_refs: Vec<String>,
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
}

impl<'a> TransferColumns<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn push(&mut self, transfer: &'a Transfer, entry_refs: String) {
        let parts = transfer.parts();
        self.ids.push(parts.id.get());
        self.versions.push(parts.version.get());
        self.kinds.push(transfer.kind().as_str());
        self.states.push(transfer.status().as_str());
        self.assets.push(parts.asset.as_str());
        self.scales.push(parts.scale.get().into());
        self.amounts.push(Units(parts.amount.units()));
        self.fees.push(Units(parts.fee.units()));
        self.users.push(transfer.owner().as_uuid());
        let (recipient, salt, custom_id) = match &parts.body {
            Body::Internal {
                recipient,
                salt,
                custom_id,
                ..
            } => (
                Some(recipient),
                Some(salt.as_bytes().as_slice()),
                custom_id.as_deref(),
            ),
            Body::Deposit { .. } | Body::Withdrawal { .. } => (None, None, None),
        };
        let recipient_user = recipient.and_then(Recipient::user);
        self.recipients
            .push(recipient_user.map(|user| user.as_uuid()));
        self.recipients_typed
            .push(recipient.and_then(|recipient| recipient.typed()));
        self.code_salts.push(salt);
        self.custom_ids.push(custom_id);
        self.notes.push(parts.note.as_deref());
        self.callback_urls.push(parts.callback_url.as_deref());
        self.reasons.push(transfer.reason().map(Reason::code));
        self.creators.push(parts.created_by.as_str());
        self.finishers
            .push(transfer.finished_by().map(ActorId::as_str));
        let root = parts.root_rate.as_ref();
        self.root_assets.push(root.map(|root| root.asset.as_str()));
        self.root_scales
            .push(root.map(|root| root.scale.get().into()));
        self.root_rates.push(root.map(|root| &root.rate));
        self.root_sources
            .push(root.and_then(|root| root.source.as_deref()));
        self.root_rated
            .push(root.and_then(|root| root.rated_at).map(At));
        self.created.push(At(parts.created_at));
        self.updated.push(At(parts.updated_at));
        self.entry_refs.push(entry_refs);
        self.push_oversight(transfer);
    }

    /// What operators decide about it later, and what it takes back.
    fn push_oversight(&mut self, transfer: &'a Transfer) {
        let parts = transfer.parts();
        self.stages.push(transfer.stage().map(Stage::as_str));
        self.expires.push(parts.expires_at.map(At));
        let confirmed = parts.confirmed.as_ref();
        self.confirmers
            .push(confirmed.map(|confirmed| confirmed.by.as_str()));
        self.confirm_urls
            .push(confirmed.and_then(|confirmed| confirmed.callback_url.as_deref()));
        let review = parts.review.as_ref();
        self.reviewers.push(review.map(|review| review.by.as_str()));
        self.review_digests
            .push(review.map(|review| review.digest.as_slice()));
        let reversal = parts.reversal.as_ref();
        self.reverses
            .push(reversal.map(|reversal| reversal.of.get()));
        self.reversal_covers
            .push(reversal.map(|reversal| Units(reversal.covers.units())));
        self.reversal_fees
            .push(reversal.map(|reversal| Units(reversal.fee_returned.units())));
        self.reversed.push(Units(parts.reversed.units()));
    }

    pub(super) fn insert(&self) -> InsertTransfers<'_> {
        InsertTransfers {
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
        }
    }

    pub(super) fn update(&self) -> UpdateTransfers<'_> {
        UpdateTransfers {
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
        }
    }
}
