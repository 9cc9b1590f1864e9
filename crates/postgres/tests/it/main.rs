//! Tests of the adapter against a real server.
//!
//! `cfg(test)` is always true here; it tells clippy that the helpers of these modules are test
//! code too, which may unwrap.

#[cfg(test)]
mod local_server;
#[cfg(test)]
mod lost_answers;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod store;
#[cfg(test)]
mod test_database;
