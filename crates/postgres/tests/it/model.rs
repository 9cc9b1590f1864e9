//! The batch engine, the directory and the rule book together agree with the reference model.

use std::thread;

use async_trait::async_trait;
use bursar_domain::{ActorId, Rules, Usage, UsageKey};
use bursar_ports::{Clock, Expected, PutRule, RuleBook, Stop};
use bursar_postgres::EngineKind;
use bursar_testkit::{
    contract::Harness,
    model::{ModelHarness, Plan, Profile, RuleChange, Step, StoreRunner, play},
};
use tokio::runtime;

use crate::{store::PgHarness, support::draft};

/// How many histories are under way at once. Each share has a database of its own, because limits on
/// all assets together and the stop of everything hold for every history in one.
const SHARES: u64 = 4;

#[async_trait]
impl ModelHarness for PgHarness {
    async fn change_rule(&self, change: RuleChange, rules: &Rules) {
        let book = &self.rule_book;
        match change {
            RuleChange::Fees(kind, asset) => {
                let schedule = rules.fees.get(&(kind, asset)).copied();
                let schedule = schedule.unwrap_or_default();
                let unit = self.unit_of(kind, Some(asset), rules).await;
                let put = book.put_fees(kind, unit, schedule, Expected::Anything, draft());
                assert_eq!(put.await.unwrap(), PutRule::Written);
            }
            RuleChange::Limits(kind, asset) => {
                let limits = rules.limits.get(&(kind, asset)).copied();
                let limits = limits.unwrap_or_default();
                let unit = self.unit_of(kind, asset, rules).await;
                let put = book.put_limits(kind, asset, limits, unit, Expected::Anything, draft());
                assert_eq!(put.await.unwrap(), PutRule::Written);
            }
            RuleChange::Stop(scope) => {
                let stop = Stop {
                    scope,
                    reason: "a step".to_owned(),
                    stopped_by: ActorId::new("operator"),
                    stopped_at: self.clock().now(),
                };
                book.stop(stop, draft()).await.unwrap();
            }
            // There may be no such stop.
            RuleChange::Lift(scope) => {
                let lift = book.lift(scope, Expected::Anything, draft());
                let _there = lift.await.unwrap();
            }
        }
    }

    async fn usage(&self, keys: Vec<UsageKey>) -> Vec<Usage> {
        self.rule_book.usage(keys).await.unwrap()
    }
}

#[test]
fn postgres_agrees_with_the_model() {
    agrees_with_the_model(EngineKind::Shared);
}

#[test]
fn a_single_writer_agrees_with_the_model() {
    agrees_with_the_model(EngineKind::SingleWriter);
}

fn agrees_with_the_model(kind: EngineKind) {
    let plan = Plan {
        // A history takes a hundred times longer here than in memory.
        shrinks: 200,
        ..Plan::from_env(150, Profile::Store)
    };
    thread::scope(|threads| {
        for share in 0..SHARES {
            let plan = &plan;
            threads.spawn(move || run_share(kind, plan, share));
        }
    });
}

fn run_share(kind: EngineKind, plan: &Plan, share: u64) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let harness = runtime.block_on(async {
        match kind {
            EngineKind::Shared => PgHarness::start().await,
            EngineKind::SingleWriter => PgHarness::start_single_writer().await,
        }
    });
    plan.run(share, SHARES, |steps: &[Step]| {
        runtime.block_on(async {
            let mut runner = StoreRunner::new(&harness).await;
            play(&mut runner, steps).await
        })
    });
}
