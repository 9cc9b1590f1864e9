//! What seals are computed over: an encoding in which no two rows are the same.
//!
//! Numbers are big-endian and of a fixed length, texts and bytes have their length in front. An
//! entry behind another one is 119 bytes, which is two blocks of SHA-256 to the byte: every payment
//! seals two or three.

use bigdecimal::BigDecimal;
use bursar_domain::{ActorId, Body, Reason, Recipient, Stage, Timestamp, Transfer};
use uuid::Uuid;

use super::Seal;

/// What a message begins with, so that none of one table is one of another.
const ACCOUNT: u8 = 1;
const ENTRY: u8 = 2;
const TRANSFER: u8 = 3;
/// What stands for a length that has no room in one byte.
const LONG: u8 = u8::MAX;

/// What names an account, for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountName<'a> {
    pub(crate) id: i64,
    pub(crate) owner_kind: &'a str,
    pub(crate) owner: Uuid,
    pub(crate) asset: &'a str,
}

/// What an entry's seal is chained to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Link<'a> {
    /// Nothing before it is sealed: what names the account.
    First(AccountName<'a>),
    /// The last seal before it.
    After(&'a Seal),
}

/// An entry's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) account: i64,
    pub(crate) seq: i64,
    pub(crate) transfer: i64,
    pub(crate) available_delta: i128,
    pub(crate) held_delta: i128,
    pub(crate) available_after: i128,
    pub(crate) held_after: i128,
    pub(crate) created_at: Timestamp,
}

/// A transfer's row but for the references to its entries and the seal itself.
///
/// A new column stands here, and in [`Message::of_transfer`] with a number of its own. What rows
/// have that were there before it, NULL or its default, is left out of the message, so that older
/// seals stay right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransferFields<'a> {
    pub(crate) id: i64,
    pub(crate) version: i32,
    pub(crate) kind: &'a str,
    pub(crate) state: &'a str,
    pub(crate) asset: &'a str,
    pub(crate) scale: i16,
    pub(crate) amount: i128,
    pub(crate) fee: i128,
    pub(crate) user: Uuid,
    pub(crate) recipient: Option<Uuid>,
    pub(crate) recipient_typed: Option<&'a str>,
    pub(crate) code_salt: Option<&'a [u8]>,
    pub(crate) custom_id: Option<&'a str>,
    pub(crate) note: Option<&'a str>,
    pub(crate) callback_url: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) created_by: &'a str,
    pub(crate) finished_by: Option<&'a str>,
    pub(crate) root_asset: Option<&'a str>,
    pub(crate) root_scale: Option<i16>,
    pub(crate) root_rate: Option<&'a BigDecimal>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) stage: Option<&'a str>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) confirmed_by: Option<&'a str>,
    pub(crate) confirm_url: Option<&'a str>,
    pub(crate) reviewed_by: Option<&'a str>,
    pub(crate) review_digest: Option<&'a [u8]>,
    pub(crate) reverses: Option<i64>,
    pub(crate) reversal_covers: Option<i128>,
    pub(crate) reversal_fee: Option<i128>,
    /// Never NULL: what older rows have by default is left out.
    pub(crate) reversed: i128,
    pub(crate) root_source: Option<&'a str>,
    pub(crate) root_rated_at: Option<Timestamp>,
}

impl<'a> TransferFields<'a> {
    /// The row of a transfer.
    pub(crate) fn of(transfer: &'a Transfer) -> Self {
        let parts = transfer.parts();
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
        let root = parts.root_rate.as_ref();
        let confirmed = parts.confirmed.as_ref();
        let review = parts.review.as_ref();
        let reversal = parts.reversal.as_ref();
        Self {
            id: parts.id.get(),
            version: parts.version.get(),
            kind: transfer.kind().as_str(),
            state: transfer.status().as_str(),
            asset: parts.asset.as_str(),
            scale: parts.scale.get().into(),
            amount: parts.amount.units(),
            fee: parts.fee.units(),
            user: transfer.owner().as_uuid(),
            recipient: recipient_user.map(|user| user.as_uuid()),
            recipient_typed: recipient.and_then(|recipient| recipient.typed()),
            code_salt: salt,
            custom_id,
            note: parts.note.as_deref(),
            callback_url: parts.callback_url.as_deref(),
            reason: transfer.reason().map(Reason::code),
            created_by: parts.created_by.as_str(),
            finished_by: transfer.finished_by().map(ActorId::as_str),
            root_asset: root.map(|root| root.asset.as_str()),
            root_scale: root.map(|root| root.scale.get().into()),
            root_rate: root.map(|root| &root.rate),
            created_at: parts.created_at,
            updated_at: parts.updated_at,
            stage: transfer.stage().map(Stage::as_str),
            expires_at: parts.expires_at,
            confirmed_by: confirmed.map(|confirmed| confirmed.by.as_str()),
            confirm_url: confirmed.and_then(|confirmed| confirmed.callback_url.as_deref()),
            reviewed_by: review.map(|review| review.by.as_str()),
            review_digest: review.map(|review| review.digest.as_slice()),
            reverses: reversal.map(|reversal| reversal.of.get()),
            reversal_covers: reversal.map(|reversal| reversal.covers.units()),
            reversal_fee: reversal.map(|reversal| reversal.fee_returned.units()),
            reversed: parts.reversed.units(),
            root_source: root.and_then(|root| root.source.as_deref()),
            root_rated_at: root.and_then(|root| root.rated_at),
        }
    }
}

