//! Doing it.

use actix_web::{HttpResponse, web};
use bursar_app::{
    Conflict, Error, FinishRequest, Grant, Options, ReviewRequest, TAKERS, Taken, approval_digest,
};
use bursar_domain::{ActorId, Reason, Stage, Status, Transfer, TransferId};
use maud::html;
use serde::Deserialize;

use super::{Act, is_mine, possible, promise, read_digest, second_look};
use crate::{
    Posted,
    desk::{Desk, Reply, own_path},
    fault::Fault,
    flash::Done,
    words,
};

/// What the form of a transfer says.
#[derive(Deserialize)]
pub(crate) struct Word {
    digest: Option<String>,
    promise: Option<String>,
    back: Option<String>,
    /// Said at the second look at much money.
    sure: Option<String>,
    /// Said at the second look at what somebody else was at: who that was.
    sure_of: Option<String>,
}

pub(crate) async fn act(
    desk: Desk,
    path: web::Path<(String, String)>,
    posted: Posted<Word>,
) -> HttpResponse {
    let (id, act) = path.into_inner();
    desk.answer(carry_out(&desk, &id, &act, &posted.form).await)
}

pub(crate) async fn take(desk: Desk, id: web::Path<String>, posted: Posted<Word>) -> HttpResponse {
    let reply = async {
        let id = read_id(&id)?;
        let grant = desk.visitor.principal.grant_any(&TAKERS)?;
        desk.app().take(&grant, Some(id)).await?;
        Ok::<_, Fault>(Reply::done(Done::Taken(id), back(&posted.form, id)))
    };
    desk.answer(reply.await)
}

pub(crate) async fn let_go(
    desk: Desk,
    id: web::Path<String>,
    posted: Posted<Word>,
) -> HttpResponse {
    let reply = async {
        let id = read_id(&id)?;
        let grant = desk.visitor.principal.grant_any(&TAKERS)?;
        desk.app().let_go(&grant, Some(id)).await?;
        Ok::<_, Fault>(Reply::done(Done::LetGo(id), back(&posted.form, id)))
    };
    desk.answer(reply.await)
}

async fn carry_out(desk: &Desk, id: &str, act: &str, word: &Word) -> Result<Reply, Fault> {
    let act = Act::from_name(act).ok_or(Fault::NoPage)?;
    let grant = desk.grant(act.permission())?;
    let id = read_id(id)?;
    let reader = desk.reader()?;
    let current = desk.app().transfer_story(&reader, id).await?.transfer;
    let shown = read_digest(word.digest.as_deref())?;
    if shown != approval_digest(&current) || !possible(&current).contains(&act) {
        // Who presses twice has had it done.
        let done = done_by(desk, act, &current).ok_or_else(|| overtaken(desk, &current))?;
        return Ok(Reply::done(done, back(word, id)));
    }
    let forecast = desk.app().forecast(&reader).await?;
    if act.moves_on() && word.promise.as_deref() != Some(promise(&current, &forecast)) {
        return Err(Fault::OtherRules(format!("/console/transfers/{id}")));
    }
    let taken = desk.app().taken(&reader, &current).await?;
    let others = taken.filter(|taken| !is_mine(desk, taken));
    if needs_second_look(desk, act, &current, others.as_ref(), word) {
        let to = second_look::link(&current, act, word.back.as_deref());
        return Ok(Reply::Goto(to));
    }
    let made = match say(desk, &grant, act, &current, shown).await {
        Err(Error::Conflict(Conflict::DigestMismatch)) => {
            let now = desk.app().transfer_story(&reader, id).await?.transfer;
            return Err(overtaken(desk, &now));
        }
        made => made?,
    };
    let done = done_by(desk, act, &made).ok_or_else(|| overtaken(desk, &made))?;
    Ok(Reply::done(done, back(word, id)))
}

/// Says it, of what was shown and of nothing else.
async fn say(
    desk: &Desk,
    grant: &Grant,
    act: Act,
    current: &Transfer,
    shown: [u8; 32],
) -> Result<Transfer, Error> {
    let options = Options::default();
    let finish = FinishRequest {
        user: current.owner(),
        transfer: Some(current.id()),
        callback_url: None,
        digest: Some(shown),
    };
    let review = ReviewRequest {
        transfer: Some(current.id()),
        digest: Some(shown),
    };
    let app = desk.app();
    let answer = match act {
        Act::Confirm => app.confirm_withdrawal(grant, finish, options).await?,
        Act::Cancel => app.cancel_withdrawal(grant, finish, options).await?,
        Act::Approve => app.approve(grant, review, options).await?,
        Act::Reject => app.reject(grant, review, options).await?,
    };
    Ok(answer.transfer)
}

