//! The JSON of a problem.

use bursar_app::{FieldError, Original, Taken};
use bursar_domain::{Room, Timestamp};
use serde::Serialize;

use super::{Extension, Parts, title};
use crate::request_id::RequestId;

/// The members in the order in which they are written.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    #[serde(rename = "type")]
    kind: Kind<'a>,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<Known<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<Name<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<Body<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<RoomBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<TakenBody<'a>>,
}

impl<'a> Body<'a> {
    pub(super) fn of(parts: &'a Parts, request: &'a RequestId) -> Self {
        let mut body = Self {
            kind: Kind(&parts.code),
            title: title::of(parts.status),
            status: parts.status.as_u16(),
            detail: &parts.detail,
            instance: request.as_str(),
            code: &parts.code,
            errors: parts.errors.iter().map(FieldBody::of).collect(),
            original: None,
            fields: None,
            outcome: None,
            transfer: None,
            results: None,
            limit: None,
            taken: None,
        };
        match &parts.extension {
            Extension::None => {}
            Extension::KeyReused { original, fields } => {
                let original = original.as_ref().map(Name::of);
                body.original = Some(original.map_or(Known::Nothing(()), Known::Transfer));
                body.fields = Some(fields);
            }
            Extension::NotExecuted => body.outcome = Some("not_executed"),
            Extension::Unknown { transfer } => {
                body.outcome = Some("unknown");
                body.transfer = transfer.as_ref().map(Name::of);
            }
            Extension::Results(results) => {
                let results = results.iter().map(|problem| problem.body(request));
                body.results = Some(results.collect());
            }
            Extension::Room(room) => body.limit = Some(RoomBody::of(room)),
            Extension::Taken(taken) => body.taken = Some(TakenBody::of(taken)),
        }
        body
    }
}

/// What a limit leaves, in which asset, and when there will be room for this very request; never,
/// when that is null.
#[derive(Serialize)]
struct RoomBody<'a> {
    left: String,
    asset: &'a str,
    returns_at: Option<String>,
}

impl<'a> RoomBody<'a> {
    fn of(room: &'a Room) -> Self {
        Self {
            left: room.over.left.to_plain(room.scale),
            asset: room.asset.as_str(),
            returns_at: room.over.returns_at.map(Timestamp::to_micros_text),
        }
    }
}

/// Who is at a transfer, since when and until when.
#[derive(Serialize)]
pub(crate) struct TakenBody<'a> {
    by: &'a str,
    since: String,
    until: String,
}

impl<'a> TakenBody<'a> {
    pub(crate) fn of(taken: &'a Taken) -> Self {
        Self {
            by: taken.by.as_str(),
            since: taken.since.to_micros_text(),
            until: taken.until.to_micros_text(),
        }
    }
}

/// The stable URI of a code.
struct Kind<'a>(&'a str);

impl Serialize for Kind<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("urn:bursar:problem:{}", self.0))
    }
}

#[derive(Serialize)]
struct FieldBody<'a> {
    field: &'a str,
    code: &'a str,
    detail: &'a str,
}

impl<'a> FieldBody<'a> {
    fn of(error: &'a FieldError) -> Self {
        Self {
            field: &error.field,
            code: &error.code,
            detail: &error.detail,
        }
    }
}

/// A transfer, or those of a bulk, by what their callers call them.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Name<'a> {
    Id(i64),
    Code(&'a str),
    Codes(&'a [String]),
}

impl<'a> Name<'a> {
    fn of(transfer: &'a Original) -> Self {
        match transfer {
            Original::Id(id) => Self::Id(id.get()),
            Original::Code(code) => Self::Code(code),
            Original::Codes(codes) => Self::Codes(codes),
        }
    }
}

/// A transfer, or `null` when the first request was refused and made none.
#[derive(Serialize)]
#[serde(untagged)]
enum Known<'a> {
    Transfer(Name<'a>),
    Nothing(()),
}
