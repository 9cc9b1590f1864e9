//! The second look: what is about to happen, on a page of its own, for much money and for what somebody
//! else is at.

use actix_web::{HttpResponse, web};
use bursar_app::{Forecast, Taken};
use bursar_domain::Transfer;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    Act,
    carry_out::{is_much, overtaken, read_id},
    digest, is_mine, offered, promise, sentence,
};
use crate::{
    desk::{Desk, Reply, own_path},
    fault::Fault,
    forms,
    layout::Place,
    links::Link,
    words::{self, People},
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    act: Option<String>,
    digest: Option<String>,
    back: Option<String>,
}

/// Where the second look at a transfer is.
pub(super) fn link(transfer: &Transfer, act: Act, back: Option<&str>) -> String {
    Link::to(format!("/console/transfers/{}/second-look", transfer.id()))
        .with("act", act.as_str())
        .with("digest", digest(transfer))
        .with_some("back", back)
        .to_string()
}

pub(crate) async fn show(
    desk: Desk,
    id: web::Path<String>,
    asked: web::Query<Asked>,
) -> HttpResponse {
    desk.answer(look(&desk, &id, &asked).await)
}

async fn look(desk: &Desk, id: &str, asked: &Asked) -> Result<Reply, Fault> {
    let reader = desk.reader()?;
    let id = read_id(id)?;
    let act = asked.act.as_deref().and_then(Act::from_name);
    let act = act.ok_or(Fault::BadAddress)?;
    desk.grant(act.permission())?;
    let transfer = desk.app().transfer_story(&reader, id).await?.transfer;
    let shown = asked.digest.as_deref().unwrap_or_default();
    if shown != digest(&transfer) || !offered(desk, &transfer).contains(&act) {
        return Err(overtaken(desk, &transfer));
    }
    let taken = desk.app().taken(&reader, &transfer).await?;
    let taken = taken.filter(|taken| !is_mine(desk, taken));
    let forecast = desk.app().forecast(&reader).await?;
    let people = People::of(desk, [&transfer]).await?;
    let back = asked.back.as_deref().and_then(own_path);
    let back = back.unwrap_or("/console/queue");
    let body = html! {
        h1 { "Look again: " (act.label()) " transfer " (id) "?" }
        (why(desk, &transfer, taken.as_ref()))
        (facts(desk, &transfer, &people))
        (form(desk, act, &transfer, &people, &forecast, taken.as_ref(), back))
    };
    Ok(Reply::page(Place::Queue, "Look again", body))
}

fn why(desk: &Desk, transfer: &Transfer, taken: Option<&Taken>) -> Markup {
    html! {
        @if let Some(taken) = taken {
            p class="notice wait" role="alert" {
                bdi { (taken.by.as_str()) } " has taken it until " (desk.clock().hour(taken.until))
                ". Go on only if the two of you have talked."
            }
        }
        @if is_much(desk, transfer) { p class="notice wait" { (why_much(desk, transfer)) } }
    }
}

fn why_much(desk: &Desk, transfer: &Transfer) -> String {
    let root = desk.app().root_asset();
    match &transfer.parts().root_rate {
        None => "Nobody has said what it is worth, so it is looked at twice.".to_owned(),
        Some(rate) if rate.asset != root => format!(
            "Its worth was told in {}, and the root asset is {} by now: it is looked at twice.",
            words::unit(rate.asset),
            words::unit(root),
        ),
        Some(_) => "It is worth more than what is confirmed at one look.".to_owned(),
    }
}

fn facts(desk: &Desk, transfer: &Transfer, people: &People) -> Markup {
    let parts = transfer.parts();
    let worth = parts.root_rate.as_ref().and_then(|rate| {
        let value = rate.value_of(parts.amount, parts.scale)?;
        Some(words::money(value, rate.scale, rate.asset))
    });
    let owner = transfer.owner();
    html! {
        p class="huge" { (words::money(parts.amount, parts.scale, parts.asset)) }
        dl class="facts" {
            dt { "User" } dd { (people.link(owner)) @if let Some(user) = people.find(owner) { " " bdi class="muted" { (user.email) } } }
            dt { "Fee" } dd { (words::money(parts.fee, parts.scale, parts.asset)) }
            @if let Some(worth) = worth { dt { "Worth" } dd { (worth) } }
            dt { "Created" } dd { (desk.clock().exact(parts.created_at)) " by " bdi { (parts.created_by.as_str()) } }
            @if let Some(note) = &parts.note { dt { "Note" } dd class="prose" { (note) } }
        }
    }
}

fn form(
    desk: &Desk,
    act: Act,
    transfer: &Transfer,
    people: &People,
    forecast: &Forecast,
    taken: Option<&Taken>,
    back: &str,
) -> Markup {
    let to = format!("/console/transfers/{}/{}", transfer.id(), act.as_str());
    html! {
        form method="post" class="acts" action=(to) {
            (forms::csrf(&desk.visitor))
            input type="hidden" name="digest" value=(digest(transfer));
            input type="hidden" name="promise" value=(promise(transfer, forecast));
            input type="hidden" name="back" value=(back);
            @if is_much(desk, transfer) { input type="hidden" name="sure" value="yes"; }
            @if let Some(taken) = taken { input type="hidden" name="sure_of" value=(taken.by.as_str()); }
            button class=(act.class()) data-key=(act.key()) {
                b { "Yes, " (act.label().to_lowercase()) } " "
                span { (sentence(act, transfer, &people.name(transfer.owner()), forecast)) }
            }
            a class="button" href=(back) { "Back, and do nothing" }
        }
    }
}
