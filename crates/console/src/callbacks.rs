//! `/console/callbacks`: how they fare by host, those that were given up, and replay.

mod hosts;
mod states;

use actix_web::{HttpResponse, web};
use bursar_domain::{Timestamp, TransferId};
use bursar_ports::{
    CallbackFilter, CallbackPlace, CallbackRecord, CallbackState, Permission, Replayable,
};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use self::states::{state_badge, state_word};
use crate::{
    Posted,
    desk::{Desk, Reply, own_path},
    fault::Fault,
    flash::Done,
    forms,
    layout::Place,
    links::{Link, said},
    lists::{one_more, page_of, place_text, read_place},
    words,
};

pub(crate) use states::last_of;

/// How many callbacks a page has.
const ROWS: u32 = 25;
/// What the list is of, the most urgent first; none = of all.
const TABS: [Option<CallbackState>; 6] = [
    Some(CallbackState::Dead),
    Some(CallbackState::Pending),
    Some(CallbackState::Delivering),
    Some(CallbackState::Succeeded),
    Some(CallbackState::Cancelled),
    None,
];
/// How many callbacks of one transfer its page shows: hardly any has as many.
const OF_TRANSFER: usize = 20;
/// How many attempts of each the list shows: the transfer's page has all.
const LIST_ATTEMPTS: usize = 6;
/// How far back the form for dead letters reaches at first, in microseconds: what ran out of attempts first
/// became due up to 91 hours before.
const DEAD_REACH: i64 = 5 * 86_400_000_000;

#[derive(Deserialize)]
pub(crate) struct Asked {
    state: Option<String>,
    after: Option<String>,
}

pub(crate) async fn show(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    desk.answer(list(&desk, &asked).await)
}

async fn list(desk: &Desk, asked: &Asked) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let state = match said(asked.state.as_ref()) {
        None => Some(CallbackState::Dead),
        Some("all") => None,
        Some(name) => Some(CallbackState::from_name(name).ok_or(Fault::BadAddress)?),
    };
    let after = said(asked.after.as_ref()).map(|text| place(text).ok_or(Fault::BadAddress));
    let filter = CallbackFilter {
        state,
        transfer: None,
        after: after.transpose()?,
        limit: one_more(ROWS),
    };
    let hosts = desk.app().callback_hosts(&grant).await?;
    let records = desk.app().list_callbacks(&grant, filter).await?;
    let (records, more) = page_of(records, ROWS);
    let here =
        Link::to("/console/callbacks").with("state", state.map_or("all", CallbackState::as_str));
    let last = records.last().filter(|_| more);
    let next = last.map(|last| here.with("after", place_text(last.created_at, last.id)));
    let body = html! {
        h1 { "Callbacks" }
        section aria-labelledby="hosts" { h2 id="hosts" { "Health by host" } (hosts::table(desk, &hosts)) }
        (replay_dead(desk))
        section aria-labelledby="list" {
            h2 id="list" { "Callbacks by state" }
            (tabs(state))
            (records_list(desk, &records, state))
            @if let Some(next) = next { p class="pages" { a class="button" rel="next" href=(next) { "Older ones" } } }
        }
    };
    Ok(Reply::page(Place::Callbacks, "Callbacks", body))
}

fn tabs(state: Option<CallbackState>) -> Markup {
    html! {
        nav class="tabs" aria-label="States" {
            ul {
                @for one in TABS {
                    @let name = one.map_or("all", CallbackState::as_str);
                    @let current = (one == state).then_some("page");
                    li { a href={ "/console/callbacks?state=" (name) } aria-current=[current] { (one.map_or("All", state_word)) } }
                }
            }
        }
    }
}

fn records_list(desk: &Desk, records: &[CallbackRecord], state: Option<CallbackState>) -> Markup {
    html! {
        @if records.is_empty() {
            div class="empty" {
                @if state == Some(CallbackState::Dead) {
                    p { strong { "No dead letters." } } p { "Callbacks that were given up after all of their attempts would be here, to be delivered again." }
                } @else { p { strong { "None in this state." } } }
            }
        } @else { (cards(desk, records, LIST_ATTEMPTS)) }
    }
}

/// The callbacks of one transfer, with every attempt.
pub(crate) fn of_transfer(desk: &Desk, records: &[CallbackRecord]) -> Markup {
    html! {
        @if records.is_empty() {
            div class="empty" { p { strong { "Nobody was told." } } p { "Callbacks to the URLs given with the transfer would be here, with every attempt." } }
        } @else {
            @let left_out = records.len().saturating_sub(OF_TRANSFER);
            @if left_out > 0 { p class="muted" { "The latest " (OF_TRANSFER) " are shown; " (left_out) " came before them." } }
            (cards(desk, records.get(left_out..).unwrap_or_default(), usize::MAX))
        }
    }
}

fn cards(desk: &Desk, records: &[CallbackRecord], attempts_max: usize) -> Markup {
    html! { ul class="cards" { @for record in records { (card(desk, record, attempts_max)) } } }
}

