//! How callbacks to each host fare.

use std::cmp::Reverse;

use bursar_app::{CallbackHost, OpenBreaker};
use bursar_ports::HostHealth;
use maud::{Markup, html};

use crate::desk::Desk;
use crate::layout::wide;
use crate::lists::Part;

/// How many hosts are shown, the worst first.
const SHOWN: usize = 50;

pub(super) fn table(desk: &Desk, hosts: &[CallbackHost]) -> Markup {
    if hosts.is_empty() {
        return html! {
            div class="empty" { p { strong { "No callbacks lately." } } p { "Each host that callbacks go to would be here, with what waits for it and what became of the last ones." } }
        };
    }
    let mut worst: Vec<&CallbackHost> = hosts.iter().collect();
    worst.sort_by_key(|host| {
        let fails = health(&host.health).0 == "bad";
        let (dead, pending) = (host.health.dead, host.health.pending);
        Reverse((host.breaker.is_some(), fails, dead, pending))
    });
    let shown = Part::of(&worst, 0, SHOWN);
    html! {
        (wide("Health by host", &html! {
            table class="list" {
                thead {
                    tr {
                        th scope="col" { "Host" }
                        th scope="col" { "Health" }
                        th scope="col" class="num" { "Waiting" }
                        th scope="col" { "Longest" }
                        th scope="col" class="num" { "Dead" }
                        th scope="col" { "Last delivered" }
                        th scope="col" { "Last failure" }
                    }
                }
                tbody { @for host in shown.rows { (row(desk, host)) } }
            }
        }))
        @if shown.left > 0 { p class="muted" { "The worst " (SHOWN) "; " (shown.left) " more fare no worse. The admin API lists all." } }
        @if shown.rows.iter().any(|host| host.breaker.is_some()) {
            p class="hint" {
                "A breaker opens when a host keeps failing: nothing but one probe at a time is sent then, what is due waits, and the first answer closes it. This is what the replica that made this page knows; each one has its own."
            }
        }
    }
}

fn row(
    desk: &Desk,
    CallbackHost {
        health: host,
        breaker,
    }: &CallbackHost,
) -> Markup {
    let clock = desk.clock();
    let (tone, word) = health(host);
    html! {
        tr {
            th scope="row" { bdi { (host.host) } }
            td {
                span class={ "badge " (tone) } { (word) }
                @if let Some(breaker) = breaker { " " (open(desk, breaker)) }
            }
            td class="num" { (host.pending) }
            td { @if let Some(at) = host.oldest_pending { (clock.age(at)) } @else { "–" } }
            td class="num" { (host.dead) }
            td { @if let Some(at) = host.last_success { (clock.time(at)) } @else { "–" } }
            td {
                @if let Some(at) = host.last_failure {
                    (clock.time(at)) @if let Some(outcome) = &host.last_failure_outcome { " " span class="muted" { (outcome) } }
                } @else { "–" }
            }
        }
    }
}

/// That a host is left alone, and until when.
fn open(desk: &Desk, breaker: &OpenBreaker) -> Markup {
    html! {
        span class="badge wait" { "Breaker open" } " "
        span class="muted" {
            @match breaker.probe_at {
                None => "a probe is under way",
                Some(at) if at <= desk.now() => "the next probe is due",
                Some(at) => { "until the probe at " (desk.clock().hour(at)) },
            }
        }
    }
}

/// Whether the last thing that happened was good.
fn health(host: &HostHealth) -> (&'static str, &'static str) {
    match (host.last_success, host.last_failure) {
        (None, None) => ("off", "Not tried"),
        (_, None) => ("good", "Takes them"),
        (Some(good), Some(bad)) if good > bad => ("good", "Takes them"),
        (_, Some(_)) => ("bad", "Fails"),
    }
}
