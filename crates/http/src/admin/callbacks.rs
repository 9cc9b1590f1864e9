//! `/admin/v1/callbacks`: what was and will be told to whom, and replay.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_domain::Timestamp;
use bursar_ports::{
    CallbackAttempt, CallbackFilter, CallbackPlace, CallbackRecord, CallbackState, Permission,
    Replayable,
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    callback_secrets::read_subscriber,
    page::{List, Page},
    transfer::status,
};
use crate::{
    answer,
    call::Call,
    callback_tests::TestBody,
    fields::{Names, name},
    problem::Problem,
};

#[derive(Serialize)]
pub(super) struct CallbackBody<'a> {
    id: String,
    transfer_id: i64,
    operation: &'static str,
    url: &'a str,
    status: &'static str,
    state: &'static str,
    created_at: String,
    next_attempt_at: Option<String>,
    attempts: Vec<AttemptBody<'a>>,
}

#[derive(Serialize)]
struct AttemptBody<'a> {
    at: String,
    duration_ms: i64,
    http_status: Option<i32>,
    outcome: &'a str,
}

#[derive(Serialize)]
struct Replayed {
    replayed: u64,
}

impl<'a> CallbackBody<'a> {
    pub(super) fn of(callback: &'a CallbackRecord) -> Self {
        Self {
            id: callback.id.to_string(),
            transfer_id: callback.transfer.get(),
            operation: callback.operation.as_str(),
            url: &callback.url,
            status: status(callback.kind, callback.status),
            state: callback.state.as_str(),
            created_at: callback.created_at.to_micros_text(),
            next_attempt_at: callback.next_attempt_at.map(Timestamp::to_micros_text),
            attempts: callback.attempts.iter().map(AttemptBody::of).collect(),
        }
    }
}

impl<'a> AttemptBody<'a> {
    fn of(attempt: &'a CallbackAttempt) -> Self {
        Self {
            at: attempt.at.to_micros_text(),
            duration_ms: attempt.duration_ms,
            http_status: attempt.http_status,
            outcome: &attempt.outcome,
        }
    }
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let mut query = call.query(Names::Strict)?;
    let states = CallbackState::ALL.map(CallbackState::as_str).join(", ");
    let state = query.one_of(name!("state"), CallbackState::from_name, &states);
    let transfer = query.transfer_id(name!("transfer_id"));
    let page = Page::read(call.app(), &mut query, "callbacks", place);
    let page = query.finish(Some(page))?;
    let filter = CallbackFilter {
        state,
        transfer,
        after: page.after,
        limit: page.fetch(),
    };
    let mut callbacks = call.app().list_callbacks(&grant, filter).await?;
    let next_cursor = page.cut(&mut callbacks, written);
    let data = callbacks.iter().map(CallbackBody::of).collect();
    answer::json(&List { data, next_cursor })
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let id = call.only(call.guid())?;
    let callback = call.app().find_callback(&grant, id).await?;
    answer::json(&CallbackBody::of(&callback))
}

pub(super) async fn replay(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let id = call.only(call.guid())?;
    let callback = call.app().replay_callback(&grant, id).await?;
    answer::json(&CallbackBody::of(&callback))
}

pub(super) async fn replay_since(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut fields = call.fields(Names::Strict)?;
    let since = fields.time(name!("since"));
    let which = fields.one_of(name!("state"), replayable, "dead, succeeded");
    let (since, which) = fields.finish(since.zip(which))?;
    let replayed = call.app().replay_callbacks(&grant, which, since).await?;
    answer::json(&Replayed { replayed })
}

pub(super) async fn test(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut fields = call.fields(Names::Strict)?;
    let subscriber = read_subscriber(&mut fields);
    let url = fields.required_callback_url(name!("callback_url"), call.app().callback_urls());
    let (subscriber, url) = fields.finish(subscriber.zip(url))?;
    let tested = call.app().test_callback(&grant, subscriber, url).await?;
    answer::json(&TestBody::of(&tested))
}

fn replayable(name: &str) -> Option<Replayable> {
    match CallbackState::from_name(name)? {
        CallbackState::Dead => Some(Replayable::Dead),
        CallbackState::Succeeded => Some(Replayable::Succeeded),
        CallbackState::Pending | CallbackState::Delivering | CallbackState::Cancelled => None,
    }
}

fn written(callback: &CallbackRecord) -> String {
    format!("{} {}", callback.created_at.as_micros(), callback.id)
}

fn place(text: &str) -> Option<CallbackPlace> {
    let (micros, id) = text.split_once(' ')?;
    Some(CallbackPlace {
        created_at: Timestamp::from_micros(micros.parse().ok()?),
        id: Uuid::parse_str(id).ok()?,
    })
}
