//! What happens while somebody looks: the event feed as server-sent events, told in as few words as a
//! page needs to know that it is out of date.

mod told;

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header, rt, web};
use bursar_app::{App, Error, FeedEvent, Grant};
use bursar_domain::TransferId;
use bursar_ports::StoreError;
use bursar_streams::EventStreams;
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};

use self::told::{changes, rows, told, who};
use crate::desk::{Desk, Reply};

/// How many events are read at once.
const PAGE: u32 = 200;
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
const LOOK: Duration = Duration::from_secs(3);
const GATHER: Duration = Duration::from_millis(100);
/// The pause after the feed could not be read.
const OUTAGE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
pub(crate) struct From {
    after: Option<i64>,
    /// The transfers on the page, with commas between them: it is told who takes them.
    rows: Option<String>,
}

/// `GET /console/events?after=17`: what happened since then, as it happens.
pub(crate) async fn events(
    desk: Desk,
    request: HttpRequest,
    from: web::Query<From>,
) -> HttpResponse {
    let grant = match desk.reader() {
        Ok(grant) => grant,
        Err(fault) => return desk.answer(Err(fault)),
    };
    let again = request.headers().get("last-event-id");
    let again = again.and_then(|id| id.to_str().ok()?.parse::<i64>().ok());
    let after = again.or(from.after).unwrap_or_default().max(0);
    let (to, texts) = mpsc::channel(1);
    let rows = rows(from.rows.as_deref().unwrap_or_default());
    let feed = Feed {
        app: desk.app().clone(),
        grant,
        live: desk.console.live().clone(),
        after,
        // What the page knows may be out of date: it is told of every row at first.
        known: rows.iter().map(|id| (*id, String::new())).collect(),
        rows,
        to,
    };
    rt::spawn(feed.run());
    let texts = stream::unfold(texts, |mut texts| async {
        let text: Bytes = texts.recv().await?;
        Some((Ok::<_, Infallible>(text), texts))
    });
    let answer = HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(texts);
    desk.answer(Ok(Reply::Other(answer)))
}

struct Feed {
    app: App,
    grant: Grant,
    live: EventStreams,
    after: i64,
    rows: Vec<TransferId>,
    /// Who is at them, as the page knows it.
    known: BTreeMap<TransferId, String>,
    to: mpsc::Sender<Bytes>,
}

/// Why a stream ends.
struct Ended;

impl Feed {
    async fn run(mut self) {
        let end = Instant::now() + LIFE;
        let (live, client) = (self.live.clone(), self.to.clone());
        tokio::select! {
            Ended = self.follow() => {}
            () = client.closed() => {}
            () = live.over() => {}
            () = sleep_until(end) => {}
        }
    }

    async fn follow(&mut self) -> Ended {
        if let Err(ended) = self.send(FIRST.to_owned()).await {
            return ended;
        }
        // A page that was made before anything was known begins where the feed ends now.
        if self.after == 0 {
            if let Err(ended) = self.wait().await {
                return ended;
            }
            self.after = self.live.last().saturating_sub(1);
        }
        loop {
            let events = match self.read().await {
                Ok(events) => events,
                Err(ended) => return ended,
            };
            let sent = match events.last() {
                Some(last) => {
                    self.after = last.number;
                    self.send(told(&events)).await
                }
                None => self.wait().await,
            };
            if let Err(ended) = sent {
                return ended;
            }
        }
    }

    /// Waits for what comes next, looks meanwhile who takes what, and tells the browser now and then
    /// that it is still there.
    async fn wait(&mut self) -> Result<(), Ended> {
        let pause = if self.rows.is_empty() {
            KEEP_ALIVE
        } else {
            LOOK
        };
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

    async fn tell_takings(&mut self) -> Result<(), Ended> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let takings = match self.app.takings(&self.grant, self.rows.clone()).await {
            Ok(takings) => takings,
            Err(error) => {
                tracing::warn!(%error, "a page is not told who takes what");
                return Ok(());
            }
        };
        let now: BTreeMap<TransferId, String> = takings
            .iter()
            .map(|(id, taken)| (*id, who(taken)))
            .collect();
        let text = changes(&self.known, &now);
        self.known = now;
        if text.is_empty() {
            return Ok(());
        }
        self.send(text).await
    }

    async fn read(&self) -> Result<Vec<FeedEvent>, Ended> {
        loop {
            match self.app.list_events(&self.grant, self.after, PAGE).await {
                Ok(events) => return Ok(events),
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
