//! What an operator may do to a transfer, each with one sentence that says exactly what will happen,
//! and with a digest of what the operator saw: what has changed since then is never acted upon.

mod carry_out;
mod second_look;

use actix_web::web::{self, ServiceConfig};
use bursar_app::{Forecast, TAKERS, Taken, approval_digest};
use bursar_domain::{ActorId, Amount, Kind, PayoutRoute, Stage, Status, Transfer};
use bursar_ports::Permission;
use data_encoding::HEXLOWER;
use maud::{Markup, html};

use crate::{desk::Desk, fault::Fault, forms, words};

pub(crate) use carry_out::{overtaken, read_id};

/// Something that an operator does to a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Confirm,
    Cancel,
    Approve,
    Reject,
}

impl Act {
    const ALL: [Self; 4] = [Self::Confirm, Self::Cancel, Self::Approve, Self::Reject];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == name)
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Confirm => "Confirm",
            Self::Cancel => "Cancel",
            Self::Approve => "Approve",
            Self::Reject => "Reject",
        }
    }

    const fn permission(self) -> Permission {
        match self {
            Self::Confirm => Permission::BackofficeConfirm,
            Self::Cancel => Permission::BackofficeWrite,
            Self::Approve | Self::Reject => Permission::BackofficeApprove,
        }
    }

    /// Whether money goes on its way by it.
    const fn moves_on(self) -> bool {
        match self {
            Self::Confirm | Self::Approve => true,
            Self::Cancel | Self::Reject => false,
        }
    }

    /// The key that chooses it: `c` for a yes, `x` for a no.
    const fn key(self) -> &'static str {
        if self.moves_on() { "c" } else { "x" }
    }

    const fn class(self) -> &'static str {
        if self.moves_on() {
            "act primary"
        } else {
            "act danger"
        }
    }
}

/// What the state of a transfer allows, whoever asks.
pub(crate) fn possible(transfer: &Transfer) -> &'static [Act] {
    match (transfer.kind(), transfer.status(), transfer.stage()) {
        (Kind::Withdrawal, Status::AwaitingConfirmation, None) => &[Act::Confirm, Act::Cancel],
        (Kind::Withdrawal, _, Some(Stage::Approval)) => &[Act::Approve, Act::Reject, Act::Cancel],
        (Kind::Deposit, _, Some(Stage::Approval)) => &[Act::Approve, Act::Reject],
        (Kind::Deposit | Kind::Withdrawal | Kind::Internal, _, _) => &[],
    }
}

/// What this operator may do about it now.
pub(crate) fn offered(desk: &Desk, transfer: &Transfer) -> Vec<Act> {
    let me = ActorId::new(desk.visitor.principal.subject.clone());
    let is_second = !transfer.was_made_by(&me);
    let acts = possible(transfer).iter().copied();
    acts.filter(|act| desk.may(act.permission()))
        .filter(|act| match act {
            Act::Approve | Act::Reject => is_second,
            Act::Confirm | Act::Cancel => true,
        })
        .collect()
}

/// Why there is nothing to be done by this operator, where there is something for others.
pub(crate) fn why_nothing(desk: &Desk, transfer: &Transfer) -> Option<&'static str> {
    if possible(transfer).is_empty() || !offered(desk, transfer).is_empty() {
        return None;
    }
    let me = ActorId::new(desk.visitor.principal.subject.clone());
    Some(
        if transfer.was_made_by(&me) && transfer.stage() == Some(Stage::Approval) {
            "You made or confirmed it: a second operator must approve or reject it."
        } else {
            "Your account may look at it, and not act on it."
        },
    )
}

/// One sentence that says exactly what will happen.
pub(crate) fn sentence(act: Act, transfer: &Transfer, who: &str, forecast: &Forecast) -> Markup {
    let parts = transfer.parts();
    let money = |amount: Amount| words::money(amount, parts.scale, parts.asset);
    let (amount, fee) = (parts.amount, parts.fee);
    let taking_fee = html! {
        @if fee.is_zero() { ", without a fee." } @else { ", and takes a fee of " (money(fee)) "." }
    };
    let who = html! { bdi { (who) } };
    let held = amount.checked_add(fee).unwrap_or(Amount::MAX);
    match (act, transfer.kind()) {
        (Act::Confirm, _) if forecast.asks_second(transfer) => html! {
            "Asks a second operator to approve that " (money(amount)) " of " (who) " is paid out; nothing moves before that."
        },
        (Act::Confirm, _) | (Act::Approve, Kind::Withdrawal | Kind::Internal) => {
            match forecast.route() {
                PayoutRoute::Manual => {
                    html! { "Pays out " (money(amount)) " of " (who) (taking_fee) }
                }
                PayoutRoute::Gateway => html! {
                    "Orders the payout of " (money(amount)) " of " (who) (taking_fee)
                },
            }
        }
        (Act::Approve, Kind::Deposit) => html! {
            "Credits " (money(amount.checked_sub(fee).unwrap_or(Amount::ZERO))) " to " (who)
            @if fee.is_zero() { "." } @else { ": " (money(amount)) " less a fee of " (money(fee)) "." }
        },
        (Act::Cancel, _) => html! {
            "Pays nothing out: " (money(held)) " that is held goes back to " (who) "."
        },
        (Act::Reject, Kind::Withdrawal | Kind::Internal) => html! {
            "Says no for good: " (money(held)) " that is held goes back to " (who) "."
        },
        (Act::Reject, Kind::Deposit) => html! {
            "Says no for good: " (who) " is credited nothing of the " (money(amount)) "."
        },
    }
}

