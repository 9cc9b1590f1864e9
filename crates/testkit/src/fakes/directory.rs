//! The directory, the address book and rules in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::{FixedClock, InMemoryStore};
use async_trait::async_trait;
use bursar_domain::{
    Asset, AssetId, AuditDraft, BigDecimal, FeeSchedule, Kind, Limits, RecipientName, Rules, Stops,
    Unit, Usage, UsageKey, User, UserId, UserStatus,
};
use bursar_ports::{
    AddEntry, AddressBook, AddressBookEntry, AssetRate, Directory, Expected, Lift, PutAsset,
    PutRate, PutRule, PutUser, RuleBook, SetStatus, Stop, StopMark, StopScope, StoreError,
    UserPage,
};

use super::locked;

/// Users, assets and rates in memory.
#[derive(Default)]
pub struct FakeDirectory {
    pub users: Mutex<BTreeMap<UserId, User>>,
    status_revisions: Mutex<BTreeMap<UserId, i64>>,
    pub assets: Mutex<BTreeMap<AssetId, Asset>>,
    pub rates: Mutex<BTreeMap<AssetId, AssetRate>>,
    pub audited: Mutex<Vec<AuditDraft>>,
}

impl FakeDirectory {
    /// Somebody has given this user a status.
    fn count_status(&self, id: UserId) {
        let mut revisions = locked(&self.status_revisions);
        let revision = revisions.entry(id).or_default();
        *revision = revision.saturating_add(1);
    }

    fn revision_of(&self, id: UserId) -> i64 {
        let revisions = locked(&self.status_revisions);
        revisions.get(&id).copied().unwrap_or_default()
    }
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
        self.count_status(user.id);
        users.insert(user.id, user);
        locked(&self.audited).push(audit);
        Ok(PutUser::Written)
    }

    async fn status_revision(&self, id: UserId) -> Result<Option<i64>, StoreError> {
        let users = locked(&self.users);
        Ok(users.contains_key(&id).then(|| self.revision_of(id)))
    }

    async fn set_status(
        &self,
        id: UserId,
        was: UserStatus,
        status: UserStatus,
        shown: Expected<i64>,
        audit: AuditDraft,
    ) -> Result<SetStatus, StoreError> {
        let mut users = locked(&self.users);
        let Some(user) = users.get_mut(&id) else {
            return Ok(SetStatus::Unknown);
        };
        let is_seen = status != UserStatus::Active || shown.allows(&self.revision_of(id));
        if user.status != was || !is_seen {
            return Ok(SetStatus::Overtaken);
        }
        self.count_status(id);
        user.status = status;
        locked(&self.audited).push(audit);
        Ok(SetStatus::Written(user.clone()))
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
    async fn put_asset(
        &self,
        asset: Asset,
        was: Expected<Option<Asset>>,
        audit: AuditDraft,
    ) -> Result<PutAsset, StoreError> {
        let mut assets = locked(&self.assets);
        let had = assets.get(&asset.id).cloned();
        if !was.allows(&had) {
            return Ok(PutAsset::Overtaken);
        }
        let had = had.map(|had| had.scale);
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
        was: Expected<Option<BigDecimal>>,
        audit: AuditDraft,
    ) -> Result<PutRate, StoreError> {
        let mut rates = locked(&self.rates);
        if !was.allows(&rates.get(&asset).map(|had| had.rate.clone())) {
            return Ok(PutRate::Overtaken);
        }
        let rate = AssetRate {
            rate,
            source,
            rated_at: FixedClock::START,
        };
        rates.insert(asset, rate.clone());
        locked(&self.audited).push(audit);
        Ok(PutRate::Written(rate))
    }
}

/// Rules in memory, in force in a store in memory.
pub struct FakeRuleBook {
    store: Arc<InMemoryStore>,
    rules: Mutex<Rules>,
    stops: Mutex<BTreeMap<StopScope, Stop>>,
    pub audited: Mutex<Vec<AuditDraft>>,
}

impl FakeRuleBook {
    pub fn of(store: Arc<InMemoryStore>) -> Self {
        Self {
            audited: Mutex::default(),
            store,
            rules: Mutex::default(),
            stops: Mutex::default(),
        }
    }

