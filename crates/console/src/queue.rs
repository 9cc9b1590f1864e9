//! `/console/queue`: what waits for an operator.

mod place;
mod rows;

use actix_web::{HttpResponse, web};
use bursar_app::{QueuePage, QueueSearch};
use bursar_domain::{Asset, AssetId};
use bursar_ports::{OpenWork, QueueOrder};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    desk::{Desk, Reply},
    fault::Fault,
    layout::Place,
    links::{Link, said},
    live::{self, Watch},
    words::{self, People},
};

/// How many rows a page has: each carries what can be done about it.
const ROWS: u32 = 40;

#[derive(Deserialize)]
pub(crate) struct Asked {
    work: Option<String>,
    sort: Option<String>,
    asset: Option<String>,
    after: Option<String>,
}

/// What is looked at, as the address says it.
struct View {
    work: OpenWork,
    sort: QueueOrder,
    asset: Option<AssetId>,
}

impl View {
    fn read(asked: &Asked) -> Result<Self, Fault> {
        let work = said(asked.work.as_ref());
        let work = work.map_or(Some(OpenWork::Withdrawals), OpenWork::from_name);
        let sort = said(asked.sort.as_ref());
        let sort = sort.map_or(Some(QueueOrder::Age), QueueOrder::from_name);
        let asset = said(asked.asset.as_ref()).map(AssetId::parse).transpose();
        match (work, sort, asset) {
            (Some(work), Some(sort), Ok(asset)) => Ok(Self { work, sort, asset }),
            (_, _, _) => Err(Fault::BadAddress),
        }
    }

    fn link(&self) -> Link {
        Link::to("/console/queue")
            .with("work", self.work.as_str())
            .with("sort", self.sort.as_str())
            .with_some("asset", self.asset)
    }
}

pub(crate) async fn show(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    desk.answer(list(&desk, &asked).await)
}

async fn list(desk: &Desk, asked: &Asked) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let view = View::read(asked)?;
    let after = said(asked.after.as_ref()).map(place::read);
    let after = after
        .map(|place| place.ok_or(Fault::BadAddress))
        .transpose()?;
    let is_first = after.is_none();
    let search = QueueSearch {
        which: view.work,
        sort: view.sort,
        asset: view.asset,
        after,
        limit: ROWS,
    };
    let app = desk.app();
    let page = app.queue(&grant, search).await?;
    let assets = app.list_assets(&grant).await?;
    let forecast = app.forecast(&grant).await?;
    let people = People::of(desk, page.rows.iter().map(|row| &row.transfer)).await?;
    let next = page
        .next
        .as_ref()
        .map(|next| view.link().with("after", place::text(next)));
    let title = title(view.work);
    let watch = Watch::Queue {
        work: view.work,
        asset: view.asset,
    };
    let body = html! {
        (live::news(desk, watch))
        h1 { (title) }
        (tabs(&view))
        (sorting(&view, &assets))
        @if page.rows.is_empty() { (empty(&page, &view, is_first)) }
        @else { (rows::list(desk, &page, &people, &forecast)) }
        @if let Some(next) = next { p class="pages" { a class="button" rel="next" href=(next) { "Show the next " (ROWS) } } }
    };
    Ok(Reply::page(Place::Queue, title, body))
}

const fn title(work: OpenWork) -> &'static str {
    match work {
        OpenWork::Withdrawals => "Withdrawals to confirm",
        OpenWork::Approvals => "Waiting for a second operator",
    }
}

fn tabs(view: &View) -> Markup {
    html! {
        nav class="tabs" aria-label="Queues" {
            ul {
                @for work in OpenWork::ALL {
                    @let current = (work == view.work).then_some("page");
                    @let link = Link::to("/console/queue").with("work", work.as_str()).with("sort", view.sort.as_str());
                    li { a href=(link) aria-current=[current] { (title(work)) } }
                }
            }
        }
    }
}

fn sorting(view: &View, assets: &[Asset]) -> Markup {
    html! {
        form class="filters" method="get" action="/console/queue" {
            input type="hidden" name="work" value=(view.work.as_str());
            div {
                label for="sort" { "Order" }
                select id="sort" name="sort" {
                    option value="age" selected[view.sort == QueueOrder::Age] { "Longest waiting" }
                    option value="value" selected[view.sort == QueueOrder::Value] { "Worth most" }
                }
            }
            div {
                label for="asset" { "Asset" }
                select id="asset" name="asset" {
                    option value="" { "All" }
                    @for asset in assets {
                        option value=(asset.id) selected[view.asset == Some(asset.id)] { (words::unit(asset.id)) }
                    }
                }
            }
            button { "Show" }
        }
    }
}

fn empty(page: &QueuePage, view: &View, is_first: bool) -> Markup {
    let what = match view.work {
        OpenWork::Withdrawals => {
            "Withdrawals that nobody has confirmed or canceled yet would be here, the oldest first. New ones announce themselves."
        }
        OpenWork::Approvals => {
            "Deposits and confirmed withdrawals above a limit, which a second operator must approve, would be here."
        }
    };
    html! {
        div class="empty" {
            @if page.next.is_some() { p { strong { "None among those looked at so far." } " There are more: go on." } }
            @else if is_first { p { strong { "Nothing waits." } } p { (what) } }
            @else { p { strong { "That was all." } } p { a href=(view.link()) { "Back to the beginning" } } }
        }
    }
}
