//! How callbacks to each host fare.

use bursar_ports::HostHealth;
use maud::{Markup, html};

use crate::desk::Desk;
use crate::layout::wide;

pub(super) fn table(desk: &Desk, hosts: &[HostHealth]) -> Markup {
    if hosts.is_empty() {
        return html! {
            div class="empty" { p { strong { "No callbacks lately." } } p { "Each host that callbacks go to would be here, with what waits for it and what became of the last ones." } }
        };
    }
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
                tbody { @for host in hosts { (row(desk, host)) } }
            }
        }))
    }
}

fn row(desk: &Desk, host: &HostHealth) -> Markup {
    let clock = desk.clock();
    let (tone, word) = health(host);
    html! {
        tr {
            th scope="row" { bdi { (host.host) } }
            td { span class={ "badge " (tone) } { (word) } }
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

/// Whether the last thing that happened was good.
fn health(host: &HostHealth) -> (&'static str, &'static str) {
    match (host.last_success, host.last_failure) {
        (None, None) => ("off", "Not tried"),
        (_, None) => ("good", "Takes them"),
        (Some(good), Some(bad)) if good > bad => ("good", "Takes them"),
        (_, Some(_)) => ("bad", "Fails"),
    }
}
