//! Assets and what they are worth.

use actix_web::web;
use bursar_app::{Error, Grant, Missing};
use bursar_domain::Asset;
use bursar_ports::{AssetRate, Permission};
use maud::{Markup, html};

use super::{change_link, rule::Rule};
use crate::layout::wide;
use crate::{desk::Desk, fault::Fault, words};

/// What an asset is worth, if somebody said.
pub(super) async fn rate(
    desk: &Desk,
    grant: &Grant,
    asset: &Asset,
) -> Result<Option<AssetRate>, Fault> {
    match desk.app().find_rate(grant, asset.id).await {
        Ok(rate) => Ok(Some(rate)),
        Err(Error::NotFound(Missing::Rate)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn section(desk: &Desk, assets: &[Asset], rates: &[Option<AssetRate>]) -> Markup {
    let admin = desk.may(Permission::Admin);
    html! {
        section aria-labelledby="assets" {
            h2 id="assets" { "Assets and rates" }
            @if assets.is_empty() {
                div class="empty" { p { strong { "No such asset." } } p { "What can be moved would be here, with what it is worth." } }
            } @else {
                (wide("Assets", &html! {
                    table class="list" {
                        thead {
                            tr {
                                th scope="col" { "Asset" }
                                th scope="col" { "Name" }
                                th scope="col" class="num" { "Decimals" }
                                th scope="col" { "Takes" }
                                th scope="col" class="num" { "Rate" }
                                th scope="col" { "Said by" }
                            }
                        }
                        tbody { @for (asset, rate) in assets.iter().zip(rates) { (row(desk, asset, rate.as_ref())) } }
                    }
                }))
            }
            @if admin {
                form class="filters" method="get" action="/console/rules/new-asset" {
                    div { label for="new" { "New asset’s id" } input id="new" name="id" type="text" required maxlength="15" autocomplete="off"; }
                    div class="send" { button { "Describe it" } }
                }
            }
        }
    }
}

fn row(desk: &Desk, asset: &Asset, rate: Option<&AssetRate>) -> Markup {
    let root = desk.app().root_asset();
    let takes = [
        ("deposits", asset.can_deposit),
        ("withdrawals", asset.can_withdraw),
        ("internal transfers", asset.can_transfer),
    ];
    let takes: Vec<&str> = takes
        .into_iter()
        .filter_map(|(name, takes)| takes.then_some(name))
        .collect();
    html! {
        tr {
            th scope="row" { (words::unit(asset.id)) }
            td { bdi { (asset.name) } }
            td class="num" { (asset.scale.get()) }
            td {
                @if takes.is_empty() { span class="badge off" { "Nothing" } } @else { (takes.join(", ")) }
                (change_link(desk, Rule::Asset(asset.id)))
            }
            td class="num" {
                @match rate {
                    Some(rate) => { (words::grouped(&rate.rate.normalized().to_plain_string())) " " (words::unit(root)) },
                    None => span class="muted" { "nobody said" },
                }
            }
            td {
                @if asset.id == root { "by definition" }
                @else if let Some(rate) = rate { bdi { (rate.source) } ", " (desk.clock().time(rate.rated_at)) }
                @else { "–" }
                (change_link(desk, Rule::Rate(asset.id)))
            }
        }
    }
}

/// Leads from an id to the form that describes the new asset.
pub(crate) async fn begin(
    desk: Desk,
    asked: web::Query<super::sheet::Said>,
) -> actix_web::HttpResponse {
    let id = asked.get("id").map(|id| id.trim()).unwrap_or_default();
    let rule = Rule::from_target(&format!("asset:{id}"));
    let reply = rule.map(|rule| crate::desk::Reply::Goto(rule.link().to_string()));
    desk.answer(reply.ok_or(Fault::BadAddress))
}