/// The bytes that are sealed.
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn of_account(name: AccountName<'_>) -> Self {
        let mut message = Self(Vec::with_capacity(128));
        message.put(&[ACCOUNT]);
        message.name(name);
        message
    }

    pub(super) fn of_entry(link: Link<'_>, line: &Line) -> Self {
        let mut message = Self(Vec::with_capacity(128));
        message.put(&[ENTRY]);
        match link {
            Link::First(name) => {
                message.put(&[0]);
                message.name(name);
            }
            Link::After(seal) => {
                message.put(&[1]);
                message.counted(&seal.0);
            }
        }
        for number in [line.account, line.seq, line.transfer] {
            message.put(&number.to_be_bytes());
        }
        for figure in [
            line.available_delta,
            line.held_delta,
            line.available_after,
            line.held_after,
        ] {
            message.put(&figure.to_be_bytes());
        }
        message.put(&line.created_at.as_micros().to_be_bytes());
        message
    }

    /// The columns that are not NULL, each with its number; what was taken back, when it is more
    /// than nothing. A number is given once and for ever: columns come and go, and what was sealed
    /// before must still be proved.
    #[expect(
        clippy::too_many_lines,
        reason = "a line for each column, and nothing else"
    )]
    pub(super) fn of_transfer(fields: &TransferFields<'_>, entry_refs: &[i64]) -> Self {
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
            created_at,
            updated_at,
            stage,
            expires_at,
            confirmed_by,
            confirm_url,
            reviewed_by,
            review_digest,
            reverses,
            reversal_covers,
            reversal_fee,
            reversed,
            root_source,
            root_rated_at,
        } = *fields;
        let refs: Vec<u8> = entry_refs
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect();
        let mut message = Self(Vec::with_capacity(512));
        message.put(&[TRANSFER]);
        message.column(1, Some(id.to_be_bytes()));
        message.column(2, Some(version.to_be_bytes()));
        message.column(3, Some(kind));
        message.column(4, Some(state));
        message.column(5, Some(asset));
        message.column(6, Some(scale.to_be_bytes()));
        message.column(7, Some(amount.to_be_bytes()));
        message.column(8, Some(fee.to_be_bytes()));
        message.column(9, Some(user.as_bytes()));
        message.column(10, recipient.as_ref().map(Uuid::as_bytes));
        message.column(11, recipient_typed);
        message.column(12, code_salt);
        message.column(13, custom_id);
        message.column(14, note);
        message.column(15, callback_url);
        message.column(16, reason);
        message.column(17, Some(created_by));
        message.column(18, finished_by);
        message.column(19, root_asset);
        message.column(20, root_scale.map(i16::to_be_bytes));
        // 1 and 1.0 are one rate.
        let rate = root_rate.map(|rate| rate.normalized().to_plain_string());
        message.column(21, rate);
        message.column(22, Some(created_at.as_micros().to_be_bytes()));
        message.column(23, Some(updated_at.as_micros().to_be_bytes()));
        message.column(24, Some(refs));
        let time = |at: Option<Timestamp>| at.map(|at| at.as_micros().to_be_bytes());
        message.column(25, stage);
        message.column(26, time(expires_at));
        message.column(27, confirmed_by);
        message.column(28, confirm_url);
        message.column(29, reviewed_by);
        message.column(30, review_digest);
        message.column(31, reverses.map(i64::to_be_bytes));
        message.column(32, reversal_covers.map(i128::to_be_bytes));
        message.column(33, reversal_fee.map(i128::to_be_bytes));
        message.column(34, (reversed != 0).then_some(reversed.to_be_bytes()));
        message.column(35, root_source);
        message.column(36, time(root_rated_at));
        message
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn counted(&mut self, bytes: &[u8]) {
        match u8::try_from(bytes.len()) {
            Ok(length) if length < LONG => self.put(&[length]),
            Ok(_) | Err(_) => {
                // No row has values of more than four gigabytes.
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                self.put(&[LONG]);
                self.put(&length.to_be_bytes());
            }
        }
        self.put(bytes);
    }

    fn name(&mut self, name: AccountName<'_>) {
        let AccountName {
            id,
            owner_kind,
            owner,
            asset,
        } = name;
        self.put(&id.to_be_bytes());
        self.counted(owner_kind.as_bytes());
        self.put(owner.as_bytes());
        self.counted(asset.as_bytes());
    }

    fn column(&mut self, number: u8, value: Option<impl AsRef<[u8]>>) {
        if let Some(value) = value {
            self.put(&[number]);
            self.counted(value.as_ref());
        }
    }
}
