//! `/admin/v1/queue`, and `POST /admin/v1/transfers/{id}/take` and `/let-go`: what waits for an
//! operator, and who is at it.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::{QueueRow, QueueSearch, RootValue};
use bursar_domain::{BigDecimal, Timestamp, TransferId};
use bursar_ports::{OpenWork, QueueOrder, QueuePlace};
use serde::Serialize;

use super::{
    page::{List, Page},
    transfer::TransferBody,
};
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::{Problem, TakenBody},
};

#[derive(Serialize)]
struct RowBody<'a> {
    #[serde(flatten)]
    transfer: TransferBody<'a>,
    root_value: Option<RootValueBody<'a>>,
    taken: Option<TakenBody<'a>>,
}

/// What it was worth when it was made.
#[derive(Serialize)]
struct RootValueBody<'a> {
    asset: &'a str,
    amount: String,
}

impl<'a> RowBody<'a> {
    fn of(row: &'a QueueRow) -> Self {
        Self {
            // Internal transfers, which alone have codes, wait for nobody.
            transfer: TransferBody::of(&row.transfer, None),
            root_value: row.value.as_ref().map(RootValueBody::of),
            taken: row.taken.as_ref().map(TakenBody::of),
        }
    }
}

impl<'a> RootValueBody<'a> {
    fn of(value: &'a RootValue) -> Self {
        Self {
            asset: value.asset.as_str(),
            amount: value.amount.to_plain(value.scale),
        }
    }
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let (wanted, page) = read(&call)?;
    let found = call.app().queue(&grant, wanted).await?;
    answer::json(&List {
        data: found.rows.iter().map(RowBody::of).collect(),
        next_cursor: found.next.map(|place| page.cursor(&written(&place))),
    })
}

fn read(call: &Call) -> Result<(QueueSearch, Page<'_, QueuePlace>), Problem> {
    let mut query = call.query(Names::Strict)?;
    let queues = OpenWork::ALL.map(OpenWork::as_str).join(", ");
    let orders = QueueOrder::ALL.map(QueueOrder::as_str).join(", ");
    let which = query.one_of(name!("which"), OpenWork::from_name, &queues);
    let sort = query.one_of(name!("sort"), QueueOrder::from_name, &orders);
    let asset = query.asset_id(name!("asset"), &[]);
    let page = Page::read(call.app(), &mut query, "queue", place);
    let wanted = QueueSearch {
        which: which.unwrap_or(OpenWork::Withdrawals),
        sort: sort.unwrap_or(QueueOrder::Age),
        asset,
        after: page.after.clone(),
        limit: page.limit,
    };
    query.finish(Some((wanted, page)))
}

pub(super) async fn take(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant_taker()?;
    let transfer = call.only(call.transfer_id())?;
    let taken = call.app().take(&grant, transfer).await?;
    answer::json(&TakenBody::of(&taken))
}

pub(super) async fn let_go(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant_taker()?;
    let transfer = call.only(call.transfer_id())?;
    call.app().let_go(&grant, transfer).await?;
    Ok(answer::empty())
}

fn written(place: &QueuePlace) -> String {
    match place {
        QueuePlace::Age { created_at, id } => format!("age {} {id}", created_at.as_micros()),
        QueuePlace::Value { value, id } => format!("value {} {id}", value.to_plain_string()),
    }
}

fn place(text: &str) -> Option<QueuePlace> {
    let mut words = text.split(' ');
    let (order, key, id) = (words.next()?, words.next()?, words.next()?);
    let id = TransferId::try_new(id.parse().ok()?).ok()?;
    match QueueOrder::from_name(order)? {
        QueueOrder::Age => Some(QueuePlace::Age {
            created_at: Timestamp::from_micros(key.parse().ok()?),
            id,
        }),
        QueueOrder::Value => Some(QueuePlace::Value {
            value: key.parse::<BigDecimal>().ok()?,
            id,
        }),
    }
}
