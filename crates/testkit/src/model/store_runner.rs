//! A history on a transfer store.

mod books;
mod create;
mod finish;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bursar_domain::{
    ActorId, Amount, Asset, AssetId, Change, Commit, FeeSchedule, IdempotencyClaim, Kind, Limits,
    Percent, Reason, Rules, Timestamp, Transfer, TransferId, Usage, UsageKey, UserId, UserStatus,
};
use bursar_ports::{Clock, CommitOutcome, StopScope, TransferStore};

use super::{
    Exchange, FeePlan, HOUR, Holder, Left, LimitPlan, Outcome, Rate, Runner, SCALES, SLOT_HOURS,
    Step, Stopped, USERS, View,
    exchange::{at, at_mut},
};
use crate::{build, contract::Harness};

/// A change of one rule, so that a store need not write all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleChange {
    /// These fees are others.
    Fees(Kind, AssetId),
    /// These limits are others.
    Limits(Kind, Option<AssetId>),
    /// This is stopped.
    Stop(StopScope),
    /// This is no longer stopped.
    Lift(StopScope),
}

/// What histories need of a store beyond what its contract needs.
#[async_trait]
pub trait ModelHarness: Harness {
    /// Puts one other rule in force; `rules` are all of them with it.
    async fn change_rule(&self, change: RuleChange, rules: &Rules);

    /// What was used of limits, in the same order.
    async fn usage(&self, keys: Vec<UsageKey>) -> Vec<Usage>;
}

/// One history's users, assets and transfers on a store that may have others.
pub struct StoreRunner<'h> {
    harness: &'h dyn ModelHarness,
    store: Arc<dyn TransferStore>,
    /// In front of the names of operators, whose keys are this history's alone.
    name: String,
    start: Timestamp,
    users: Vec<UserId>,
    assets: Vec<Asset>,
    rates: Vec<Option<Rate>>,
    rules: Rules,
    transfers: Vec<TransferId>,
    numbers: HashMap<TransferId, usize>,
}

impl<'h> StoreRunner<'h> {
    /// Users and assets that the store has not seen before, and no rules.
    pub async fn new(harness: &'h dyn ModelHarness) -> Self {
        let number = harness.ids().transfer();
        let users: Vec<UserId> = (0..USERS).map(|_| harness.ids().user()).collect();
        for user in &users {
            harness.put_user(*user, UserStatus::Active).await;
        }
        let named = |(at, scale)| build::asset(&format!("m{number}x{at}"), scale);
        let assets: Vec<Asset> = SCALES.into_iter().enumerate().map(named).collect();
        for asset in &assets {
            harness.put_asset(asset.clone()).await;
        }
        let runner = Self {
            harness,
            store: harness.store().await,
            name: format!("m{number}"),
            start: harness.clock().now(),
            users,
            rates: vec![None; assets.len()],
            assets,
            rules: Rules::default(),
            transfers: vec![],
            numbers: HashMap::new(),
        };
        runner.begin_without_rules().await;
        runner
    }

    /// What an earlier history on the same store left in force for everybody.
    async fn begin_without_rules(&self) {
        let all = Kind::ALL.map(|kind| RuleChange::Limits(kind, None));
        let lift = RuleChange::Lift(StopScope::ReadOnly);
        for change in all.into_iter().chain([lift]) {
            self.harness.change_rule(change, &self.rules).await;
        }
    }

    fn now(&self) -> Timestamp {
        self.harness.clock().now()
    }

    fn in_hours(&self, hours: i64) -> Timestamp {
        self.now().plus_micros(hours * HOUR)
    }

    fn asset(&self, number: usize) -> &Asset {
        at(&self.assets, number)
    }

    /// The asset in which values are told.
    fn root(&self) -> &Asset {
        self.asset(0)
    }

    fn user(&self, number: usize) -> UserId {
        *at(&self.users, number)
    }

    fn operator(&self, number: u8) -> ActorId {
        ActorId::new(format!("{}-operator-{number}", self.name))
    }

    async fn change_rule(&mut self, change: RuleChange) -> Outcome {
        self.rules.revision += 1;
        self.harness.change_rule(change, &self.rules).await;
        Outcome::Done
    }

    async fn put_asset(&mut self, number: usize, allows: [bool; 3]) -> Outcome {
        let [can_deposit, can_withdraw, can_transfer] = allows;
        let asset = at_mut(&mut self.assets, number);
        asset.can_deposit = can_deposit;
        asset.can_withdraw = can_withdraw;
        asset.can_transfer = can_transfer;
        self.harness.put_asset(asset.clone()).await;
        Outcome::Done
    }

    async fn set_stop(&mut self, stopped: Stopped, stops: bool) -> Outcome {
        let scope = match stopped {
            Stopped::ReadOnly => {
                self.rules.stops.read_only = stops;
                StopScope::ReadOnly
            }
            Stopped::Outgoing(asset) => {
                let asset = self.asset(asset).id;
                if stops {
                    self.rules.stops.outgoing.insert(asset);
                } else {
                    self.rules.stops.outgoing.remove(&asset);
                }
                StopScope::Outgoing(asset)
            }
        };
        let change = if stops {
            RuleChange::Stop
        } else {
            RuleChange::Lift
        };
        self.change_rule(change(scope)).await
    }

