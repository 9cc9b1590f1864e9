//! The rows of the queue: one line each, which opens to what can be done. Only one is open at a time, and
//! its buttons say whose money they move, so nobody confirms another row than they mean.

use bursar_app::{Forecast, QueuePage, QueueRow};
use bursar_domain::Transfer;
use maud::{Markup, html};

use crate::{
    act::{Offer, taken_badge},
    desk::Desk,
    words::{self, People},
};

pub(super) fn list(desk: &Desk, page: &QueuePage, people: &People, forecast: &Forecast) -> Markup {
    html! {
        div class="cols" aria-hidden="true" {
            span { "Amount" } span { "User" } span { "Worth" } span { "Waits" } span { "Taken" }
        }
        ol class="rows" id="rows" {
            @for row in &page.rows { (line(desk, row, people, forecast)) }
        }
    }
}

fn line(desk: &Desk, row: &QueueRow, people: &People, forecast: &Forecast) -> Markup {
    let parts = row.transfer.parts();
    let id = parts.id;
    let who = people.name(row.transfer.owner());
    // Where the row still is one of the list it is the one that is looked at next.
    let back = format!("{}#t{id}", desk.here);
    let offer = Offer {
        desk,
        transfer: &row.transfer,
        who: &who,
        forecast,
        taken: row.taken.as_ref(),
        back: &back,
    };
    html! {
        li id={ "t" (id) } data-id=(id) data-v=(parts.version.get()) {
            details name="row" {
                summary {
                    span class="amount" { (words::money(parts.amount, parts.scale, parts.asset)) }
                    span class="who" { span class="sr" { "of " } bdi { (who) } }
                    span class="worth" {
                        @if let Some(value) = row.value {
                            span class="sr" { "worth " } (words::money(value.amount, value.scale, value.asset))
                        } @else { span class="muted" { "no rate" } }
                    }
                    span class="age" { span class="sr" { "waits " } (desk.clock().age(parts.created_at)) }
                    span class="taken" { (taken_badge(desk, row.taken.as_ref())) }
                }
                div class="more" {
                    (facts(desk, &row.transfer, people))
                    (offer.form())
                }
            }
        }
    }
}

fn facts(desk: &Desk, transfer: &Transfer, people: &People) -> Markup {
    let parts = transfer.parts();
    let confirmed = parts.confirmed.as_ref().map(|confirmed| &confirmed.by);
    html! {
        dl class="facts" {
            dt { (words::kind_word(transfer.kind())) }
            dd { a class="open" href={ "/console/transfers/" (parts.id) } { "Transfer " (parts.id) } }
            dt { "User" } dd { (people.link(transfer.owner())) }
            dt { "Created" } dd { (desk.clock().time(parts.created_at)) " by " bdi { (parts.created_by.as_str()) } }
            @if let Some(confirmed) = confirmed { dt { "Confirmed" } dd { "by " bdi { (confirmed.as_str()) } } }
            @if let Some(expires) = parts.expires_at { dt { "Expires" } dd { (desk.clock().time(expires)) } }
            @if let Some(note) = &parts.note { dt { "Note" } dd class="prose" { (shortened(note)) } }
        }
    }
}

/// The beginning of a note: all of it is on the transfer's page.
fn shortened(note: &str) -> String {
    const CHARACTERS: usize = 160;
    match note.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", note.get(..end).unwrap_or_default()),
        None => note.to_owned(),
    }
}
