//! `/admin/v1/entries.csv` and `.jsonl`: the ledger.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::{CodedLine, EntryExport, EntryTotal, Error, OwnerKind};
use bursar_ports::{EntryFilter, LedgerOwner};
use serde::Serialize;

use super::{
    super::{balances::owner, statement::LineBody},
    Format, Lines, Sheet, decimal, stream,
};
use crate::{
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

#[derive(Serialize)]
struct EntryBody<'a> {
    owner: &'static str,
    user_id: Option<String>,
    #[serde(flatten)]
    line: LineBody<'a>,
}

#[derive(Serialize)]
struct TotalBody<'a> {
    owner: &'static str,
    asset: &'a str,
    kind: &'static str,
    available_delta: String,
    held_delta: String,
    count: u64,
}

pub(super) async fn export(request: HttpRequest, format: Format) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let filter = read(&call)?;
    let export = call.app().export_entries(&grant, filter).await?;
    stream::answer(&call, export, format).await
}

fn read(call: &Call) -> Result<EntryFilter, Problem> {
    let mut query = call.query(Names::Strict)?;
    let system = |text: &str| (text == "system").then_some(LedgerOwner::System);
    let system = query.one_of(name!("owner"), system, "system");
    let user = query.user_id(name!("user_id")).map(LedgerOwner::User);
    if system.is_some() && user.is_some() {
        let detail = "cannot be given together with user_id";
        query.error("owner", "owner.invalid", detail);
    }
    let filter = EntryFilter {
        owner: user.or(system),
        asset: query.asset_id(name!("asset"), &[]),
        from: query.time(name!("from")),
        to: query.time(name!("to")),
    };
    query.finish(Some(filter))
}

impl Sheet for EntryExport {
    const NAME: &'static str = "entries";
    const COLUMNS: &'static [&'static str] = &[
        "owner",
        "user_id",
        "asset",
        "seq",
        "transfer_id",
        "kind",
        "code",
        "available_delta",
        "held_delta",
        "available_after",
        "held_after",
        "at",
        "count",
    ];
    const SIGNED: &'static [&'static str] = &[
        "available_delta",
        "held_delta",
        "available_after",
        "held_after",
    ];
    type Row = CodedLine;

    async fn next_page(&mut self) -> Result<Option<Vec<CodedLine>>, Error> {
        Self::next_page(self).await
    }

    fn write(row: &CodedLine, lines: &mut Lines) -> Result<(), Problem> {
        lines.row("entry", &EntryBody::of(row)?)
    }

    fn write_totals(&self, lines: &mut Lines) -> Result<(), Problem> {
        let totals = self.totals();
        totals
            .iter()
            .try_for_each(|total| lines.total(&TotalBody::of(total)))
    }
}

impl<'a> EntryBody<'a> {
    fn of(coded: &'a CodedLine) -> Result<Self, Problem> {
        let of = coded.record.line.account.owner;
        Ok(Self {
            owner: owner(of),
            user_id: of.user().map(|user| user.to_string()),
            line: LineBody::of(coded)?,
        })
    }
}

impl<'a> TotalBody<'a> {
    fn of(total: &'a EntryTotal) -> Self {
        Self {
            owner: match total.owner {
                OwnerKind::User => "user",
                OwnerKind::Fees => "fees",
                OwnerKind::World => "world",
            },
            asset: total.asset.as_str(),
            kind: total.kind.as_str(),
            available_delta: decimal(&total.available_delta),
            held_delta: decimal(&total.held_delta),
            count: total.count,
        }
    }
}
