//! `/console/transfers/{id}`: the whole story of one transfer.

mod details;
mod entries;
mod reverse;
mod rules;
mod timeline;

use actix_web::{HttpResponse, web};
use bursar_app::{TransferStory, approval_digest};
use bursar_domain::{Body, Recipient, Stage, TransferId};
use bursar_ports::AuditFilter;
use data_encoding::HEXLOWER;
use maud::{Markup, html};

use crate::{
    act::{self, Offer},
    callbacks,
    desk::{Desk, Reply},
    fault::Fault,
    layout::Place,
    live::{self, Watch},
    words::{self, People},
};

pub(crate) use details::show as details;
pub(crate) use reverse::reverse;

/// How many rows of the audit log a story rests on.
const AUDIT_ROWS: u32 = 100;

pub(crate) async fn show(desk: Desk, id: web::Path<String>) -> HttpResponse {
    desk.answer(story(&desk, &id).await)
}

async fn story(desk: &Desk, id: &str) -> Result<Reply, Fault> {
    let (title, body) = page(desk, act::read_id(id)?, None).await?;
    let body = html! { (live::news(desk, Watch::Transfer)) (body) };
    Ok(Reply::page(Place::Transfers, title, body))
}

/// Its title and what is on it; the form that takes the transfer back as it was refused, if it was.
async fn page(
    desk: &Desk,
    id: TransferId,
    refused: Option<&reverse::Refused<'_>>,
) -> Result<(String, Markup), Fault> {
    let grant = desk.reader()?;
    let app = desk.app();
    let story = app.transfer_story(&grant, id).await?;
    let transfer = &story.transfer;
    let taken = app.taken(&grant, transfer).await?;
    let forecast = app.forecast(&grant).await?;
    let people = People::of(desk, std::iter::once(transfer).chain(&story.reversals)).await?;
    let filter = AuditFilter {
        target: Some(format!("transfer:{id}")),
        limit: AUDIT_ROWS,
        ..AuditFilter::default()
    };
    let audit = app.list_audit(&grant, filter).await?;
    let rules = rules::section(desk, &grant, transfer).await?;
    let offer = Offer {
        desk,
        transfer,
        who: &people.name(transfer.owner()),
        forecast: &forecast,
        taken: taken.as_ref(),
        back: &format!("/console/transfers/{id}"),
    };
    let title = format!("{} {id}", words::kind_word(transfer.kind()));
    let body = html! {
        div data-id=(id) data-v=(transfer.version().get()) class="story" {
            h1 { (title) " " (words::state_badge(transfer)) " " (act::taken_badge(desk, taken.as_ref())) }
            (head(desk, &story, &people))
            @if !act::possible(transfer).is_empty() {
                section aria-labelledby="do" { h2 id="do" { "What can be done" } (offer.form()) }
            }
            section aria-labelledby="time" { h2 id="time" { "Timeline" } (timeline::list(desk, &story, &audit)) }
            section aria-labelledby="books" { h2 id="books" { "Ledger" } (entries::table(desk, &story, &people)) }
            section aria-labelledby="why" { h2 id="why" { "Fee and limits" } (rules) }
            section aria-labelledby="told" {
                h2 id="told" { "Callbacks" }
                (callbacks::of_transfer(desk, &story.callbacks))
            }
            (reverse::section(desk, &story, &people, refused))
        }
    };
    Ok((title, body))
}

fn head(desk: &Desk, story: &TransferStory, people: &People) -> Markup {
    let transfer = &story.transfer;
    let parts = transfer.parts();
    html! {
        p class="huge" { (words::money(parts.amount, parts.scale, parts.asset)) }
        dl class="facts" {
            (facts(desk, story, people))
            @if transfer.stage() == Some(Stage::Approval) {
                dt { "Digest" } dd { code class="long" { (HEXLOWER.encode(&approval_digest(transfer))) } }
            }
        }
    }
}

/// What is known of a transfer, whichever page tells it.
fn facts(desk: &Desk, story: &TransferStory, people: &People) -> Markup {
    let transfer = &story.transfer;
    let parts = transfer.parts();
    html! {
        (parties(story, people))
        dt { "Fee" } dd { (words::money(parts.fee, parts.scale, parts.asset)) }
        @if let Some(reason) = words::reason_line(transfer) { dt { "Reason" } dd { (reason) } }
        @if let Some(code) = &story.code { dt { "Code" } dd { code { (code) } } }
        @if let Body::Internal { custom_id: Some(custom_id), .. } = &parts.body {
            dt { "Sender’s own id" } dd { code { (custom_id) } }
        }
        @if let Some(note) = &parts.note { dt { "Note" } dd class="prose" { (note) } }
        @if let Some(reversal) = &parts.reversal {
            dt { "Takes back" }
            dd { a href={ "/console/transfers/" (reversal.of) } { "Transfer " (reversal.of) } }
        }
        @if !parts.reversed.is_zero() {
            dt { "Taken back" } dd { (words::money(parts.reversed, parts.scale, parts.asset)) " of it" }
        }
        dt { "Created" } dd { (desk.clock().exact(parts.created_at)) " by " bdi { (parts.created_by.as_str()) } }
    }
}

fn parties(story: &TransferStory, people: &People) -> Markup {
    let transfer = &story.transfer;
    let owner = transfer.owner();
    let email = |id| people.find(id).map(|user| user.email.clone());
    let person = |id| html! { (people.link(id)) @if let Some(email) = email(id) { " " bdi class="muted" { (email) } } };
    html! {
        @match &transfer.parts().body {
            Body::Deposit { .. } => { dt { "To" } dd { (person(owner)) } }
            Body::Withdrawal { .. } => { dt { "From" } dd { (person(owner)) } }
            Body::Internal { recipient, .. } => {
                dt { "From" } dd { (person(owner)) }
                dt { "To" }
                dd {
                    @match recipient {
                        Recipient::Id(id) => (person(*id)),
                        Recipient::Alias { typed, user } => { (person(*user)) " " span class="muted" { "typed as " bdi { (typed) } } }
                        Recipient::Unknown { typed } => { bdi { (typed) } " " span class="muted" { "who is nobody that can be paid" } }
                    }
                }
            }
        }
    }
}
