//! Ports that answer what a test put into them, and remember what they were asked.
#![expect(
    missing_docs,
    reason = "a fake's fields are what a test puts in and what it was asked"
)]

mod books;
mod directory;
mod exports;
mod figures;

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Timestamp, Transfer, TransferId, UserId};
use bursar_ports::{
    AccessKey, AccountBalance, AccountHistory, AuditFilter, AuditLog, AuditRecord, CallbackFilter,
    CallbackLog, CallbackRecord, CallbackState, CredentialStore, Delivered, Event, EventFeed,
    EventPage, InternalFilter, LedgerLine, LedgerOwner, ListPlace, Notice, Notification, Notifier,
    Replay, Replayable, Statement, StatementFilter, StoreError, Task, Tasks, Token, TokenHash,
    TransferFilter, TransferPage, TransferQuery, TransferScan, TransferSlice, Undelivered,
};
use uuid::Uuid;

pub use self::{
    books::{EmptySchedule, FakeGateway, FakeIntegrity, GENUINE, StoppedByOthers},
    directory::{FakeAddressBook, FakeDirectory, FakeRuleBook},
    exports::{FakeExports, Pages},
    figures::FakeFigures,
};

/// What a lock guards, also after a test that failed while it held it.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}

/// Events in memory, from the first one that is kept.
#[derive(Default)]
pub struct FakeEvents {
    pub events: Mutex<Vec<Event>>,
    pub oldest: Mutex<i64>,
    /// After which numbers it was asked for more.
    pub asked: Mutex<Vec<i64>>,
}

#[async_trait]
impl EventFeed for FakeEvents {
    async fn list(&self, after: i64, limit: u32) -> Result<EventPage, StoreError> {
        locked(&self.asked).push(after);
        let oldest = *locked(&self.oldest);
        if after.saturating_add(1) < oldest {
            return Ok(EventPage::Pruned { oldest });
        }
        let events = locked(&self.events).clone();
        let last = events.last().map_or(0, |event| event.number);
        let last = last.max(oldest.saturating_sub(1));
        if after > last {
            return Ok(EventPage::Ahead { last });
        }
        let rest = events.into_iter().filter(|event| event.number > after);
        Ok(EventPage::Events(page(rest, limit)))
    }

    async fn list_expiring(&self, _: i64, _: i64) -> Result<Vec<(Uuid, Transfer)>, StoreError> {
        Err(StoreError::Unavailable("nothing over HTTP asks".into()))
    }

    async fn append(&self, _: Notice) -> Result<bool, StoreError> {
        Err(StoreError::Unavailable("nothing over HTTP appends".into()))
    }
}

/// Tokens and access keys in memory.
#[derive(Default)]
pub struct FakeCredentials {
    pub tokens: Mutex<Vec<Token>>,
    pub keys: Mutex<Vec<AccessKey>>,
    pub audited: Mutex<Vec<AuditDraft>>,
}

fn page<T>(rows: impl Iterator<Item = T>, limit: u32) -> Vec<T> {
    rows.take(usize::try_from(limit).unwrap_or_default())
        .collect()
}

#[async_trait]
impl CredentialStore for FakeCredentials {
    async fn find_token(&self, hash: TokenHash) -> Result<Option<Token>, StoreError> {
        let tokens = locked(&self.tokens);
        Ok(tokens.iter().find(|token| token.hash == hash).cloned())
    }

    async fn add_token(&self, token: Token, audit: AuditDraft) -> Result<(), StoreError> {
        locked(&self.audited).push(audit);
        let mut tokens = locked(&self.tokens);
        tokens.push(token);
        tokens.sort_by_key(|token| token.id);
        Ok(())
    }

    async fn list_tokens(
        &self,
        user: Option<UserId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        let tokens = locked(&self.tokens).clone();
        let rest = |token: &Token| {
            after.is_none_or(|after| token.id > after) && (user.is_none() || token.user == user)
        };
        Ok(page(tokens.into_iter().filter(rest), limit))
    }

    async fn revoke_token(
        &self,
        id: Uuid,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        locked(&self.audited).push(audit);
        let mut tokens = locked(&self.tokens);
        let found = tokens.iter_mut().find(|token| token.id == id);
        Ok(found
            .map(|token| token.revoked_at = token.revoked_at.or(Some(at)))
            .is_some())
    }

