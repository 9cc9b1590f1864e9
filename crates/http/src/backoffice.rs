//! The back office's transfers (contract §1).

mod account_history;
mod finish;
mod list;
mod open;

use actix_web::web::{self, ServiceConfig};
use bursar_domain::{Kind, Transfer};
use serde::Serialize;

pub(crate) use open::COMMENT_MAX;

use crate::routes::{get, path, paths};

pub(crate) fn mount(service: &mut ServiceConfig) {
    let post = web::post;
    service
        .service(
            path("/back-api/backoffice/transfers/deposit", "POST").route(post().to(open::deposit)),
        )
        .service(
            path("/back-api/backoffice/transfers/withdraw", "POST")
                .route(post().to(open::withdraw)),
        )
        .service(
            path("/back-api/backoffice/transfers/withdraw-confirm", "POST")
                .route(post().to(finish::confirm)),
        )
        .service(
            path("/back-api/backoffice/transfers/withdraw-cancel", "POST")
                .route(post().to(finish::cancel)),
        )
        .service(
            paths(
                &[
                    "/back-api/backoffice/transfers/account/",
                    "/back-api/backoffice/transfers/account",
                ],
                "GET, HEAD",
            )
            .route(get().to(account_history::list)),
        )
        .service(path("/back-api/api/v2/transfers", "GET, HEAD").route(get().to(list::list)));
}

/// A deposit or withdrawal: exactly these keys in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransferBody<'a> {
    id: i64,
    asset: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    amount: String,
    fee: String,
    created_at: String,
    updated_at: String,
}

impl<'a> TransferBody<'a> {
    fn of(transfer: &'a Transfer) -> Self {
        let parts = transfer.parts();
        Self {
            id: parts.id.get(),
            asset: parts.asset.as_str(),
            kind: kind(transfer.kind()),
            status: transfer.status().as_str(),
            amount: parts.amount.to_plain(parts.scale),
            fee: parts.fee.to_plain(parts.scale),
            created_at: parts.created_at.to_micros_text(),
            updated_at: parts.updated_at.to_micros_text(),
        }
    }
}

/// What the back office calls a kind of transfer; it never sees an internal one.
const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Deposit => "Deposit",
        Kind::Withdrawal => "Withdrawal",
        Kind::Internal => "Internal",
    }
}
