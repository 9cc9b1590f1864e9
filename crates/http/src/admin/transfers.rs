//! `/admin/v1/transfers`: transfers of every kind.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::TransferSearch;
use bursar_domain::{Kind, Status, Timestamp, TransferId, User};
use bursar_ports::ListPlace;

use super::{
    page::{List, Page},
    transfer::TransferBody,
};
use crate::{
    answer,
    call::Call,
    fields::{Name, Names, name},
    problem::Problem,
    query::Query,
};

const ASSET: &Name = name!("asset");
const MIN_AMOUNT: &Name = name!("min_amount");
const MAX_AMOUNT: &Name = name!("max_amount");

/// The longest identifier and code, in characters.
const NAME_MAX: usize = 255;

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let (wanted, page) = read(&call)?;
    let found = call.app().search_transfers(&grant, wanted).await?;
    let rows = found.transfers.iter();
    answer::json(&List {
        data: rows
            .map(|row| TransferBody::of(&row.transfer, row.code.as_deref()))
            .collect(),
        next_cursor: found.next.map(|place| page.cursor(&written(place))),
    })
}

fn read(call: &Call) -> Result<(TransferSearch, Page<'_, ListPlace>), Problem> {
    let mut query = call.query(Names::Strict)?;
    let wanted = filters(&mut query);
    let page = Page::read(call.app(), &mut query, "transfers", place);
    let wanted = TransferSearch {
        after: page.after,
        limit: page.limit,
        ..wanted
    };
    query.finish(Some((wanted, page)))
}

/// What is looked for, wherever the list begins and however long it is.
pub(super) fn filters(query: &mut Query) -> TransferSearch {
    let kinds = "deposit, withdrawal, internal";
    let statuses = Status::ALL.map(Status::as_str).join(", ");
    let wanted = TransferSearch {
        kind: query.one_of(name!("kind"), kind_named, kinds),
        status: query.one_of(name!("status"), status_named, &statuses),
        user: query.user_id(name!("user_id")),
        search: query.text(name!("search"), &[], User::TEXT_MAX),
        asset: query.asset_id(ASSET, &[]),
        amount_min: query.amount(MIN_AMOUNT),
        amount_max: query.amount(MAX_AMOUNT),
        from: query.time(name!("created_from")),
        to: query.time(name!("created_to")),
        custom_id: query.text(name!("custom_id"), &[], NAME_MAX),
        code: query.text(name!("code"), &[], NAME_MAX),
        id: query.transfer_id(name!("id")),
        after: None,
        limit: 0,
    };
    let has_amount = query.was_given(MIN_AMOUNT) || query.was_given(MAX_AMOUNT);
    if has_amount && !query.was_given(ASSET) {
        query.error(ASSET.name, ASSET.missed, TransferSearch::ASSET_MISSED);
    }
    wanted
}

fn kind_named(text: &str) -> Option<Kind> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
}

/// A status of any kind of transfer, in any case and either spelling.
fn status_named(text: &str) -> Option<Status> {
    if text.eq_ignore_ascii_case("Cancelled") {
        return Some(Status::Canceled);
    }
    Status::from_name(text)
}

fn written(place: ListPlace) -> String {
    format!("{} {}", place.created_at.as_micros(), place.id)
}

fn place(text: &str) -> Option<ListPlace> {
    let (micros, id) = text.split_once(' ')?;
    Some(ListPlace {
        created_at: Timestamp::from_micros(micros.parse().ok()?),
        id: TransferId::try_new(id.parse().ok()?).ok()?,
    })
}
