//! What kinds, statuses and reasons are called.

use bursar_domain::{Kind, Stage, Status, Transfer};
use maud::{Markup, html};

/// What a kind is called.
pub(crate) const fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Deposit => "Deposit",
        Kind::Withdrawal => "Withdrawal",
        Kind::Internal => "Internal",
    }
}

/// What a status is called.
pub(crate) const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Pending => "Pending",
        Status::AwaitingConfirmation => "To confirm",
        Status::Completed => "Completed",
        Status::Failed => "Failed",
        Status::Canceled => "Canceled",
        Status::Success => "Succeeded",
        Status::Rejected => "Rejected",
    }
}

/// What somebody is waited for.
const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Approval => "To approve",
        Stage::Payout => "Being paid out",
    }
}

/// Where a transfer stands, as a word; the style sheet puts a mark before it, so that it is never told by
/// colour alone.
pub(crate) fn state_badge(transfer: &Transfer) -> Markup {
    let status = transfer.status();
    let word = transfer.stage().map_or(status_word(status), stage_word);
    html! { span class={ "badge " (tone(status)) } { (word) } }
}

const fn tone(status: Status) -> &'static str {
    match status {
        Status::Pending | Status::AwaitingConfirmation => "wait",
        Status::Completed | Status::Success => "good",
        Status::Failed | Status::Rejected => "bad",
        Status::Canceled => "off",
    }
}

/// Why it came to nothing.
pub(crate) fn reason_line(transfer: &Transfer) -> Option<Markup> {
    let reason = transfer.reason()?;
    Some(html! { (reason.message()) " " code { (reason.code()) } })
}