    async fn find_access_key(&self, access_key: String) -> Result<Option<AccessKey>, StoreError> {
        let keys = locked(&self.keys);
        let found = keys.iter().find(|key| key.access_key == access_key);
        Ok(found.cloned())
    }

    async fn add_access_key(&self, key: AccessKey, audit: AuditDraft) -> Result<(), StoreError> {
        locked(&self.audited).push(audit);
        let mut keys = locked(&self.keys);
        keys.push(key);
        keys.sort_by(|a, b| a.access_key.cmp(&b.access_key));
        Ok(())
    }

    async fn list_access_keys(
        &self,
        user: Option<UserId>,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<AccessKey>, StoreError> {
        let keys = locked(&self.keys).clone();
        let rest = |key: &AccessKey| {
            after.as_ref().is_none_or(|after| key.access_key > *after)
                && user.is_none_or(|user| key.user == user)
        };
        Ok(page(keys.into_iter().filter(rest), limit))
    }

    async fn revoke_access_key(
        &self,
        access_key: String,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        locked(&self.audited).push(audit);
        let mut keys = locked(&self.keys);
        let found = keys.iter_mut().find(|key| key.access_key == access_key);
        Ok(found
            .map(|key| key.revoked_at = key.revoked_at.or(Some(at)))
            .is_some())
    }
}

/// Lists that a test wrote down; remembers what was asked for.
#[derive(Default)]
pub struct FakeQuery {
    pub transfers: Mutex<Vec<Transfer>>,
    pub total: Mutex<Option<(u64, bool)>>,
    pub user_balances: Mutex<Vec<AccountBalance>>,
    pub system_balances: Mutex<Vec<AccountBalance>>,
    pub entries: Mutex<Vec<LedgerLine>>,
    pub statement: Mutex<Statement>,
    pub asked_statement: Mutex<Option<StatementFilter>>,
    pub asked_balances_at: Mutex<Option<(LedgerOwner, Timestamp)>>,
    pub asked_history: Mutex<Option<AccountHistory>>,
    pub asked_transfers: Mutex<Option<TransferFilter>>,
    pub asked_internal: Mutex<Option<InternalFilter>>,
    pub asked_scan: Mutex<Option<TransferScan>>,
    pub next: Mutex<Option<ListPlace>>,
}

#[async_trait]
impl TransferQuery for FakeQuery {
    async fn list_account_history(
        &self,
        filter: AccountHistory,
    ) -> Result<Vec<Transfer>, StoreError> {
        *locked(&self.asked_history) = Some(filter);
        Ok(locked(&self.transfers).clone())
    }

    async fn list_transfers(&self, filter: TransferFilter) -> Result<TransferPage, StoreError> {
        let limit = filter.limit;
        let offset = usize::try_from(filter.offset).unwrap_or(usize::MAX);
        *locked(&self.asked_transfers) = Some(filter);
        let transfers = locked(&self.transfers).clone();
        let all = u64::try_from(transfers.len()).unwrap_or_default();
        let (total, estimated) = locked(&self.total).unwrap_or((all, false));
        let mut rest = transfers.into_iter().skip(offset);
        Ok(TransferPage {
            transfers: page(rest.by_ref(), limit),
            total,
            estimated,
            more: rest.next().is_some(),
        })
    }

    async fn scan_transfers(&self, scan: TransferScan) -> Result<TransferSlice, StoreError> {
        let limit = scan.limit;
        *locked(&self.asked_scan) = Some(scan);
        Ok(TransferSlice {
            transfers: page(locked(&self.transfers).clone().into_iter(), limit),
            next: *locked(&self.next),
        })
    }

    async fn list_internal(&self, filter: InternalFilter) -> Result<Vec<Transfer>, StoreError> {
        *locked(&self.asked_internal) = Some(filter);
        Ok(locked(&self.transfers).clone())
    }

    async fn list_user_balances(&self, _user: UserId) -> Result<Vec<AccountBalance>, StoreError> {
        Ok(locked(&self.user_balances).clone())
    }

