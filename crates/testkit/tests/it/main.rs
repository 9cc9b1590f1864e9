//! The in-memory store passes the contract of every transfer store.

mod memory_store;
