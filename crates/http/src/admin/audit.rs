//! `/admin/v1/audit`: who did what.

use actix_web::{HttpRequest, HttpResponse};
use bursar_domain::Timestamp;
use bursar_ports::{AuditFilter, AuditPlace, AuditRecord};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::page::{List, Page};
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
    query::Query,
};

/// The longest name of an actor, an action or a target, in characters. Kept longer than any that
/// the log has: a target is a kind in front of a name.
const NAME_MAX: usize = 512;

#[derive(Serialize)]
pub(super) struct RecordBody<'a> {
    id: String,
    at: String,
    actor: &'a str,
    credential: &'a str,
    request_id: &'a str,
    address: &'a str,
    action: &'a str,
    target: &'a str,
    before: Option<&'a RawValue>,
    after: Option<&'a RawValue>,
}

impl<'a> RecordBody<'a> {
    pub(super) fn of(record: &'a AuditRecord) -> Result<Self, Problem> {
        Ok(Self {
            id: record.id.to_string(),
            at: record.at.to_micros_text(),
            actor: &record.actor,
            credential: &record.credential,
            request_id: &record.request_id,
            address: &record.address,
            action: &record.action,
            target: &record.target,
            before: json(record.before.as_deref())?,
            after: json(record.after.as_deref())?,
        })
    }
}

/// What the log keeps as JSON is shown as it is.
fn json(text: Option<&str>) -> Result<Option<&RawValue>, Problem> {
    let read = text.map(serde_json::from_str).transpose();
    read.map_err(|error| {
        tracing::error!(%error, "the audit log has something that is not JSON");
        Problem::internal()
    })
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let mut query = call.query(Names::Strict)?;
    let wanted = filters(&mut query);
    let page = Page::read(call.app(), &mut query, "audit", place);
    let page = query.finish(Some(page))?;
    let filter = AuditFilter {
        after: page.after,
        limit: page.fetch(),
        ..wanted
    };
    let mut records = call.app().list_audit(&grant, filter).await?;
    let next_cursor = page.cut(&mut records, written);
    let data = records.iter().map(RecordBody::of).collect::<Result<_, _>>();
    answer::json(&List {
        data: data?,
        next_cursor,
    })
}

/// Which rows are asked for, but for where they begin and how many they are.
pub(super) fn filters(query: &mut Query) -> AuditFilter {
    AuditFilter {
        actor: query.text(name!("actor"), &[], NAME_MAX),
        action: query.text(name!("action"), &[], NAME_MAX),
        target: query.text(name!("target"), &[], NAME_MAX),
        from: query.time(name!("from")),
        to: query.time(name!("to")),
        ..AuditFilter::default()
    }
}

fn written(record: &AuditRecord) -> String {
    format!("{} {}", record.at.as_micros(), record.id)
}

fn place(text: &str) -> Option<AuditPlace> {
    let (micros, id) = text.split_once(' ')?;
    Some(AuditPlace {
        at: Timestamp::from_micros(micros.parse().ok()?),
        id: Uuid::parse_str(id).ok()?,
    })
}
