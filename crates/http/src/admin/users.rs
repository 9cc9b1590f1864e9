//! `/admin/v1/users`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::FieldError;
use bursar_domain::{InvalidUser, User, UserId};
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
    let page = Page::read(call.app(), &mut query, "users", |key| {
        Uuid::parse_str(key).ok()
    });
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
    let id = call.only(call.guid()).map(UserId::new)?;
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

/// What a field may look like is checked here too, so that all that is wrong is told at once.
fn read(call: &Call) -> Result<User, Problem> {
    let mut fields = call.fields(Names::Strict)?;
    let id = fields.also(call.guid()).map(UserId::new);
    let username = fields.required_text(name!("username"), User::TEXT_MAX);
    let username = username.filter(|name| {
        // Without an id nobody can tell whose id a name is.
        let id = id
            .unwrap_or_else(|| Uuid::parse_str(name).map_or(UserId::new(Uuid::nil()), UserId::new));
        passes(&mut fields, User::check_username(id, name))
    });
    let email = fields.present_text(name!("email"), User::TEXT_MAX);
    let email = email.filter(|email| passes(&mut fields, User::check_email(email)));
    let roles = fields.required_strings(name!("roles"));
    let roles = roles.filter(|roles| passes(&mut fields, User::check_roles(roles)));
    let status = fields.required_text(name!("status"), User::TEXT_MAX);
    let status = status.and_then(|text| {
        let status = text.parse();
        fields.also(status.map_err(|fault: InvalidUser| FieldError::from(fault)))
    });
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

fn passes(fields: &mut Fields<'_>, checked: Result<(), InvalidUser>) -> bool {
    fields.also(checked.map_err(FieldError::from)).is_some()
}
