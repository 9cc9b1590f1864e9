//! Stopping what moves, and letting it go on.

use actix_web::HttpResponse;
use bursar_app::{Error, Missing};
use bursar_domain::{ActorId, Asset, AssetId, Timestamp};
use bursar_ports::{Expected, Permission, Stop, StopMark, StopScope, WATCH};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    Posted,
    desk::{Desk, Reply},
    fault::Fault,
    flash::Done,
    forms,
    layout::Place,
    links::said,
    lists::Part,
    words,
};

/// The longest reason, in characters.
const REASON_MAX: usize = 500;
/// How many stops are shown.
const SHOWN: usize = 10;
/// The scope of everything, as the form says it.
const ALL: &str = "read_only";

#[derive(Deserialize)]
pub(crate) struct Wanted {
    scope: Option<String>,
    reason: Option<String>,
}

/// The stop that was shown.
#[derive(Deserialize)]
pub(crate) struct Shown {
    scope: Option<String>,
    by: Option<String>,
    at: Option<String>,
}

impl Shown {
    fn read(&self) -> Result<(StopScope, StopMark), Fault> {
        let scope = scope_of(said(self.scope.as_ref()))?;
        let at = said(self.at.as_ref()).and_then(|at| at.parse().ok());
        let mark = self.by.clone().zip(at).map(|(by, at)| StopMark {
            stopped_by: ActorId::new(by),
            stopped_at: Timestamp::from_micros(at),
        });
        Ok((scope, mark.ok_or(Fault::BadAddress)?))
    }
}

fn scope_of(text: Option<&str>) -> Result<StopScope, Fault> {
    match text {
        Some(ALL) => Ok(StopScope::ReadOnly),
        Some(asset) => AssetId::parse(asset)
            .map(StopScope::Outgoing)
            .map_err(|_| Fault::BadAddress),
        None => Err(Fault::BadAddress),
    }
}

fn scope_text(scope: StopScope) -> String {
    match scope {
        StopScope::ReadOnly => ALL.to_owned(),
        StopScope::Outgoing(asset) => asset.to_string(),
    }
}

pub(crate) async fn stop(desk: Desk, posted: Posted<Wanted>) -> HttpResponse {
    let reply = async {
        let grant = desk.grant(Permission::Admin)?;
        let scope = scope_of(said(posted.form.scope.as_ref()))?;
        let reason = Fault::said_why("reason", posted.form.reason.as_ref(), REASON_MAX)?;
        let app = desk.app();
        app.stop(&grant, scope, reason.to_owned()).await?;
        // It is stopped in any case, so what cannot be read now is no reason to say anything else.
        let stops = app.list_stops(&grant).await.unwrap_or_default();
        let me = &desk.visitor.principal.subject;
        let is_mine = |stop: &Stop| stop.stopped_by.as_str() == me && stop.reason == reason;
        let stands = stops.iter().find(|stop| stop.scope == scope);
        Ok::<_, Fault>(match stands {
            Some(stop) if !is_mine(stop) => stopped_before(&desk, stop),
            Some(_) | None => Reply::done(Done::Stopped, "/console/rules"),
        })
    };
    desk.answer(reply.await)
}

/// A scope has one stop, and the first one stands.
fn stopped_before(desk: &Desk, stop: &Stop) -> Reply {
    let title = "It was stopped already";
    let body = html! {
        h1 { (title) }
        div class="notice" {
            p { strong { (named(stop.scope)) } " was stopped by " bdi { (stop.stopped_by.as_str()) } ", " (desk.clock().exact(stop.stopped_at)) ", for this reason:" }
            p class="prose" { (stop.reason) }
            p { "That stop stands, and whoever lifts it lets go on what you wanted stopped too. Your reason is not kept." }
        }
        p { a class="button" href="/console/rules" { "To the stops" } }
    };
    Reply::page(Place::Rules, title, body)
}

