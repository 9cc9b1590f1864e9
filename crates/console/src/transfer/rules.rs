//! What a transfer cost and which limits it is under, and why.

use bursar_app::{Error, Fees, Grant, KindLimits, Missing};
use bursar_domain::Transfer;
use maud::{Markup, html};

use crate::{
    desk::Desk,
    fault::Fault,
    rules::{fee_sentence, limit_facts},
    words,
};

pub(super) async fn section(
    desk: &Desk,
    grant: &Grant,
    transfer: &Transfer,
) -> Result<Markup, Fault> {
    let (app, kind, asset) = (desk.app(), transfer.kind(), transfer.parts().asset);
    let fees = app.find_fees(grant, kind, asset).await?;
    let one = app.find_limits(grant, kind, Some(asset)).await?;
    let all = match app.find_limits(grant, kind, None).await {
        // Those over all assets are counted in the root asset, which need not be there.
        Err(Error::NotFound(Missing::Asset)) => None,
        found => Some(found?),
    };
    Ok(html! {
        (cost(transfer, &fees))
        (worth(desk, transfer))
        (limits(&one, all.as_ref()))
    })
}

fn cost(transfer: &Transfer, fees: &Fees) -> Markup {
    let parts = transfer.parts();
    let made_by_reversal = parts.reversal.is_some();
    html! {
        p {
            @if made_by_reversal { "It takes another transfer back, and such transfers cost nothing." }
            @else if parts.fee.is_zero() { "It costs nothing, as was decided when it was made." }
            @else { "It costs " (words::money(parts.fee, parts.scale, parts.asset)) ", as was decided when it was made." }
            " The rule today: " (fee_sentence(fees)) "."
        }
    }
}

fn worth(desk: &Desk, transfer: &Transfer) -> Markup {
    let parts = transfer.parts();
    let Some(rate) = &parts.root_rate else {
        return html! { p class="muted" { "Nobody had said what it is worth when it was made." } };
    };
    let value = rate.value_of(parts.amount, parts.scale);
    html! {
        p {
            @if let Some(value) = value { "It was worth " (words::money(value, rate.scale, rate.asset)) " when it was made" }
            @if let Some(source) = &rate.source {
                ": one " (words::unit(parts.asset)) " was " (words::grouped(&rate.rate.normalized().to_plain_string())) " " (words::unit(rate.asset))
                ", said " bdi { (source) }
                @if let Some(at) = rate.rated_at { " at " (desk.clock().exact(at)) }
            }
            "."
        }
    }
}

fn limits(one: &KindLimits, all: Option<&KindLimits>) -> Markup {
    let none = |limits: &KindLimits| limits.limits.is_empty();
    html! {
        @if none(one) && all.is_none_or(none) { p { "No limit binds transfers of this kind and asset today." } }
        @else {
            p { "Limits today, for transfers of this kind:" }
            dl class="facts" {
                (limit_facts(one))
                @if let Some(all) = all { (limit_facts(all)) }
            }
        }
    }
}