    async fn list_system_balances(&self) -> Result<Vec<AccountBalance>, StoreError> {
        Ok(locked(&self.system_balances).clone())
    }

    async fn list_entries(&self, _transfer: TransferId) -> Result<Vec<LedgerLine>, StoreError> {
        Ok(locked(&self.entries).clone())
    }

    async fn read_statement(&self, filter: StatementFilter) -> Result<Statement, StoreError> {
        *locked(&self.asked_statement) = Some(filter);
        Ok(locked(&self.statement).clone())
    }

    async fn list_balances_at(
        &self,
        owner: LedgerOwner,
        at: Timestamp,
    ) -> Result<Vec<AccountBalance>, StoreError> {
        *locked(&self.asked_balances_at) = Some((owner, at));
        Ok(match owner {
            LedgerOwner::User(_) => locked(&self.user_balances).clone(),
            LedgerOwner::System => locked(&self.system_balances).clone(),
        })
    }
}

/// Receivers who take everything at once.
pub struct Taken;

#[async_trait]
impl Notifier for Taken {
    async fn notify(&self, _notification: Notification) -> Result<Delivered, Undelivered> {
        Ok(Delivered { http_status: 200 })
    }
}

/// Callbacks that a test wrote down, newest first; remembers what was asked for.
#[derive(Default)]
pub struct FakeCallbackLog {
    pub callbacks: Mutex<Vec<CallbackRecord>>,
    pub asked: Mutex<Option<CallbackFilter>>,
    pub replayed: Mutex<Option<(Replayable, Timestamp)>>,
    pub audited: Mutex<Vec<AuditDraft>>,
}

#[async_trait]
impl CallbackLog for FakeCallbackLog {
    async fn list(&self, filter: CallbackFilter) -> Result<Vec<CallbackRecord>, StoreError> {
        let limit = usize::try_from(filter.limit).expect("it fits");
        *locked(&self.asked) = Some(filter);
        let callbacks = locked(&self.callbacks);
        Ok(callbacks.iter().take(limit).cloned().collect())
    }

    async fn find(&self, id: Uuid) -> Result<Option<CallbackRecord>, StoreError> {
        let callbacks = locked(&self.callbacks);
        Ok(callbacks.iter().find(|callback| callback.id == id).cloned())
    }

    async fn replay(
        &self,
        id: Uuid,
        now: Timestamp,
        audit: AuditDraft,
    ) -> Result<Replay, StoreError> {
        locked(&self.audited).push(audit);
        Ok(match self.find(id).await? {
            None => Replay::Unknown,
            Some(callback) if callback.state == CallbackState::Cancelled => Replay::Overtaken,
            Some(callback) => Replay::Due(CallbackRecord {
                state: CallbackState::Pending,
                next_attempt_at: Some(now),
                ..callback
            }),
        })
    }

    async fn replay_since(
        &self,
        which: Replayable,
        since: Timestamp,
        _now: Timestamp,
        _limit: u32,
        audit: AuditDraft,
    ) -> Result<u64, StoreError> {
        locked(&self.audited).push(audit);
        *locked(&self.replayed) = Some((which, since));
        Ok(3)
    }
}

/// An audit log that a test wrote down, newest first; remembers what was asked for.
#[derive(Default)]
pub struct FakeAuditLog {
    pub records: Mutex<Vec<AuditRecord>>,
    pub asked: Mutex<Option<AuditFilter>>,
}

#[async_trait]
impl AuditLog for FakeAuditLog {
    async fn list(&self, filter: AuditFilter) -> Result<Vec<AuditRecord>, StoreError> {
        let limit = filter.limit;
        *locked(&self.asked) = Some(filter);
        Ok(page(locked(&self.records).clone().into_iter(), limit))
    }
}

/// Tasks that run when a test says so.
#[derive(Default)]
pub struct HeldTasks(Mutex<Vec<Task>>);

impl HeldTasks {
    /// Runs everything that was started.
    pub async fn run(&self) {
        let tasks = std::mem::take(&mut *locked(&self.0));
        for task in tasks {
            task.await;
        }
    }
}

impl Tasks for HeldTasks {
    fn spawn(&self, task: Task) {
        locked(&self.0).push(task);
    }
}
