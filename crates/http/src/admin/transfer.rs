//! `/admin/v1/transfers/{id}`: the whole story of one transfer of any kind.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::{Error, Missing, TransferStory, approval_digest};
use bursar_domain::{
    ActorId, Body, Kind, Reason, Recipient, RootRate, Scale, Stage, Status, Timestamp, Transfer,
};
use bursar_ports::LedgerLine;
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{balances::owner, callbacks::CallbackBody, money::plain};
use crate::{answer, call::Call, internal, problem::Problem};

/// A transfer of any kind, as all of the admin API shows it.
#[derive(Serialize)]
pub(super) struct TransferBody<'a> {
    id: i64,
    code: Option<&'a str>,
    kind: &'static str,
    status: &'static str,
    reason_code: Option<&'static str>,
    reason_message: Option<&'static str>,
    user_id: String,
    recipient_id: Option<String>,
    recipient: Option<&'a str>,
    asset: &'a str,
    amount: String,
    fee: String,
    comment: Option<&'a str>,
    custom_id: Option<&'a str>,
    callback_url: Option<&'a str>,
    created_by: &'a str,
    #[serde(flatten)]
    progress: Option<ProgressBody<'a>>,
    reverses: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reversed: Option<String>,
    root_rate: Option<RootRateBody<'a>>,
    created_at: String,
    updated_at: String,
}

/// What operators did about it so far and what is still to be done.
#[derive(Serialize)]
struct ProgressBody<'a> {
    confirmed_by: Option<&'a str>,
    stage: Option<&'static str>,
    approval_digest: Option<String>,
    reviewed_by: Option<&'a str>,
    expires_at: Option<String>,
}

impl<'a> ProgressBody<'a> {
    fn of(transfer: &'a Transfer) -> Self {
        let parts = transfer.parts();
        Self {
            confirmed_by: parts.confirmed.as_ref().map(|one| one.by.as_str()),
            stage: transfer.stage().map(Stage::as_str),
            approval_digest: (transfer.stage() == Some(Stage::Approval))
                .then(|| HEXLOWER.encode(&approval_digest(transfer))),
            reviewed_by: parts.review.as_ref().map(|review| review.by.as_str()),
            expires_at: parts.expires_at.map(Timestamp::to_micros_text),
        }
    }
}

/// What the asset was worth when the transfer was made.
#[derive(Serialize)]
struct RootRateBody<'a> {
    asset: &'a str,
    rate: String,
    source: Option<&'a str>,
    rated_at: Option<String>,
}

impl<'a> RootRateBody<'a> {
    fn of(root: &'a RootRate) -> Self {
        Self {
            asset: root.asset.as_str(),
            rate: root.rate.normalized().to_plain_string(),
            source: root.source.as_deref(),
            rated_at: root.rated_at.map(Timestamp::to_micros_text),
        }
    }
}

#[derive(Serialize)]
struct StoryBody<'a> {
    #[serde(flatten)]
    transfer: TransferBody<'a>,
    timeline: Vec<Step>,
    reversals: Vec<i64>,
    entries: Vec<EntryBody>,
    callbacks: Vec<CallbackBody<'a>>,
}

#[derive(Serialize)]
struct Step {
    status: &'static str,
    at: String,
    by: String,
}

#[derive(Serialize)]
struct EntryBody {
    owner: &'static str,
    user_id: Option<String>,
    asset: String,
    seq: i64,
    available: String,
    held: String,
    available_after: String,
    held_after: String,
    at: String,
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let id = call.only(call.transfer_id())?;
    let id = id.ok_or(Error::NotFound(Missing::Transfer))?;
    let story = call.app().transfer_story(&grant, id).await?;
    answer::json(&StoryBody::of(&story)?)
}

impl<'a> TransferBody<'a> {
    pub(super) fn of(transfer: &'a Transfer, code: Option<&'a str>) -> Self {
        let parts = transfer.parts();
        Self {
            progress: Some(ProgressBody::of(transfer)),
            reversed: Some(parts.reversed.to_plain(parts.scale)),
            ..Self::as_of(transfer, code, transfer.status(), parts.updated_at)
        }
    }

