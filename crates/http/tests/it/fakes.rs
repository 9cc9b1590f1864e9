//! Ports that answer what a test put into them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bursar_domain::{
    Asset, AssetId, AuditDraft, BigDecimal, FeeSchedule, Kind, RecipientName, Rules, Stops,
    Timestamp, Transfer, TransferId, Usage, UsageKey, User, UserId,
};
use bursar_ports::{
    AccessKey, AccountBalance, AccountHistory, AddEntry, AddressBook, AddressBookEntry,
    AssetIntegrity, AssetRate, AssetSums, AuditFilter, AuditLog, AuditRecord, BookIntegrity,
    CallbackFilter, CallbackLog, CallbackRecord, CallbackState, CheckedAccounts, ClaimedPayout,
    CredentialStore, Delivered, Directory, Event, EventFeed, EventPage, InternalFilter, LedgerLine,
    LedgerOwner, ListPlace, Notice, Notification, Notifier, PayoutAnswer, PayoutFigures,
    PayoutGateway, PayoutOrder, PayoutSchedule, PostponedPayout, PutAsset, PutUser, Replay,
    Replayable, RuleBook, SignedMessage, Statement, StatementFilter, Stop, StopScope, StoreError,
    Task, Tasks, Token, TokenHash, TransferFilter, TransferPage, TransferQuery, TransferScan,
    TransferSlice, Undelivered, UserPage,
};
use bursar_testkit::{FixedClock, InMemoryStore};
use uuid::Uuid;

/// What a lock guards, also after a test that failed while it held it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}

/// Users, assets and rates in memory.
#[derive(Default)]
pub(crate) struct FakeDirectory {
    pub(crate) users: Mutex<BTreeMap<UserId, User>>,
    pub(crate) assets: Mutex<BTreeMap<AssetId, Asset>>,
    pub(crate) rates: Mutex<BTreeMap<AssetId, AssetRate>>,
    pub(crate) audited: Mutex<Vec<AuditDraft>>,
}

#[async_trait]
impl Directory for FakeDirectory {
    async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(locked(&self.users).get(&id).cloned())
    }

    async fn find_users(&self, ids: Vec<UserId>) -> Result<Vec<User>, StoreError> {
        let users = locked(&self.users);
        Ok(ids.iter().filter_map(|id| users.get(id).cloned()).collect())
    }

    async fn find_recipients(
        &self,
        names: Vec<RecipientName>,
    ) -> Result<Vec<Option<User>>, StoreError> {
        let users = locked(&self.users);
        let find = |name: RecipientName| match name {
            RecipientName::Id(id) => users.get(&id).cloned(),
            RecipientName::Alias(alias) => {
                let answers = |user: &&User| {
                    user.email.eq_ignore_ascii_case(&alias)
                        || user.username.eq_ignore_ascii_case(&alias)
                };
                users.values().find(answers).cloned()
            }
        };
        Ok(names.into_iter().map(find).collect())
    }

    async fn list_users(
        &self,
        search: Option<String>,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<UserPage, StoreError> {
        let search = search.unwrap_or_default().to_lowercase();
        let limit = usize::try_from(limit).unwrap_or_default();
        let mut users: Vec<User> = locked(&self.users)
            .values()
            .filter(|user| after.is_none_or(|after| user.id > after))
            .filter(|user| user.username.contains(&search) || user.email.contains(&search))
            .cloned()
            .collect();
        let more = users.len() > limit;
        users.truncate(limit);
        Ok(UserPage { users, more })
    }

    async fn put_user(&self, user: User, audit: AuditDraft) -> Result<PutUser, StoreError> {
        let mut users = locked(&self.users);
        let others = || users.values().filter(|other| other.id != user.id);
        if others().any(|other| other.username.eq_ignore_ascii_case(&user.username)) {
            return Ok(PutUser::UsernameTaken);
        }
        let same = |other: &User| other.email.eq_ignore_ascii_case(&user.email);
        if !user.email.is_empty() && others().any(same) {
            return Ok(PutUser::EmailTaken);
        }
        users.insert(user.id, user);
        locked(&self.audited).push(audit);
        Ok(PutUser::Written)
    }

    async fn find_asset(&self, id: AssetId) -> Result<Option<Asset>, StoreError> {
        Ok(locked(&self.assets).get(&id).cloned())
    }

    async fn find_assets(&self, ids: Vec<AssetId>) -> Result<Vec<Asset>, StoreError> {
        let assets = locked(&self.assets);
        Ok(ids
            .iter()
            .filter_map(|id| assets.get(id).cloned())
            .collect())
    }

    async fn list_assets(&self) -> Result<Vec<Asset>, StoreError> {
        Ok(locked(&self.assets).values().cloned().collect())
    }

    /// Every asset that exists is in use.
    async fn put_asset(&self, asset: Asset, audit: AuditDraft) -> Result<PutAsset, StoreError> {
        let mut assets = locked(&self.assets);
        let had = assets.get(&asset.id).map(|had| had.scale);
        if had.is_some_and(|scale| scale != asset.scale) {
            return Ok(PutAsset::ScaleInUse);
        }
        assets.insert(asset.id, asset);
        locked(&self.audited).push(audit);
        Ok(PutAsset::Written)
    }

    async fn find_rate(&self, asset: AssetId) -> Result<Option<AssetRate>, StoreError> {
        Ok(locked(&self.rates).get(&asset).cloned())
    }

    async fn put_rate(
        &self,
        asset: AssetId,
        rate: BigDecimal,
        source: String,
        audit: AuditDraft,
    ) -> Result<AssetRate, StoreError> {
        let rate = AssetRate {
            rate,
            source,
            rated_at: FixedClock::START,
        };
        locked(&self.rates).insert(asset, rate.clone());
        locked(&self.audited).push(audit);
        Ok(rate)
    }
}

