//! Where an operator is signed in, and the end of what should not be.

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig},
};
use bursar_app::{Error, Grant};
use bursar_ports::{OperatorSession, Permission};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::leave;
use crate::{
    Posted, Visitor,
    desk::{Desk, Reply},
    fault::Fault,
    forms,
    layout::{Place, wide},
};

const HERE: &str = "/console/sessions";

pub(super) fn routes(service: &mut ServiceConfig) {
    service
        .route("/sessions", web::get().to(show))
        .route("/sessions/end", web::post().to(end));
}

/// Any permission of an operator will do: it is about oneself.
fn grant(visitor: &Visitor) -> Result<Grant, Error> {
    visitor.principal.grant_any(&[
        Permission::BackofficeRead,
        Permission::BackofficeWrite,
        Permission::BackofficeConfirm,
        Permission::BackofficeApprove,
        Permission::Admin,
    ])
}

async fn show(desk: Desk) -> HttpResponse {
    let reply = sessions(&desk).await;
    desk.answer(reply)
}

async fn sessions(desk: &Desk) -> Result<Reply, Fault> {
    let grant = grant(&desk.visitor)?;
    let sessions = desk.app().own_sessions(&grant).await?;
    let body = body(desk, &sessions);
    Ok(Reply::page(Place::Elsewhere, "Your sessions", body))
}

fn body(desk: &Desk, sessions: &[OperatorSession]) -> Markup {
    html! {
        h1 { "Your sessions" }
        p { "Where you are signed in. End what you do not know, and have your password changed." }
        (wide("Your sessions", &html! {
            table {
                thead { tr {
                    th scope="col" { "Signed in" }
                    th scope="col" { "Last used" }
                    th scope="col" { "Ends" }
                    th scope="col" { "From" }
                    th scope="col" { "Browser" }
                    th scope="col" { "End it" }
                } }
                tbody { @for session in sessions { (row(desk, session)) } }
            }
        }))
    }
}

fn row(desk: &Desk, session: &OperatorSession) -> Markup {
    let (visitor, clock) = (&desk.visitor, desk.clock());
    let is_this = session.id.to_string() == visitor.session;
    html! {
        tr {
            td { (clock.time(session.created_at)) }
            td { (clock.age(session.last_seen_at)) }
            td { (clock.time(session.expires_at)) }
            td { (session.address) }
            td { (session.user_agent) }
            td {
                form action="/console/sessions/end" method="post" {
                    (forms::csrf(visitor))
                    input type="hidden" name="id" value=(session.id);
                    @if is_this {
                        button class="quiet" { "End this one: sign out" }
                    } @else {
                        button class="quiet" aria-label={ "End the session from " (session.address) } { "End" }
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Which {
    id: String,
}

async fn end(desk: Desk, posted: Posted<Which>) -> HttpResponse {
    match end_one(&desk, &posted.form.id).await {
        Ok(true) => leave(&desk.console),
        Ok(false) => desk.answer(Ok(Reply::Goto(HERE.to_owned()))),
        Err(fault) => desk.answer(Err(fault)),
    }
}

/// Ends a session, and tells whether it was the one that asks. One that is not there any more is as
/// good as ended.
async fn end_one(desk: &Desk, id: &str) -> Result<bool, Fault> {
    let grant = grant(&desk.visitor)?;
    let Ok(id) = Uuid::parse_str(id) else {
        return Ok(false);
    };
    desk.app().end_own_session(&grant, id).await?;
    Ok(id.to_string() == desk.visitor.session)
}
