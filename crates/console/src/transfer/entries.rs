//! The ledger lines of a transfer, each with what the account had afterwards.

use bursar_app::TransferStory;
use bursar_domain::Owner;
use bursar_ports::LedgerLine;
use maud::{Markup, html};

use crate::{
    desk::Desk,
    layout::wide,
    words::{self, People},
};

pub(super) fn table(desk: &Desk, story: &TransferStory, people: &People) -> Markup {
    if story.entries.is_empty() {
        return html! {
            div class="empty" { p { strong { "Nothing has moved." } } p { "The lines of the ledger would be here, with what each account had afterwards." } }
        };
    }
    let unit = words::unit(story.transfer.parts().asset);
    html! {
        (wide("Ledger lines", &html! {
            table class="list" {
                thead {
                    tr {
                        th scope="col" { "Time" }
                        th scope="col" { "Account" }
                        th scope="col" class="num" { "Line" }
                        th scope="col" class="num" { "Available, " (unit) }
                        th scope="col" class="num" { "After" }
                        th scope="col" class="num" { "Held, " (unit) }
                        th scope="col" class="num" { "After" }
                    }
                }
                tbody { @for line in &story.entries { (row(desk, story, line, people)) } }
            }
        }))
    }
}

fn row(desk: &Desk, story: &TransferStory, line: &LedgerLine, people: &People) -> Markup {
    let scale = story.transfer.parts().scale;
    html! {
        tr {
            td { (desk.clock().exact(line.at)) }
            th scope="row" {
                @match line.account.owner {
                    Owner::User(user) => (people.link(user)),
                    Owner::Fees => "Fees earned",
                    Owner::World => "Outside world",
                }
            }
            td class="num" { (line.seq) }
            td class="num" { (words::signed(line.available_delta, scale)) }
            td class="num" { (words::signed(line.available_after, scale)) }
            td class="num" { (words::signed(line.held_delta, scale)) }
            td class="num" { (words::signed(line.held_after, scale)) }
        }
    }
}
