//! `/console/transfers`: transfers of every kind, found by whatever an operator has at hand.

mod filters;
mod meaning;
mod sheet;
mod table;
mod view;

use actix_web::{HttpResponse, http::StatusCode, web};
use bursar_app::{FoundTransfers, TransferSearch};
use bursar_domain::Asset;
use maud::{Markup, html};

use self::{
    meaning::Meaning,
    view::{Asked, View, WrongField},
};
use crate::{
    desk::{Desk, Reply},
    fault::Fault,
    layout::Place,
    lists::place_text,
    live,
    words::People,
};

pub(crate) use sheet::csv;
pub(crate) use table::table;

pub(crate) async fn show(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    desk.answer(list(&desk, asked.into_inner()).await)
}

async fn list(desk: &Desk, asked: Asked) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let assets = desk.app().list_assets(&grant).await?;
    let view = match View::read(&asked) {
        Ok(view) => view,
        Err(wrong) => {
            let body = page(&asked, &assets, &wrong, &html! {});
            let status = StatusCode::BAD_REQUEST;
            return Ok(desk.page_with(status, Place::Transfers, "Transfers", &body));
        }
    };
    let (meaning, search) = resolve(desk, &view).await?;
    let is_first = search.after.is_none();
    let found = desk.app().search_transfers(&grant, search).await;
    let found = match found {
        Ok(found) => found,
        Err(bursar_app::Error::Invalid(fields)) => {
            let wrong: Vec<WrongField> = fields.into_iter().map(WrongField::from).collect();
            let body = page(&asked, &assets, &wrong, &html! {});
            let status = StatusCode::BAD_REQUEST;
            return Ok(desk.page_with(status, Place::Transfers, "Transfers", &body));
        }
        Err(error) => return Err(error.into()),
    };
    let transfers = found.transfers.iter().map(|found| &found.transfer);
    let people = People::of(desk, transfers).await?;
    let results = results(desk, &view, &meaning, &found, &people, is_first);
    let body = html! {
        (live::news(desk, view.watch()))
        (page(&asked, &assets, &[], &results))
    };
    Ok(Reply::page(Place::Transfers, "Transfers", body))
}

/// What the search box means, and all that is asked for.
async fn resolve(desk: &Desk, view: &View) -> Result<(Meaning, TransferSearch), Fault> {
    let mut meaning = view.meaning.clone();
    if let Meaning::Name(text) = &meaning {
        let grant = desk.reader()?;
        let users = desk.app().list_users(&grant, Some(text.clone()), None, 1);
        if users.await?.users.is_empty() {
            meaning = Meaning::CustomId(text.clone());
        }
    }
    let search = view.search(&meaning);
    Ok((meaning, search))
}

fn page(asked: &Asked, assets: &[Asset], wrong: &[WrongField], results: &Markup) -> Markup {
    html! {
        h1 { "Transfers" }
        (filters::faults(wrong))
        (filters::form(asked, assets, wrong))
        (results)
    }
}

fn results(
    desk: &Desk,
    view: &View,
    meaning: &Meaning,
    found: &FoundTransfers,
    people: &People,
    is_first: bool,
) -> Markup {
    let next = found.next.as_ref().map(|next| {
        view.link("/console/transfers")
            .with("after", place_text(next.created_at, next.id))
    });
    html! {
        (understood(view, meaning))
        @if found.transfers.is_empty() { (empty(view, found.next.is_some(), is_first)) }
        @else { (table(desk, &found.transfers, people)) }
        p class="pages" {
            @if !is_first { a class="button" href=(view.link("/console/transfers")) { "To the newest" } " " }
            @if let Some(next) = next { a class="button" rel="next" href=(next) { "Older ones" } }
        }
    }
}

/// How the search box was understood, and how else it may be meant.
fn understood(view: &View, meaning: &Meaning) -> Markup {
    html! {
        p class="understood" {
            @if let Some(told) = meaning.told() {
                (told) " "
                @for (name, other) in meaning.others() {
                    a href=(view.link_as(&other)) { "Look for " (name) " instead" } " "
                }
            }
            a href=(view.link("/console/transfers.csv")) { "CSV of this view" }
            " " a href=(view.link_here("/console/transfers")) { "Link to this view" }
        }
    }
}

fn empty(view: &View, more: bool, is_first: bool) -> Markup {
    html! {
        div class="empty" {
            @if more { p { strong { "None among those looked at so far." } " There are older ones: go on." } }
            @else if !is_first { p { strong { "That was all." } } }
            @else if view.is_all() { p { strong { "There is no transfer yet." } } p { "Deposits, withdrawals and internal transfers would be here, the newest first." } }
            @else {
                p { strong { "Nothing matches." } }
                p { "Take a filter away, or try another thing that you know of it: its id, its code, the user’s name or email, the sender’s own id, or an amount such as " code { "0.25 btc" } "." }
                p { a href="/console/transfers" { "All transfers" } }
            }
        }
    }
}
