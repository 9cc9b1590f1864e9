//! The feed as server-sent events.
//!
//! A task of its own reads the feed and hands one page after the other to the connection, which takes
//! the next one when the client has room for it: a slow client holds up nothing but itself, and at
//! most a page waits for it. One that takes nothing at all loses its place.

use std::{convert::Infallible, time::Duration};

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, HeaderName, HeaderValue},
    rt,
};
use bursar_app::{App, Error, FeedEvent, Grant};
use bursar_ports::StoreError;
use bursar_streams::EventStreams;
use bytes::Bytes;
use futures_util::stream;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{EVENT_STREAM, EventBody};
use crate::{call::Call, problem::Problem};

/// How many events are read at once.
const PAGE: u32 = 200;
/// What the client is told to wait before it connects again, in milliseconds.
const FIRST: &str = "retry: 1000\n\n";
/// A comment, which clients pass over.
const STILL_HERE: &str = ":\n\n";
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Nobody listens on with a credential that was withdrawn: the client connects again, with whatever
/// credential it has then, and goes on where it was.
const LIFE: Duration = Duration::from_secs(300);
/// How long a client may take nothing.
const STALL: Duration = Duration::from_secs(60);
/// How long to gather events before they are read: under load many come together, and nobody notices.
const GATHER: Duration = Duration::from_millis(20);
/// The pause after the feed could not be read.
const OUTAGE: Duration = Duration::from_secs(1);
/// Tells nginx not to hold events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers with a stream that begins after this event. What is wrong from the start is a problem like
/// any other.
pub(super) async fn open(call: &Call, grant: Grant, after: i64) -> Result<HttpResponse, Problem> {
    let Some(place) = call.shared().stream_place() else {
        return Err(Problem::streams_taken());
    };
    let app = call.app().clone();
    let events = app.list_events(&grant, after, PAGE).await?;
    let mut response = HttpResponse::Ok();
    response
        .content_type(HeaderValue::from_static(EVENT_STREAM))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((X_ACCEL_BUFFERING, HeaderValue::from_static("no")));
    if call.is_head() {
        return Ok(response.finish());
    }
    let (to, pages) = mpsc::channel(1);
    let feed = Feed {
        app,
        grant,
        streams: call.shared().state.events.clone(),
        after,
        to,
        _place: Place::taken(place),
    };
    rt::spawn(feed.run(events));
    let pages = stream::unfold(pages, |mut pages| async {
        let page: Bytes = pages.recv().await?;
        Some((Ok::<_, Infallible>(page), pages))
    });
    Ok(response.streaming(pages))
}

/// One stream.
struct Feed {
    app: App,
    grant: Grant,
    streams: EventStreams,
    /// The last event that was sent.
    after: i64,
    to: mpsc::Sender<Bytes>,
    _place: Place,
}

/// Why a stream ends.
struct Ended;

impl Feed {
    /// Sends events as they come, until the client is gone, the stream has lived long enough, or the
    /// process stops.
    async fn run(mut self, events: Vec<FeedEvent>) {
        let end = Instant::now() + LIFE;
        let streams = self.streams.clone();
        let client = self.to.clone();
        tokio::select! {
            Ended = self.follow(events) => {}
            () = client.closed() => {}
            () = streams.over() => {}
            () = sleep_until(end) => {}
        }
    }

    async fn follow(&mut self, mut events: Vec<FeedEvent>) -> Ended {
        if let Err(ended) = self.send(FIRST.to_owned()).await {
            return ended;
        }
        loop {
            let sent = if let Some(last) = events.last() {
                self.after = last.number;
                match text(&events) {
                    Ok(text) => self.send(text).await,
                    Err(ended) => Err(ended),
                }
            } else {
                self.wait().await
            };
            if let Err(ended) = sent {
                return ended;
            }
            events = match self.read().await {
                Ok(events) => events,
                Err(ended) => return ended,
            };
        }
    }

    /// Waits for what comes next, and tells the client now and then that it is still there.
    async fn wait(&self) -> Result<(), Ended> {
        while timeout(KEEP_ALIVE, self.streams.beyond(self.after))
            .await
            .is_err()
        {
            self.send(STILL_HERE.to_owned()).await?;
        }
        sleep(GATHER).await;
        Ok(())
    }

    async fn read(&self) -> Result<Vec<FeedEvent>, Ended> {
        loop {
            match self.app.list_events(&self.grant, self.after, PAGE).await {
                Ok(events) => return Ok(events),
                Err(Error::Store(error)) if !matches!(error, StoreError::Inconsistent { .. }) => {
                    tracing::warn!(%error, "a stream of events waits for the store");
                    sleep(OUTAGE).await;
                }
                Err(error) => {
                    // When it connects again it is told the same.
                    tracing::info!(%error, "a stream of events ends");
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

/// Events as the lines of a stream.
fn text(events: &[FeedEvent]) -> Result<String, Ended> {
    let mut text = String::new();
    for event in events {
        let Ok(data) = serde_json::to_string(&EventBody::of(event)) else {
            tracing::error!("an event cannot be written as JSON");
            return Err(Ended);
        };
        let (id, name) = (event.number.to_string(), event.event_type.as_str());
        for part in ["id: ", &id, "\nevent: ", name, "\ndata: ", &data, "\n\n"] {
            text.push_str(part);
        }
    }
    Ok(text)
}

/// A stream's place among those that may be open, counted while it is taken.
struct Place(
    #[expect(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit,
);

impl Place {
    fn taken(permit: OwnedSemaphorePermit) -> Self {
        metrics::gauge!("bursar_event_streams").increment(1.0);
        Self(permit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("bursar_event_streams").decrement(1.0);
    }
}
