//! Taking a transfer back.

use actix_web::{HttpResponse, web};
use bursar_app::{Conflict, Error, FieldError, Options, ReversalRequest, TransferStory};
use bursar_domain::{Amount, DecimalAmount, IdempotencyKey, Kind, Transfer};
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
    layout::Place,
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

/// A form that was refused.
pub(super) struct Refused<'a> {
    wanted: &'a Wanted,
    fault: &'a Fault,
}

impl Refused<'_> {
    /// What is wrong with a field.
    fn wrong(&self, field: &str) -> Option<&FieldError> {
        if let Fault::App(Error::Invalid(fields)) = self.fault {
            fields.iter().find(|wrong| wrong.field == field)
        } else {
            None
        }
    }
}

pub(crate) async fn reverse(
    mut desk: Desk,
    id: web::Path<String>,
    posted: Posted<Wanted>,
) -> HttpResponse {
    let wanted = &posted.form;
    let made = carry_out(&desk, &id, wanted).await;
    let made = match made {
        Err(fault @ Fault::App(Error::Invalid(_) | Error::Refused { .. })) => {
            // What stands on the page leads back to the transfer, whose page it is.
            desk.here = format!("/console/transfers/{}", id.as_str());
            let fault = &fault;
            again(&desk, &id, &Refused { wanted, fault }).await
        }
        made => made,
    };
    desk.answer(made)
}

/// The transfer's page with the form as it was typed, to be mended. Nothing is told to it live: its address
/// is one that only forms are sent to, and cannot be asked for again.
async fn again(desk: &Desk, id: &str, refused: &Refused<'_>) -> Result<Reply, Fault> {
    let (title, body) = super::page(desk, read_id(id)?, Some(refused)).await?;
    let body = html! { (refused.fault.notice()) (body) };
    Ok(desk.page_with(refused.fault.status(), Place::Transfers, &title, &body))
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

pub(super) fn section(
    desk: &Desk,
    story: &TransferStory,
    people: &People,
    refused: Option<&Refused<'_>>,
) -> Markup {
    let transfer = &story.transfer;
    let parts = transfer.parts();
    let Ok(whole) = transfer.reversal_amounts(None, true) else {
        return html! {};
    };
    if !desk.may(Permission::Admin) {
        return html! {};
    }
    // Of a deposit whose rest was all fee, nothing was credited.
    let credited = transfer.reversal_amounts(None, false);
    let credited = credited.map_or(Amount::ZERO, |amounts| amounts.moved);
    let once = HEXLOWER.encode(&desk.app().random_bytes());
    let typed = refused.map(|refused| refused.wanted);
    let wrong = |field: &str| refused.and_then(|refused| refused.wrong(field));
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
                    input id="r-amount" name="amount" type="text" value=[typed.and_then(|typed| typed.amount.as_deref())] inputmode="decimal" autocomplete="off"
                        aria-describedby="r-left" aria-invalid=[wrong("amount").map(|_| "true")];
                    p class="hint" id="r-left" {
                        @if let Some(wrong) = wrong("amount") { strong class="fault" { "This " (wrong.detail) ". " } }
                        "Empty: all that is left, " (words::number(whole.covers, parts.scale))
                        @if credited < whole.covers { ", of which " (words::number(credited, parts.scale)) " was credited" }
                        "."
                    }
                }
                div class="check" {
                    input id="r-fee" name="fee" type="checkbox" value="yes" checked[typed.is_some_and(|typed| typed.fee.is_some())];
                    label for="r-fee" { "Give the same share of the fee back" }
                }
                div class="wide" {
                    label for="r-comment" { "Why" }
                    input id="r-comment" name="comment" type="text" value=[typed.and_then(|typed| typed.comment.as_deref())] required maxlength=(COMMENT_MAX) autocomplete="off"
                        aria-describedby=[wrong("comment").map(|_| "r-why")] aria-invalid=[wrong("comment").map(|_| "true")];
                    @if wrong("comment").is_some() { p class="fault" id="r-why" { "Say why, in at most " (COMMENT_MAX) " characters." } }
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
            "Debits " (owner)
            @if transfer.parts().fee.is_zero() { " the amount" } @else { " what was credited, the amount less its share of the fee," }
            " at once by a new transfer; " (owner) " must have it."
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
