//! `/admin/v1/users/{id}/statement`: what happened on a user's accounts.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::{CodedLine, UserStatement};
use bursar_domain::{Asset, AssetId, Scale, UserId};
use bursar_ports::{Holding, StatementAccount, StatementFilter, StatementPlace};
use serde::Serialize;
use uuid::Uuid;

use super::{money::plain, page::Page};
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

#[derive(Serialize)]
struct StatementBody<'a> {
    data: Vec<LineBody<'a>>,
    balances: Vec<AccountBody<'a>>,
    next_cursor: Option<String>,
}

/// A line of the ledger, without whose account it is on.
#[derive(Serialize)]
pub(super) struct LineBody<'a> {
    asset: &'a str,
    seq: i64,
    transfer_id: i64,
    kind: &'static str,
    code: Option<&'a str>,
    available_delta: String,
    held_delta: String,
    available_after: String,
    held_after: String,
    at: String,
}

#[derive(Serialize)]
struct AccountBody<'a> {
    asset: &'a str,
    opening: HoldingBody,
    closing: HoldingBody,
    lines: i64,
}

#[derive(Serialize)]
struct HoldingBody {
    available: String,
    held: String,
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let (filter, page) = read(&call)?;
    let statement = call.app().read_statement(&grant, filter).await?;
    answer::json(&StatementBody::of(&statement, &page)?)
}

fn read(call: &Call) -> Result<(StatementFilter, Page<'_, StatementPlace>), Problem> {
    let mut query = call.query(Names::Strict)?;
    let user = call.guid().unwrap_or_else(|wrong| {
        query.error("id", "id.invalid", wrong.detail);
        Uuid::nil()
    });
    let asset = query.asset_id(name!("asset"), &[]);
    let from = query.time(name!("from"));
    let to = query.time(name!("to"));
    // A cursor is of this user's statement and no other's.
    let list = format!("statement {user}");
    let page = Page::read(call.app(), &mut query, &list, place);
    let filter = StatementFilter {
        user: UserId::new(user),
        asset,
        from,
        to,
        after: page.after,
        limit: page.limit,
    };
    query.finish(Some((filter, page)))
}

fn written(place: StatementPlace) -> String {
    format!("{} {} {}", place.asset.as_str(), place.seq, place.last)
}

fn place(text: &str) -> Option<StatementPlace> {
    let (asset, numbers) = text.split_once(' ')?;
    let (seq, last) = numbers.split_once(' ')?;
    Some(StatementPlace {
        asset: AssetId::parse(asset).ok()?,
        seq: seq.parse().ok()?,
        last: last.parse().ok()?,
    })
}

impl<'a> StatementBody<'a> {
    fn of(statement: &'a UserStatement, page: &Page<'_, StatementPlace>) -> Result<Self, Problem> {
        let lines = statement.lines.iter();
        let accounts = statement.accounts.iter();
        Ok(Self {
            data: lines.map(LineBody::of).collect::<Result<_, _>>()?,
            balances: accounts
                .map(|(account, asset)| AccountBody::of(account, asset))
                .collect::<Result<_, _>>()?,
            next_cursor: statement.next.map(|place| page.cursor(&written(place))),
        })
    }
}

impl<'a> LineBody<'a> {
    pub(super) fn of(coded: &'a CodedLine) -> Result<Self, Problem> {
        let (line, scale) = (&coded.record.line, coded.record.scale);
        Ok(Self {
            asset: line.account.asset.as_str(),
            seq: line.seq,
            transfer_id: line.transfer.get(),
            kind: coded.record.kind.as_str(),
            code: coded.code.as_deref(),
            available_delta: plain(line.available_delta, scale)?,
            held_delta: plain(line.held_delta, scale)?,
            available_after: plain(line.available_after, scale)?,
            held_after: plain(line.held_after, scale)?,
            at: line.at.to_micros_text(),
        })
    }
}

impl<'a> AccountBody<'a> {
    fn of(account: &StatementAccount, asset: &'a Asset) -> Result<Self, Problem> {
        Ok(Self {
            asset: asset.id.as_str(),
            opening: HoldingBody::of(account.opening, asset.scale)?,
            closing: HoldingBody::of(account.closing, asset.scale)?,
            lines: account.lines,
        })
    }
}

impl HoldingBody {
    fn of(holding: Holding, scale: Scale) -> Result<Self, Problem> {
        Ok(Self {
            available: plain(holding.available, scale)?,
            held: plain(holding.held, scale)?,
        })
    }
}
