//! `/console/transfers/{id}/details`: what an operator looks for first, as a row that opens below the one
//! of a list shows it. It is a piece of a page, and in the words of the transfer's own page.

use actix_web::{HttpResponse, web};
use bursar_app::TransferStory;
use maud::{Markup, html};

use super::facts;
use crate::{
    act, callbacks,
    desk::{Desk, Reply},
    fault::Fault,
    layout,
    words::{self, People},
};

pub(crate) async fn show(desk: Desk, id: web::Path<String>) -> HttpResponse {
    desk.answer(details(&desk, &id).await)
}

async fn details(desk: &Desk, id: &str) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let id = act::read_id(id)?;
    let story = desk.app().transfer_story(&grant, id).await?;
    let people = People::of(desk, [&story.transfer]).await?;
    let piece = piece(desk, &story, &people);
    Ok(Reply::Other(layout::respond(HttpResponse::Ok(), piece)))
}

fn piece(desk: &Desk, story: &TransferStory, people: &People) -> Markup {
    let transfer = &story.transfer;
    let parts = transfer.parts();
    let path = format!("/console/transfers/{}", parts.id);
    html! {
        dl class="facts" {
            dt { (words::kind_word(transfer.kind())) }
            dd { (words::money(parts.amount, parts.scale, parts.asset)) " " (words::state_badge(transfer)) }
            (facts(desk, story, people))
            @if let Some(ended) = transfer.done_at() { dt { "Ended" } dd { (desk.clock().exact(ended)) } }
            @else if let Some(expires) = parts.expires_at { dt { "Expires" } dd { (desk.clock().exact(expires)) } }
            dt { "Callbacks" } dd { (callbacks::last_of(&story.callbacks)) }
        }
        p {
            a href=(path) { "The whole story of transfer " (parts.id) }
            " · " a href={ (path) "#books" } { "Ledger" }
            " · " a href={ (path) "#told" } { "Callbacks" }
            " · " a href={ "/console/audit?target=transfer:" (parts.id) } { "Audit log" }
        }
    }
}