/// Rules in memory, in force in a store in memory.
pub(crate) struct FakeRuleBook {
    store: Arc<InMemoryStore>,
    rules: Mutex<Rules>,
    stops: Mutex<BTreeMap<StopScope, Stop>>,
    pub(crate) audited: Mutex<Vec<AuditDraft>>,
}

impl FakeRuleBook {
    pub(crate) fn of(store: Arc<InMemoryStore>) -> Self {
        Self {
            audited: Mutex::default(),
            store,
            rules: Mutex::default(),
            stops: Mutex::default(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        let mut rules = locked(&self.rules);
        change(&mut rules);
        self.store.put_rules(rules.clone());
    }

    fn stops_changed(&self) {
        let stops = locked(&self.stops);
        let outgoing = stops.keys().filter_map(|scope| match scope {
            StopScope::ReadOnly => None,
            StopScope::Outgoing(asset) => Some(*asset),
        });
        let stops = Stops {
            read_only: stops.contains_key(&StopScope::ReadOnly),
            outgoing: outgoing.collect(),
        };
        self.change(|rules| rules.stops = stops);
    }
}

#[async_trait]
impl RuleBook for FakeRuleBook {
    async fn rules(&self) -> Result<Arc<Rules>, StoreError> {
        Ok(Arc::new(locked(&self.rules).clone()))
    }

    async fn put_fees(
        &self,
        kind: Kind,
        asset: AssetId,
        schedule: FeeSchedule,
        audit: AuditDraft,
    ) -> Result<(), StoreError> {
        locked(&self.audited).push(audit);
        self.change(|rules| {
            rules.fees.insert((kind, asset), schedule);
        });
        Ok(())
    }

    async fn put_limits(
        &self,
        kind: Kind,
        asset: Option<AssetId>,
        limits: bursar_domain::Limits,
        audit: AuditDraft,
    ) -> Result<(), StoreError> {
        locked(&self.audited).push(audit);
        self.change(|rules| {
            rules.limits.insert((kind, asset), limits);
        });
        Ok(())
    }

    async fn list_stops(&self) -> Result<Vec<Stop>, StoreError> {
        Ok(locked(&self.stops).values().cloned().collect())
    }

    async fn stop(&self, stop: Stop, audit: AuditDraft) -> Result<(), StoreError> {
        locked(&self.audited).push(audit);
        locked(&self.stops).entry(stop.scope).or_insert(stop);
        self.stops_changed();
        Ok(())
    }

    async fn lift(&self, scope: StopScope, audit: AuditDraft) -> Result<bool, StoreError> {
        locked(&self.audited).push(audit);
        let lifted = locked(&self.stops).remove(&scope).is_some();
        self.stops_changed();
        Ok(lifted)
    }

    async fn usage(&self, keys: Vec<UsageKey>) -> Result<Vec<Usage>, StoreError> {
        Ok(keys.into_iter().map(|key| self.store.usage(key)).collect())
    }
}

/// Events in memory, from the first one that is kept.
#[derive(Default)]
pub(crate) struct FakeEvents {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) oldest: Mutex<i64>,
}

#[async_trait]
impl EventFeed for FakeEvents {
    async fn list(&self, after: i64, limit: u32) -> Result<EventPage, StoreError> {
        let oldest = *locked(&self.oldest);
        if after.saturating_add(1) < oldest {
            return Ok(EventPage::Pruned { oldest });
        }
        let events = locked(&self.events).clone();
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
pub(crate) struct FakeCredentials {
    pub(crate) tokens: Mutex<Vec<Token>>,
    pub(crate) keys: Mutex<Vec<AccessKey>>,
    pub(crate) audited: Mutex<Vec<AuditDraft>>,
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

    async fn list_tokens(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Token>, StoreError> {
        let tokens = locked(&self.tokens).clone();
        let rest = |token: &Token| after.is_none_or(|after| token.id > after);
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
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<AccessKey>, StoreError> {
        let keys = locked(&self.keys).clone();
        let rest = |key: &AccessKey| after.as_ref().is_none_or(|after| key.access_key > *after);
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
pub(crate) struct FakeQuery {
    pub(crate) transfers: Mutex<Vec<Transfer>>,
    pub(crate) total: Mutex<Option<(u64, bool)>>,
    pub(crate) user_balances: Mutex<Vec<AccountBalance>>,
    pub(crate) system_balances: Mutex<Vec<AccountBalance>>,
    pub(crate) entries: Mutex<Vec<LedgerLine>>,
    pub(crate) statement: Mutex<Statement>,
    pub(crate) asked_statement: Mutex<Option<StatementFilter>>,
    pub(crate) asked_balances_at: Mutex<Option<(LedgerOwner, Timestamp)>>,
    pub(crate) asked_history: Mutex<Option<AccountHistory>>,
    pub(crate) asked_transfers: Mutex<Option<TransferFilter>>,
    pub(crate) asked_internal: Mutex<Option<InternalFilter>>,
    pub(crate) asked_scan: Mutex<Option<TransferScan>>,
    pub(crate) next: Mutex<Option<ListPlace>>,
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
        *locked(&self.asked_transfers) = Some(filter);
        let transfers = locked(&self.transfers).clone();
        let all = u64::try_from(transfers.len()).unwrap_or_default();
        let (total, estimated) = locked(&self.total).unwrap_or((all, false));
        Ok(TransferPage {
            transfers,
            total,
            estimated,
        })
    }

    async fn scan_transfers(&self, scan: TransferScan) -> Result<TransferSlice, StoreError> {
        *locked(&self.asked_scan) = Some(scan);
        Ok(TransferSlice {
            transfers: locked(&self.transfers).clone(),
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
pub(crate) struct Taken;

#[async_trait]
impl Notifier for Taken {
    async fn notify(&self, _notification: Notification) -> Result<Delivered, Undelivered> {
        Ok(Delivered { http_status: 200 })
    }
}

/// Callbacks that a test wrote down, newest first; remembers what was asked for.
#[derive(Default)]
pub(crate) struct FakeCallbackLog {
    pub(crate) callbacks: Mutex<Vec<CallbackRecord>>,
    pub(crate) asked: Mutex<Option<CallbackFilter>>,
    pub(crate) replayed: Mutex<Option<(Replayable, Timestamp)>>,
    pub(crate) audited: Mutex<Vec<AuditDraft>>,
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
pub(crate) struct FakeAuditLog {
    pub(crate) records: Mutex<Vec<AuditRecord>>,
    pub(crate) asked: Mutex<Option<AuditFilter>>,
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
pub(crate) struct HeldTasks(Mutex<Vec<Task>>);

impl HeldTasks {
    /// Runs everything that was started.
    pub(crate) async fn run(&self) {
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

/// Address books in memory, the newest entries first.
#[derive(Default)]
pub(crate) struct FakeAddressBook {
    pub(crate) entries: Mutex<Vec<AddressBookEntry>>,
}

#[async_trait]
impl AddressBook for FakeAddressBook {
    async fn find(
        &self,
        user: UserId,
        code: String,
    ) -> Result<Option<AddressBookEntry>, StoreError> {
        let entries = locked(&self.entries);
        let is_it = |entry: &&AddressBookEntry| entry.user == user && entry.code == code;
        Ok(entries.iter().find(is_it).cloned())
    }

    async fn list(&self, user: UserId) -> Result<Vec<AddressBookEntry>, StoreError> {
        let entries = locked(&self.entries).clone();
        let own = entries.into_iter().filter(|entry| entry.user == user);
        Ok(own.collect())
    }

    async fn add(&self, entry: AddressBookEntry, entries_max: u32) -> Result<AddEntry, StoreError> {
        if let Some(had) = self.find(entry.user, entry.code.clone()).await? {
            return Ok(AddEntry::Exists(had));
        }
        let max = usize::try_from(entries_max).unwrap_or_default();
        if self.list(entry.user).await?.len() >= max {
            return Ok(AddEntry::Full);
        }
        locked(&self.entries).insert(0, entry);
        Ok(AddEntry::Added)
    }

    async fn remove(&self, user: UserId, code: String) -> Result<bool, StoreError> {
        let mut entries = locked(&self.entries);
        let before = entries.len();
        entries.retain(|entry| entry.user != user || entry.code != code);
        Ok(entries.len() < before)
    }
}

/// Books that come to what a test says.
#[derive(Default)]
pub(crate) struct FakeIntegrity {
    pub(crate) books: Mutex<Vec<AssetIntegrity>>,
}

#[async_trait]
impl BookIntegrity for FakeIntegrity {
    async fn sums(&self) -> Result<Vec<AssetSums>, StoreError> {
        let books = locked(&self.books);
        Ok(books.iter().map(|book| book.sums.clone()).collect())
    }

    async fn examine(&self) -> Result<Vec<AssetIntegrity>, StoreError> {
        Ok(locked(&self.books).clone())
    }

    async fn check_accounts(&self, _: Option<i64>, _: u32) -> Result<CheckedAccounts, StoreError> {
        Ok(CheckedAccounts::default())
    }
}

/// A payout gateway that everybody knows how to sign for: with [`GENUINE`].
pub(crate) struct FakeGateway;

/// What only the gateway would sign with.
pub(crate) const GENUINE: &str = "v1,genuine";

#[async_trait]
impl PayoutGateway for FakeGateway {
    async fn pay(&self, _order: PayoutOrder) -> PayoutAnswer {
        PayoutAnswer::UnderWay
    }

    fn try_max_ms(&self) -> i64 {
        1_000
    }

    fn is_genuine(&self, message: &SignedMessage, _now: Timestamp) -> bool {
        message.signature == GENUINE && !message.id.is_empty() && !message.timestamp.is_empty()
    }
}

/// A schedule of payouts with nothing in it.
pub(crate) struct EmptySchedule;

#[async_trait]
impl PayoutSchedule for EmptySchedule {
    async fn claim_due(
        &self,
        _lease_ms: i64,
        _limit: u32,
    ) -> Result<Vec<ClaimedPayout>, StoreError> {
        Ok(vec![])
    }

    async fn postpone(&self, _postponed: PostponedPayout) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn end(&self, _id: TransferId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn figures(&self) -> Result<PayoutFigures, StoreError> {
        Ok(PayoutFigures::default())
    }
}
