//! `/admin/v1/integrity`: whether the books are what they must be.

use actix_web::{HttpRequest, HttpResponse};
use bursar_domain::Scale;
use serde::Serialize;

use super::money::plain;
use crate::{answer, call::Call, problem::Problem};

#[derive(Serialize)]
struct Books {
    ok: bool,
    assets: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    asset: String,
    ok: bool,
    /// None when it is no number that any account could have.
    sum: Option<String>,
    accounts: u64,
    entries: u64,
    holds: Option<String>,
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    call.without_parameters()?;
    let examined = call.app().examine_books(&grant).await?;
    let assets: Vec<Row> = examined
        .books
        .iter()
        .map(|(book, asset)| {
            // Of an asset that is not there, which is wrong in itself, smallest units are told.
            let scale = asset.as_ref().map_or(Scale::ZERO, |asset| asset.scale);
            let figure = |units: Option<i128>| plain(units?, scale).ok();
            Row {
                asset: book.sums.asset.to_string(),
                ok: book.is_ok() && asset.is_some(),
                sum: figure(book.sums.sum),
                accounts: book.accounts,
                entries: book.sums.entries,
                holds: figure(book.sums.holds),
            }
        })
        .collect();
    answer::json(&Books {
        // What is of no asset has no row, and is in the log.
        ok: assets.iter().all(|row| row.ok) && examined.strays.is_empty(),
        assets,
    })
}
