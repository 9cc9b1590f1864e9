//! Where an operator is signed in, and the end of what should not be.

use actix_web::{
    HttpResponse,
    http::header::LOCATION,
    web::{self, Data, ServiceConfig},
};
use bursar_app::{Error, Grant};
use bursar_ports::{OperatorSession, Permission};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::leave;
use crate::{Console, Posted, Visitor, forms, layout, session};

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

async fn show(console: Data<Console>, visitor: Visitor) -> HttpResponse {
    let listed = match grant(&visitor) {
        Ok(grant) => console.app().own_sessions(&grant).await,
        Err(error) => Err(error),
    };
    match listed {
        Ok(sessions) => {
            let body = body(&visitor, &sessions);
            let page = layout::page(Some(&visitor), "Your sessions", body);
            layout::respond(HttpResponse::Ok(), page)
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> HttpResponse {
    tracing::error!(%error, "sessions cannot be listed or ended");
    session::unavailable()
}

fn body(visitor: &Visitor, sessions: &[OperatorSession]) -> Markup {
    html! {
        h1 { "Your sessions" }
        p { "Where you are signed in. End what you do not know, and have your password changed." }
        div class="scroll" {
            table {
                thead { tr {
                    th scope="col" { "Signed in (UTC)" }
                    th scope="col" { "Last used" }
                    th scope="col" { "Ends" }
                    th scope="col" { "From" }
                    th scope="col" { "Browser" }
                    th scope="col" { "End it" }
                } }
                tbody { @for session in sessions { (row(visitor, session)) } }
            }
        }
    }
}

fn row(visitor: &Visitor, session: &OperatorSession) -> Markup {
    let is_this = session.id.to_string() == visitor.session;
    let [created, seen, end] = [session.created_at, session.last_seen_at, session.expires_at]
        .map(|at| at.to_seconds_text());
    html! {
        tr {
            td { time datetime=(created) { (created) } }
            td { time datetime=(seen) { (seen) } }
            td { time datetime=(end) { (end) } }
            td { (session.address) }
            td { (session.user_agent) }
            td {
                form action="/console/sessions/end" method="post" {
                    (forms::csrf(visitor))
                    input type="hidden" name="id" value=(session.id);
                    button class="quiet" aria-label={ "End the session of " (created) } {
                        @if is_this { "End this one: sign out" } @else { "End" }
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

async fn end(console: Data<Console>, posted: Posted<Which>) -> HttpResponse {
    let visitor = posted.visitor;
    let Ok(id) = Uuid::parse_str(&posted.form.id) else {
        return back();
    };
    let ended = match grant(&visitor) {
        Ok(grant) => console.app().end_own_session(&grant, id).await,
        Err(error) => Err(error),
    };
    match ended {
        Ok(_) if id.to_string() == visitor.session => leave(&console),
        // One that is not there any more is as good as ended.
        Ok(_) => back(),
        Err(error) => failed(&error),
    }
}

fn back() -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, HERE))
        .finish()
}
