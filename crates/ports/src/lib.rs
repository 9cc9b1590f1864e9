//! What the application needs from the outside, as traits, and the data they exchange.
//!
//! Every trait is named after the capability, is object-safe, takes owned arguments, and answers
//! business outcomes as values; an `Err` is always trouble with the infrastructure. The doc comment
//! of a method is its contract. The feature `mock` exposes a `Mock…` of every trait.
//!
//! To add a port: a module with the trait and its data, `cfg_attr(feature = "mock",
//! mockall::automock)` above `async_trait`, a re-export here, an adapter, and a fake in `testkit`
//! when tests need state.
#![warn(clippy::missing_errors_doc)]

mod address_book;
mod audit_log;
mod callback_log;
mod callback_secrets;
mod callback_url;
mod clock;
mod credentials;
mod directory;
mod error;
mod events;
mod expected;
mod export;
mod figures;
mod identity_provider;
mod ids;
mod integrity;
mod ledger;
mod notifier;
mod operators;
mod outbox;
mod payout;
mod query;
mod rate_limiter;
mod replay_guard;
mod rule_book;
mod sealed_secrets;
mod store;
mod tasks;
mod token_verifier;
mod work_queue;

pub use address_book::{AddEntry, AddressBook, AddressBookEntry};
pub use audit_log::{AuditFilter, AuditLog, AuditPlace, AuditRecord};
pub use callback_log::{
    CallbackAttempt, CallbackFilter, CallbackLog, CallbackPlace, CallbackRecord, CallbackState,
    Replay, Replayable,
};
pub use callback_secrets::{CallbackSecrets, StoredCallbackSecret};
pub use callback_url::{CallbackUrlPolicy, InvalidCallbackUrl};
pub use clock::Clock;
pub use credentials::{
    AccessKey, CredentialStore, IpRange, ParseIpRangeError, Permission, SealedSecret, Token,
    TokenHash,
};
pub use directory::{AssetRate, Directory, PutAsset, PutRate, PutUser, SetStatus, UserPage};
pub use error::{BoxError, StoreError, chain};
pub use events::{Event, EventFeed, EventPage, EventSequencer, Happening, Notice, Numbering, Step};
pub use expected::Expected;
pub use export::{EntryFilter, ExportPages, Exports, OpenExport};
pub use figures::{
    CallbackLag, Figures, HostHealth, Summary, Volume, VolumeScan, Volumes, Waiting, WaitingWork,
};
pub use identity_provider::{BeginIdentification, EndIdentification, Identified, IdentityProvider};
pub use ids::IdSource;
pub use integrity::{
    AssetIntegrity, AssetSums, BookIntegrity, Breach, CheckedAccounts, IntegrityAlarm,
    OutgoingStop, WATCH,
};
pub use ledger::{
    Holding, LedgerOwner, LedgerRecord, Statement, StatementAccount, StatementFilter,
    StatementPlace,
};
pub use notifier::{CallbackSecret, Delivered, Notification, Notifier, Undelivered};
pub use operators::{
    Identity, OpenSession, Operator, OperatorChange, OperatorSession, Operators, Password,
    PasswordHash, PasswordHasher, SignInProof,
};
pub use outbox::{
    AttemptRecord, ClaimedCallback, DueLane, DueLanes, Lane, LaneShare, LeaseToken, Outbox,
    QueueFigures, Verdict,
};
pub use payout::{
    ClaimedPayout, PayoutAnswer, PayoutClearance, PayoutFigures, PayoutGateway, PayoutOrder,
    PayoutSchedule, PostponedPayout, SignedMessage,
};
pub use query::{
    AccountBalance, AccountHistory, InternalFilter, LedgerLine, ListPlace, TransferFilter,
    TransferPage, TransferQuery, TransferScan, TransferSlice,
};
pub use rate_limiter::{Allowance, Quota, RateLimiter};
pub use replay_guard::ReplayGuard;
pub use rule_book::{Lift, PutRule, RuleBook, Stop, StopMark, StopScope};
pub use sealed_secrets::{SealedRecord, SealedSecrets, SecretOwner};
pub use store::{BulkOutcome, CommitOutcome, TransferStore};
pub use tasks::{Task, Tasks};
pub use token_verifier::{TokenVerifier, VerifiedToken};
pub use work_queue::{
    LetGo, OpenWork, QueueOrder, QueuePlace, QueueScan, QueueSlice, Take, Taking, WorkQueue,
    sort_value,
};

#[cfg(feature = "mock")]
pub use {
    address_book::MockAddressBook,
    audit_log::MockAuditLog,
    callback_log::MockCallbackLog,
    callback_secrets::MockCallbackSecrets,
    clock::MockClock,
    credentials::MockCredentialStore,
    directory::MockDirectory,
    events::{MockEventFeed, MockEventSequencer},
    export::{MockExportPages, MockExports},
    figures::{MockFigures, MockSummary},
    identity_provider::MockIdentityProvider,
    ids::MockIdSource,
    integrity::{MockBookIntegrity, MockIntegrityAlarm},
    notifier::MockNotifier,
    operators::{MockOperators, MockPasswordHasher},
    outbox::MockOutbox,
    payout::{MockPayoutGateway, MockPayoutSchedule},
    query::MockTransferQuery,
    rate_limiter::MockRateLimiter,
    replay_guard::MockReplayGuard,
    rule_book::MockRuleBook,
    sealed_secrets::MockSealedSecrets,
    store::MockTransferStore,
    tasks::MockTasks,
    token_verifier::MockTokenVerifier,
    work_queue::MockWorkQueue,
};