/// The digest of what is shown, as a form carries it.
pub(crate) fn digest(transfer: &Transfer) -> String {
    HEXLOWER.encode(&approval_digest(transfer))
}

/// The digest that a form brings back.
pub(crate) fn read_digest(text: Option<&str>) -> Result<[u8; 32], Fault> {
    let bytes = HEXLOWER.decode(text.unwrap_or_default().as_bytes());
    let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Fault::invalid("digest", "load the page again"))
}

/// What the sentences of a form rest on beside the transfer, as it carries that. Of what waits for a
/// second operator already the policy says nothing any more.
pub(crate) fn promise(transfer: &Transfer, forecast: &Forecast) -> &'static str {
    let pays = match forecast.route() {
        PayoutRoute::Manual => "paid",
        PayoutRoute::Gateway => "ordered",
    };
    match (transfer.kind(), transfer.stage()) {
        (Kind::Deposit, _) => "credited",
        (Kind::Withdrawal | Kind::Internal, None) if forecast.asks_second(transfer) => "second",
        (Kind::Withdrawal | Kind::Internal, _) => pays,
    }
}

/// Where the form of a transfer leads back to.
pub(crate) struct Offer<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) transfer: &'a Transfer,
    pub(crate) who: &'a str,
    pub(crate) forecast: &'a Forecast,
    pub(crate) taken: Option<&'a Taken>,
    pub(crate) back: &'a str,
}

impl Offer<'_> {
    /// The form with everything that this operator may do about the transfer.
    pub(crate) fn form(&self) -> Markup {
        let acts = offered(self.desk, self.transfer);
        let base = format!("/console/transfers/{}", self.transfer.id());
        html! {
            @if acts.is_empty() {
                @if let Some(why) = why_nothing(self.desk, self.transfer) { p class="muted" { (why) } }
            } @else {
                form method="post" class="acts" {
                    (forms::csrf(&self.desk.visitor))
                    input type="hidden" name="digest" value=(digest(self.transfer));
                    input type="hidden" name="promise" value=(promise(self.transfer, self.forecast));
                    input type="hidden" name="back" value=(self.back);
                    @for act in acts {
                        button class=(act.class()) data-key=(act.key()) formaction={ (base) "/" (act.as_str()) } {
                            b { (act.label()) } " "
                            span { (sentence(act, self.transfer, self.who, self.forecast)) }
                        }
                    }
                    (self.taking(&base))
                }
            }
        }
    }

    /// Takes the transfer, or lets it go.
    fn taking(&self, base: &str) -> Markup {
        let may = self.desk.may_any(&TAKERS);
        let mine = self.taken.is_some_and(|taken| is_mine(self.desk, taken));
        html! {
            @if may && (mine || self.taken.is_none()) {
                button class="act quiet" data-key="t" formaction={ (base) @if mine { "/let-go" } @else { "/take" } } {
                    @if mine { b { "Let go" } " " span { "Others may take it again." } }
                    @else { b { "Take" } " " span { "Others see for some minutes that you are at it." } }
                }
            }
        }
    }
}

/// Whether it is this operator who has taken it.
pub(crate) fn is_mine(desk: &Desk, taken: &Taken) -> bool {
    taken.by.as_str() == desk.visitor.principal.subject
}

/// Who is at it, and until when.
pub(crate) fn taken_badge(desk: &Desk, taken: Option<&Taken>) -> Markup {
    html! {
        @if let Some(taken) = taken {
            @if is_mine(desk, taken) {
                span class="badge info" { "Yours until " (desk.clock().hour(taken.until)) }
            } @else {
                span class="badge taken" { bdi { (taken.by.as_str()) } " until " (desk.clock().hour(taken.until)) }
            }
        }
    }
}

pub(crate) fn routes(service: &mut ServiceConfig) {
    service
        .route(
            "/transfers/{id}/second-look",
            web::get().to(second_look::show),
        )
        .route("/transfers/{id}/take", web::post().to(carry_out::take))
        .route("/transfers/{id}/let-go", web::post().to(carry_out::let_go))
        .route(
            "/transfers/{id}/{act:confirm|cancel|approve|reject}",
            web::post().to(carry_out::act),
        );
}