    async fn commit(&mut self, change: Change, idempotency: Option<IdempotencyClaim>) -> Outcome {
        let commit = Commit {
            audit: None,
            change,
            idempotency,
        };
        let outcomes = self
            .store
            .commit(vec![commit])
            .await
            .expect("the store is healthy");
        let outcome = outcomes.into_iter().next().expect("one item, one outcome");
        match outcome {
            CommitOutcome::Committed(transfer) => Outcome::Made(self.view(&transfer)),
            CommitOutcome::Replayed { original } => Outcome::Replayed(self.number(original)),
            CommitOutcome::RefusalReplayed { reason } => replayed(reason),
            CommitOutcome::KeyReused { original, .. } => {
                Outcome::KeyReused(original.map(|id| self.number(id)))
            }
            CommitOutcome::Refused { reason } => refused(reason),
            CommitOutcome::OverLimit { reason, room } => {
                let asset = self.assets.iter().position(|asset| asset.id == room.asset);
                let returns_at = room
                    .over
                    .returns_at
                    .map(|at| at.floor_second().as_micros() - self.start.as_micros());
                let left = Left {
                    units: room.over.left.units(),
                    asset: asset.unwrap_or(usize::MAX),
                    returns_at,
                };
                Outcome::Refused {
                    reason: reason.code(),
                    replayed: false,
                    left: Some(left),
                }
            }
            CommitOutcome::ReadOnly => Outcome::ReadOnly,
            CommitOutcome::Stale { .. } => Outcome::Strange(format!("{outcome:?}")),
        }
    }

    /// A transfer's number; one that was not seen before gets the next.
    fn number(&mut self, id: TransferId) -> usize {
        *self.numbers.entry(id).or_insert_with(|| {
            self.transfers.push(id);
            self.transfers.len() - 1
        })
    }

    fn view(&mut self, transfer: &Transfer) -> View {
        let parts = transfer.parts();
        View {
            number: self.number(transfer.id()),
            status: transfer.status().as_str(),
            stage: transfer.stage().map(bursar_domain::Stage::as_str),
            reason: transfer.reason().map(Reason::code),
            amount: parts.amount.units(),
            fee: parts.fee.units(),
            reversed: parts.reversed.units(),
            expires: parts.expires_at.is_some(),
        }
    }
}

#[async_trait]
impl Runner for StoreRunner<'_> {
    async fn perform(&mut self, step: &Step) -> Outcome {
        match step {
            Step::User(user, status) => {
                self.harness.put_user(self.user(*user), *status).await;
                Outcome::Done
            }
            Step::Asset(asset, allows) => self.put_asset(*asset, *allows).await,
            Step::Rate(asset, rate) => {
                *at_mut(&mut self.rates, *asset) = Some(*rate);
                Outcome::Done
            }
            Step::Fees(kind, asset, plan) => {
                let asset = self.asset(*asset).id;
                self.rules.fees.insert((*kind, asset), schedule(plan));
                self.change_rule(RuleChange::Fees(*kind, asset)).await
            }
            Step::Limits(kind, asset, plan) => {
                let asset = asset.map(|asset| self.asset(asset).id);
                self.rules.limits.insert((*kind, asset), limits(plan));
                if asset.is_none() {
                    let unit = self.root().unit();
                    self.rules.root_units.insert(*kind, unit);
                }
                self.change_rule(RuleChange::Limits(*kind, asset)).await
            }
            Step::Stop(stopped) => self.set_stop(*stopped, true).await,
            Step::Lift(stopped) => self.set_stop(*stopped, false).await,
            Step::Pass { slots } => {
                let millis = slots * SLOT_HOURS * HOUR / 1_000;
                self.harness.clock().advance_ms(millis);
                Outcome::Done
            }
            Step::New(request) => self.create(request).await,
            Step::Bulk(request) => self.create_many(request).await,
            Step::Finish(finish) => self.finish(finish).await,
            Step::Expire { pick } => self.expire(*pick).await,
            Step::Reverse(reversal) => self.reverse(reversal).await,
            Step::Again { .. } | Step::BulkAgain { .. } => {
                Outcome::Strange("only resolved steps can be performed".to_owned())
            }
        }
    }

    async fn views(&mut self) -> Vec<View> {
        self.all_views().await
    }

    async fn balances(&mut self) -> std::collections::BTreeMap<(Holder, usize), (i128, i128)> {
        self.all_balances().await
    }

    async fn compare_limits(&mut self, model: &Exchange) -> Result<(), String> {
        self.limits_against(model).await
    }

    async fn audit(&mut self) -> Result<(), String> {
        self.audit_books().await
    }
}

fn refused(reason: Reason) -> Outcome {
    Outcome::Refused {
        reason: reason.code(),
        replayed: false,
        left: None,
    }
}

fn replayed(reason: Reason) -> Outcome {
    Outcome::Refused {
        reason: reason.code(),
        replayed: true,
        left: None,
    }
}

fn schedule(plan: &FeePlan) -> FeeSchedule {
    FeeSchedule {
        percent: Percent::try_from_parts(plan.parts).expect("a share is at most the whole"),
        min: build::amount(plan.min),
        max: plan.max.map(build::amount),
        absolute: build::amount(plan.absolute),
    }
}

fn limits(plan: &LimitPlan) -> Limits {
    let amount = |units: Option<i128>| -> Option<Amount> { units.map(build::amount) };
    Limits {
        min_amount: amount(plan.min),
        max_amount: amount(plan.max),
        daily: amount(plan.daily),
        monthly: amount(plan.monthly),
        approval_above: amount(plan.approval_above),
    }
}
