//! Fees and limits in words.

use bursar_app::{Fees, KindLimits};
use bursar_domain::{Asset, FeeSchedule, Limits, Percent};
use maud::{Markup, html};

use crate::words;

/// What transfers of a kind and asset cost.
pub(crate) fn fee_sentence(fees: &Fees) -> Markup {
    schedule_sentence(&fees.schedule, &fees.asset)
}

/// What a schedule comes to.
pub(crate) fn schedule_sentence(schedule: &FeeSchedule, asset: &Asset) -> Markup {
    let money = |amount| words::money(amount, asset.scale, asset.id);
    let share = schedule.percent != Percent::ZERO || !schedule.min.is_zero();
    // A maximum bounds the share alone, so without one it comes to nothing.
    if !share && schedule.absolute.is_zero() {
        return html! { "nothing" };
    }
    html! {
        @if share { (words::grouped(&schedule.percent.to_plain())) " % of the amount" }
        @if !schedule.min.is_zero() { ", at least " (money(schedule.min)) }
        @if let (true, Some(max)) = (share, schedule.max) { ", at most " (money(max)) }
        @if !schedule.absolute.is_zero() { @if share { ", and " } (money(schedule.absolute)) @if share { " on top" } @else { " whatever the amount" } }
    }
}

/// The limits in one line.
pub(super) fn limit_words(limits: &Limits, counted_in: &Asset) -> Markup {
    let parts = parts(limits);
    html! {
        @if parts.is_empty() { span class="muted" { "none" } }
        @for (place, (name, amount)) in parts.iter().enumerate() {
            @if place > 0 { "; " }
            (name) " " (words::money(*amount, counted_in.scale, counted_in.id))
        }
    }
}

/// The limits one by one, where there are any.
pub(crate) fn limit_facts(limits: &KindLimits) -> Markup {
    html! {
        @if !limits.limits.is_empty() {
            dt { @match limits.asset { Some(asset) => (words::unit(asset)), None => "All assets" } }
            dd { (limit_words(&limits.limits, &limits.counted_in)) }
        }
    }
}

fn parts(limits: &Limits) -> Vec<(&'static str, bursar_domain::Amount)> {
    [
        ("at least", limits.min_amount),
        ("at most", limits.max_amount),
        ("in 24 hours at most", limits.daily),
        ("in 30 days at most", limits.monthly),
        ("a second operator above", limits.approval_above),
    ]
    .into_iter()
    .filter_map(|(name, amount)| Some((name, amount?)))
    .collect()
}
