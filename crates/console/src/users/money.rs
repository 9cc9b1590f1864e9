//! What a user has, and what it may still move.

use bursar_app::{LimitHeadroom, UserBalance};
use maud::{Markup, html};

use crate::layout::wide;
use crate::{desk::Desk, words};

pub(super) fn balances(desk: &Desk, balances: &[UserBalance]) -> Markup {
    if balances.is_empty() {
        return html! {
            div class="empty" { p { strong { "Nothing yet." } } p { "A line for each asset that the user ever had would be here." } }
        };
    }
    html! {
        (wide("Balances", &html! {
            table class="list" {
                thead {
                    tr {
                        th scope="col" { "Asset" }
                        th scope="col" class="num" { "Available" }
                        th scope="col" class="num" { "Held" }
                        th scope="col" { "Last change" }
                    }
                }
                tbody {
                    @for one in balances {
                        @let scale = one.asset.scale;
                        tr {
                            th scope="row" { (words::unit(one.asset.id)) }
                            td class="num" { (words::number(one.available, scale)) }
                            td class="num" { (words::number(one.held, scale)) }
                            td { @if let Some(at) = one.updated_at { (desk.clock().time(at)) } @else { "Never" } }
                        }
                    }
                }
            }
        }))
    }
}

pub(super) fn headroom(headroom: &[LimitHeadroom]) -> Markup {
    let rolling: Vec<&LimitHeadroom> = headroom
        .iter()
        .filter(|one| one.left.daily.is_some() || one.left.monthly.is_some())
        .collect();
    if rolling.is_empty() {
        return html! {
            div class="empty" { p { strong { "No limit for 24 hours or 30 days is set." } } p { a href="/console/rules" { "The rules" } " say what is." } }
        };
    }
    html! {
        (wide("Headroom", &html! {
            table class="list" {
                thead {
                    tr {
                        th scope="col" { "Transfers" }
                        th scope="col" class="num" { "Left of 24 hours" }
                        th scope="col" class="num" { "Left of 30 days" }
                    }
                }
                tbody { @for one in rolling { (row(one)) } }
            }
        }))
    }
}

fn row(one: &LimitHeadroom) -> Markup {
    let (scale, unit) = (one.limits.counted_in.scale, one.limits.counted_in.id);
    let of = |left, most| {
        html! {
            @match (left, most) {
                (Some(left), Some(most)) => { (words::money(left, scale, unit)) span class="muted" { " of " (words::number(most, scale)) } },
                (_, _) => "–",
            }
        }
    };
    html! {
        tr {
            th scope="row" {
                (words::kind_word(one.limits.kind)) ", "
                @match one.limits.asset { Some(asset) => (words::unit(asset)), None => "all assets" }
            }
            td class="num" { (of(one.left.daily, one.limits.limits.daily)) }
            td class="num" { (of(one.left.monthly, one.limits.limits.monthly)) }
        }
    }
}
