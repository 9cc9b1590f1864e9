//! Rows as they are read, and how they become domain values. A row that fits no value is an error,
//! never a guess.

mod account;
mod transfer;
mod uses;

pub(crate) use account::{AccountRow, name_of, owner_columns, read_account_key};
pub(crate) use transfer::{SealedRow, TransferRow, read_scale};
pub(crate) use uses::Uses;
