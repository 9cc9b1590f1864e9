//! Tests of the adapter against a real server.
//!
//! `cfg(test)` is always true here; it tells clippy that the helpers of these modules are test
//! code too, which may unwrap.

#[cfg(test)]
mod address_book;
#[cfg(test)]
mod after_restore;
#[cfg(test)]
mod audit_log;
#[cfg(test)]
mod await_database;
#[cfg(test)]
mod callback_log;
#[cfg(test)]
mod callback_secrets;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod events;
#[cfg(test)]
mod expectations;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod fitness;
#[cfg(test)]
mod forged;
#[cfg(test)]
mod growth;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod local_server;
#[cfg(test)]
mod lost_answers;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod model;
#[cfg(test)]
mod new_accounts;
#[cfg(test)]
mod new_limits;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod patience;
#[cfg(test)]
mod payouts;
#[cfg(test)]
mod query;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod single_writer;
#[cfg(test)]
mod sqlstates;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod test_database;
#[cfg(test)]
mod units_of_limits;
#[cfg(test)]
mod work_queue;
