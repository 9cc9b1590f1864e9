//! `/admin/v1` (contract §4): strict JSON, snake case, times with six digits, amounts as strings.

mod access_keys;
mod assets;
mod audit;
mod balances;
mod callback_secrets;
mod callbacks;
mod events;
mod export;
mod integrity;
mod money;
mod operators;
mod overview;
mod page;
mod queue;
mod rates;
mod reviews;
mod rules;
mod statement;
mod stops;
mod tokens;
mod transfer;
mod transfers;
mod users;

pub(crate) use page::List;

use actix_web::web::{self, ServiceConfig};

use crate::{
    headroom,
    routes::{get, path},
};

pub(crate) fn mount(service: &mut ServiceConfig) {
    let (post, put, delete) = (web::post, web::put, web::delete);
    let read = "GET, HEAD";
    let replace = "GET, HEAD, PUT";
    let issue = "GET, HEAD, POST";
    service
        .service(path("/admin/v1/assets", read).route(get().to(assets::list)))
        .service(
            path("/admin/v1/assets/{id}", replace)
                .route(get().to(assets::show))
                .route(put().to(assets::replace)),
        )
        .service(path("/admin/v1/users", read).route(get().to(users::list)))
        .service(
            path("/admin/v1/users/{id}", replace)
                .route(get().to(users::show))
                .route(put().to(users::replace)),
        )
        .service(path("/admin/v1/users/{id}/statement", read).route(get().to(statement::show)))
        .service(
            path("/admin/v1/tokens", issue)
                .route(get().to(tokens::list))
                .route(post().to(tokens::issue)),
        )
        .service(path("/admin/v1/tokens/{id}", "DELETE").route(delete().to(tokens::revoke)))
        .service(
            path("/admin/v1/access-keys", issue)
                .route(get().to(access_keys::list))
                .route(post().to(access_keys::issue)),
        )
        .service(
            path("/admin/v1/access-keys/{key}", "DELETE").route(delete().to(access_keys::revoke)),
        )
        .service(
            path("/admin/v1/callback-secrets", issue)
                .route(get().to(callback_secrets::list))
                .route(post().to(callback_secrets::issue)),
        )
        .service(
            path("/admin/v1/callback-secrets/{id}", "DELETE")
                .route(delete().to(callback_secrets::revoke)),
        )
        .service(path("/admin/v1/balances", read).route(get().to(balances::list)))
        .service(path("/admin/v1/integrity", read).route(get().to(integrity::show)))
        .service(path("/admin/v1/overview", read).route(get().to(overview::show)))
        .configure(mount_rules)
        .configure(mount_operators)
        .service(path("/admin/v1/audit", read).route(get().to(audit::list)))
        .service(path("/admin/v1/callbacks", read).route(get().to(callbacks::list)))
        .service(
            path("/admin/v1/callbacks/replay", "POST").route(post().to(callbacks::replay_since)),
        )
        .service(path("/admin/v1/callbacks/test", "POST").route(post().to(callbacks::test)))
        .service(path("/admin/v1/callbacks/hosts", read).route(get().to(overview::hosts)))
        .service(path("/admin/v1/callbacks/{id}", read).route(get().to(callbacks::show)))
        .service(
            path("/admin/v1/callbacks/{id}/replay", "POST").route(post().to(callbacks::replay)),
        )
        .service(path("/admin/v1/events", read).route(get().to(events::list)))
        .configure(export::mount)
        .configure(mount_transfers);
}

/// What money transactions decide by.
fn mount_rules(service: &mut ServiceConfig) {
    let (put, delete) = (web::put, web::delete);
    let read = "GET, HEAD";
    let replace = "GET, HEAD, PUT";
    service
        .service(
            path("/admin/v1/rates/{asset}", replace)
                .route(get().to(rates::show))
                .route(put().to(rates::replace)),
        )
        .service(
            path("/admin/v1/fees/{kind}/{asset}", replace)
                .route(get().to(rules::show_fees))
                .route(put().to(rules::replace_fees)),
        )
        .service(
            path("/admin/v1/limits/{kind}", replace)
                .route(get().to(rules::show_limits))
                .route(put().to(rules::replace_limits)),
        )
        .service(
            path("/admin/v1/limits/{kind}/{asset}", replace)
                .route(get().to(rules::show_limits))
                .route(put().to(rules::replace_limits)),
        )
        .service(path("/admin/v1/users/{id}/headroom", read).route(get().to(headroom::show)))
        .service(path("/admin/v1/stops", read).route(get().to(stops::list)))
        .service(
            path("/admin/v1/stops/read-only", "PUT, DELETE")
                .route(put().to(stops::stop))
                .route(delete().to(stops::lift)),
        )
        .service(
            path("/admin/v1/stops/outgoing/{asset}", "PUT, DELETE")
                .route(put().to(stops::stop))
                .route(delete().to(stops::lift)),
        );
}

/// Who signs in to the console.
fn mount_operators(service: &mut ServiceConfig) {
    let read = "GET, HEAD";
    service
        .service(path("/admin/v1/operators", read).route(get().to(operators::list)))
        .service(
            path("/admin/v1/operators/{name}/sessions", read).route(get().to(operators::sessions)),
        )
        .service(
            path("/admin/v1/operators/{name}/sessions/{id}", "DELETE")
                .route(web::delete().to(operators::end)),
        );
}

/// Transfers of every kind, and what operators do to them.
fn mount_transfers(service: &mut ServiceConfig) {
    let post = web::post;
    let read = "GET, HEAD";
    service
        .service(path("/admin/v1/queue", read).route(get().to(queue::list)))
        .service(path("/admin/v1/transfers", read).route(get().to(transfers::list)))
        .service(path("/admin/v1/transfers/{id}", read).route(get().to(transfer::show)))
        .service(path("/admin/v1/transfers/{id}/take", "POST").route(post().to(queue::take)))
        .service(path("/admin/v1/transfers/{id}/let-go", "POST").route(post().to(queue::let_go)))
        .service(
            path("/admin/v1/transfers/{id}/approve", "POST").route(post().to(reviews::approve)),
        )
        .service(path("/admin/v1/transfers/{id}/reject", "POST").route(post().to(reviews::reject)))
        .service(
            path("/admin/v1/transfers/{id}/reverse", "POST").route(post().to(reviews::reverse)),
        );
}
