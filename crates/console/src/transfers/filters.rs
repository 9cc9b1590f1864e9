//! The search box and the filters.

use bursar_domain::{Asset, AssetId, Kind, Status};
use maud::{Markup, html};

use super::view::{Asked, ROWS, WrongField};
use crate::{links::said, lists::day_field, words};

/// The form that asks for transfers, with what was asked for, and what of it cannot be.
pub(super) fn form(asked: &Asked, assets: &[Asset], wrong: &[WrongField]) -> Markup {
    let field = |name: &str, label: &str, kind: &str, value: &Option<String>| {
        let fault = wrong.iter().find(|wrong| wrong.name == name);
        html! {
            div {
                label for={ "f-" (name) } { (label) }
                input id={ "f-" (name) } name=(name) type=(kind) value=[said(value.as_ref())] autocomplete="off"
                    inputmode=[["min", "max"].contains(&name).then_some("decimal")]
                    aria-invalid=[fault.map(|_| "true")] aria-describedby=[fault.map(|_| format!("w-{name}"))];
                (fault_line(fault))
            }
        }
    };
    let q = wrong.iter().find(|wrong| wrong.name == "q");
    let of_kind = said(asked.kind.as_ref()).and_then(Kind::from_name);
    let of_status = said(asked.status.as_ref()).and_then(Status::from_name);
    html! {
        form class="filters" method="get" action="/console/transfers" {
            div class="wide" {
                label for="f-q" { "Anything you have at hand" }
                input id="f-q" name="q" type="search" value=[asked.q.as_deref()] maxlength="320" autocomplete="off"
                    aria-describedby={ "h-q" @if q.is_some() { " w-q" } } aria-invalid=[q.map(|_| "true")];
                p class="hint" id="h-q" { "An id, a code, a user’s id, name or email, the sender’s own id, or an amount such as 0.25 btc." }
                (fault_line(q))
            }
            div {
                label for="f-kind" { "Kind" }
                select id="f-kind" name="kind" {
                    option value="" { "All" }
                    @for kind in Kind::ALL {
                        option value=(kind.as_str()) selected[of_kind == Some(kind)] { (words::kind_word(kind)) }
                    }
                }
            }
            div {
                label for="f-status" { "Status" }
                select id="f-status" name="status" {
                    option value="" { "All" }
                    @for status in Status::ALL {
                        option value=(status.as_str()) selected[of_status == Some(status)] { (words::status_word(status)) }
                    }
                }
            }
            (asset_field(asked, assets, wrong))
            (field("min", "Amount from", "text", &asked.min))
            (field("max", "Amount to", "text", &asked.max))
            (field("from", "From day (UTC)", day_field(asked.from.as_ref()), &asked.from))
            (field("to", "To day (UTC)", day_field(asked.to.as_ref()), &asked.to))
            @if said(asked.user.as_ref()).is_some() { (field("user", "User id", "search", &asked.user)) }
            div {
                label for="f-rows" { "Rows" }
                select id="f-rows" name="rows" {
                    @for rows in ROWS { option selected[asked.rows == Some(rows.to_string())] { (rows) } }
                }
            }
            div class="send" { button class="primary" { "Search" } " " a href="/console/transfers" { "Clear" } }
        }
    }
}

fn asset_field(asked: &Asked, assets: &[Asset], wrong: &[WrongField]) -> Markup {
    let fault = wrong.iter().find(|wrong| wrong.name == "asset");
    let chosen = said(asked.asset.as_ref()).and_then(|text| AssetId::parse(text).ok());
    html! {
        div {
            label for="f-asset" { "Asset" }
            select id="f-asset" name="asset" aria-invalid=[fault.map(|_| "true")] aria-describedby=[fault.map(|_| "w-asset")] {
                option value="" { "All" }
                @for asset in assets {
                    option value=(asset.id) selected[chosen == Some(asset.id)] { (words::unit(asset.id)) }
                }
            }
            (fault_line(fault))
        }
    }
}

fn fault_line(fault: Option<&WrongField>) -> Markup {
    html! {
        @if let Some(fault) = fault { p class="fault" id={ "w-" (fault.name) } { "This " (fault.detail) "." } }
    }
}

/// What cannot be, in one place; fields where it was typed say it as well.
pub(super) fn faults(wrong: &[WrongField]) -> Markup {
    html! {
        @if !wrong.is_empty() {
            div class="notice bad" role="alert" {
                p { "This cannot be searched for. Mend it and search again:" }
                ul { @for fault in wrong { li { strong { (fault.name) } " " (fault.detail) } } }
            }
        }
    }
}
