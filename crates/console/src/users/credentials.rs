//! The tokens and access keys of a user.

use actix_web::{HttpResponse, web};
use bursar_domain::{Timestamp, UserId};
use bursar_ports::{AccessKey, Permission, Token};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::{Places, next_link};
use crate::{
    Posted,
    desk::{Desk, Reply, own_path},
    fault::Fault,
    flash::Done,
    forms,
    layout::wide,
    links::said,
    lists::{one_more, page_of},
};

/// How many of each a page has.
const ROWS: u32 = 10;

#[derive(Deserialize)]
pub(crate) struct Revoked {
    back: Option<String>,
}

pub(crate) async fn revoke_token(
    desk: Desk,
    id: web::Path<String>,
    posted: Posted<Revoked>,
) -> HttpResponse {
    let reply = async {
        let grant = desk.grant(Permission::Admin)?;
        let id = Uuid::try_parse(&id).map_err(|_| Fault::NoPage)?;
        desk.app().revoke_token(&grant, id).await?;
        Ok::<_, Fault>(Reply::done(Done::RevokedToken, back(&posted.form)))
    };
    desk.answer(reply.await)
}

pub(crate) async fn revoke_key(
    desk: Desk,
    key: web::Path<String>,
    posted: Posted<Revoked>,
) -> HttpResponse {
    let reply = async {
        let grant = desk.grant(Permission::Admin)?;
        desk.app()
            .revoke_access_key(&grant, key.into_inner())
            .await?;
        Ok::<_, Fault>(Reply::done(Done::RevokedKey, back(&posted.form)))
    };
    desk.answer(reply.await)
}

fn back(form: &Revoked) -> String {
    let back = form.back.as_deref().and_then(own_path);
    back.unwrap_or("/console/users").to_owned()
}

pub(super) async fn section(desk: &Desk, user: UserId, places: &Places) -> Result<Markup, Fault> {
    let grant = desk.grant(Permission::Admin)?;
    let app = desk.app();
    let key = said(places.key.as_ref()).map(str::to_owned);
    let token = said(places.token.as_ref()).map(Uuid::try_parse);
    let token = token.transpose().map_err(|_| Fault::BadAddress)?;
    let keys = app.list_access_keys(&grant, Some(user), key, one_more(ROWS));
    let (keys, more_keys) = page_of(keys.await?, ROWS);
    let tokens = app.list_tokens(&grant, Some(user), token, one_more(ROWS));
    let (tokens, more_tokens) = page_of(tokens.await?, ROWS);
    let key = keys.last().filter(|_| more_keys);
    let token = tokens.last().filter(|_| more_tokens);
    Ok(html! {
        section aria-labelledby="keys" {
            h2 id="keys" { "Keys and tokens" }
            @if keys.is_empty() && tokens.is_empty() {
                div class="empty" { p { strong { "None were issued." } } p { "Access keys and tokens that act for this user would be here, to be revoked." } }
            } @else {
                (wide("Keys and tokens", &html! {
                    table class="list" {
                        thead {
                            tr {
                                th scope="col" { "Credential" }
                                th scope="col" { "May" }
                                th scope="col" { "Issued" }
                                th scope="col" { "Ends" }
                                th scope="col" { "Revoke" }
                            }
                        }
                        tbody {
                            @for key in &keys { (key_row(desk, key)) }
                            @for token in &tokens { (token_row(desk, token)) }
                        }
                    }
                }))
                p class="pages" {
                    @if let Some(key) = key { a class="button" href=(next_link(user, "key", &key.access_key, "keys")) { "Next keys" } " " }
                    @if let Some(token) = token { a class="button" href=(next_link(user, "token", token.id, "keys")) { "Next tokens" } }
                }
            }
        }
    })
}

fn key_row(desk: &Desk, key: &AccessKey) -> Markup {
    let to = format!("/console/access-keys/{}/revoke", key.access_key);
    html! {
        tr {
            th scope="row" { "Access key " code { (key.access_key) } }
            td { (may(&key.permissions)) }
            td { (desk.clock().time(key.created_at)) }
            td { "Never" }
            td { (revoking(desk, &to, key.revoked_at, "key")) }
        }
    }
}

fn token_row(desk: &Desk, token: &Token) -> Markup {
    let to = format!("/console/tokens/{}/revoke", token.id);
    html! {
        tr {
            th scope="row" { "Token " bdi { (token.subject) } " " code { (token.id) } }
            td { (may(&token.permissions)) }
            td { (desk.clock().time(token.created_at)) }
            td { (desk.clock().time(token.expires_at)) }
            td { (revoking(desk, &to, token.revoked_at, "token")) }
        }
    }
}

fn may(permissions: &[Permission]) -> String {
    let names: Vec<&str> = permissions.iter().map(|one| one.as_str()).collect();
    names.join(", ")
}

fn revoking(desk: &Desk, to: &str, revoked_at: Option<Timestamp>, what: &str) -> Markup {
    html! {
        @match revoked_at {
            Some(at) => { "Revoked " (desk.clock().time(at)) }
            None => {
                form method="post" action=(to) {
                    (forms::csrf(&desk.visitor))
                    input type="hidden" name="back" value=(desk.here);
                    button class="danger" title={ "Ends this " (what) " for good" } { "Revoke for good" }
                }
            }
        }
    }
}
