//! Refusals, as RFC 9457 problems.
//!
//! Handlers return a [`Problem`]; `observe` renders it, because only there the request id is known.

mod body;
mod map;
mod title;

use std::{borrow::Cow, fmt};

pub(crate) use self::body::{Body, TakenBody};
use crate::{answer::IDEMPOTENT_REPLAYED, request_id::RequestId};
use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, CACHE_CONTROL, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use bursar_app::{FieldError, Original, Taken};
use bursar_domain::Room;

/// Why a request is not answered with what it asked for. Boxed, because every answer might be one.
#[derive(Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    errors: Vec<FieldError>,
    extension: Extension,
    challenge: Option<&'static str>,
    allow: Option<&'static str>,
    retry_after_s: Option<u32>,
    replayed: bool,
}

/// What some problems tell beside the members of RFC 9457.
#[derive(Debug)]
pub(crate) enum Extension {
    /// Nothing.
    None,
    /// A key that belongs to another request.
    KeyReused {
        original: Option<Original>,
        fields: Vec<String>,
    },
    /// Trouble before anything happened.
    NotExecuted,
    /// Trouble round a commit: this exists if it landed.
    Unknown { transfer: Option<Original> },
    /// What is to be said of each item of a bulk.
    Results(Vec<Problem>),
    /// What a limit leaves.
    Room(Room),
    /// Who is at it.
    Taken(Taken),
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: vec![],
            extension: Extension::None,
            challenge: None,
            allow: None,
            retry_after_s: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
            replayed: false,
        }))
    }

    /// Fields that are wrong in themselves. One wrong field lends its code to the whole.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let (code, detail) = match errors.as_slice() {
            [only] => (
                only.code.clone(),
                format!("{}: {}.", only.field, only.detail),
            ),
            _ => (
                "request.invalid".into(),
                "Several fields of the request are invalid.".to_owned(),
            ),
        };
        let mut problem = Self::new(StatusCode::BAD_REQUEST, code, detail);
        problem.0.errors = errors;
        problem
    }

    /// One wrong field.
    pub(crate) fn field(field: &str, code: &'static str, detail: &str) -> Self {
        Self::of_field(FieldError::new(field, code, detail))
    }

    /// One wrong field.
    pub(crate) fn of_field(error: FieldError) -> Self {
        Self::invalid(vec![error])
    }

    pub(crate) fn route_unknown() -> Self {
        let detail = "There is nothing at this path.";
        Self::new(StatusCode::NOT_FOUND, "route.unknown", detail)
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let detail = format!("This path answers to {allow}.");
        let mut problem = Self::new(status, "method.not_allowed", detail);
        problem.0.allow = Some(allow);
        problem
    }

    pub(crate) fn internal() -> Self {
        let detail = "Something went wrong inside Bursar; the request id finds it in the logs.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    pub(crate) fn unavailable() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let detail = "The service cannot take requests right now. Nothing happened.";
        Self::new(status, "service.unavailable", detail).extended(Extension::NotExecuted)
    }

    pub(crate) fn streams_taken() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let detail = "As many streams of events are open as there may be.";
        Self::new(status, "events.streams_taken", detail).extended(Extension::NotExecuted)
    }

    /// What stands in for an error answer that actix itself made.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        if status == StatusCode::NOT_FOUND {
            Self::route_unknown()
        } else if status.is_client_error() {
            let detail = "The request cannot be read.";
            Self::new(StatusCode::BAD_REQUEST, "request.malformed", detail)
        } else {
            Self::internal()
        }
    }

    /// What it tells beside the usual members.
    fn extended(mut self, extension: Extension) -> Self {
        self.0.extension = extension;
        self
    }

    /// What `WWW-Authenticate` asks for.
    fn challenging(mut self, challenge: &'static str) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    /// When it is worth another try, in seconds from now.
    fn retrying_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Whether it repeats an earlier refusal of the same request.
    fn replayed(mut self, replayed: bool) -> Self {
        self.0.replayed = replayed;
        self
    }

    /// The stable code.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        literal(self.0.code.clone())
    }

    /// Its code and its sentence, for who is told them in another form.
    pub(crate) fn into_code_and_detail(self) -> (Cow<'static, str>, String) {
        let Parts { code, detail, .. } = *self.0;
        (code, detail)
    }

    /// Its JSON, for an item of a bulk.
    pub(crate) fn body<'a>(&'a self, request: &'a RequestId) -> Body<'a> {
        Body::of(&self.0, request)
    }

    /// The answer, with the id of the request it refuses.
    pub(crate) fn respond(&self, request: &RequestId) -> HttpResponse {
        let parts = &self.0;
        let mut response = HttpResponse::build(parts.status);
        response
            .content_type(HeaderValue::from_static("application/problem+json"))
            .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
        if let Some(challenge) = parts.challenge {
            response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        }
        if let Some(allow) = parts.allow {
            response.insert_header((ALLOW, HeaderValue::from_static(allow)));
        }
        if let Some(seconds) = parts.retry_after_s {
            response.insert_header((RETRY_AFTER, HeaderValue::from(seconds)));
        }
        if parts.replayed {
            response.insert_header((IDEMPOTENT_REPLAYED, HeaderValue::from_static("true")));
        }
        // Nothing in it can fail to be written as JSON; the status says the most of it anyway.
        response.body(serde_json::to_vec(&Body::of(parts, request)).unwrap_or_default())
    }
}

/// A code that is a literal of the source.
#[cfg(test)]
pub(crate) fn literal(code: Cow<'static, str>) -> &'static str {
    match code {
        Cow::Borrowed(code) => code,
        Cow::Owned(code) => panic!("{code} was made up"),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }
}
