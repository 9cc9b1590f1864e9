//! Taking a transfer back.

use actix_web::{HttpResponse, web};
use bursar_app::{Conflict, Error, Options, ReversalRequest, TransferStory};
use bursar_domain::{DecimalAmount, IdempotencyKey, Kind, Status, Transfer};
use bursar_ports::Permission;
use data_encoding::HEXLOWER;
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    Posted,
    act::{self, read_id},
    desk::{Desk, Reply},
    fault::Fault,
    flash::Done,
    forms,
    links::said,
    words::{self, People},
};

/// The longest comment, in characters, as the admin API has it.
const COMMENT_MAX: usize = 1_000;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    digest: Option<String>,
    once: Option<String>,
    amount: Option<String>,
    fee: Option<String>,
    comment: Option<String>,
}

pub(crate) async fn reverse(
    desk: Desk,
    id: web::Path<String>,
    posted: Posted<Wanted>,
) -> HttpResponse {
    desk.answer(carry_out(&desk, &id, &posted.form).await)
}

async fn carry_out(desk: &Desk, id: &str, wanted: &Wanted) -> Result<Reply, Fault> {
    let grant = desk.grant(Permission::Admin)?;
    let id = read_id(id)?;
    let amount = said(wanted.amount.as_ref())
        .map(DecimalAmount::parse)
        .transpose();
    let amount = amount.map_err(|error| Fault::invalid("amount", error.to_string()))?;
    let comment = Fault::said_why("comment", wanted.comment.as_ref(), COMMENT_MAX)?;
    let key = wanted
        .once
        .as_deref()
        .map(IdempotencyKey::parse)
        .transpose();
    let request = ReversalRequest {
        transfer: Some(id),
        amount,
        return_fee: wanted.fee.is_some(),
        comment: comment.to_owned(),
        digest: Some(act::read_digest(wanted.digest.as_deref())?),
    };
    let options = Options {
        key: key.map_err(|error| Fault::invalid("once", error.to_string()))?,
        wait: true,
    };
    let made = match desk.app().reverse(&grant, request, options).await {
        Err(Error::Conflict(Conflict::DigestMismatch)) => {
            let now = desk.app().transfer_story(&grant, id).await?.transfer;
            return Err(act::overtaken(desk, &now));
        }
        made => made?.transfer,
    };
    Ok(Reply::done(
        Done::Reversed(made.id()),
        format!("/console/transfers/{id}"),
    ))
}

/// Whether anything of it is left to be taken back.
fn is_reversible(transfer: &Transfer) -> bool {
    let parts = transfer.parts();
    let went_through = match transfer.status() {
        Status::Completed | Status::Success => true,
        Status::Pending
        | Status::AwaitingConfirmation
        | Status::Failed
        | Status::Canceled
        | Status::Rejected => false,
    };
    went_through && parts.reversal.is_none() && parts.reversed < parts.amount
}

pub(super) fn section(desk: &Desk, story: &TransferStory, people: &People) -> Markup {
    let transfer = &story.transfer;
    let parts = transfer.parts();
    if !is_reversible(transfer) || !desk.may(Permission::Admin) {
        return html! {};
    }
    let left = parts
        .amount
        .checked_sub(parts.reversed)
        .unwrap_or(parts.amount);
    let once = HEXLOWER.encode(&desk.app().random_bytes());
    html! {
        section aria-labelledby="back" {
            h2 id="back" { "Take it back" }
            p { (sentence(transfer, people)) }
            form class="filters" method="post" action={ "/console/transfers/" (parts.id) "/reverse" } {
                (forms::csrf(&desk.visitor))
                input type="hidden" name="digest" value=(act::digest(transfer));
                input type="hidden" name="once" value=(once);
                div {
                    label for="r-amount" { "Amount, " (words::unit(parts.asset)) }
                    input id="r-amount" name="amount" type="text" inputmode="decimal" autocomplete="off" aria-describedby="r-left";
                    p class="hint" id="r-left" { "Empty: all that is left, " (words::number(left, parts.scale)) "." }
                }
                div class="check" {
                    input id="r-fee" name="fee" type="checkbox" value="yes";
                    label for="r-fee" { "Give the same share of the fee back" }
                }
                div class="wide" {
                    label for="r-comment" { "Why" }
                    input id="r-comment" name="comment" type="text" required maxlength=(COMMENT_MAX) autocomplete="off";
                }
                div class="send" { button class="danger" { "Take it back" } }
            }
        }
    }
}

/// What will happen.
fn sentence(transfer: &Transfer, people: &People) -> Markup {
    let owner = html! { bdi { (people.name(transfer.owner())) } };
    match transfer.kind() {
        Kind::Deposit => html! {
            "Debits " (owner) " the amount at once by a new transfer; " (owner) " must have it."
        },
        Kind::Withdrawal => html! {
            "Credits " (owner) " the amount at once by a new transfer; nothing is called back from outside."
        },
        Kind::Internal => {
            let recipient = words::recipient(transfer).map(|id| people.name(id));
            html! {
                "Moves the amount from " bdi { (recipient.unwrap_or_default()) } " back to " (owner)
                " at once by a new transfer; whoever was paid must have it."
            }
        }
    }
}
