//! `/console/operators`: who may sign in, where they have, and the end of what should not be.

use actix_web::{HttpResponse, web};
use bursar_ports::{Operator, OperatorSession, Permission};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    Posted,
    desk::{Desk, Reply, own_path},
    fault::Fault,
    flash::Done,
    forms,
    layout::{Place, wide},
    links::{Link, said},
    sign_in::leave,
};

/// How many operators a page has.
const ROWS: u32 = 25;
const HERE: &str = "/console/operators";

/// An operator with its open sessions.
type SignedIn = (Operator, Vec<OperatorSession>);

#[derive(Deserialize)]
pub(crate) struct Asked {
    after: Option<String>,
}

pub(crate) async fn show(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    desk.answer(list(&desk, &asked).await)
}

async fn list(desk: &Desk, asked: &Asked) -> Result<Reply, Fault> {
    let grant = desk.grant(Permission::Admin)?;
    let after = said(asked.after.as_ref()).map(str::to_owned);
    let operators = desk.app().list_signed_in(&grant, after, ROWS).await?;
    let full = u32::try_from(operators.len()).is_ok_and(|rows| rows == ROWS);
    let next = operators.last().filter(|_| full);
    let next = next.map(|(last, _)| Link::to(HERE).with("after", &last.name));
    let body = html! {
        h1 { "Operators" }
        p { "Who may sign in here, and where they are signed in now. Ending a session shuts out whoever sits there, as when a laptop is lost; " code { "bursar operator disable" } " keeps an operator from signing in again." }
        @if operators.is_empty() { div class="empty" { p { strong { "That was all." } } p { a href=(HERE) { "Back to the first" } } } }
        @for one in &operators { (section(desk, one)) }
        @if let Some(next) = next { p class="pages" { a class="button" rel="next" href=(next) { "Next operators" } } }
    };
    Ok(Reply::page(Place::Operators, "Operators", body))
}

fn section(desk: &Desk, (operator, sessions): &SignedIn) -> Markup {
    let name = &operator.name;
    let id = format!("o-{name}");
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { bdi { (name) } " " (status_badge(operator)) }
            (facts(desk, operator))
            @if sessions.is_empty() { p class="muted" { "Signed in nowhere." } }
            @else {
                p id={ "end-" (name) } class="hint" {
                    "End signs " bdi { (name) } " out there at once: what that browser sends next is refused, and whoever signs in anew needs the password and a code."
                }
                (table(desk, name, sessions))
            }
        }
    }
}

fn facts(desk: &Desk, operator: &Operator) -> Markup {
    let may: Vec<&str> = operator
        .permissions
        .iter()
        .map(|one| one.as_str())
        .collect();
    let waits = operator.next_try_at.filter(|at| *at > desk.now());
    html! {
        dl class="facts" {
            dt { "May" } dd { (may.join(", ")) }
            dt { "Second factor" }
            dd { @if operator.totp_step.is_some() { "In use" } @else { "Waits for its first code" } }
            @if operator.failures > 0 {
                dt { "Failed tries" }
                dd { (operator.failures) @if let Some(at) = waits { ", the next one counts from " (desk.clock().exact(at)) } }
            }
            dt { "Account made" }
            dd { (desk.clock().time(operator.created_at)) ", " a href={ "/console/audit?target=operator:" (operator.name) } { "changes in the audit log" } }
        }
    }
}

fn status_badge(operator: &Operator) -> Markup {
    html! {
        @if operator.is_active { span class="badge good" { "Active" } }
        @else { span class="badge off" { "Disabled" } }
    }
}

fn table(desk: &Desk, name: &str, sessions: &[OperatorSession]) -> Markup {
    html! {
        (wide(&format!("Sessions of {name}"), &html! {
            table class="list" {
                thead { tr {
                    th scope="col" { "Signed in" }
                    th scope="col" { "Last used" }
                    th scope="col" { "Ends" }
                    th scope="col" { "From" }
                    th scope="col" { "Browser" }
                    th scope="col" { "End it" }
                } }
                tbody { @for session in sessions { (row(desk, name, session)) } }
            }
        }))
    }
}

fn row(desk: &Desk, name: &str, session: &OperatorSession) -> Markup {
    let (clock, address) = (desk.clock(), &session.address);
    let is_this = session.id.to_string() == desk.visitor.session;
    let label = (!is_this).then(|| format!("End the session of {name} from {address}"));
    html! {
        tr {
            td { (clock.time(session.created_at)) }
            td { (clock.age(session.last_seen_at)) }
            td { (clock.time(session.expires_at)) }
            td { bdi { (address) } }
            td { bdi { (session.user_agent) } }
            td {
                form method="post" action="/console/operators/end" {
                    (forms::csrf(&desk.visitor))
                    input type="hidden" name="operator" value=(name);
                    input type="hidden" name="id" value=(session.id);
                    input type="hidden" name="back" value=(desk.here);
                    button class="danger" aria-label=[label] aria-describedby={ "end-" (name) } {
                        @if is_this { "End yours: sign out" } @else { "End" }
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Which {
    operator: String,
    id: String,
    back: Option<String>,
}

/// Ends a session; whoever ends their own is out.
pub(crate) async fn end(desk: Desk, posted: Posted<Which>) -> HttpResponse {
    let which = posted.form;
    let is_own = which.id == desk.visitor.session;
    match end_one(&desk, which).await {
        Ok(_) if is_own => leave(&desk.console),
        reply => desk.answer(reply),
    }
}

async fn end_one(desk: &Desk, which: Which) -> Result<Reply, Fault> {
    let grant = desk.grant(Permission::Admin)?;
    let id = Uuid::try_parse(&which.id).map_err(|_| Fault::NoPage)?;
    let app = desk.app();
    app.end_operator_session(&grant, which.operator, id).await?;
    let back = which.back.as_deref().and_then(own_path);
    Ok(Reply::done(Done::EndedSession, back.unwrap_or(HERE)))
}
