//! A chart of what moved, with the table that it is drawn from behind it.

use std::fmt::Write;

use bursar_app::{Overview, Period};
use bursar_domain::Timestamp;
use maud::{Markup, html};

use super::series::Series;
use crate::{desk::Desk, words};

/// How high a chart is, and how wide a bar with its gap, in its own units.
const HEIGHT: i128 = 48;
const STEP: i128 = 8;
const BAR: i128 = 6;

pub(super) fn card(desk: &Desk, series: &Series, seen: &Overview, period: Period) -> Markup {
    let unit = words::unit(series.asset.id);
    let kind = words::kind_word(series.kind);
    let name = format!("{kind} {unit}");
    let id = format!("ch-{}-{}", series.kind.as_str(), series.asset.id);
    let width = STEP.saturating_mul(i128::try_from(seen.starts.len()).unwrap_or(1));
    html! {
        figure class="chart" aria-labelledby=(id) {
            figcaption id=(id) {
                span class="name" { (name) }
                " " strong {
                    @match series.amount {
                        Some(amount) => (words::signed(amount, series.asset.scale)),
                        None => "very much",
                    }
                    " " (unit)
                }
                " " span class="muted" { "in " (words::grouped(&series.count.to_string())) " transfers" }
            }
            svg viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label={ (name) ", as in the table below" } {
                path class="floor" d={ "M0 " (HEIGHT) "H" (width) } {}
                path class="bars" d=(bars(series, &seen.starts)) {}
            }
            details {
                summary { "Table" }
                (table(desk, series, seen, period))
            }
        }
    }
}

/// All bars as one path, each at least as high as can be seen.
fn bars(series: &Series, starts: &[Timestamp]) -> String {
    let most = series.pieces.values().map(|(_, amount)| *amount).max();
    let most = most.unwrap_or(1).max(1);
    let mut path = String::new();
    let mut left: i128 = 1;
    for start in starts {
        if let Some((_, amount)) = series.pieces.get(start) {
            let height = part(*amount, most).clamp(1, HEIGHT);
            let _written = write!(path, "M{left} {HEIGHT}v-{height}h{BAR}v{height}z");
        }
        left = left.saturating_add(STEP);
    }
    path
}

/// How high a bar is; exact enough for the eye whatever the amounts are.
fn part(amount: i128, most: i128) -> i128 {
    match amount.checked_mul(HEIGHT) {
        Some(product) => product.checked_div(most).unwrap_or_default(),
        None => most
            .checked_div(HEIGHT)
            .and_then(|step| amount.checked_div(step.max(1)))
            .unwrap_or(HEIGHT),
    }
}

fn table(desk: &Desk, series: &Series, seen: &Overview, period: Period) -> Markup {
    let unit = words::unit(series.asset.id);
    let named = |start: Timestamp| {
        html! {
            @match period {
                Period::Day | Period::Week => (desk.clock().time(start)),
                Period::Month => (start.to_seconds_text().get(..10).unwrap_or_default()),
            }
        }
    };
    let rows = seen
        .starts
        .iter()
        .rev()
        .filter_map(|start| Some((start, series.pieces.get(start)?)));
    html! {
        table class="list" {
            thead { tr { th scope="col" { "From" } th scope="col" class="num" { "Transfers" } th scope="col" class="num" { (unit) } } }
            tbody {
                @for (start, (count, amount)) in rows {
                    tr {
                        th scope="row" { (named(*start)) }
                        td class="num" { (count) }
                        td class="num" { (words::signed(*amount, series.asset.scale)) }
                    }
                }
            }
        }
        p class="muted" { "Pieces of time in which nothing moved are left out." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_share_of_the_most() {
        assert_eq!(part(0, 10), 0);
        assert_eq!(part(5, 10), HEIGHT / 2);
        assert_eq!(part(10, 10), HEIGHT);
        assert_eq!(part(i128::MAX, i128::MAX), HEIGHT);
    }
}
