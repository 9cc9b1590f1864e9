//! What happens while somebody looks: the event feed as server-sent events, told in as few words as a
//! page needs to know that it is out of date.
//!
//! A page says what it shows and up to which event it knows; it is told what has changed of that, and
//! no more. What many pages ask for is read once for all of them.

mod places;
mod recent;
mod takings;
mod told;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, http::header, rt, web};
use bursar_app::{App, Error, Grant};
use bursar_domain::{TransferId, Version};
use bursar_ports::StoreError;
use bursar_streams::EventStreams;
use bytes::Bytes;
use futures_util::stream;
use maud::{Markup, html};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};

use self::{
    places::{Place, Places},
    recent::{Heard, Recent},
    takings::Takings,
    watch::Asked,
};
use crate::{
    desk::{Desk, Reply},
    fault::Fault,
};

pub(crate) use watch::{New, Watch};

/// What the browser is told to wait before it connects again, in milliseconds.
const FIRST: &str = "retry: 2000\n\n";
/// A comment, which browsers pass over.
const STILL_HERE: &str = ":\n\n";
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Nobody looks on with a session that has ended: the browser connects again, and is asked who it is.
const LIFE: Duration = Duration::from_secs(60);
/// How long a browser may take nothing.
const STALL: Duration = Duration::from_secs(30);
/// How often it is looked who is at the rows of a page.
const LOOK: Duration = Duration::from_secs(2);
/// How long events are gathered before they are told: nobody reads faster.
const GATHER: Duration = Duration::from_millis(250);
/// The pause after the feed could not be read.
const OUTAGE: Duration = Duration::from_secs(1);
/// How far behind a page may be and still be told everything, in events: one that is further behind is
/// better loaded again.
const BEHIND_MAX: i64 = 1_000;

/// What the streams of all pages share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    places: Arc<Places>,
    recent: Recent,
    takings: Takings,
}

/// Where a page says what is new, and where script learns what to listen to. A page without it is told
/// nothing.
pub(crate) fn news(desk: &Desk, watch: Watch) -> Markup {
    html! { p id="news" class="news" role="status" data-live=(watch.link(desk.since)) hidden {} }
}