/// Whether the operator is asked once more: for much money, for money of unknown value, and for what
/// somebody else is at. A yes counts for what was asked, and not for what has come up since.
fn needs_second_look(
    desk: &Desk,
    act: Act,
    transfer: &Transfer,
    others: Option<&Taken>,
    word: &Word,
) -> bool {
    let is_sure = word.sure.as_deref() == Some("yes");
    let is_taken = others.is_some_and(|taken| word.sure_of.as_deref() != Some(taken.by.as_str()));
    is_taken || act.moves_on() && !is_sure && is_much(desk, transfer)
}

/// Whether it is worth more than what an operator may confirm at one look. What it was worth in a root
/// asset of before says nothing of that, and what has no value is looked at twice.
pub(super) fn is_much(desk: &Desk, transfer: &Transfer) -> bool {
    let Some(above) = desk.console.settings().second_look_above else {
        return false;
    };
    let parts = transfer.parts();
    let root = desk.app().root_asset();
    let rate = parts.root_rate.as_ref().filter(|rate| rate.asset == root);
    let worth = rate.and_then(|rate| {
        let value = rate.value_of(parts.amount, parts.scale)?;
        // As a figure of this scale, whichever the root asset has by now.
        let (floor, _) = above.neighbours(rate.scale);
        Some(value > floor)
    });
    worth.unwrap_or(true)
}

/// What this operator has done, if it is this that the transfer came to: two may act at the same moment.
fn done_by(desk: &Desk, act: Act, made: &Transfer) -> Option<Done> {
    let (id, parts) = (made.id(), made.parts());
    let me = desk.visitor.principal.subject.as_str();
    let by_me = |by: Option<&ActorId>| by.is_some_and(|by| by.as_str() == me);
    let reviewed = by_me(parts.review.as_ref().map(|review| &review.by));
    let rejected = made.reason() == Some(Reason::ApprovalRejected);
    match (act, made.status(), made.stage()) {
        (Act::Confirm, Status::Canceled | Status::Failed, _) => None,
        (Act::Confirm, _, stage) => {
            let confirmed = by_me(parts.confirmed.as_ref().map(|confirmed| &confirmed.by));
            confirmed.then_some(match stage {
                Some(Stage::Approval) => Done::AsksSecond(id),
                Some(Stage::Payout) => Done::HandedOver(id),
                None => Done::Confirmed(id),
            })
        }
        (Act::Cancel, Status::Canceled, _) => {
            by_me(made.finished_by()).then_some(Done::Canceled(id))
        }
        (Act::Cancel, _, _) => None,
        (Act::Approve, Status::Failed, _) => {
            (reviewed && !rejected).then_some(Done::ApprovedInVain(id))
        }
        (Act::Approve, _, _) => reviewed.then_some(Done::Approved(id)),
        (Act::Reject, _, _) => (reviewed && rejected).then_some(Done::Rejected(id)),
    }
}

/// What is there now instead of what the operator saw.
pub(crate) fn overtaken(desk: &Desk, now: &Transfer) -> Fault {
    let parts = now.parts();
    let reviewer = parts.review.as_ref().map(|review| &review.by);
    let by = match now.reason() {
        Some(Reason::ApprovalRejected) => reviewer,
        // It came to nothing by itself, whoever said yes to it before.
        Some(_) => None,
        None => reviewer
            .or(now.finished_by())
            .or(parts.confirmed.as_ref().map(|confirmed| &confirmed.by)),
    };
    Fault::Overtaken {
        now: html! {
            "Transfer " (now.id()) " of " (words::money(parts.amount, parts.scale, parts.asset)) " is now "
            (words::state_badge(now))
            @if let Some(by) = by { " by " bdi { (by.as_str()) } }
            " since " (desk.clock().exact(parts.updated_at)) "."
            @if let Some(reason) = words::reason_line(now) { " " (reason) }
        },
        link: format!("/console/transfers/{}", now.id()),
    }
}

/// Where the form leads back to: our own page, or the transfer's.
fn back(word: &Word, id: TransferId) -> String {
    let back = word.back.as_deref().and_then(own_path);
    back.map_or_else(|| format!("/console/transfers/{id}"), str::to_owned)
}

pub(crate) fn read_id(text: &str) -> Result<TransferId, Fault> {
    let id = text.parse::<i64>().ok();
    id.and_then(|id| TransferId::try_new(id).ok())
        .ok_or(Fault::NoPage)
}
