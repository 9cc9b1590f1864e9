//! Doing it.

use actix_web::{HttpResponse, web};
use bursar_app::{FinishRequest, Options, ReviewRequest, TAKERS, Taken};
use bursar_domain::{Stage, Transfer, TransferId};
use maud::html;
use serde::Deserialize;

use super::{Act, digest, is_mine, possible, second_look};
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
    back: Option<String>,
    sure: Option<String>,
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
    let shown = word.digest.as_deref().unwrap_or_default();
    if shown != digest(&current) || !possible(&current).contains(&act) {
        return Err(overtaken(desk, &current));
    }
    let taken = desk.app().taken(&reader, &current).await?;
    let others = taken.filter(|taken| !is_mine(desk, taken));
    let sure = word.sure.as_deref() == Some("yes");
    if !sure && needs_second_look(desk, act, &current, others.as_ref()) {
        let to = second_look::link(&current, act, word.back.as_deref());
        return Ok(Reply::Goto(to));
    }
    let options = Options::default();
    let finish = FinishRequest {
        user: current.owner(),
        transfer: Some(id),
        callback_url: None,
    };
    let review = ReviewRequest {
        transfer: Some(id),
        digest: Some(bursar_app::approval_digest(&current)),
    };
    let app = desk.app();
    let answer = match act {
        Act::Confirm => app.confirm_withdrawal(&grant, finish, options).await?,
        Act::Cancel => app.cancel_withdrawal(&grant, finish, options).await?,
        Act::Approve => app.approve(&grant, review, options).await?,
        Act::Reject => app.reject(&grant, review, options).await?,
    };
    let made = answer.transfer;
    if !was_mine(desk, act, &made) {
        return Err(overtaken(desk, &made));
    }
    Ok(Reply::done(done(act, &made), back(word, id)))
}

/// Whether the operator is asked once more: for much money, for money of unknown value, and for what
/// somebody else is at.
fn needs_second_look(desk: &Desk, act: Act, transfer: &Transfer, others: Option<&Taken>) -> bool {
    others.is_some() || act.moves_on() && is_much(desk, transfer)
}

/// Whether it is worth more than what an operator may confirm at one look.
pub(super) fn is_much(desk: &Desk, transfer: &Transfer) -> bool {
    let Some(above) = desk.console.settings().second_look_above else {
        return false;
    };
    let parts = transfer.parts();
    let worth = parts.root_rate.as_ref().and_then(|rate| {
        let value = rate.value_of(parts.amount, parts.scale)?;
        let (floor, _) = above.neighbours(rate.scale);
        Some(value > floor)
    });
    worth.unwrap_or(true)
}

/// Whether what came of it came of this operator: two may act at the same moment.
fn was_mine(desk: &Desk, act: Act, made: &Transfer) -> bool {
    let parts = made.parts();
    let by = match act {
        Act::Confirm => parts.confirmed.as_ref().map(|confirmed| &confirmed.by),
        Act::Cancel => made.finished_by(),
        Act::Approve | Act::Reject => parts.review.as_ref().map(|review| &review.by),
    };
    by.is_some_and(|by| by.as_str() == desk.visitor.principal.subject)
}

fn done(act: Act, made: &Transfer) -> Done {
    let id = made.id();
    match (act, made.stage()) {
        (Act::Confirm, Some(Stage::Approval)) => Done::AsksSecond(id),
        (Act::Confirm, Some(Stage::Payout)) => Done::HandedOver(id),
        (Act::Confirm, None) => Done::Confirmed(id),
        (Act::Cancel, _) => Done::Canceled(id),
        (Act::Approve, _) => Done::Approved(id),
        (Act::Reject, _) => Done::Rejected(id),
    }
}

/// What is there now instead of what the operator saw.
pub(crate) fn overtaken(desk: &Desk, now: &Transfer) -> Fault {
    let parts = now.parts();
    let by = parts
        .review
        .as_ref()
        .map(|review| &review.by)
        .or(now.finished_by())
        .or(parts.confirmed.as_ref().map(|confirmed| &confirmed.by));
    Fault::Overtaken {
        now: html! {
            "Transfer " (now.id()) " of " (words::money(parts.amount, parts.scale, parts.asset)) " is now "
            (words::state_badge(now))
            @if let Some(by) = by { " by " bdi { (by.as_str()) } }
            " since " (desk.clock().exact(parts.updated_at)) "."
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
