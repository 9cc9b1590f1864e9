//! Every clause, in the order of the contract.

use crate::Clause;

mod access_keys;
mod address_book;
mod admin;
mod admin_ledger;
mod admin_records;
mod admin_transfers;
mod amounts;
mod audit;
mod backoffice_callbacks;
mod balance;
mod bulk;
mod callback_secrets;
mod callback_urls;
mod credentials;
mod delivery;
mod deposits;
mod events;
mod history;
mod idempotency;
mod internal_callbacks;
mod internal_create;
mod internal_list;
mod json;
mod jwt;
mod operators;
mod problems;
mod queue;
mod rate_limit;
mod recipients;
mod refusals;
mod reviews;
mod rules;
mod service;
mod times;
mod transfer_filters;
mod transfer_list;
mod waiting;
mod withdrawals;

const ALL: &[&[Clause]] = &[
    json::CLAUSES,
    amounts::CLAUSES,
    times::CLAUSES,
    problems::CLAUSES,
    idempotency::CLAUSES,
    waiting::CLAUSES,
    credentials::CLAUSES,
    access_keys::CLAUSES,
    jwt::CLAUSES,
    deposits::CLAUSES,
    withdrawals::CLAUSES,
    refusals::CLAUSES,
    backoffice_callbacks::CLAUSES,
    history::CLAUSES,
    transfer_list::CLAUSES,
    transfer_filters::CLAUSES,
    internal_create::CLAUSES,
    recipients::CLAUSES,
    internal_list::CLAUSES,
    internal_callbacks::CLAUSES,
    balance::CLAUSES,
    address_book::CLAUSES,
    rate_limit::CLAUSES,
    bulk::CLAUSES,
    delivery::CLAUSES,
    callback_urls::CLAUSES,
    callback_secrets::CLAUSES,
    admin::CLAUSES,
    admin_records::CLAUSES,
    admin_transfers::CLAUSES,
    rules::CLAUSES,
    reviews::CLAUSES,
    queue::CLAUSES,
    operators::CLAUSES,
    events::CLAUSES,
    service::CLAUSES,
    admin_ledger::CLAUSES,
    audit::CLAUSES,
];

/// Every clause, in the order of the contract.
pub fn clauses() -> impl Iterator<Item = Clause> {
    ALL.iter().copied().flatten().copied()
}
