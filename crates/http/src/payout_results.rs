//! `POST /payout-results`: the payout gateway says what came of a payout.
//!
//! It has no credentials of ours: whoever signs with the secret that both sides know is the gateway.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::HeaderMap,
    web::{self, ServiceConfig},
};
use bursar_app::{PayoutEnd, PayoutResult};
use bursar_ports::SignedMessage;
use serde::Serialize;

use crate::{
    answer, body,
    call::{Subject, shared},
    fields::{Fields, Names, Prose, name},
    problem::Problem,
    routes::path,
};

/// Whose request it is, in the access log.
const SUBJECT: &str = "payout-gateway";
/// The longest explanation, in characters.
const DETAIL_CHARS_MAX: usize = 1_000;

pub(crate) fn mount(service: &mut ServiceConfig) {
    service.service(path("/payout-results", "POST").route(web::post().to(tell)));
}

#[derive(Serialize)]
struct HeardBody {
    id: i64,
    status: &'static str,
}

async fn tell(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let shared = shared(&request)?;
    let bytes_max = shared.body_bytes_max;
    let body = body::read(&request, payload, bytes_max, shared.body_read_timeout).await?;
    let message = message(request.headers(), &body);
    let proof = shared.app().from_gateway(&message)?;
    request.extensions_mut().insert(Subject(SUBJECT.to_owned()));
    let result = read(&body)?;
    let end = result.end;
    let ended = shared.app().payout_result(&proof, result).await?;
    answer::json(&HeardBody {
        id: ended.id().get(),
        status: end.as_str(),
    })
}

/// What is signed, and the signature; what is missing fits no signature.
fn message(headers: &HeaderMap, body: &[u8]) -> SignedMessage {
    let text = |name| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    SignedMessage {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        body: body.to_vec(),
    }
}

fn read(body: &[u8]) -> Result<PayoutResult, Problem> {
    let mut fields = Fields::parse(body, Names::Exact)?;
    let transfer = fields.transfer_id(name!("id"));
    let end = fields.one_of(name!("status"), end, "paid and refused");
    let detail = fields.text(name!("detail"), DETAIL_CHARS_MAX, Prose::Lines);
    let read = || {
        Some(PayoutResult {
            transfer: transfer?.0,
            end: end?,
            detail,
        })
    };
    fields.finish(read())
}

fn end(text: &str) -> Option<PayoutEnd> {
    [PayoutEnd::Paid, PayoutEnd::Refused]
        .into_iter()
        .find(|end| end.as_str() == text)
}
