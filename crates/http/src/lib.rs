//! The actix-web adapter: both documented APIs, the admin API and the service pages.
//!
//! A request passes the same stations whatever it asks for, so that the same bad request always
//! gets the same answer: media type, size, credentials, permission, rate limit, syntax, and then
//! the use case of [`bursar_app::App`], which looks at existence, state and business rules.
//! Handlers parse and render, and decide nothing.
//!
//! * `observe` stands round everything: request id, access log, metrics, panics, and the rendering
//!   of every refusal as problem+json.
//! * `call` reads the body and the credentials; `fields` and `query` read what was sent and collect
//!   every wrong field.
//! * `backoffice`, `internal`, `address_book`, `balance` and `admin` have one file per endpoint or
//!   small group.

mod access_log;
mod address_book;
mod admin;
mod answer;
mod backoffice;
mod balance;
mod body;
mod call;
mod callback_addresses;
mod callback_tests;
mod client_address;
mod config;
mod credentials;
mod fields;
mod headroom;
mod health;
mod import;
mod internal;
mod json;
mod line_budget;
mod observe;
mod openapi;
mod options;
mod payout_results;
mod prefer;
mod problem;
mod query;
mod rate_limit;
mod request_id;
mod routes;
mod server;
mod state;
mod unread;

pub use config::HttpConfig;
pub use import::{IMPORT_COLUMNS, read_import_row, tell};
pub use openapi::OPENAPI;
pub use routes::configure;
pub use server::{Listeners, server};
pub use state::HttpState;
