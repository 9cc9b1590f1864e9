//! `/console/users`: one user, and finding it.

mod credentials;
mod money;
mod status;

use actix_web::{HttpResponse, web};
use bursar_app::TransferSearch;
use bursar_domain::{User, UserId, UserStatus};
use bursar_ports::Permission;
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    desk::{Desk, Reply},
    fault::Fault,
    layout::{Place, wide},
    links::{Link, said},
    lists::Part,
    transfers,
    words::People,
};

pub(crate) use credentials::{revoke_key, revoke_token};
pub(crate) use status::change as change_status;

/// How many users a page has.
const ROWS: u32 = 50;
/// How many of a user's transfers its page shows.
const RECENT: u32 = 10;

#[derive(Deserialize)]
pub(crate) struct Asked {
    q: Option<String>,
    after: Option<String>,
}

pub(crate) async fn find(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    desk.answer(list(&desk, &asked).await)
}

async fn list(desk: &Desk, asked: &Asked) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let q = said(asked.q.as_ref());
    if let Some(id) = q.and_then(|q| Uuid::try_parse(q).ok()) {
        return Ok(Reply::Goto(format!("/console/users/{id}")));
    }
    let after = said(asked.after.as_ref()).map(read_id).transpose()?;
    let search = q.map(str::to_owned);
    let page = desk.app().list_users(&grant, search, after, ROWS).await?;
    let last = page.users.last().filter(|_| page.more).map(|user| user.id);
    let next = last.map(|last| {
        Link::to("/console/users")
            .with_some("q", q)
            .with("after", last)
    });
    let body = html! {
        h1 { "Users" }
        form class="filters" method="get" action="/console/users" {
            div class="wide" {
                label for="u-q" { "Id, or a part of the name or email" }
                input id="u-q" name="q" type="search" value=[q] maxlength="320" autocomplete="off";
            }
            div class="send" { button class="primary" { "Search" } }
        }
        @if page.users.is_empty() {
            div class="empty" {
                @match q {
                    Some(_) => { p { strong { "Nobody is called like that." } } p { "Try a shorter part of the name or email." } }
                    None => { p { strong { "There are no users yet." } } p { "The exchange makes them through the admin API." } }
                }
            }
        } @else { (table(&page.users)) }
        @if let Some(next) = next { p class="pages" { a class="button" rel="next" href=(next) { "Next users" } } }
    };
    Ok(Reply::page(Place::Users, "Users", body))
}

fn table(users: &[User]) -> Markup {
    html! {
        (wide("Users", &html! {
            table class="list" id="rows" {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Email" } th scope="col" { "Status" } th scope="col" { "Roles" } } }
                tbody {
                    @for user in users {
                        tr {
                            th scope="row" { a href={ "/console/users/" (user.id) } { (user.username) } }
                            td { bdi { (user.email) } }
                            td { (status_badge(user.status)) }
                            td { bdi { (user.roles.join(", ")) } }
                        }
                    }
                }
            }
        }))
    }
}

/// Where the lists of a user's page begin.
#[derive(Deserialize)]
pub(crate) struct Places {
    /// How many balances come before.
    balances: Option<usize>,
    /// How many limits come before.
    limits: Option<usize>,
    /// The access key that comes before.
    key: Option<String>,
    /// The token that comes before.
    token: Option<String>,
}

pub(crate) async fn show(
    desk: Desk,
    id: web::Path<String>,
    places: web::Query<Places>,
) -> HttpResponse {
    desk.answer(page(&desk, &id, &places).await)
}

async fn page(desk: &Desk, id: &str, places: &Places) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let id = read_id(id)?;
    let app = desk.app();
    let user = app.find_user(&grant, id).await?;
    let balances = app.list_user_balances(&grant, id).await?;
    let headroom = app.user_headroom(&grant, id).await?;
    let search = TransferSearch {
        user: Some(id),
        limit: RECENT,
        ..TransferSearch::default()
    };
    let recent = app.search_transfers(&grant, search).await?;
    let people = People::of(desk, recent.transfers.iter().map(|found| &found.transfer)).await?;
    let all = Link::to("/console/transfers").with("user", id);
    let body = html! {
        h1 { bdi { (user.username) } " " (status_badge(user.status)) }
        dl class="facts" {
            dt { "Email" } dd { @if user.email.is_empty() { "–" } @else { bdi { (user.email) } } }
            dt { "Id" } dd { code class="long" { (id) } }
            dt { "Roles" } dd { @if user.roles.is_empty() { "–" } @else { bdi { (user.roles.join(", ")) } } }
        }
        section aria-labelledby="has" { h2 id="has" { "Balances" } (money::balances(desk, id, &balances, places)) }
        section aria-labelledby="room" { h2 id="room" { "Headroom under limits" } (money::headroom(id, &headroom, places)) }
        section aria-labelledby="recent" {
            h2 id="recent" { "Recent transfers" }
            @if recent.transfers.is_empty() {
                div class="empty" { p { strong { "None yet." } } p { "The newest transfers from and to this user would be here." } }
            } @else { (transfers::table(desk, &recent.transfers, &people)) }
            p { a href=(all) { "All transfers of this user" } }
        }
        (status::section(desk, &user).await?)
        @if desk.may(Permission::Admin) { (credentials::section(desk, id, places).await?) }
        p { a href={ "/console/audit?target=user:" (id) } { "Changes of this user in the audit log" } }
    };
    Ok(Reply::page(Place::Users, user.username.clone(), body))
}

/// Leads on to the rest of one of the lists.
fn next_link(user: UserId, list: &str, place: impl std::fmt::Display, at: &str) -> String {
    let link = Link::to(format!("/console/users/{user}")).with(list, place);
    format!("{link}#{at}")
}

/// Leads on to the rest of a list that is in memory as a whole.
fn rest<T>(user: UserId, list: &str, part: &Part<'_, T>, at: &str) -> Markup {
    html! {
        @if let Some(next) = part.next() {
            p class="pages" { a class="button" href=(next_link(user, list, next, at)) { "Next of " (part.left) " more" } }
        }
    }
}

fn read_id(text: &str) -> Result<UserId, Fault> {
    Uuid::try_parse(text)
        .map(UserId::new)
        .map_err(|_| Fault::NoPage)
}

fn status_badge(status: UserStatus) -> Markup {
    let tone = match status {
        UserStatus::Active => "good",
        UserStatus::Frozen | UserStatus::Terminated => "bad",
    };
    html! { span class={ "badge " (tone) } { (status.as_str()) } }
}
