//! Answers that are no problems.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderName, HeaderValue},
    },
};
use bursar_app::Answer;
use serde::Serialize;

use crate::problem::Problem;

pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How a money request was answered, as its headers tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    replayed: bool,
    waited: bool,
}

impl Manner {
    pub(crate) const fn of<T>(answer: &Answer<T>) -> Self {
        Self {
            replayed: answer.replayed,
            waited: answer.waited,
        }
    }
}

/// 200 with a JSON body. Nothing that this service answers may be kept by a cache.
pub(crate) fn json(body: &impl Serialize) -> Result<HttpResponse, Problem> {
    let Ok(body) = serde_json::to_vec(body) else {
        tracing::error!("an answer cannot be written as JSON");
        return Err(Problem::internal());
    };
    Ok(HttpResponse::build(StatusCode::OK)
        .content_type(HeaderValue::from_static("application/json"))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .body(body))
}

/// 200 with a JSON body that came of a money request.
pub(crate) fn money(manner: Manner, body: &impl Serialize) -> Result<HttpResponse, Problem> {
    let mut response = json(body)?;
    let headers = response.headers_mut();
    if manner.replayed {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    if manner.waited {
        headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("wait"));
    }
    Ok(response)
}

/// 204.
pub(crate) fn empty() -> HttpResponse {
    HttpResponse::NoContent().finish()
}
