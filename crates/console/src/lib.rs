//! The console: the back office that operators look at all day, below `/console`.
//!
//! Every page is rendered here, on the same use cases and permissions as the APIs, so there is
//! nothing it can do that the admin API cannot. Every action is a form and works without script;
//! script adds live updates and the keyboard. Nothing is loaded from elsewhere, nothing is inline.
//!
//! Read [`Visitor`] first: who is looking, and what they may do.

mod assets;
mod cookies;
mod forms;
mod headers;
mod layout;
mod session;
mod sign_in;
mod visitor;

use actix_web::{
    body::BoxBody,
    dev::ServiceRequest,
    middleware::{Next, from_fn},
    web::{self, ServiceConfig},
};
use bursar_app::App;
use bursar_domain::DecimalAmount;

pub use forms::{Posted, Refused, csrf};
pub use layout::page;
pub use visitor::{SignInFirst, Visitor};

/// Everything that the pages are made from. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    app: App,
    settings: ConsoleSettings,
}

/// What an exchange decides about its console.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConsoleSettings {
    /// Beyond this much of the root asset, what is confirmed or approved is asked for once more, on a
    /// page of its own; of what has no value in the root asset too. None = never.
    pub second_look_above: Option<DecimalAmount>,
    /// Whether browsers reach the console over TLS alone: its cookies then travel over nothing else.
    pub secure_cookies: bool,
}

impl Console {
    /// Puts the parts together.
    pub const fn new(app: App, settings: ConsoleSettings) -> Self {
        Self { app, settings }
    }

    /// The application behind the pages.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// What the exchange decided.
    pub const fn settings(&self) -> &ConsoleSettings {
        &self.settings
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
        .configure(assets::routes)
        .configure(sign_in::routes)
        .wrap(guard);
    service.service(scope);
}
