//! Administration (contract §4): assets, users, rates, credentials, balances and the whole story
//! of a transfer.

mod callback_secrets;
mod callbacks;
mod credentials;
mod directory;
mod export;
mod statement;
mod story;
mod transfers;

pub use callback_secrets::{IssuedCallbackSecret, NewCallbackSecret};
pub use credentials::{IssuedAccessKey, IssuedToken, NewAccessKey, NewToken};
pub use export::{EntryExport, EntryTotal, OwnerKind, TransferExport, TransferTotal};
pub use statement::{CodedLine, UserStatement};
pub use story::TransferStory;
pub use transfers::{FoundTransfer, FoundTransfers, TransferSearch};

use bursar_ports::Permission;

/// What may read: everything but credentials.
pub(crate) const READERS: [Permission; 2] = [Permission::Admin, Permission::BackofficeRead];
