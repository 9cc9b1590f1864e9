//! `/admin/v1/overview` and `/admin/v1/callbacks/hosts`: how things stand.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::{BooksState, CallbackHost, Overview, Period};
use bursar_domain::{Amount, Asset, AssetId, Scale, Timestamp};
use bursar_ports::{CallbackLag, Volume, Waiting, WaitingWork};
use serde::Serialize;

use super::page::List;
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

#[derive(Serialize)]
struct OverviewBody {
    at: String,
    waiting: WaitingBody,
    volumes: VolumesBody,
    callbacks: LagBody,
    books: Option<BooksBody>,
}

#[derive(Serialize)]
struct WaitingBody {
    withdrawals: CountBody,
    approvals: CountBody,
    dead_callbacks: CountBody,
}

#[derive(Serialize)]
struct CountBody {
    count: u32,
    oldest: Option<String>,
}

#[derive(Serialize)]
struct VolumesBody {
    /// When each piece of the period begins.
    starts: Vec<String>,
    piece_hours: u32,
    /// How many events are not counted yet.
    behind: u64,
    data: Vec<VolumeBody>,
}

#[derive(Serialize)]
struct VolumeBody {
    asset: String,
    kind: &'static str,
    start: String,
    count: u64,
    amount: Option<String>,
}

#[derive(Serialize)]
struct LagBody {
    pending: u32,
    oldest_due: Option<String>,
    sample: u32,
    p50_ms: Option<i64>,
    p95_ms: Option<i64>,
}

#[derive(Serialize)]
struct BooksBody {
    ok: bool,
    at: String,
    assets: Vec<String>,
    wrong: Vec<String>,
}

#[derive(Serialize)]
struct HostBody<'a> {
    host: &'a str,
    pending: u32,
    dead: u32,
    oldest_pending: Option<String>,
    last_success: Option<String>,
    last_failure: Option<String>,
    last_failure_outcome: Option<&'a str>,
    breaker_open: bool,
    next_probe_at: Option<String>,
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let mut query = call.query(Names::Strict)?;
    let periods = Period::ALL.map(Period::as_str).join(", ");
    let period = query.one_of(name!("period"), Period::from_name, &periods);
    let period = query.finish(Some(period))?.unwrap_or(Period::Day);
    let overview = call.app().overview(&grant, period).await?;
    answer::json(&OverviewBody::of(&overview, period))
}

pub(super) async fn hosts(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    call.without_parameters()?;
    let hosts = call.app().callback_hosts(&grant).await?;
    let data = hosts.iter().map(HostBody::of).collect();
    answer::json(&List::whole(data))
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(Timestamp::to_micros_text)
}

impl OverviewBody {
    fn of(overview: &Overview, period: Period) -> Self {
        let starts = overview.starts.iter();
        let volumes = &overview.volumes;
        let rows = volumes.rows.iter();
        Self {
            at: overview.at.to_micros_text(),
            waiting: WaitingBody::of(&overview.waiting),
            volumes: VolumesBody {
                starts: starts.map(|start| start.to_micros_text()).collect(),
                piece_hours: period.hours(),
                behind: volumes.behind,
                data: rows
                    .map(|row| VolumeBody::of(row, &overview.assets))
                    .collect(),
            },
            callbacks: LagBody::of(&overview.callbacks),
            books: overview.books.as_ref().map(BooksBody::of),
        }
    }
}

impl WaitingBody {
    fn of(waiting: &WaitingWork) -> Self {
        Self {
            withdrawals: CountBody::of(waiting.withdrawals),
            approvals: CountBody::of(waiting.approvals),
            dead_callbacks: CountBody::of(waiting.dead_callbacks),
        }
    }
}

impl CountBody {
    fn of(waiting: Waiting) -> Self {
        Self {
            count: waiting.count,
            oldest: text(waiting.oldest),
        }
    }
}

impl VolumeBody {
    fn of(volume: &Volume, assets: &[Asset]) -> Self {
        // Of an asset that is not there, which is wrong in itself, smallest units are told.
        let asset = assets.iter().find(|asset| asset.id == volume.asset);
        let scale = asset.map_or(Scale::ZERO, |asset| asset.scale);
        let amount = volume.amount.map(Amount::try_from_units);
        Self {
            asset: volume.asset.to_string(),
            kind: volume.kind.as_str(),
            start: volume.start.to_micros_text(),
            count: volume.count,
            amount: amount.and_then(|amount| Some(amount.ok()?.to_plain(scale))),
        }
    }
}

impl LagBody {
    fn of(lag: &CallbackLag) -> Self {
        Self {
            pending: lag.pending,
            oldest_due: text(lag.oldest_due),
            sample: lag.sample,
            p50_ms: lag.p50_ms,
            p95_ms: lag.p95_ms,
        }
    }
}

impl BooksBody {
    fn of(books: &BooksState) -> Self {
        let names = |assets: &[AssetId]| assets.iter().map(AssetId::to_string).collect();
        Self {
            ok: books.wrong.is_empty() && !books.strays,
            at: books.at.to_micros_text(),
            assets: names(&books.assets),
            wrong: names(&books.wrong),
        }
    }
}

impl<'a> HostBody<'a> {
    fn of(host: &'a CallbackHost) -> Self {
        let (health, breaker) = (&host.health, host.breaker);
        Self {
            host: &health.host,
            pending: health.pending,
            dead: health.dead,
            oldest_pending: text(health.oldest_pending),
            last_success: text(health.last_success),
            last_failure: text(health.last_failure),
            last_failure_outcome: health.last_failure_outcome.as_deref(),
            breaker_open: breaker.is_some(),
            next_probe_at: text(breaker.and_then(|breaker| breaker.probe_at)),
        }
    }
}
