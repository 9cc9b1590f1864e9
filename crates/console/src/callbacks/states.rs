//! What the states of callbacks are called.

use bursar_ports::{CallbackRecord, CallbackState};
use maud::{Markup, html};

use crate::words;

pub(super) fn state_badge(state: CallbackState) -> Markup {
    let word = match state {
        CallbackState::Dead => "Dead letter",
        CallbackState::Pending
        | CallbackState::Delivering
        | CallbackState::Succeeded
        | CallbackState::Cancelled => state_word(state),
    };
    let tone = match state {
        CallbackState::Pending | CallbackState::Delivering => "wait",
        CallbackState::Succeeded => "good",
        CallbackState::Dead => "bad",
        CallbackState::Cancelled => "off",
    };
    html! { span class={ "badge " (tone) } { (word) } }
}

pub(super) const fn state_word(state: CallbackState) -> &'static str {
    match state {
        CallbackState::Pending => "Pending",
        CallbackState::Delivering => "Being tried",
        CallbackState::Succeeded => "Delivered",
        CallbackState::Dead => "Dead letters",
        CallbackState::Cancelled => "Overtaken",
    }
}

/// How the last one of a transfer's callbacks fares.
pub(crate) fn last_of(records: &[CallbackRecord]) -> Markup {
    html! {
        @match records {
            [] => "Nobody was told.",
            [before @ .., last] => {
                (state_badge(last.state)) " tells " b { (words::status_word(last.status)) } " after " (last.operation.as_str())
                @if !before.is_empty() { ", the last of " (records.len()) }
            }
        }
    }
}