/// `GET /console/events?after=17&page=queue&work=approvals&rows=5.1-7.2`: what happened since then to
/// what this page shows, as it happens.
pub(crate) async fn events(
    desk: Desk,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> HttpResponse {
    let opened = open(&desk, &request, &asked);
    desk.answer(opened.map(Reply::Other))
}

fn open(desk: &Desk, request: &HttpRequest, asked: &Asked) -> Result<HttpResponse, Fault> {
    let grant = desk.reader()?;
    let watch = Watch::read(asked).ok_or(Fault::BadAddress)?;
    let shared = desk.console.shared();
    let Some(place) = shared.places.take(&desk.visitor.operator) else {
        // The page says that it is not live.
        let kind = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
        let mut full = HttpResponse::ServiceUnavailable();
        return Ok(full.insert_header(kind).body("No more pages can listen."));
    };
    let again = request.headers().get("last-event-id");
    let again = again.and_then(|id| id.to_str().ok()?.parse::<i64>().ok());
    let after = again.or(asked.after).unwrap_or_default().max(0);
    let (to, texts) = mpsc::channel(1);
    let rows = asked.rows();
    let feed = Feed {
        app: desk.app().clone(),
        grant,
        live: desk.console.live().clone(),
        shared: Arc::clone(shared),
        after,
        watch,
        // What the page knows may be out of date: it is told of every row at first.
        known: rows.keys().map(|id| (*id, String::new())).collect(),
        rows,
        to,
    };
    rt::spawn(feed.run(place));
    let texts = stream::unfold(texts, |mut texts| async {
        let text: Bytes = texts.recv().await?;
        Some((Ok::<_, Infallible>(text), texts))
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(texts))
}

struct Feed {
    app: App,
    grant: Grant,
    live: EventStreams,
    shared: Arc<Shared>,
    /// The last event that the page was told, or that it need not be told.
    after: i64,
    watch: Watch,
    /// The transfers on the page, as it shows them.
    rows: BTreeMap<TransferId, Version>,
    /// Who is at them, as the page knows it.
    known: BTreeMap<TransferId, String>,
    to: mpsc::Sender<Bytes>,
}

/// Why a stream ends.
struct Ended;

impl Feed {
    async fn run(mut self, mut place: Place) {
        let end = Instant::now() + LIFE;
        let (live, client) = (self.live.clone(), self.to.clone());
        tokio::select! {
            Err(Ended) = self.follow() => {}
            () = client.closed() => {}
            () = place.over() => {}
            () = live.over() => {}
            () = sleep_until(end) => {}
        }
    }

    async fn follow(&mut self) -> Result<Infallible, Ended> {
        self.send(FIRST.to_owned()).await?;
        // A page that was made before anything was known begins where the feed ends now.
        if self.after == 0 {
            self.wait().await?;
            self.after = self.live.last().saturating_sub(1);
        }
        loop {
            let last = self.live.last();
            if last.saturating_sub(self.after) > BEHIND_MAX {
                self.skip(last).await?;
            }
            let events = self.read().await?;
            match events.last() {
                Some(last) => {
                    self.after = last.number;
                    let steps = events.iter().filter_map(|event| event.step.as_ref());
                    let words = steps.filter_map(|step| self.watch.word(step, &self.rows));
                    let words: BTreeSet<_> = words.collect();
                    self.send(told::words(&words, self.after)).await?;
                }
                None => self.wait().await?,
            }
        }
    }

    /// Says that much has happened instead of telling all of it, and goes on from there.
    async fn skip(&mut self, to: i64) -> Result<(), Ended> {
        self.after = to;
        self.send(told::behind(to)).await
    }

    /// Waits for what comes next, looks meanwhile who takes what, and tells the browser now and then
    /// that it is still there.
    async fn wait(&mut self) -> Result<(), Ended> {
        let pause = if self.has_takings() { LOOK } else { KEEP_ALIVE };
        let mut said = Instant::now();
        loop {
            self.tell_takings().await?;
            if timeout(pause, self.live.beyond(self.after)).await.is_ok() {
                sleep(GATHER).await;
                return Ok(());
            }
            if said.elapsed() >= KEEP_ALIVE {
                self.send(STILL_HERE.to_owned()).await?;
                said = Instant::now();
            }
        }
    }

    /// Whether there is anything on the page that operators take.
    fn has_takings(&self) -> bool {
        matches!(self.watch, Watch::Queue { .. }) && !self.rows.is_empty()
    }

    async fn tell_takings(&mut self) -> Result<(), Ended> {
        if !self.has_takings() {
            return Ok(());
        }
        let takings = self.shared.takings.of(&self.app, &self.grant, &self.rows);
        let now = match takings.await {
            Ok(now) => now,
            Err(error) => {
                tracing::warn!(%error, "a page is not told who takes what");
                return Ok(());
            }
        };
        let text = told::changes(&self.known, &now);
        self.known = now;
        if text.is_empty() {
            return Ok(());
        }
        self.send(text).await
    }

    async fn read(&mut self) -> Result<Vec<Heard>, Ended> {
        loop {
            let recent = &self.shared.recent;
            match recent.after(&self.app, &self.grant, self.after).await {
                Ok(events) => return Ok(events),
                Err(Error::EventsPruned { oldest }) => {
                    let to = self.live.last().max(oldest.saturating_sub(1));
                    self.skip(to).await?;
                }
                // The page was made before the database was restored to an earlier time.
                Err(Error::EventsAhead { last }) => self.skip(last).await?,
                Err(Error::Store(error)) if !matches!(error, StoreError::Inconsistent { .. }) => {
                    tracing::warn!(%error, "a page's events wait for the store");
                    sleep(OUTAGE).await;
                }
                Err(error) => {
                    tracing::info!(%error, "a page's events end");
                    return Err(Ended);
                }
            }
        }
    }

    async fn send(&self, text: String) -> Result<(), Ended> {
        match timeout(STALL, self.to.send(text.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ended),
        }
    }
}
