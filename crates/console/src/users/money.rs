//! What a user has, and what it may still move.

use bursar_app::{LimitHeadroom, UserBalance};
use bursar_domain::UserId;
use maud::{Markup, html};

use super::{Places, rest};
use crate::{desk::Desk, layout::wide, lists::Part, words};

/// How many rows of each a page has.
const ROWS: usize = 15;

/// What a user has, the assets with something in them first.
pub(super) fn balances(
    desk: &Desk,
    user: UserId,
    balances: &[UserBalance],
    places: &Places,
) -> Markup {
    if balances.is_empty() {
        return html! {
            div class="empty" { p { strong { "Nothing yet." } } p { "A line for each asset that the user ever had would be here." } }
        };
    }
    let mut balances: Vec<&UserBalance> = balances.iter().collect();
    balances.sort_by_key(|one| one.available.is_zero() && one.held.is_zero());
    let shown = Part::of(&balances, places.balances.unwrap_or_default(), ROWS);
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
                    @for one in shown.rows {
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
        (rest(user, "balances", &shown, "has"))
    }
}

/// What is left under rolling limits, those of which something is used first.
pub(super) fn headroom(user: UserId, headroom: &[LimitHeadroom], places: &Places) -> Markup {
    let mut rolling: Vec<&LimitHeadroom> = headroom
        .iter()
        .filter(|one| one.left.daily.is_some() || one.left.monthly.is_some())
        .collect();
    if rolling.is_empty() {
        return html! {
            div class="empty" { p { strong { "No limit for 24 hours or 30 days is set." } } p { a href="/console/rules" { "The rules" } " say what is." } }
        };
    }
    rolling.sort_by_key(|one| {
        let (left, most) = (one.left, one.limits.limits);
        (left.daily, left.monthly) == (most.daily, most.monthly)
    });
    let shown = Part::of(&rolling, places.limits.unwrap_or_default(), ROWS);
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
                tbody { @for one in shown.rows { (row(one)) } }
            }
        }))
        (rest(user, "limits", &shown, "room"))
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
