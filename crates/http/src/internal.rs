//! Transfers between users (contract §2).

mod bulk;
mod create;
mod list;
mod show;

use actix_web::web::{self, ServiceConfig};
use bursar_app::InternalView;
use bursar_domain::{Body, Reason, Status};
use serde::Serialize;

use crate::{
    problem::Problem,
    routes::{get, path},
};

pub(crate) fn mount(service: &mut ServiceConfig) {
    for (all, bulk, one) in [
        (
            "/internal-transfer",
            "/internal-transfer/bulk",
            "/internal-transfer/{code}",
        ),
        (
            "/api/v1/internal-transfer",
            "/api/v1/internal-transfer/bulk",
            "/api/v1/internal-transfer/{code}",
        ),
    ] {
        service
            .service(
                path(all, "GET, HEAD, POST")
                    .route(web::post().to(create::create))
                    .route(get().to(list::list)),
            )
            // Before `one`, which would take it for a code.
            .service(path(bulk, "POST").route(web::post().to(bulk::create)))
            .service(path(one, "GET, HEAD").route(get().to(show::show)));
    }
}

/// An internal transfer: exactly these keys in this order.
#[derive(Serialize)]
struct TransferBody<'a> {
    code: &'a str,
    custom_id: Option<&'a str>,
    callback_url: Option<&'a str>,
    created_at: String,
    updated_at: String,
    done_at: Option<String>,
    timestamp: String,
    status: &'static str,
    reason_code: Option<&'static str>,
    reason_message: Option<&'static str>,
    currency_code: String,
    amount: String,
    fee_amount: String,
    sender: String,
    recipient: String,
    note: Option<&'a str>,
}

impl<'a> TransferBody<'a> {
    fn of(view: &'a InternalView) -> Result<Self, Problem> {
        let transfer = &view.transfer;
        let parts = transfer.parts();
        let Body::Internal {
            sender,
            recipient,
            custom_id,
            ..
        } = &parts.body
        else {
            tracing::error!(transfer.id = %parts.id, "not an internal transfer");
            return Err(Problem::internal());
        };
        let for_sender = |text: &'a Option<String>| {
            let text = text.as_deref();
            text.filter(|_| view.seen_by_sender)
        };
        let done_at = transfer.done_at();
        let succeeded = transfer.status() == Status::Success;
        Ok(Self {
            code: &view.code,
            custom_id: for_sender(custom_id),
            callback_url: for_sender(&parts.callback_url),
            created_at: parts.created_at.to_seconds_text(),
            updated_at: parts.updated_at.to_seconds_text(),
            done_at: done_at.map(bursar_domain::Timestamp::to_seconds_text),
            timestamp: done_at.unwrap_or(parts.created_at).to_seconds_text(),
            status: status(transfer.status()),
            reason_code: transfer.reason().map(Reason::code),
            reason_message: transfer.reason().map(Reason::message),
            currency_code: parts.asset.as_str().to_ascii_uppercase(),
            amount: parts.amount.to_fixed(parts.scale),
            fee_amount: parts.fee.to_fixed(parts.scale),
            sender: sender.to_string(),
            recipient: recipient.shown(succeeded),
            note: parts.note.as_deref(),
        })
    }
}

/// What this API calls a status.
pub(crate) const fn status(status: Status) -> &'static str {
    match status {
        Status::Pending | Status::AwaitingConfirmation => "pending",
        Status::Success | Status::Completed => "success",
        Status::Rejected | Status::Failed | Status::Canceled => "rejected",
    }
}
