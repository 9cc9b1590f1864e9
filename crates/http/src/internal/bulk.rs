//! `POST /internal-transfer/bulk`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::{
    BulkRequest, InternalCall, InternalRequest, InternalView, ItemError, Options, WrongItem,
};
use bursar_ports::Permission;
use serde::Serialize;

use super::{TransferBody, create::read_transfer};
use crate::{
    answer::{self, Manner},
    call::Call,
    fields::{Item, Name, Names, name},
    problem::{self, Problem},
    request_id::RequestId,
};

/// The most transfers of one bulk.
const ITEMS_MAX: usize = 1_000;
const ITEMS: &Name = name!("transfers");

pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write_bulk(request, payload, InternalCall::Create).await?;
    let grant = call.admit(InternalCall::Create, units(&call)).await?;
    let (wanted, options) = read(&call)?;
    let answer = call.app().send_bulk(&grant, wanted, options).await?;
    let manner = Manner::of(&answer);
    let entries: Vec<Entry> = answer.transfer.into_iter().map(Entry::of).collect();
    let request = call.request_id()?;
    let results = entries.iter().map(|entry| entry.body(&request));
    let results = results.collect::<Result<_, _>>()?;
    answer::money(manner, &Results { results })
}

/// How many units of the limit a request takes: one for each item, and one for what is no list.
/// Nothing is read for somebody who may not send.
fn units(call: &Call) -> u32 {
    let may_send = call.grant_user(Permission::AllowTransfer).is_ok();
    let items = || {
        let mut fields = call.fields(Names::Exact).ok()?;
        fields.items(ITEMS, ITEMS_MAX).map(|items| items.len())
    };
    let items = may_send.then(items).flatten();
    items
        .and_then(|items| u32::try_from(items).ok())
        .unwrap_or(1)
}

fn read(call: &Call) -> Result<(BulkRequest, Options), Problem> {
    let mut fields = call.fields(Names::Exact)?;
    let items = fields.items(ITEMS, ITEMS_MAX);
    let atomic = fields.flag(name!("atomic"));
    let options = call.options(&mut fields);
    let read = |item: &Item<'_>| read_item(call, item);
    let wanted = items.zip(atomic).map(|(items, atomic)| BulkRequest {
        items: items.iter().map(read).collect(),
        atomic,
    });
    fields.finish(wanted.zip(options))
}

fn read_item(call: &Call, item: &Item<'_>) -> Result<InternalRequest, WrongItem> {
    let policy = call.app().callback_urls();
    item.read(ITEMS, |fields| read_transfer(fields, policy))
        .map_err(|errors| WrongItem {
            sent: item.sent().to_owned(),
            errors,
        })
}

/// What came of one item.
enum Entry {
    Made(Box<InternalView>),
    Refused(Problem),
}

impl Entry {
    fn of(result: Result<InternalView, ItemError>) -> Self {
        match result {
            Ok(view) => Self::Made(Box::new(view)),
            Err(error) => Self::Refused(error.into()),
        }
    }

    fn body<'a>(&'a self, request: &'a RequestId) -> Result<EntryBody<'a>, Problem> {
        Ok(match self {
            Self::Made(view) => EntryBody::Made(TransferBody::of(view)?),
            Self::Refused(problem) => EntryBody::Refused(problem.body(request)),
        })
    }
}

#[derive(Serialize)]
struct Results<'a> {
    results: Vec<EntryBody<'a>>,
}

/// The transfer, or the problem that a request for it alone would have been answered with.
#[derive(Serialize)]
#[serde(untagged)]
enum EntryBody<'a> {
    Made(TransferBody<'a>),
    Refused(problem::Body<'a>),
}
