//! Amounts, transfer state machines and ledger arithmetic: the rules of Bursar and nothing else.
//!
//! This crate is synchronous and pure. It never reads a clock, never draws a random number and
//! never performs I/O: times and ids are arguments. Other services may use it alone; the optional
//! `serde` feature adds serialisation to the value types.
//!
//! Where to look:
//!
//! * [`Amount`] and [`DecimalAmount`]: exact money, integers of an asset's smallest unit.
//! * [`Transfer`] with [`Transfer::decide`]: the only place a transfer changes state.
//! * [`ledger::settle`]: the only place a balance changes.
//! * [`feed::in_causal_order`]: the only place that orders what is told.
//! * [`Reason`]: every business refusal with its published code.
#![warn(clippy::missing_errors_doc, clippy::arithmetic_side_effects)]

mod account;
mod amount;
mod asset;
mod audit;
mod bulk;
mod callback;
mod change;
mod deposit;
mod fee;
pub mod feed;
mod idempotency;
mod ids;
mod internal;
pub mod ledger;
mod limit;
mod reason;
mod recipient;
mod rules;
mod timestamp;
mod transfer;
mod user;
mod withdrawal;

pub use account::{AccountKey, Balance, Entry, Owner, Posting};
pub use amount::{Amount, AmountOverflow, DecimalAmount, ExcessPrecision, ParseAmountError};
pub use asset::{Asset, AssetId, ParseAssetIdError, Scale, ScaleOutOfRange, Unit};
pub use audit::AuditDraft;
pub use bigdecimal::BigDecimal;
pub use bulk::{Bulk, BulkClaim, BulkMode, ItemRefusal, ItemResult, RefusedField};
pub use callback::{CallbackDraft, Operation, Subscriber};
pub use change::{
    ApprovalTerms, Change, Commit, Decision, Expected, IllegalTransition, Linked, OnRefusal,
    Premise,
};
pub use deposit::DepositState;
pub use fee::{FeeSchedule, Percent, PercentOutOfRange};
pub use idempotency::{
    FieldValue, Fingerprint, IdempotencyClaim, IdempotencyKey, InvalidKey, KeyScope,
};
pub use ids::{ActorId, CodeSalt, IdOutOfRange, TransferId, UserId, Version};
pub use internal::InternalState;
pub use limit::{Headroom, Limit, Limits, OverLimit, Room, Usage, UsageKey};
pub use reason::Reason;
pub use recipient::{Recipient, RecipientName};
pub use rules::{Rules, Stops};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use transfer::{
    Body, Command, Kind, NewTransfer, PayoutRoute, Reversal, ReversalAmounts, ReversalTerms,
    Review, RootRate, Stage, Status, Terms, Transfer, TransferParts,
};
pub use user::{InvalidUser, User, UserStatus, fold_name};
pub use withdrawal::{Confirmation, WithdrawalState};
