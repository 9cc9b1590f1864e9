//! `/admin/v1/events`: what happened, page by page or as a stream.

mod stream;

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ACCEPT, HeaderMap, HeaderName},
};
use bursar_app::FeedEvent;
use serde::Serialize;

use super::transfer::TransferBody;
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

/// How many events a page may have.
const LIMIT_MAX: u32 = 1_000;
/// The number of the last event that the client has, when it takes up a stream again.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENT_STREAM: &str = "text/event-stream";

#[derive(Serialize)]
struct Page<'a> {
    data: Vec<EventBody<'a>>,
    next_after: i64,
}

/// An event, in pages and in streams.
#[derive(Serialize)]
struct EventBody<'a> {
    number: i64,
    #[serde(rename = "type")]
    event_type: &'a str,
    at: String,
    transfer: Option<TransferBody<'a>>,
    data: &'a BTreeMap<String, String>,
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let mut query = call.query(Names::Strict)?;
    let after = query.number(name!("after"));
    let limit = query.limit(name!("limit"), &[], LIMIT_MAX);
    let resumed = last_event_id(call.headers());
    if let Err(detail) = resumed {
        query.error("Last-Event-ID", "last_event_id.invalid", detail);
    }
    let read = resumed.ok().map(|resumed| (after, limit, resumed));
    let (after, limit, resumed) = query.finish(read)?;
    if wants_stream(call.headers()) {
        return stream::open(&call, grant, resumed.unwrap_or(after)).await;
    }
    let events = call.app().list_events(&grant, after, limit).await?;
    answer::json(&Page {
        data: events.iter().map(EventBody::of).collect(),
        next_after: events.last().map_or(after, |event| event.number),
    })
}

impl<'a> EventBody<'a> {
    fn of(event: &'a FeedEvent) -> Self {
        let about = event.about.as_ref();
        Self {
            number: event.number,
            event_type: &event.event_type,
            at: event.at.to_micros_text(),
            transfer: about.map(|told| {
                TransferBody::as_of(&told.transfer, told.code.as_deref(), told.status, event.at)
            }),
            data: &event.data,
        }
    }
}

/// The number that a stream goes on after, if there is one, or what is wrong with it.
fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, &'static str> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    let number = number.filter(|number| *number >= 0);
    number.map(Some).ok_or("must be the number of an event")
}

/// Whether the client asks for server-sent events.
fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(EVENT_STREAM))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(name.clone(), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn a_stream_is_what_the_client_asks_for_by_name() {
        for accepted in [
            &["text/event-stream"][..],
            &["application/json, Text/Event-Stream;q=0.5"],
            &["application/json", "text/event-stream"],
        ] {
            assert!(wants_stream(&headers(&ACCEPT, accepted)), "{accepted:?}");
        }
        for accepted in [
            &[][..],
            &["*/*"],
            &["text/*"],
            &["application/json;x=text/event-stream"],
        ] {
            assert!(!wants_stream(&headers(&ACCEPT, accepted)), "{accepted:?}");
        }
    }

    #[test]
    fn a_stream_is_taken_up_after_a_number() {
        let read = |value| last_event_id(&headers(&LAST_EVENT_ID, &[value]));
        assert_eq!(last_event_id(&HeaderMap::new()), Ok(None));
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("0"), Ok(Some(0)));
        assert_eq!(read("41"), Ok(Some(41)));
        for wrong in ["-1", "x", "1.5", "9223372036854775808"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
