//! `/console/integrity`: whether the books are what they must be.

use actix_web::HttpResponse;
use bursar_domain::{Asset, Scale};
use bursar_ports::AssetIntegrity;
use maud::{Markup, html};

use crate::{
    desk::{Desk, Reply},
    fault::Fault,
    layout::Place,
    words,
};

pub(crate) async fn show(desk: Desk) -> HttpResponse {
    desk.answer(page(&desk).await)
}

async fn page(desk: &Desk) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let books = desk.app().examine_books(&grant).await?;
    let system = desk.app().list_system_balances(&grant).await?;
    let wrong = books.iter().filter(|(book, _)| !book.is_ok()).count();
    let body = html! {
        h1 { "Integrity" }
        @if books.is_empty() {
            div class="empty" { p { strong { "There are no books yet." } } p { "For each asset, whether its accounts sum to zero and are what their entries say would be here." } }
        } @else {
            @if wrong == 0 { p class="notice good" { "✓ All books are what they must be, as of " (desk.clock().exact(desk.now())) "." } }
            @else {
                p class="notice bad" role="alert" {
                    "The books of " (wrong) " assets are not what they must be. What leaves in them is stopped; do not lift that before somebody has looked. The operations guide says how."
                }
            }
            (table(&books))
            section aria-labelledby="system" { h2 id="system" { "System accounts" } (system_table(&system)) }
        }
    };
    Ok(Reply::page(Place::Integrity, "Integrity", body))
}

fn table(books: &[(AssetIntegrity, Option<Asset>)]) -> Markup {
    let units = |units: Option<i128>, asset: Option<&Asset>| {
        html! {
            @match units {
                Some(units) => (words::signed(units, asset.map_or(Scale::ZERO, |asset| asset.scale))),
                None => "no number",
            }
        }
    };
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Books" {
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
                    @for (book, asset) in books {
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
        }
    }
}

fn system_table(system: &[(bursar_ports::AccountBalance, Asset)]) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="System accounts" {
            table class="list" {
                thead { tr { th scope="col" { "Asset" } th scope="col" { "Account" } th scope="col" class="num" { "Holds" } } }
                tbody {
                    @for (balance, asset) in system {
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
        }
    }
}
