//! `/console`: what waits, whether all is well, and how much moved.

mod chart;
mod series;

use actix_web::{HttpResponse, web};
use bursar_app::{BooksState, Overview, Period};
use bursar_ports::{CallbackLag, Stop, Waiting};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    desk::{Desk, Reply},
    fault::Fault,
    integrity,
    layout::Place,
    links::{Link, said},
    live::{self, Watch},
    words,
};

/// How many charts a page has: the rest is a choice of the asset away.
const CHARTS: usize = 9;

#[derive(Deserialize)]
pub(crate) struct Asked {
    period: Option<String>,
    asset: Option<String>,
}

pub(crate) async fn show(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    desk.answer(page(&desk, &asked).await)
}

async fn page(desk: &Desk, asked: &Asked) -> Result<Reply, Fault> {
    if !desk.may_read() {
        let body = html! {
            h1 { "Welcome" }
            p { "Your account may not look at transfers. Ask whoever runs the operators’ accounts, if that is part of your work." }
        };
        return Ok(Reply::page(Place::Overview, "Overview", body));
    }
    let grant = desk.reader()?;
    let period = said(asked.period.as_ref());
    let period = period.map_or(Some(Period::Day), Period::from_name);
    let period = period.ok_or(Fault::BadAddress)?;
    let seen = desk.app().overview(&grant, period).await?;
    let stops = desk.app().list_stops(&grant).await?;
    let body = html! {
        (live::news(desk, Watch::Overview))
        h1 { "Overview" }
        (waiting(desk, &seen))
        div class="pair" {
            (books(desk, seen.books.as_ref(), &stops))
            (lag(desk, &seen.callbacks))
        }
        (volumes(desk, &seen, period, said(asked.asset.as_ref())))
    };
    Ok(Reply::page(Place::Overview, "Overview", body))
}

fn waiting(desk: &Desk, seen: &Overview) -> Markup {
    let card = |name: &str, href: &str, waits: &Waiting, none: &str| {
        html! {
            li {
                a class={ "stat" @if waits.count > 0 { " some" } } href=(href) {
                    span class="name" { (name) }
                    " " strong { (counted(waits.count)) }
                    " " span class="muted" {
                        @match waits.oldest {
                            Some(oldest) => { "the oldest for " (desk.clock().age(oldest)) }
                            None => (none),
                        }
                    }
                }
            }
        }
    };
    let now = &seen.waiting;
    html! {
        section aria-labelledby="waits" {
            h2 id="waits" { "What waits" }
            ul class="stats" {
                (card("To confirm", "/console/queue?work=withdrawals", &now.withdrawals, "nothing to confirm"))
                (card("To approve", "/console/queue?work=approvals", &now.approvals, "nothing to approve"))
                (card("Dead callbacks", "/console/callbacks?state=dead", &now.dead_callbacks, "every callback arrived or is still tried"))
            }
        }
    }
}

/// A number that is counted up to a bound.
fn counted(count: u32) -> Markup {
    html! {
        (words::grouped(&count.to_string()))
        @if count >= Waiting::COUNTED { " or more" }
    }
}

fn books(desk: &Desk, seen: Option<&BooksState>, stops: &[Stop]) -> Markup {
    html! {
        section aria-labelledby="books" {
            h2 id="books" { "Books" }
            @match seen {
                None => p { span class="badge off" { "Not looked yet" } " This replica has not looked at them since it started." },
                Some(seen) => (seen_books(desk, seen, stops)),
            }
            p { a href="/console/integrity" { "Examine them" } }
        }
    }
}

fn seen_books(desk: &Desk, seen: &BooksState, stops: &[Stop]) -> Markup {
    html! {
        @if integrity::is_in_order(desk, seen) {
            p { span class="badge good" { "In order" } " " (seen.assets.len()) " assets, seen " (desk.clock().age(seen.at)) " ago." }
        }
        @if !seen.wrong.is_empty() {
            p role="alert" {
                span class="badge bad" { "Wrong" } " "
                @for asset in &seen.wrong { strong { (words::unit(*asset)) } " " }
                "are not what they must be. " (integrity::stopped_words(&seen.wrong, stops))
            }
        }
        @if seen.strays { p role="alert" { span class="badge bad" { "Wrong" } " " (integrity::STRAY_WORDS) } }
        @if !integrity::has_fresh_sums(desk, seen) {
            p { span class="badge off" { "Not known" } " " (integrity::sums_words(desk, seen)) }
        }
    }
}

fn lag(desk: &Desk, lag: &CallbackLag) -> Markup {
    html! {
        section aria-labelledby="lag" {
            h2 id="lag" { "Callbacks" }
            p {
                (counted(lag.pending)) " waiting"
                @if let Some(oldest) = lag.oldest_due { ", the oldest due for " (desk.clock().age(oldest)) }
                "."
            }
            @match (lag.p50_ms, lag.p95_ms) {
                (Some(half), Some(most)) => p {
                    "Of the last " (lag.sample) ", half arrived within " strong { (half) " ms" } " and 95 % within " strong { (most) " ms" } "."
                },
                (_, _) => p class="muted" { "None was delivered lately." },
            }
            p { a href="/console/callbacks" { "Health by host" } }
        }
    }
}

const fn period_word(period: Period) -> &'static str {
    match period {
        Period::Day => "24 hours",
        Period::Week => "7 days",
        Period::Month => "30 days",
    }
}

fn volumes(desk: &Desk, seen: &Overview, period: Period, asset: Option<&str>) -> Markup {
    let all = series::of(seen, asset);
    let shown = all.iter().take(CHARTS);
    html! {
        section aria-labelledby="moved" {
            h2 id="moved" { "What moved" }
            nav class="tabs" aria-label="Period" {
                ul {
                    @for one in Period::ALL {
                        @let current = (one == period).then_some("page");
                        @let link = Link::to("/console").with("period", one.as_str()).with_some("asset", asset);
                        li { a href=(link) aria-current=[current] { (period_word(one)) } }
                    }
                }
            }
            @if asset.is_some() { p { a href=(Link::to("/console").with("period", period.as_str())) { "All assets" } } }
            @if all.is_empty() {
                div class="empty" {
                    p {
                        strong {
                            @match asset {
                                Some(asset) => { "Nothing of " (asset.to_ascii_uppercase()) " moved in this time." }
                                None => "Nothing moved in this time.",
                            }
                        }
                    }
                    p { "A chart for each asset and kind of transfer that went through would be here." }
                }
            } @else {
                div class="charts" { @for one in shown { (chart::card(desk, one, seen, period)) } }
                @if all.len() > CHARTS { (others(seen, period)) }
            }
            @if seen.volumes.behind > 0 { p class="muted" { (seen.volumes.behind) " events are not counted yet." } }
        }
    }
}

fn others(seen: &Overview, period: Period) -> Markup {
    html! {
        form class="filters" method="get" action="/console" {
            input type="hidden" name="period" value=(period.as_str());
            div {
                label for="o-asset" { "The busiest are shown; others by asset" }
                select id="o-asset" name="asset" {
                    @for asset in &seen.assets { option value=(asset.id) { (words::unit(asset.id)) } }
                }
            }
            div class="send" { button { "Show" } }
        }
    }
}
