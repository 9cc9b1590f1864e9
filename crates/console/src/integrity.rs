//! `/console/integrity`: whether the books are what they must be.

use actix_web::{HttpResponse, web};
use bursar_app::BooksState;
use bursar_domain::{Asset, AssetId, Scale};
use bursar_ports::{AssetIntegrity, Stop, StopScope};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    desk::{Desk, Reply},
    fault::Fault,
    layout::{Place, wide},
    links::{Link, said},
    lists::Part,
    words,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    examine: Option<String>,
    /// How many system accounts come before those that are shown.
    from: Option<usize>,
}

/// How many rows a table has.
const ROWS: usize = 100;

pub(crate) async fn show(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    let examine = said(asked.examine.as_ref()).is_some();
    desk.answer(page(&desk, examine, asked.from.unwrap_or_default()).await)
}

async fn page(desk: &Desk, examine: bool, from: usize) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let seen = desk.app().books_state(&grant)?;
    let system = desk.app().list_system_balances(&grant).await?;
    let books = if examine {
        Some(desk.app().examine_books(&grant).await?)
    } else {
        None
    };
    let stops = desk.app().list_stops(&grant).await?;
    let body = html! {
        h1 { "Integrity" }
        @match &books {
            Some(books) => (examined(desk, books, &stops)),
            None => {
                (watched(desk, seen.as_ref(), &stops))
                p { a class="button" href="/console/integrity?examine=now" { "Examine every account now" } }
                p class="muted" { "That reads all accounts with their last entries, which takes a while where there are many." }
            },
        }
        section aria-labelledby="system" {
            h2 id="system" { "System accounts" }
            @if system.is_empty() {
                div class="empty" { p { strong { "Nothing yet." } } p { "What fees earned, and what came in from outside, would be here for each asset." } }
            } @else { (system_table(&Part::of(&system, from, ROWS))) }
        }
    };
    Ok(Reply::page(Place::Integrity, "Integrity", body))
}

/// What the watch last saw, which looks all the time.
fn watched(desk: &Desk, seen: Option<&BooksState>, stops: &[Stop]) -> Markup {
    html! {
        @match seen {
            None => p class="notice" { "This replica has not looked at the books since it started." },
            Some(seen) if seen.wrong.is_empty() => p class="notice good" {
                "✓ The watch found all " (seen.assets.len()) " assets in order, " (desk.clock().age(seen.at)) " ago."
            },
            Some(seen) => div class="notice bad" role="alert" {
                p { "The books of " strong { (names(&seen.wrong)) } " are not what they must be, seen " (desk.clock().age(seen.at)) " ago." }
                (what_to_do(&seen.wrong, stops))
            },
        }
    }
}

fn names(assets: &[AssetId]) -> String {
    let names: Vec<String> = assets.iter().map(|asset| words::unit(*asset)).collect();
    names.join(", ")
}

fn what_to_do(wrong: &[AssetId], stops: &[Stop]) -> Markup {
    html! { p { (stopped_words(wrong, stops)) " Do not lift a stop before somebody has looked. The operations guide says how." } }
}

/// Whether what leaves is stopped in assets with wrong books, by the stops that stand.
pub(crate) fn stopped_words(wrong: &[AssetId], stops: &[Stop]) -> Markup {
    let is_stopped = |asset: &AssetId| {
        stops.iter().any(|stop| match stop.scope {
            StopScope::ReadOnly => true,
            StopScope::Outgoing(stopped) => stopped == *asset,
        })
    };
    let running: Vec<AssetId> = wrong.iter().copied().filter(|it| !is_stopped(it)).collect();
    html! {
        @if running.is_empty() { "What leaves in them is stopped." }
        @else { strong { "What leaves in " (names(&running)) " is not stopped." } }
    }
}

fn examined(desk: &Desk, books: &[(AssetIntegrity, Option<Asset>)], stops: &[Stop]) -> Markup {
    let wrong = books.iter().filter(|(book, _)| !book.is_ok());
    let wrong: Vec<AssetId> = wrong.map(|(book, _)| book.sums.asset).collect();
    html! {
        @if books.is_empty() {
            div class="empty" { p { strong { "There are no books yet." } } p { "For each asset, whether its accounts sum to zero and are what their entries say would be here." } }
        } @else {
            @if wrong.is_empty() { p class="notice good" { "✓ All books are what they must be, as of " (desk.clock().exact(desk.now())) "." } }
            @else {
                div class="notice bad" role="alert" {
                    p { "The books of " strong { (names(&wrong)) } " are not what they must be." }
                    (what_to_do(&wrong, stops))
                }
            }
            (table(books))
        }
    }
}

/// The wrong ones first.
fn table(books: &[(AssetIntegrity, Option<Asset>)]) -> Markup {
    let mut books: Vec<&(AssetIntegrity, Option<Asset>)> = books.iter().collect();
    books.sort_by_key(|(book, _)| book.is_ok());
    let shown = Part::of(&books, 0, ROWS);
    let units = |units: Option<i128>, asset: Option<&Asset>| {
        html! {
            @match units {
                Some(units) => (words::signed(units, asset.map_or(Scale::ZERO, |asset| asset.scale))),
                None => "no number",
            }
        }
    };
    html! {
        (wide("Books", &html! {
            table class="list" {
                thead {
                    tr {
                        th scope="col" { "Asset" }
                        th scope="col" { "State" }
                        th scope="col" class="num" { "Sum of all accounts" }
                        th scope="col" class="num" { "Held beyond withdrawals" }
                        th scope="col" class="num" { "Wrong accounts" }
                        th scope="col" class="num" { "Entries" }
                    }
                }
                tbody {
                    @for (book, asset) in shown.rows {
                        tr {
                            th scope="row" { (words::unit(book.sums.asset)) @if asset.is_none() { " (unknown)" } }
                            td { @if book.is_ok() { span class="badge good" { "In order" } } @else { span class="badge bad" { "Wrong" } } }
                            td class="num" { (units(book.sums.sum, asset.as_ref())) }
                            td class="num" { (units(book.sums.holds, asset.as_ref())) }
                            td class="num" { (book.accounts) }
                            td class="num" { (words::grouped(&book.sums.entries.to_string())) }
                        }
                    }
                }
            }
        }))
        @if shown.left > 0 { p class="muted" { (shown.left) " more, which are no worse." } }
    }
}

fn system_table(system: &Part<'_, (bursar_ports::AccountBalance, Asset)>) -> Markup {
    html! {
        (wide("System accounts", &html! {
            table class="list" {
                thead { tr { th scope="col" { "Asset" } th scope="col" { "Account" } th scope="col" class="num" { "Holds" } } }
                tbody {
                    @for (balance, asset) in system.rows {
                        tr {
                            th scope="row" { (words::unit(asset.id)) }
                            td {
                                @match balance.account.owner {
                                    bursar_domain::Owner::Fees => "Fees earned",
                                    bursar_domain::Owner::World => "Outside world",
                                    bursar_domain::Owner::User(_) => "A user",
                                }
                            }
                            td class="num" { (words::signed(balance.available, asset.scale)) }
                        }
                    }
                }
            }
        }))
        @if let Some(next) = system.next() {
            p class="pages" { a class="button" rel="next" href=(Link::to("/console/integrity").with("from", next)) { "Next accounts, of " (system.left) " more" } }
        }
    }
}