pub(crate) async fn lift(desk: Desk, posted: Posted<Shown>) -> HttpResponse {
    let reply = async {
        let grant = desk.grant(Permission::Admin)?;
        let (scope, mark) = posted.form.read()?;
        let app = desk.app();
        match app.lift_stop(&grant, scope, Expected::Exactly(mark)).await {
            // Where none stands any more, it is as whoever pressed wanted it: often by pressing twice.
            Ok(()) | Err(Error::NotFound(Missing::Stop)) => {
                Ok(Reply::done(Done::Lifted, "/console/rules"))
            }
            Err(Error::Overtaken) => Err(Fault::Overtaken {
                now: html! { "The stop that you saw was lifted, and another one stands there now." },
                link: "/console/rules".to_owned(),
            }),
            Err(error) => Err(error.into()),
        }
    };
    desk.answer(reply.await)
}

/// Everything that is stopped; `wrong` are the assets whose books are not what they must be.
pub(super) fn section(desk: &Desk, stops: &[Stop], wrong: &[AssetId], assets: &[Asset]) -> Markup {
    let shown = Part::of(stops, 0, SHOWN);
    html! {
        section aria-labelledby="stops" {
            h2 id="stops" { "Stops" }
            @if stops.is_empty() {
                div class="empty" { p { strong { "Nothing is stopped." } } p { "What somebody stopped by hand, or Bursar itself because the books do not add up, would be here." } }
            } @else {
                ul class="cards" { @for stop in shown.rows { (card(desk, stop, wrong)) } }
                @if shown.left > 0 { p class="muted" { (shown.left) " more: look for the asset below, and its stop is here." } }
            }
            @if desk.may(Permission::Admin) { (form(desk, assets)) }
        }
    }
}

fn card(desk: &Desk, stop: &Stop, wrong: &[AssetId]) -> Markup {
    let by = stop.stopped_by.as_str();
    let of_wrong = matches!(stop.scope, StopScope::Outgoing(asset) if wrong.contains(&asset));
    html! {
        li {
            p { span class="badge bad" { "Stopped" } " " strong { (named(stop.scope)) } " by " bdi { (by) } ", " (desk.clock().exact(stop.stopped_at)) }
            p class="prose" { (stop.reason) }
            @if of_wrong { p class="notice bad" { (of_wrong_books(by == WATCH)) } }
            @if desk.may(Permission::Admin) {
                form method="post" action="/console/rules/lift" {
                    (forms::csrf(&desk.visitor))
                    input type="hidden" name="scope" value=(scope_text(stop.scope));
                    input type="hidden" name="by" value=(by);
                    input type="hidden" name="at" value=(stop.stopped_at.as_micros());
                    button class="act primary" { b { "Lift it" } " " span { (lifting(stop.scope)) } }
                }
            }
        }
    }
}

/// What whoever lifts the stop of an asset with wrong books must know.
fn of_wrong_books(is_watchs: bool) -> &'static str {
    if is_watchs {
        "The books of this asset are still wrong. Once lifted, wrong money can leave: the watch does not stop it again before they have been right."
    } else {
        "The books of this asset are wrong, which this stop hides. Once it is lifted, the watch stops the asset for that reason within seconds."
    }
}

fn named(scope: StopScope) -> String {
    match scope {
        StopScope::ReadOnly => "Everything".to_owned(),
        StopScope::Outgoing(asset) => {
            format!("What leaves users’ accounts in {}", words::unit(asset))
        }
    }
}

fn lifting(scope: StopScope) -> String {
    match scope {
        StopScope::ReadOnly => "Everything moves again from the moment you press it.".to_owned(),
        StopScope::Outgoing(asset) => {
            format!(
                "{} leaves users’ accounts again from the moment you press it.",
                words::unit(asset)
            )
        }
    }
}

fn form(desk: &Desk, assets: &[Asset]) -> Markup {
    html! {
        details class="quietly" {
            summary { "Stop something" }
            form class="filters" method="post" action="/console/rules/stop" {
                (forms::csrf(&desk.visitor))
                div {
                    label for="scope" { "What, of the assets below" }
                    select id="scope" name="scope" {
                        @for asset in assets { option value=(asset.id) { "What leaves in " (words::unit(asset.id)) } }
                        option value=(ALL) { "Everything" }
                    }
                }
                div class="wide" {
                    label for="st-reason" { "Why, for everybody to read" }
                    input id="st-reason" name="reason" type="text" required maxlength=(REASON_MAX) autocomplete="off";
                }
                div class="send wide" {
                    button class="act danger" { b { "Stop it" } " " span { "New transfers of it are refused until somebody lifts the stop; nothing that was done is undone." } }
                }
            }
        }
    }
}
