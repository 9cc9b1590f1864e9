//! `/console/integrity`: whether the books are what they must be.

use actix_web::{HttpResponse, web};
use bursar_app::BooksState;
use bursar_domain::{Asset, AssetId, Scale};
use bursar_ports::{AssetIntegrity, Breach, Stop, StopScope};
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
/// How many strays are shown.
const STRAYS: usize = 10;
/// For how long sums are taken for fresh, in microseconds: the watch takes them once a minute.
const FRESH: i64 = 5 * 60 * 1_000_000;

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
            Some(all) => (examined(desk, &all.books, &all.strays, &stops)),
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
    let Some(seen) = seen else {
        return html! { p class="notice" { "This replica has not looked at the books since it started." } };
    };
    html! {
        @if is_in_order(desk, seen) {
            p class="notice good" {
                "✓ The watch found all " (seen.assets.len()) " assets in order, " (desk.clock().age(seen.at)) " ago."
            }
        }
        @if !seen.wrong.is_empty() {
            div class="notice bad" role="alert" {
                p { "The books of " strong { (names(&seen.wrong)) } " are not what they must be, seen " (desk.clock().age(seen.at)) " ago." }
                (what_to_do(&seen.wrong, stops))
            }
        }
        @if seen.strays { p class="notice bad" role="alert" { (STRAY_WORDS) " The log says what." } }
        @if !has_fresh_sums(desk, seen) { p class="notice" { (sums_words(desk, seen)) } }
    }
}

/// What is said of strays, which no stop tells of.
pub(crate) const STRAY_WORDS: &str = "Something in the books is of no asset that can be.";

/// Whether the watch has seen all there is to see lately, and nothing wrong.
pub(crate) fn is_in_order(desk: &Desk, seen: &BooksState) -> bool {
    seen.wrong.is_empty() && !seen.strays && has_fresh_sums(desk, seen)
}

/// Whether sums were taken lately. Accounts can be in order one by one where sums are not.
pub(crate) fn has_fresh_sums(desk: &Desk, seen: &BooksState) -> bool {
    seen.sums_at
        .is_some_and(|at| at.plus_micros(FRESH) >= desk.now())
}

/// Since when no sums were taken.
pub(crate) fn sums_words(desk: &Desk, seen: &BooksState) -> Markup {
    html! {
        @match seen.sums_at {
            None => "This replica has not taken the sums of the books since it started.",
            Some(at) => {
                "The sums of the books were last taken " (desk.clock().age(at)) " ago, so whether they are in order is not known. The log says why."
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

fn examined(
    desk: &Desk,
    books: &[(AssetIntegrity, Option<Asset>)],
    strays: &[Breach],
    stops: &[Stop],
) -> Markup {
    let wrong = books.iter().filter(|(book, _)| !book.is_ok());
    let wrong: Vec<AssetId> = wrong.map(|(book, _)| book.sums.asset).collect();
    html! {
        @if !strays.is_empty() { (told_strays(strays)) }
        @if books.is_empty() && strays.is_empty() {
            div class="empty" { p { strong { "There are no books yet." } } p { "For each asset, whether its accounts sum to zero and are what their entries say would be here." } }
        } @else {
            @if !wrong.is_empty() {
                div class="notice bad" role="alert" {
                    p { "The books of " strong { (names(&wrong)) } " are not what they must be." }
                    (what_to_do(&wrong, stops))
                }
            } @else if strays.is_empty() {
                p class="notice good" { "✓ All books are what they must be, as of " (desk.clock().exact(desk.now())) "." }
            }
            @if !books.is_empty() { (table(books)) }
        }
    }
}

fn told_strays(strays: &[Breach]) -> Markup {
    let shown = Part::of(strays, 0, STRAYS);
    html! {
        div class="notice bad" role="alert" {
            p { (STRAY_WORDS) }
            ul { @for stray in shown.rows { li { bdi { (stray.detail) } } } }
            @if shown.left > 0 { p { (shown.left) " more." } }
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
