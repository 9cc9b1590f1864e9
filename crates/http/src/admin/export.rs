//! Exports: everything that a list, the ledger or the audit log has, as CSV or as JSON Lines, streamed
//! from one snapshot.
//!
//! To export something else: a [`Sheet`] with its columns, and its paths in [`mount`].

mod audit;
mod entries;
mod lines;
mod stream;
mod transfers;

use actix_web::{Route, web::ServiceConfig};
use bursar_app::Error;
use bursar_domain::BigDecimal;

use self::lines::{Format, Lines};
use crate::{
    problem::Problem,
    routes::{get, path},
};

/// What an export is made of.
trait Sheet: 'static {
    /// What it is called: the file's name, and the label in the figures.
    const NAME: &'static str;
    /// The columns in CSV after the first one, which tells what kind of line it is. Every member of a
    /// line has one of its name.
    const COLUMNS: &'static [&'static str];
    /// Those of them that hold numbers which may be below zero. In all others what a spreadsheet would
    /// run is neutralised.
    const SIGNED: &'static [&'static str];
    /// What there are many of.
    type Row;

    /// The next rows; `None` after the last one.
    async fn next_page(&mut self) -> Result<Option<Vec<Self::Row>>, Error>;

    /// Writes a row.
    fn write(row: &Self::Row, lines: &mut Lines) -> Result<(), Problem>;

    /// Writes the totals of all rows that there were.
    fn write_totals(&self, lines: &mut Lines) -> Result<(), Problem>;
}

pub(super) fn mount(service: &mut ServiceConfig) {
    let read = "GET, HEAD";
    let both = |service: &mut ServiceConfig, csv, jsonl, of: fn(Format) -> Route| {
        service
            .service(path(csv, read).route(of(Format::Csv)))
            .service(path(jsonl, read).route(of(Format::Jsonl)));
    };
    both(
        service,
        "/admin/v1/transfers.csv",
        "/admin/v1/transfers.jsonl",
        |format| get().to(move |request| transfers::export(request, format)),
    );
    both(
        service,
        "/admin/v1/entries.csv",
        "/admin/v1/entries.jsonl",
        |format| get().to(move |request| entries::export(request, format)),
    );
    both(
        service,
        "/admin/v1/audit.csv",
        "/admin/v1/audit.jsonl",
        |format| get().to(move |request| audit::export(request, format)),
    );
}

/// A sum as a plain decimal string, as amounts are written.
fn decimal(sum: &BigDecimal) -> String {
    sum.normalized().to_plain_string()
}
