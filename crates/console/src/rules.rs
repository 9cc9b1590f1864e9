//! `/console/rules`: assets, fees, limits, rates and stops; each change is shown before it is made, with
//! the row of the audit log that it makes.

mod assets;
mod change;
mod rule;
mod sheet;
mod stops;
mod tell;

use actix_web::HttpResponse;
use bursar_domain::{Kind, Limits};
use bursar_ports::Permission;
use maud::{Markup, html};

use self::{rule::Rule, tell::limit_words};
use crate::{
    desk::{Desk, Reply},
    fault::Fault,
    layout::Place,
    words,
};

pub(crate) use assets::begin;
pub(crate) use change::{edit, make};
pub(crate) use stops::{lift, stop};
pub(crate) use tell::{fee_sentence, limit_facts, schedule_sentence};

pub(crate) async fn show(desk: Desk) -> HttpResponse {
    desk.answer(page(&desk).await)
}

async fn page(desk: &Desk) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let app = desk.app();
    let assets = app.list_assets(&grant).await?;
    let stops = app.list_stops(&grant).await?;
    let forecast = app.forecast(&grant).await?;
    let rules = forecast.rules();
    let root = assets.iter().find(|asset| asset.id == app.root_asset());
    let mut rates = vec![];
    for asset in &assets {
        rates.push(assets::rate(desk, &grant, asset).await?);
    }
    let find = |id| assets.iter().find(|asset| asset.id == id);
    let kinds = |id| {
        Kind::ALL.map(|kind| {
            (
                kind,
                rules.fees.get(&(kind, id)).copied().unwrap_or_default(),
            )
        })
    };
    let body = html! {
        h1 { "Rules" }
        (stops::section(desk, &stops, &assets))
        (assets::section(desk, &assets, &rates))
        section aria-labelledby="fees" {
            h2 id="fees" { "Fees" }
            div class="scroll" tabindex="0" role="region" aria-label="Fees" {
                table class="list" {
                    thead { tr { th scope="col" { "Asset" } th scope="col" { "Kind" } th scope="col" { "Costs" } @if desk.may(Permission::Admin) { th scope="col" { "Change" } } } }
                    tbody {
                        @for asset in &assets {
                            @for (kind, schedule) in kinds(asset.id) {
                                tr {
                                    th scope="row" { (words::unit(asset.id)) }
                                    td { (words::kind_word(kind)) }
                                    td { (schedule_sentence(&schedule, asset)) }
                                    (change_cell(desk, &Rule::Fees(kind, asset.id)))
                                }
                            }
                        }
                    }
                }
            }
        }
        section aria-labelledby="limits" {
            h2 id="limits" { "Limits" }
            div class="scroll" tabindex="0" role="region" aria-label="Limits" {
                table class="list" {
                    thead { tr { th scope="col" { "Of" } th scope="col" { "Kind" } th scope="col" { "Limits" } @if desk.may(Permission::Admin) { th scope="col" { "Change" } } } }
                    tbody {
                        @let scopes = std::iter::once(None).chain(assets.iter().map(|asset| Some(asset.id)));
                        @for scope in scopes {
                            @for kind in Kind::ALL {
                                @let limits = rules.limits.get(&(kind, scope)).copied().unwrap_or_default();
                                @let counted = scope.map_or(root, find);
                                (limits_row(desk, kind, scope, limits, counted))
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(Reply::page(Place::Rules, "Rules", body))
}

fn limits_row(
    desk: &Desk,
    kind: Kind,
    scope: Option<bursar_domain::AssetId>,
    limits: Limits,
    counted: Option<&bursar_domain::Asset>,
) -> Markup {
    html! {
        @if let Some(counted) = counted {
            tr {
                th scope="row" { @match scope { Some(asset) => (words::unit(asset)), None => { "All, in " (words::unit(counted.id)) } } }
                td { (words::kind_word(kind)) }
                td { (limit_words(&limits, counted)) }
                (change_cell(desk, &Rule::Limits(kind, scope)))
            }
        }
    }
}

/// Leads to the page where a rule is changed.
fn change_cell(desk: &Desk, rule: &Rule) -> Markup {
    html! {
        @if desk.may(Permission::Admin) {
            td { a href=(rule.link()) aria-label={ "Change " (rule.title()) } { "Change" } }
        }
    }
}
