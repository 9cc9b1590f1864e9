//! What Bursar does, in terms of the ports: use cases and background passes.
//!
//! An [`App`] holds the ports. Every use case takes a [`Grant`], which only
//! [`Principal::grant`] makes, so nothing happens without a permission and a caller learns that it
//! lacks one before anything else about its request is looked at.

mod address_book;
mod admin;
mod app;
mod authenticate;
mod backoffice;
mod callback_body;
mod callback_secret;
mod callback_test;
mod carry;
mod commit;
mod credential_tries;
mod deliver_callbacks;
mod dispatch;
mod error;
mod expire;
mod idempotency;
mod import;
mod integrity;
mod internal;
mod keyring;
mod limits;
mod lists;
mod neutral;
mod operators;
mod payouts;
mod principal;
mod recipient_tries;
mod reseal;
mod settle;
#[cfg(test)]
mod test_support;

pub use address_book::NewAddress;
pub use admin::{
    AuditExport, AuditTotal, CallbackHost, CodedLine, EntryExport, EntryTotal, FeedEvent, Fees,
    Forecast, FoundTransfer, FoundTransfers, IssuedAccessKey, IssuedCallbackSecret, IssuedToken,
    KindLimits, LimitHeadroom, NewAccessKey, NewCallbackSecret, NewFees, NewLimits, NewToken,
    Overview, OwnerKind, Period, QueuePage, QueueRow, QueueSearch, READERS, ReversalRequest,
    ReviewRequest, RootValue, TAKERS, Taken, ToldTransfer, TransferExport, TransferSearch,
    TransferStory, TransferTotal, UserStatement, approval_digest, work_of,
};
pub use app::{App, Ports, Settings, TransferSettings};
pub use authenticate::{AuthError, SignedRequest};
pub use backoffice::{FinishRequest, OpenRequest};
pub use bursar_ports::{CallbackUrlPolicy, InvalidCallbackUrl};
pub use callback_secret::{callback_secret_text, read_callback_secret};
pub use callback_test::CallbackTest;
pub use commit::{Answer, Options};
pub use credential_tries::CredentialTry;
pub use deliver_callbacks::{Attempt, CallbackPass, Delivery, Look};
pub use dispatch::{BreakersSeen, Dispatch, DispatchLimits, OpenBreaker, Reception, Ticket};
pub use error::{Conflict, Error, FieldError, Missing, Original};
pub use import::{ImportKind, ImportRow, Imported};
pub use integrity::{BooksSeen, BooksState, ExaminedBooks, IntegrityWatch};
pub use internal::{BulkRequest, InternalRequest, InternalView, ItemError, UserBalance, WrongItem};
pub use keyring::{Keyring, SealError};
pub use limits::{Admission, InternalCall, Limit, Limits, RateLimited, Standing};
pub use lists::{BackofficeFilter, BackofficePage, BackofficeRow};
pub use neutral::neutral;
pub use operators::{
    BegunSignIn, Caller, IssuedOperator, NewLinkedOperator, NewOperator, OpenedSession,
    ProviderAnswer, ProviderSeed, ProviderSignIn, ProviderSignInError, SessionSettings, SignIn,
    SignInError, SignedIn, TotpSecret, csrf_token,
};
pub use payouts::{DuePayout, FromGateway, PayoutEnd, PayoutResult, Payouts};
pub use principal::{Grant, Origin, Principal};
pub(crate) use recipient_tries::RecipientTurn;
pub use reseal::{ResealPass, Resealed};
