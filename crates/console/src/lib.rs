//! The console: the back office that operators look at all day, below `/console`.
//!
//! Every page is rendered here, on the same use cases and permissions as the APIs, so there is
//! nothing it can do that the back office's and the admin API cannot. Every action is a form and
//! works without script; script adds live updates and the keyboard. Nothing is loaded from
//! elsewhere, nothing is inline.
//!
//! Read [`Visitor`] first: who is looking, and what they may do.

mod act;
mod assets;
mod audit;
mod callbacks;
mod cookies;
mod desk;
mod elsewhere;
mod fault;
mod flash;
mod forms;
mod headers;
mod help;
mod integrity;
mod layout;
mod links;
mod lists;
mod live;
mod operators;
mod overview;
mod prefs;
mod queue;
mod rules;
mod session;
mod sign_in;
mod transfer;
mod transfers;
mod users;
mod visitor;
mod words;

use std::sync::Arc;

use actix_web::{
    HttpResponse, ResponseError, Route,
    body::BoxBody,
    dev::ServiceRequest,
    guard,
    http::StatusCode,
    middleware::{Next, from_fn},
    web::{self, ServiceConfig},
};
use bursar_app::App;
use bursar_domain::DecimalAmount;
use bursar_streams::EventStreams;

use self::{desk::Desk, fault::Fault};

pub use forms::{Posted, Refused, csrf};
pub use layout::page;
pub use visitor::{SignInFirst, Visitor};

/// Everything that the pages are made from. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    app: App,
    settings: ConsoleSettings,
    live: EventStreams,
    shared: Arc<live::Shared>,
}

/// What an exchange decides about its console.
#[derive(Clone, Debug)]
pub struct ConsoleSettings {
    /// Beyond this much of the root asset, what is confirmed or approved is asked for once more, on a
    /// page of its own; of what has no value in the root asset too. None = never.
    pub second_look_above: Option<DecimalAmount>,
    /// Whether browsers reach the console over TLS alone: its cookies then travel over nothing else.
    pub secure_cookies: bool,
    /// Whether a password and a code open a session.
    pub password_sign_in: bool,
    /// What the identity provider is called, if operators may sign in there.
    pub provider: Option<String>,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self {
            second_look_above: None,
            secure_cookies: false,
            password_sign_in: true,
            provider: None,
        }
    }
}

impl Console {
    /// Puts the parts together. `live` is what open pages wait for.
    pub fn new(app: App, settings: ConsoleSettings, live: EventStreams) -> Self {
        Self {
            app,
            settings,
            live,
            shared: Arc::default(),
        }
    }

    /// The application behind the pages.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// What the exchange decided.
    pub const fn settings(&self) -> &ConsoleSettings {
        &self.settings
    }

    /// What open pages wait for.
    pub const fn live(&self) -> &EventStreams {
        &self.live
    }

    /// What their streams share.
    const fn shared(&self) -> &Arc<live::Shared> {
        &self.shared
    }
}

/// Mounts every page below `/console`.
pub fn configure(service: &mut ServiceConfig, console: Console) {
    let guarded = console.clone();
    let guard = from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
        session::guard(guarded.clone(), request, next)
    });
    let scope = web::scope("/console")
        .app_data(web::Data::new(console))
        .app_data(web::QueryConfig::default().error_handler(|_, _| Unreadable.into()))
        .app_data(web::PathConfig::default().error_handler(|_, _| Unreadable.into()))
        .configure(assets::routes)
        .configure(prefs::routes)
        .configure(act::routes)
        .configure(sign_in::routes)
        .configure(pages)
        .default_service(web::to(nowhere))
        .wrap(guard);
    service.service(scope);
}

fn pages(service: &mut ServiceConfig) {
    service
        .route("", reading().to(overview::show))
        .route("/", reading().to(overview::show))
        .route("/queue", reading().to(queue::show))
        .route("/transfers", reading().to(transfers::show))
        .route("/transfers.csv", reading().to(transfers::csv))
        .route("/transfers/{id}", reading().to(transfer::show))
        .route("/transfers/{id}/details", reading().to(transfer::details))
        .route("/transfers/{id}/reverse", web::post().to(transfer::reverse))
        .route("/users", reading().to(users::find))
        .route("/users/{id}", reading().to(users::show))
        .route("/users/{id}/status", web::post().to(users::change_status))
        .route("/tokens/{id}/revoke", web::post().to(users::revoke_token))
        .route(
            "/access-keys/{key}/revoke",
            web::post().to(users::revoke_key),
        )
        .route("/callbacks", reading().to(callbacks::show))
        .route("/callbacks/replay", web::post().to(callbacks::replay_all))
        .route("/callbacks/{id}/replay", web::post().to(callbacks::replay))
        .route("/rules", reading().to(rules::show))
        .route("/rules/new-asset", reading().to(rules::begin))
        .route("/rules/edit", reading().to(rules::edit))
        .route("/rules/edit", web::post().to(rules::make))
        .route("/rules/stop", web::post().to(rules::stop))
        .route("/rules/lift", web::post().to(rules::lift))
        .route("/operators", reading().to(operators::show))
        .route("/operators/end", web::post().to(operators::end))
        .route("/audit", reading().to(audit::show))
        .route("/integrity", reading().to(integrity::show))
        .route("/events", reading().to(live::events))
        .route("/help", reading().to(help::show));
}

/// Routes what changes nothing.
fn reading() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn nowhere(desk: Desk) -> HttpResponse {
    desk.answer(Err(Fault::NoPage))
}

/// An address whose parts cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the address cannot be read")]
struct Unreadable;

impl ResponseError for Unreadable {
    fn status_code(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }

    fn error_response(&self) -> HttpResponse {
        let fault = Fault::BadAddress;
        let page = layout::page(None, fault.title(), fault.body());
        layout::respond(HttpResponse::build(self.status_code()), page)
    }
}