fn card(desk: &Desk, record: &CallbackRecord, attempts_max: usize) -> Markup {
    let tries = record.attempts.len();
    html! {
        li id={ "cb-" (record.id) } {
            p {
                (state_badge(record.state)) " "
                a href={ "/console/transfers/" (record.transfer) } { (words::kind_word(record.kind)) " " (record.transfer) }
                " tells " b { (words::status_word(record.status)) } " after " (record.operation.as_str())
                " · " (desk.clock().time(record.created_at))
            }
            p { code class="long" { (record.url) } }
            @if let Some(next) = record.next_attempt_at { p class="muted" { "Next attempt: " (desk.clock().exact(next)) } }
            @if tries == 0 { p class="muted" { "Not tried yet." } }
            @else {
                details {
                    summary { (tries) @if tries == 1 { " attempt" } @else { " attempts" } ", the last one: " (last_word(record)) }
                    (attempts(desk, record, attempts_max))
                }
            }
            (replay_form(desk, record))
        }
    }
}

fn last_word(record: &CallbackRecord) -> String {
    let last = record.attempts.last();
    last.map_or_else(String::new, |last| match last.http_status {
        Some(status) => format!("{} with {status}", last.outcome),
        None => last.outcome.clone(),
    })
}

fn attempts(desk: &Desk, record: &CallbackRecord, most: usize) -> Markup {
    let left_out = record.attempts.len().saturating_sub(most);
    html! {
        @if left_out > 0 {
            p class="muted" { "The last " (most) "; " a href={ "/console/transfers/" (record.transfer) } { "all of them" } " are on the transfer’s page." }
        }
        table class="list" {
            thead { tr { th scope="col" { "Time" } th scope="col" { "What happened" } th scope="col" class="num" { "Status" } th scope="col" class="num" { "Took" } } }
            tbody {
                @for attempt in record.attempts.iter().skip(left_out) {
                    tr {
                        th scope="row" { (desk.clock().exact(attempt.at)) }
                        td { (attempt.outcome) }
                        td class="num" { @if let Some(status) = attempt.http_status { (status) } @else { "–" } }
                        td class="num" { (attempt.duration_ms) " ms" }
                    }
                }
            }
        }
    }
}

fn replay_form(desk: &Desk, record: &CallbackRecord) -> Markup {
    let ended = match record.state {
        CallbackState::Dead | CallbackState::Succeeded => true,
        CallbackState::Pending | CallbackState::Delivering | CallbackState::Cancelled => false,
    };
    html! {
        @if ended && desk.may(Permission::Admin) {
            form method="post" action={ "/console/callbacks/" (record.id) "/replay" } {
                (forms::csrf(&desk.visitor))
                input type="hidden" name="back" value=(desk.here);
                button { "Deliver it again" }
            }
        }
    }
}

fn replay_dead(desk: &Desk) -> Markup {
    html! {
        @if desk.may(Permission::Admin) {
            form class="filters" method="post" action="/console/callbacks/replay" {
                (forms::csrf(&desk.visitor))
                div {
                    label for="since" { "Dead letters that first became due since (UTC)" }
                    input id="since" name="since" type="date" required value=(desk.now().plus_micros(-DEAD_REACH).to_seconds_text().get(..10).unwrap_or_default());
                }
                div class="send" { button { "Deliver all of these again" } }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct One {
    back: Option<String>,
}

/// Delivers one again.
pub(crate) async fn replay(desk: Desk, id: web::Path<String>, posted: Posted<One>) -> HttpResponse {
    let reply = async {
        let grant = desk.grant(Permission::Admin)?;
        let id = Uuid::try_parse(&id).map_err(|_| Fault::NoPage)?;
        let transfer: TransferId = desk.app().replay_callback(&grant, id).await?.transfer;
        let back = posted.form.back.as_deref().and_then(own_path);
        Ok::<_, Fault>(Reply::done(
            Done::Replayed(transfer),
            back.unwrap_or("/console/callbacks"),
        ))
    };
    desk.answer(reply.await)
}

#[derive(Deserialize)]
pub(crate) struct Since {
    since: Option<String>,
}

/// Delivers all dead letters again that first became due since a day.
pub(crate) async fn replay_all(desk: Desk, posted: Posted<Since>) -> HttpResponse {
    let reply = async {
        let grant = desk.grant(Permission::Admin)?;
        let since = Timestamp::parse(said(posted.form.since.as_ref()).unwrap_or_default());
        let since = since.map_err(|error| Fault::invalid("since", error.to_string()))?;
        let app = desk.app();
        let replayed = app
            .replay_callbacks(&grant, Replayable::Dead, since)
            .await?;
        let count = i64::try_from(replayed).unwrap_or(i64::MAX);
        Ok::<_, Fault>(Reply::done(Done::ReplayedMany(count), "/console/callbacks"))
    };
    desk.answer(reply.await)
}

fn place(text: &str) -> Option<CallbackPlace> {
    let (created_at, id) = read_place(text, |id| Uuid::try_parse(id).ok())?;
    Some(CallbackPlace { created_at, id })
}
