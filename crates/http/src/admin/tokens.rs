//! `/admin/v1/tokens`. A token itself is shown once, in the answer that issues it.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::NewToken;
use bursar_domain::Timestamp;
use bursar_ports::{Permission, Token};
use serde::Serialize;
use uuid::Uuid;

use super::page::{List, Page};
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

/// The longest subject, in characters.
const SUBJECT_MAX: usize = 255;
/// The longest life, in seconds: ten years.
const TTL_SECONDS_MAX: u32 = 315_360_000;

#[derive(Serialize)]
struct TokenBody<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    subject: &'a str,
    user_id: Option<String>,
    permissions: Vec<&'static str>,
    created_at: String,
    expires_at: String,
    revoked_at: Option<String>,
}

impl<'a> TokenBody<'a> {
    fn of(token: &'a Token) -> Self {
        Self {
            id: token.id.to_string(),
            token: None,
            subject: &token.subject,
            user_id: token.user.map(|user| user.to_string()),
            permissions: token.permissions.iter().map(|one| one.as_str()).collect(),
            created_at: token.created_at.to_micros_text(),
            expires_at: token.expires_at.to_micros_text(),
            revoked_at: token.revoked_at.map(Timestamp::to_micros_text),
        }
    }
}

pub(super) async fn issue(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let new = read(&call)?;
    let issued = call.app().issue_token(&grant, new).await?;
    answer::json(&TokenBody {
        token: Some(&issued.secret),
        ..TokenBody::of(&issued.token)
    })
}

fn read(call: &Call) -> Result<NewToken, Problem> {
    let mut fields = call.fields(Names::Strict)?;
    let subject = fields.subject(name!("subject"), SUBJECT_MAX);
    let user = fields.optional_user_id(name!("user_id"));
    let permissions = fields.permissions(name!("permissions"));
    let permissions = fields.judged(permissions, |permissions| {
        NewToken::check_permissions(user, permissions)
    });
    let ttl_seconds = fields.integer(name!("ttl_seconds"), 1, TTL_SECONDS_MAX);
    let read = || {
        Some(NewToken {
            subject: subject?,
            user,
            permissions: permissions?,
            ttl_seconds: ttl_seconds?,
        })
    };
    fields.finish(read())
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut query = call.query(Names::Strict)?;
    let user = query.user_id(name!("user_id"));
    let page = Page::read(call.app(), &mut query, "tokens", |key| {
        Uuid::parse_str(key).ok()
    });
    let page = query.finish(Some(page))?;
    let mut tokens = call
        .app()
        .list_tokens(&grant, user, page.after, page.fetch())
        .await?;
    let next_cursor = page.cut(&mut tokens, |token| token.id.to_string());
    let data = tokens.iter().map(TokenBody::of).collect();
    answer::json(&List { data, next_cursor })
}

pub(super) async fn revoke(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    let id = call.only(call.guid())?;
    call.app().revoke_token(&grant, id).await?;
    Ok(answer::empty())
}
