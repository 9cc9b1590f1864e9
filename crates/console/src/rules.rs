//! `/console/rules`: assets, fees, limits, rates and stops; each change is shown before it is made, with
//! the row of the audit log that it makes.

mod assets;
mod change;
mod rule;
mod sheet;
mod stops;
mod tell;
mod wanted;

use actix_web::{HttpResponse, web};
use bursar_domain::{Asset, AssetId, Kind, Rules};
use bursar_ports::{Permission, StopScope};
use maud::{Markup, html};
use serde::Deserialize;

use self::{rule::Rule, tell::limit_words};
use crate::{
    desk::{Desk, Reply},
    fault::Fault,
    layout::{Place, wide},
    links::{Link, said},
    lists::Part,
    words,
};

pub(crate) use assets::begin;
pub(crate) use change::{edit, make};
pub(crate) use stops::{lift, stop};
pub(crate) use tell::{fee_sentence, limit_facts, schedule_sentence};

/// How many assets a page has.
const ROWS: usize = 20;

/// Which assets are looked at.
#[derive(Deserialize)]
pub(crate) struct Asked {
    /// A part of the id or the name.
    asset: Option<String>,
    /// How many come before them.
    from: Option<usize>,
}

impl Asked {
    fn asset(&self) -> Option<&str> {
        said(self.asset.as_ref())
    }

    fn finds(&self, asset: &Asset) -> bool {
        self.asset().is_none_or(|part| {
            let part = part.to_lowercase();
            asset.id.as_str().contains(&part) || asset.name.to_lowercase().contains(&part)
        })
    }
}

pub(crate) async fn show(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    desk.answer(page(&desk, &asked).await)
}

async fn page(desk: &Desk, asked: &Asked) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let app = desk.app();
    let assets = app.list_assets(&grant).await?;
    let root = assets.iter().find(|asset| asset.id == app.root_asset());
    let root = root.cloned();
    let mut stops = app.list_stops(&grant).await?;
    let found = assets.iter().filter(|it| asked.finds(it));
    let found: Vec<Asset> = found.cloned().collect();
    stops.retain(|stop| match stop.scope {
        StopScope::ReadOnly => true,
        StopScope::Outgoing(stopped) => {
            asked.asset().is_none() || found.iter().any(|asset| asset.id == stopped)
        }
    });
    let all = assets;
    let shown = Part::of(&found, asked.from.unwrap_or_default(), ROWS);
    let assets = shown.rows;
    let books = app.books_state(&grant)?;
    let wrong = books.map(|books| books.wrong).unwrap_or_default();
    let forecast = app.forecast(&grant).await?;
    let rules = forecast.rules();
    let mut rates = vec![];
    for asset in assets {
        rates.push(assets::rate(desk, &grant, asset).await?);
    }
    let body = html! {
        h1 { "Rules" }
        (stops::section(desk, &stops, &wrong, assets))
        (filter(asked))
        (assets::section(desk, assets, &rates))
        section aria-labelledby="fees" {
            h2 id="fees" { "Fees" }
            (wide("Fees", &html! {
                table class="list" {
                    (kinds_head())
                    tbody {
                        @for asset in assets {
                            tr {
                                th scope="row" { (words::unit(asset.id)) }
                                @for kind in Kind::ALL { (fee_cell(desk, rules, kind, asset)) }
                            }
                        }
                    }
                }
            }))
        }
        section aria-labelledby="limits" {
            h2 id="limits" { "Limits" }
            (wide("Limits", &html! {
                table class="list" {
                    (kinds_head())
                    tbody {
                        @if let Some(root) = &root { (limits_row(desk, rules, None, |kind| set_in(rules, &all, kind).unwrap_or(root))) }
                        @for asset in assets { (limits_row(desk, rules, Some(asset.id), |_| asset)) }
                    }
                }
            }))
        }
        (others(asked, &shown))
    };
    Ok(Reply::page(Place::Rules, "Rules", body))
}

fn filter(asked: &Asked) -> Markup {
    html! {
        form class="filters" method="get" action="/console/rules" {
            div {
                label for="a-find" { "Assets with this in their id or name" }
                input id="a-find" name="asset" type="search" value=[asked.asset()] maxlength="100" autocomplete="off";
            }
            div class="send" { button { "Show" } " " a href="/console/rules" { "All" } }
        }
    }
}

/// Leads to the assets that are not shown.
fn others(asked: &Asked, shown: &Part<'_, Asset>) -> Markup {
    let link = || Link::to("/console/rules").with_some("asset", asked.asset());
    html! {
        p class="pages" {
            @if shown.from > 0 { a class="button" href=(link()) { "To the first assets" } " " }
            @if let Some(next) = shown.next() {
                a class="button" rel="next" href=(link().with("from", next)) { "Next assets, of " (shown.left) " more" }
            }
        }
    }
}

fn kinds_head() -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { "Asset" }
                @for kind in Kind::ALL { th scope="col" { (words::kind_word(kind)) } }
            }
        }
    }
}

fn fee_cell(desk: &Desk, rules: &Rules, kind: Kind, asset: &Asset) -> Markup {
    let schedule = rules.fees.get(&(kind, asset.id)).copied();
    html! {
        td {
            (schedule_sentence(&schedule.unwrap_or_default(), asset))
            (change_link(desk, Rule::Fees(kind, asset.id)))
        }
    }
}

/// The asset in which limits over all assets were set, where that is known and it still is what it was.
fn set_in<'a>(rules: &Rules, assets: &'a [Asset], kind: Kind) -> Option<&'a Asset> {
    let unit = rules.root_units.get(&kind)?;
    assets.iter().find(|asset| asset.unit() == *unit)
}

/// The limits of one asset, or of all together, which are counted in what was the root asset when they
/// were set.
fn limits_row<'a>(
    desk: &Desk,
    rules: &Rules,
    scope: Option<AssetId>,
    counted_in: impl Fn(Kind) -> &'a Asset,
) -> Markup {
    let limits = |kind| {
        rules
            .limits
            .get(&(kind, scope))
            .copied()
            .unwrap_or_default()
    };
    html! {
        tr {
            th scope="row" {
                @match scope { Some(asset) => (words::unit(asset)), None => { "All, in " (words::unit(desk.app().root_asset())) } }
            }
            @for kind in Kind::ALL {
                td { (limit_words(&limits(kind), counted_in(kind))) (change_link(desk, Rule::Limits(kind, scope))) }
            }
        }
    }
}

/// Leads to the page where a rule is changed.
fn change_link(desk: &Desk, rule: Rule) -> Markup {
    html! {
        @if desk.may(Permission::Admin) {
            " " a class="change" href=(rule.link()) aria-label={ "Change " (rule.title()) } { "Change" }
        }
    }
}
