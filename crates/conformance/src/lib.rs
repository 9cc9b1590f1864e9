//! What every clause of the wire contract promises, tried on a running Bursar by an HTTP client.
//!
//! A [`Clause`] is one promise and one function that tries it. All of them together are
//! [`clauses`]; [`run`] makes a test of each, and [`document`] lists them for people
//! (docs/CONFORMANCE.md). Two programs run them:
//!
//! * the server's test target `conformance`, on a demo that it starts for itself;
//! * this crate's binary, on the deployment that `BURSAR_URL` names.
//!
//! Clauses make the users and tokens that they need, so they disturb neither each other nor
//! whatever else happens on the deployment, and can be repeated for ever.

#![expect(
    clippy::indexing_slicing,
    reason = "a clause panics when its promise is broken, and a member that is missing is null"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a client of a running service has the real clock and makes up names of its own"
)]

mod answer;
mod clause;
mod clauses;
mod client;
mod deployment;
mod document;
mod receiver;
mod runner;
mod scene;
mod signing;

pub use clause::{Clause, Need};
pub use clauses::clauses;
pub use deployment::Deployment;
pub use document::document;
pub use runner::run;
