//! The table of transfers.

use bursar_app::FoundTransfer;
use maud::{Markup, html};

use crate::{
    desk::Desk,
    layout::wide,
    words::{self, People},
};

/// Rows of transfers, the newest first. Each is as short as it can be: a page may have 200.
pub(crate) fn table(desk: &Desk, found: &[FoundTransfer], people: &People) -> Markup {
    html! {
        (wide("Transfers", &html! {
            table class="list" id="rows" {
                thead {
                    tr {
                        th scope="col" { "Created" }
                        th scope="col" { "Transfer" }
                        th scope="col" { "Kind" }
                        th scope="col" { "State" }
                        th scope="col" { "User" }
                        th scope="col" class="num" { "Amount" }
                    }
                }
                tbody { @for one in found { (row(desk, one, people)) } }
            }
        }))
    }
}

fn row(desk: &Desk, found: &FoundTransfer, people: &People) -> Markup {
    let transfer = &found.transfer;
    let parts = transfer.parts();
    html! {
        tr data-id=(parts.id) data-v=(parts.version.get()) {
            td { (desk.clock().time(parts.created_at)) }
            th scope="row" { a href={ "/console/transfers/" (parts.id) } { (parts.id) } }
            td { (words::kind_word(transfer.kind())) }
            td { (words::state_badge(transfer)) }
            td {
                (people.link(transfer.owner()))
                @if let Some(recipient) = words::recipient(transfer) { " → " (people.link(recipient)) }
            }
            td class="num" { (words::number(parts.amount, parts.scale)) " " (words::unit(parts.asset)) }
        }
    }
}
