//! `GET /back-api/api/v2/transfers`: deposits and withdrawals of all users.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
};
use bursar_app::{BackofficeFilter, BackofficePage, BackofficeRow};
use bursar_domain::{Amount, AssetId, Kind, Status};
use bursar_ports::{Permission, TransferFilter};
use serde::Serialize;

use super::kind;
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

/// How many rows a page may have.
const PAGE_SIZE_MAX: u32 = 999;
/// The longest search, in characters.
const SEARCH_MAX: usize = 255;

/// One row: exactly these keys in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    user_id: String,
    user_name: &'a str,
    email: &'a str,
    user_role: &'a str,
    user_roles: &'a [String],
    comment: &'a str,
    id: i64,
    asset: &'a str,
    transfer_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    amount: String,
    fee: String,
    error_details: &'static str,
    created_at: String,
    updated_at: String,
    amount_in_root_asset: Option<String>,
    fee_in_root_asset: Option<String>,
    root_asset: &'a str,
}

impl<'a> Row<'a> {
    fn of(row: &'a BackofficeRow, root_asset: &'a AssetId) -> Self {
        let parts = row.transfer.parts();
        let rate = parts.root_rate.as_ref();
        let in_root = |amount: Amount| {
            let rate = rate?;
            let value = rate.value_of(amount, parts.scale)?;
            Some(value.to_plain(rate.scale))
        };
        Self {
            user_id: row.user.id.to_string(),
            user_name: &row.user.username,
            email: &row.user.email,
            user_role: row.user.roles.first().map_or("", String::as_str),
            user_roles: &row.user.roles,
            comment: parts.note.as_deref().unwrap_or_default(),
            id: parts.id.get(),
            asset: parts.asset.as_str(),
            transfer_id: parts.id.to_string(),
            kind: kind(row.transfer.kind()),
            status: row.transfer.status().as_str(),
            amount: parts.amount.to_plain(parts.scale),
            fee: parts.fee.to_plain(parts.scale),
            error_details: row
                .transfer
                .reason()
                .map_or("", bursar_domain::Reason::message),
            created_at: parts.created_at.to_micros_text(),
            updated_at: parts.updated_at.to_micros_text(),
            amount_in_root_asset: in_root(parts.amount),
            fee_in_root_asset: in_root(parts.fee),
            root_asset: rate.map_or(root_asset, |rate| &rate.asset).as_str(),
        }
    }
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::BackofficeRead)?;
    let filter = read(&call)?;
    let (limit, offset) = (filter.transfers.limit, filter.transfers.offset);
    let page = call.app().list_transfers(&grant, filter).await?;
    let root_asset = call.app().root_asset();
    let rows: Vec<_> = page
        .rows
        .iter()
        .map(|row| Row::of(row, &root_asset))
        .collect();
    let mut response = answer::json(&rows)?;
    for (name, value) in page_headers(&page, limit, offset) {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
    if page.estimated {
        response.headers_mut().insert(
            HeaderName::from_static("x-total-count-estimated"),
            HeaderValue::from_static("true"),
        );
    }
    Ok(response)
}

fn page_headers(
    page: &BackofficePage,
    limit: u32,
    offset: u64,
) -> impl Iterator<Item = (&'static str, u64)> + use<> {
    let size = u64::from(limit).max(1);
    // The total cannot say it: it may be an estimate, and is counted after the rows were read.
    let next = page.more.then(|| (offset / size).saturating_add(1));
    [
        ("x-page-size", size),
        ("x-total-count", page.total),
        ("x-total-pages", page.total.div_ceil(size)),
    ]
    .into_iter()
    .chain(next.map(|next| ("x-next-cursor", next)))
}

fn read(call: &Call) -> Result<BackofficeFilter, Problem> {
    let mut query = call.query(Names::AnyCase)?;
    let from = query.time(name!("from"));
    let to = query.time(name!("to"));
    let aliases = ["filter", "username", "email"];
    let search = query.text(name!("search"), &aliases, SEARCH_MAX);
    let user = query.user_id(name!("userId"));
    let limit = query.limit(name!("pageSize"), &["limit"], PAGE_SIZE_MAX);
    let statuses = "Pending, AwaitingConfirmation, Completed, Failed, Canceled";
    let status = query.one_of(name!("status"), status_named, statuses);
    let kind = query.one_of(name!("type"), kind_named, "Deposit, Withdrawal");
    let offset = query.page(name!("cursor"), &["page"], limit);
    query.finish(Some(BackofficeFilter {
        transfers: TransferFilter {
            users: None,
            from,
            to,
            status,
            kind,
            limit,
            offset,
        },
        search,
        user,
    }))
}

/// One of the five statuses of deposits and withdrawals, in any case and either spelling.
fn status_named(text: &str) -> Option<Status> {
    if text.eq_ignore_ascii_case("Cancelled") {
        return Some(Status::Canceled);
    }
    Status::from_name(text).filter(|status| match status {
        Status::Pending
        | Status::AwaitingConfirmation
        | Status::Completed
        | Status::Failed
        | Status::Canceled => true,
        Status::Success | Status::Rejected => false,
    })
}

fn kind_named(text: &str) -> Option<Kind> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    if is("Deposit") {
        Some(Kind::Deposit)
    } else if is("Withdrawal") || is("Withdraw") {
        Some(Kind::Withdrawal)
    } else {
        None
    }
}
