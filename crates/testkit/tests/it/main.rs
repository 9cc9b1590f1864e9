//! The in-memory store passes the contract of every transfer store.

mod callback_secrets;
mod expectations;
mod memory_store;
mod model;
mod operators;
mod work_queue;