    /// The transfer as it was when it came to a status, without what only today's says.
    pub(super) fn as_of(
        transfer: &'a Transfer,
        code: Option<&'a str>,
        was: Status,
        at: Timestamp,
    ) -> Self {
        let parts = transfer.parts();
        // It has one only with the status that ended it.
        let reason = transfer.reason().filter(|_| was == transfer.status());
        let kind = transfer.kind();
        let (recipient, custom_id) = match &parts.body {
            Body::Internal {
                recipient,
                custom_id,
                ..
            } => (Some(recipient), custom_id.as_deref()),
            Body::Deposit { .. } | Body::Withdrawal { .. } => (None, None),
        };
        let recipient_id = recipient.and_then(Recipient::user);
        Self {
            id: parts.id.get(),
            code,
            kind: kind.as_str(),
            status: status(kind, was),
            reason_code: reason.map(Reason::code),
            reason_message: reason.map(Reason::message),
            user_id: transfer.owner().to_string(),
            recipient_id: recipient_id.map(|user| user.to_string()),
            recipient: recipient.and_then(|recipient| recipient.typed()),
            asset: parts.asset.as_str(),
            amount: parts.amount.to_plain(parts.scale),
            fee: parts.fee.to_plain(parts.scale),
            comment: parts.note.as_deref(),
            custom_id,
            callback_url: parts.callback_url.as_deref(),
            created_by: parts.created_by.as_str(),
            progress: None,
            reverses: parts.reversal.map(|reversal| reversal.of.get()),
            reversed: None,
            root_rate: parts.root_rate.as_ref().map(RootRateBody::of),
            created_at: parts.created_at.to_micros_text(),
            updated_at: at.to_micros_text(),
        }
    }
}

impl<'a> StoryBody<'a> {
    fn of(story: &'a TransferStory) -> Result<Self, Problem> {
        let transfer = &story.transfer;
        let scale = transfer.parts().scale;
        let entries = story.entries.iter();
        Ok(Self {
            transfer: TransferBody::of(transfer, story.code.as_deref()),
            timeline: timeline(transfer),
            reversals: story.reversals.iter().map(|one| one.id().get()).collect(),
            entries: entries
                .map(|line| EntryBody::of(line, scale))
                .collect::<Result<_, _>>()?,
            callbacks: story.callbacks.iter().map(CallbackBody::of).collect(),
        })
    }
}

/// How it began and how it ended: no kind of transfer has more than two states in its life.
fn timeline(transfer: &Transfer) -> Vec<Step> {
    let parts = transfer.parts();
    let kind = transfer.kind();
    let first = match kind {
        Kind::Deposit | Kind::Internal => Status::Pending,
        Kind::Withdrawal => Status::AwaitingConfirmation,
    };
    let created = Step {
        status: status(kind, first),
        at: parts.created_at.to_micros_text(),
        by: parts.created_by.as_str().to_owned(),
    };
    let finished = transfer.done_at().map(|at| Step {
        status: status(kind, transfer.status()),
        at: at.to_micros_text(),
        by: finisher(transfer).as_str().to_owned(),
    });
    std::iter::once(created).chain(finished).collect()
}

/// Who made it final: the second operator where there was one, and of a reversal whoever made it.
fn finisher(transfer: &Transfer) -> ActorId {
    let parts = transfer.parts();
    let reviewer = parts.review.as_ref().map(|review| &review.by);
    let reverser = parts.reversal.map(|_| &parts.created_by);
    let finisher = reviewer.or(reverser).or(transfer.finished_by());
    finisher.cloned().unwrap_or_else(ActorId::system)
}

/// Each kind's status is spelled as its own API spells it.
pub(super) const fn status(kind: Kind, status: Status) -> &'static str {
    match kind {
        Kind::Deposit | Kind::Withdrawal => status.as_str(),
        Kind::Internal => internal::status(status),
    }
}

impl EntryBody {
    fn of(line: &LedgerLine, scale: Scale) -> Result<Self, Problem> {
        Ok(Self {
            owner: owner(line.account.owner),
            user_id: line.account.owner.user().map(|user| user.to_string()),
            asset: line.account.asset.to_string(),
            seq: line.seq,
            available: plain(line.available_delta, scale)?,
            held: plain(line.held_delta, scale)?,
            available_after: plain(line.available_after, scale)?,
            held_after: plain(line.held_after, scale)?,
            at: line.at.to_micros_text(),
        })
    }
}