    /// Changes the rules without anybody's word.
    pub fn put(&self, change: impl FnOnce(&mut Rules)) {
        self.change(change);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Rules) -> T) -> T {
        let mut rules = locked(&self.rules);
        let answer = change(&mut rules);
        self.store.put_rules(rules.clone());
        answer
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

/// Whether a rule is written where another one may stand by now.
fn put_rule<T: PartialEq>(was: &Expected<T>, found: &T) -> PutRule {
    if was.allows(found) {
        PutRule::Written
    } else {
        PutRule::Overtaken
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
        unit: Unit,
        schedule: FeeSchedule,
        was: Expected<FeeSchedule>,
        audit: AuditDraft,
    ) -> Result<PutRule, StoreError> {
        let put = self.change(|rules| {
            let had = rules.fees.get(&(kind, unit.asset)).copied();
            let put = put_rule(&was, &had.unwrap_or_default());
            if put == PutRule::Written {
                rules.fees.insert((kind, unit.asset), schedule);
            }
            put
        });
        if put == PutRule::Written {
            locked(&self.audited).push(audit);
        }
        Ok(put)
    }

    async fn put_limits(
        &self,
        kind: Kind,
        asset: Option<AssetId>,
        limits: Limits,
        unit: Unit,
        was: Expected<Limits>,
        audit: AuditDraft,
    ) -> Result<PutRule, StoreError> {
        let put = self.change(|rules| {
            let had = rules.limits.get(&(kind, asset)).copied();
            let put = put_rule(&was, &had.unwrap_or_default());
            if put == PutRule::Written {
                rules.limits.insert((kind, asset), limits);
                if asset.is_none() {
                    rules.root_units.insert(kind, unit);
                }
            }
            put
        });
        if put == PutRule::Written {
            locked(&self.audited).push(audit);
        }
        Ok(put)
    }

    async fn list_stops(&self) -> Result<Vec<Stop>, StoreError> {
        Ok(locked(&self.stops).values().cloned().collect())
    }

    async fn stop(&self, stop: Stop, audit: AuditDraft) -> Result<(), StoreError> {
        let stopped = {
            let mut stops = locked(&self.stops);
            let is_new = !stops.contains_key(&stop.scope);
            stops.entry(stop.scope).or_insert(stop);
            is_new
        };
        if stopped {
            locked(&self.audited).push(audit);
            self.stops_changed();
        }
        Ok(())
    }

    async fn lift(
        &self,
        scope: StopScope,
        was: Expected<StopMark>,
        audit: AuditDraft,
    ) -> Result<Lift, StoreError> {
        let lift = {
            let mut stops = locked(&self.stops);
            match stops.get(&scope) {
                None => Lift::NotStopped,
                Some(stop) if !was.allows(&stop.mark()) => Lift::Overtaken,
                Some(_) => {
                    stops.remove(&scope);
                    Lift::Lifted
                }
            }
        };
        if lift == Lift::Lifted {
            locked(&self.audited).push(audit);
            self.stops_changed();
        }
        Ok(lift)
    }

    async fn usage(&self, keys: Vec<UsageKey>) -> Result<Vec<Usage>, StoreError> {
        Ok(keys.into_iter().map(|key| self.store.usage(key)).collect())
    }
}

/// Address books in memory, the newest entries first.
#[derive(Default)]
pub struct FakeAddressBook {
    pub entries: Mutex<Vec<AddressBookEntry>>,
}

#[async_trait]
impl AddressBook for FakeAddressBook {
    async fn find_many(
        &self,
        user: UserId,
        codes: Vec<String>,
    ) -> Result<Vec<AddressBookEntry>, StoreError> {
        let mut found = self.list(user).await?;
        found.retain(|entry| codes.contains(&entry.code));
        Ok(found)
    }

    async fn list(&self, user: UserId) -> Result<Vec<AddressBookEntry>, StoreError> {
        let entries = locked(&self.entries).clone();
        let own = entries.into_iter().filter(|entry| entry.user == user);
        Ok(own.collect())
    }

    async fn add(&self, entry: AddressBookEntry, entries_max: u32) -> Result<AddEntry, StoreError> {
        let codes = vec![entry.code.clone()];
        if let Some(had) = self.find_many(entry.user, codes).await?.pop() {
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
