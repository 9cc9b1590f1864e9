//! The in-memory store passes the contract of every transfer store.

mod callback_secrets;
mod operators;
mod memory_store;
mod model;
mod work_queue;
