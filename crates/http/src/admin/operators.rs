//! `/admin/v1/operators`: who may sign in to the console, where they have, and the end of that.

use actix_web::{HttpRequest, HttpResponse};
use bursar_domain::Timestamp;
use bursar_ports::{Operator, OperatorSession, Permission};
use serde::Serialize;

use super::page::{List, Page};
use crate::{answer, call::Call, fields::Names, problem::Problem};

#[derive(Serialize)]
struct OperatorBody<'a> {
    name: &'a str,
    status: &'static str,
    permissions: Vec<&'static str>,
    second_factor: &'static str,
    failures: u32,
    next_try_at: Option<String>,
    created_at: String,
}

#[derive(Serialize)]
struct SessionBody<'a> {
    id: String,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
    address: &'a str,
    user_agent: &'a str,
}

impl<'a> OperatorBody<'a> {
    fn of(operator: &'a Operator) -> Self {
        let used = operator.totp_step.is_some();
        Self {
            name: &operator.name,
            status: if operator.is_active {
                "active"
            } else {
                "disabled"
            },
            permissions: operator
                .permissions
                .iter()
                .map(|one| one.as_str())
                .collect(),
            second_factor: if used { "used" } else { "waiting" },
            failures: operator.failures,
            next_try_at: operator.next_try_at.map(Timestamp::to_micros_text),
            created_at: operator.created_at.to_micros_text(),
        }
    }
}

impl<'a> SessionBody<'a> {
    fn of(session: &'a OperatorSession) -> Self {
        Self {
            id: session.id.to_string(),
            created_at: session.created_at.to_micros_text(),
            last_seen_at: session.last_seen_at.to_micros_text(),
            expires_at: session.expires_at.to_micros_text(),
            address: &session.address,
            user_agent: &session.user_agent,
        }
    }
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut query = call.query(Names::Strict)?;
    let page = Page::read(call.app(), &mut query, "operators", |key| {
        Some(key.to_owned())
    });
    let page = query.finish(Some(page))?;
    let mut operators = call
        .app()
        .list_operators(&grant, page.after.clone(), page.fetch())
        .await?;
    let next_cursor = page.cut(&mut operators, |operator| operator.name.clone());
    let data = operators.iter().map(OperatorBody::of).collect();
    answer::json(&List { data, next_cursor })
}

pub(super) async fn sessions(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    call.without_parameters()?;
    let name = call.segment("name").to_owned();
    let sessions = call.app().operator_sessions(&grant, name).await?;
    let data = sessions.iter().map(SessionBody::of).collect();
    answer::json(&List::whole(data))
}

pub(super) async fn end(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    let id = call.only(call.guid())?;
    let name = call.segment("name").to_owned();
    call.app().end_operator_session(&grant, name, id).await?;
    Ok(answer::empty())
}
