//! `/admin/v1/users`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::FieldError;
use bursar_domain::{User, UserId};
use bursar_ports::Permission;
use serde::Serialize;
use uuid::Uuid;

use super::page::{List, Page};
use crate::{
    answer,
    call::Call,
    fields::{Fields, Names, name},
    problem::Problem,
};

#[derive(Serialize)]
struct UserBody<'a> {
    id: String,
    username: &'a str,
    email: &'a str,
    roles: &'a [String],
    status: &'static str,
}

impl<'a> UserBody<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            id: user.id.to_string(),
            username: &user.username,
            email: &user.email,
            roles: &user.roles,
            status: user.status.as_str(),
        }
    }
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let mut query = call.query(Names::Strict)?;
    let search = query.text(name!("search"), &[], User::TEXT_MAX);
    let page = Page::read(&mut query, "users", |key| Uuid::parse_str(key).ok());
    let (search, page) = query.finish(Some((search, page)))?;
    let after = page.after.map(UserId::new);
    let found = call
        .app()
        .list_users(&grant, search, after, page.fetch())
        .await?;
    let mut users = found.users;
    let next_cursor = page.cut(&mut users, |user| user.id.to_string());
    let data = users.iter().map(UserBody::of).collect();
    answer::json(&List { data, next_cursor })
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let id = parse_id(&call).map_err(Problem::of_field)?;
    let user = call.app().find_user(&grant, id).await?;
    answer::json(&UserBody::of(&user))
}

pub(super) async fn replace(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let user = read(&call)?;
    let user = call.app().put_user(&grant, user).await?;
    answer::json(&UserBody::of(&user))
}

/// What a username or email may look like is checked by the use case.
fn read(call: &Call) -> Result<User, Problem> {
    let mut fields = call.fields(Names::Strict)?;
    let id = fields.also(parse_id(call));
    let username = fields.required_text(name!("username"), User::TEXT_MAX);
    let email = fields.present_text(name!("email"), User::TEXT_MAX);
    let roles = fields.required_strings(name!("roles"));
    let status = fields.required_text(name!("status"), User::TEXT_MAX);
    let status = status.and_then(|text| parse_status(&mut fields, &text));
    let read = || {
        Some(User {
            id: id?,
            username: username?,
            email: email?,
            roles: roles?,
            status: status?,
        })
    };
    fields.finish(read())
}

fn parse_status(fields: &mut Fields<'_>, text: &str) -> Option<bursar_domain::UserStatus> {
    let status = text.parse();
    fields.also(status.map_err(|error: bursar_domain::InvalidUser| {
        FieldError::new("status", "status.invalid", error.to_string())
    }))
}

fn parse_id(call: &Call) -> Result<UserId, FieldError> {
    Uuid::parse_str(call.segment("id"))
        .map(UserId::new)
        .map_err(|_| FieldError::new("id", "id.invalid", "must be a GUID"))
}
