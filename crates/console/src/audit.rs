//! `/console/audit`: who did what.

use actix_web::{HttpResponse, web};
use bursar_ports::{AuditFilter, AuditPlace, AuditRecord};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    desk::{Desk, Reply},
    fault::Fault,
    layout::Place,
    links::{Link, said},
    lists::{Edge, day_field, moment, one_more, page_of, place_text, read_place},
};

/// How many rows a page has.
const ROWS: u32 = 50;

#[derive(Deserialize)]
pub(crate) struct Asked {
    actor: Option<String>,
    action: Option<String>,
    target: Option<String>,
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
}

pub(crate) async fn show(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    desk.answer(list(&desk, &asked).await)
}

async fn list(desk: &Desk, asked: &Asked) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let text = |field: &Option<String>| said(field.as_ref()).map(str::to_owned);
    let day = |text: &Option<String>, edge| {
        let at = said(text.as_ref()).map(|text| moment(text, edge).ok_or(Fault::BadAddress));
        at.transpose()
    };
    let after = said(asked.after.as_ref()).map(|text| place(text).ok_or(Fault::BadAddress));
    let filter = AuditFilter {
        actor: text(&asked.actor),
        action: text(&asked.action),
        target: text(&asked.target),
        from: day(&asked.from, Edge::First)?,
        to: day(&asked.to, Edge::Last)?,
        after: after.transpose()?,
        limit: one_more(ROWS),
    };
    let (records, more) = page_of(desk.app().list_audit(&grant, filter).await?, ROWS);
    let last = records.last().filter(|_| more);
    let next = last.map(|last| link(asked).with("after", place_text(last.at, last.id)));
    let body = html! {
        h1 { "Audit log" }
        (form(asked))
        @if records.is_empty() {
            div class="empty" { p { strong { "Nothing was done that matches." } } p { "Every change by an operator or a client would be here, with who, when, by which credential and in which request." } }
        } @else {
            ol class="cards" { @for record in &records { (card(desk, record)) } }
        }
        @if let Some(next) = next { p class="pages" { a class="button" rel="next" href=(next) { "Older ones" } } }
    };
    Ok(Reply::page(Place::Audit, "Audit log", body))
}

fn link(asked: &Asked) -> Link {
    Link::to("/console/audit")
        .with_some("actor", said(asked.actor.as_ref()))
        .with_some("action", said(asked.action.as_ref()))
        .with_some("target", said(asked.target.as_ref()))
        .with_some("from", said(asked.from.as_ref()))
        .with_some("to", said(asked.to.as_ref()))
}

fn place(text: &str) -> Option<AuditPlace> {
    let (at, id) = read_place(text, |id| Uuid::try_parse(id).ok())?;
    Some(AuditPlace { at, id })
}

fn form(asked: &Asked) -> Markup {
    let field = |name: &str, label: &str, kind: &str, value: &Option<String>| {
        html! {
            div {
                label for={ "a-" (name) } { (label) }
                input id={ "a-" (name) } name=(name) type=(kind) value=[said(value.as_ref())] autocomplete="off";
            }
        }
    };
    html! {
        form class="filters" method="get" action="/console/audit" {
            (field("actor", "Who", "search", &asked.actor))
            (field("action", "Action, as user.put", "search", &asked.action))
            (field("target", "Target, as user:…", "search", &asked.target))
            (field("from", "From day (UTC)", day_field(asked.from.as_ref()), &asked.from))
            (field("to", "To day (UTC)", day_field(asked.to.as_ref()), &asked.to))
            div class="send" { button class="primary" { "Search" } " " a href="/console/audit" { "Clear" } }
        }
    }
}

fn card(desk: &Desk, record: &AuditRecord) -> Markup {
    html! {
        li {
            p {
                (desk.clock().exact(record.at)) " " strong class="p" { (record.actor) } " did " code { (record.action) } " to " (target(&record.target))
            }
            p class="muted small" {
                "with " bdi { (record.credential) } ", request " bdi { (record.request_id) } ", from " bdi { (record.address) }
            }
            @if record.before.is_some() || record.after.is_some() {
                details {
                    summary { "Before and after" }
                    dl class="facts" {
                        dt { "Before" } dd { @if let Some(before) = &record.before { code class="long" { (before) } } @else { "nothing" } }
                        dt { "After" } dd { @if let Some(after) = &record.after { code class="long" { (after) } } @else { "nothing" } }
                    }
                }
            }
        }
    }
}

/// What it was done to; what has a page leads there.
fn target(target: &str) -> Markup {
    let page = target.split_once(':').and_then(|(kind, id)| match kind {
        "transfer" if id.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("/console/transfers/{id}"))
        }
        "user" => Uuid::try_parse(id)
            .ok()
            .map(|id| format!("/console/users/{id}")),
        _ => None,
    });
    html! {
        @match page {
            Some(page) => a href=(page) { code { (target) } },
            None => code { (target) },
        }
    }
}
