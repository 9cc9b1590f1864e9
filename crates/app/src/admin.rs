//! Administration (contract §4): assets, users, rates, credentials, balances and the whole story
//! of a transfer.

mod audit;
mod callback_secrets;
mod callbacks;
mod credentials;
mod directory;
mod events;
mod export;
mod forecast;
mod glance;
mod names;
mod overview;
mod queue;
mod reversals;
mod reviews;
mod rules;
mod standing;
mod statement;
mod story;
mod transfers;

pub(crate) use callback_secrets::callback_secret_target;
pub use callback_secrets::{IssuedCallbackSecret, NewCallbackSecret};
pub(crate) use credentials::access_key_target;
pub use credentials::{IssuedAccessKey, IssuedToken, NewAccessKey, NewToken};
pub use events::{FeedEvent, ToldTransfer};
pub use export::{
    AuditExport, AuditTotal, EntryExport, EntryTotal, OwnerKind, TransferExport, TransferTotal,
};
pub use forecast::Forecast;
pub use overview::{CallbackHost, Overview, Period};
pub use queue::{QueuePage, QueueRow, QueueSearch, RootValue, TAKERS, Taken, work_of};
pub use reversals::ReversalRequest;
pub(crate) use reviews::is_other;
pub use reviews::{ReviewRequest, approval_digest};
pub use rules::{Fees, KindLimits, LimitHeadroom, NewFees, NewLimits};
pub use statement::{CodedLine, UserStatement};
pub use story::TransferStory;
pub use transfers::{FoundTransfer, FoundTransfers, TransferSearch};

use bursar_ports::Permission;

/// What may read: everything but credentials and operators.
pub const READERS: [Permission; 2] = [Permission::Admin, Permission::BackofficeRead];
