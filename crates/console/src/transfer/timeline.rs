//! What happened to a transfer, when, and by whom.

use bursar_app::TransferStory;
use bursar_domain::{Timestamp, Transfer};
use bursar_ports::AuditRecord;
use maud::{Markup, html};

use crate::{desk::Desk, words};

/// Something that happened, or will.
struct Step {
    /// None when it is known only that it happened.
    at: Option<Timestamp>,
    what: Markup,
    by: Option<String>,
    /// The credential and the request it was done with.
    with: Option<String>,
}

pub(super) fn list(desk: &Desk, story: &TransferStory, audit: &[AuditRecord]) -> Markup {
    let steps = steps(story, audit);
    let now = desk.now();
    html! {
        ol class="timeline" {
            @for step in &steps {
                li class=[step.at.is_some_and(|at| at > now).then_some("ahead")] {
                    span class="when" {
                        @match step.at {
                            Some(at) => (desk.clock().exact(at)),
                            None => span class="muted" { "at a time not kept" },
                        }
                    }
                    " " span class="what" {
                        (step.what)
                        @if let Some(by) = &step.by { " by " bdi { (by) } }
                    }
                    @if let Some(with) = &step.with { " " span class="muted with" { (with) } }
                }
            }
        }
        p { a href={ "/console/audit?target=transfer:" (story.transfer.id()) } { "In the audit log" } }
    }
}

fn steps(story: &TransferStory, audit: &[AuditRecord]) -> Vec<Step> {
    let transfer = &story.transfer;
    let mut steps = vec![created(transfer, audit)];
    steps.extend(operators(transfer, audit));
    steps.extend(holds(story));
    steps.extend(ended(transfer));
    for reversal in &story.reversals {
        steps.push(reversed(transfer, reversal));
    }
    let open = !transfer.status().is_final();
    if let Some(expires) = transfer.parts().expires_at.filter(|_| open) {
        steps.push(Step {
            at: Some(expires),
            what: html! { "Fails, unless somebody acts before" },
            by: None,
            with: None,
        });
    }
    // What has no time stays behind what stood before it: the sort is stable.
    let mut last = Timestamp::EPOCH;
    let mut placed: Vec<(Timestamp, Step)> = vec![];
    for step in steps {
        last = step.at.unwrap_or(last);
        placed.push((last, step));
    }
    placed.sort_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, step)| step).collect()
}

fn created(transfer: &Transfer, audit: &[AuditRecord]) -> Step {
    let parts = transfer.parts();
    let makes =
        |row: &&AuditRecord| row.action.ends_with(".create") || row.action == "transfer.reverse";
    let row = audit.iter().find(makes);
    Step {
        at: Some(parts.created_at),
        what: html! { "Created: " (words::money(parts.amount, parts.scale, parts.asset)) },
        by: Some(parts.created_by.as_str().to_owned()),
        with: row.map(with),
    }
}

/// What was held and for how long, as the ledger says.
fn holds(story: &TransferStory) -> Vec<Step> {
    let parts = story.transfer.parts();
    let amount = |units: i128| {
        html! { (words::signed(units, parts.scale)) " " (words::unit(parts.asset)) }
    };
    let lines = story.entries.iter().filter(|line| line.held_delta != 0);
    lines
        .map(|line| Step {
            at: Some(line.at),
            what: if line.held_delta > 0 {
                html! { "Held: " (amount(line.held_delta)) }
            } else {
                html! { "Hold ended: " (amount(line.held_delta.saturating_neg())) }
            },
            by: None,
            with: None,
        })
        .collect()
}

/// What operators did, as the audit log says; and who confirmed, where it says nothing.
fn operators(transfer: &Transfer, audit: &[AuditRecord]) -> Vec<Step> {
    let did = |row: &AuditRecord| {
        let what = match row.action.rsplit('.').next().unwrap_or_default() {
            "confirm" => "Confirmed",
            "cancel" => "Canceled",
            "approve" => "Approved",
            "reject" => "Rejected",
            _ => return None,
        };
        Some(Step {
            at: Some(row.at),
            what: html! { (what) },
            by: Some(row.actor.clone()),
            with: Some(with(row)),
        })
    };
    let mut steps: Vec<Step> = audit.iter().rev().filter_map(did).collect();
    let parts = transfer.parts();
    let logged = |verb: &str| audit.iter().any(|row| row.action.ends_with(verb));
    let unlogged = |what: &'static str, by: &str| Step {
        at: None,
        what: html! { (what) },
        by: Some(by.to_owned()),
        with: None,
    };
    if let Some(review) = parts.review.as_ref()
        && !logged(".approve")
        && !logged(".reject")
    {
        steps.insert(0, unlogged("Reviewed", review.by.as_str()));
    }
    if let Some(confirmed) = parts.confirmed.as_ref()
        && !logged(".confirm")
    {
        steps.insert(0, unlogged("Confirmed", confirmed.by.as_str()));
    }
    steps
}

fn ended(transfer: &Transfer) -> Option<Step> {
    let at = transfer.done_at()?;
    Some(Step {
        at: Some(at),
        what: html! {
            (words::state_badge(transfer))
            @if let Some(reason) = words::reason_line(transfer) { " " (reason) }
        },
        by: transfer.finished_by().map(|by| by.as_str().to_owned()),
        with: None,
    })
}

fn reversed(original: &Transfer, reversal: &Transfer) -> Step {
    let parts = reversal.parts();
    let covers = parts
        .reversal
        .map_or(parts.amount, |reversal| reversal.covers);
    Step {
        at: Some(parts.created_at),
        what: html! {
            "Taken back: " (words::money(covers, original.parts().scale, parts.asset)) " by "
            a href={ "/console/transfers/" (parts.id) } { "transfer " (parts.id) }
        },
        by: Some(parts.created_by.as_str().to_owned()),
        with: None,
    }
}

fn with(row: &AuditRecord) -> String {
    format!("{}, request {}", row.credential, row.request_id)
}
