//! The in-memory store agrees with the reference model.

use std::{collections::BTreeSet, num::NonZero, thread};

use async_trait::async_trait;
use bursar_domain::{Rules, Usage, UsageKey};
use bursar_testkit::model::{
    Exchange, ModelHarness, Outcome, Plan, Profile, RuleChange, Step, StoreRunner, View, play,
    prologue,
};

use crate::memory_store::MemoryHarness;

#[async_trait]
impl ModelHarness for MemoryHarness {
    async fn change_rule(&self, _change: RuleChange, rules: &Rules) {
        self.store.put_rules(rules.clone());
    }

    async fn usage(&self, keys: Vec<UsageKey>) -> Vec<Usage> {
        keys.into_iter().map(|key| self.store.usage(key)).collect()
    }
}

#[test]
fn the_in_memory_store_agrees_with_the_model() {
    let plan = Plan::from_env(20_000, Profile::Store);
    let shares = thread::available_parallelism().map_or(1, NonZero::get);
    let shares = u64::try_from(shares).unwrap();
    thread::scope(|threads| {
        for share in 0..shares {
            let plan = &plan;
            threads.spawn(move || run_share(plan, share, shares));
        }
    });
}

fn run_share(plan: &Plan, share: u64, shares: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("there is a thread for it");
    plan.run(share, shares, |steps: &[Step]| {
        runtime.block_on(async {
            let harness = MemoryHarness::new();
            let mut runner = StoreRunner::new(&harness).await;
            play(&mut runner, steps).await
        })
    });
}

/// What an outcome is about, in one word.
fn words(outcome: Outcome) -> Vec<String> {
    let of_view = |view: View| {
        let reason = view.reason.or(view.stage).unwrap_or("-");
        format!("made {} {reason}", view.status)
    };
    let words = match outcome {
        Outcome::Made(view) => of_view(view),
        Outcome::BulkMade(views) => return views.into_iter().map(of_view).collect(),
        Outcome::Refused {
            reason, replayed, ..
        } => format!("refused {reason} {replayed}"),
        Outcome::BulkRefused { unable, .. } => format!("bulk refused {}", unable > 0),
        Outcome::BulkReplayed(results) => {
            format!("bulk replayed {}", results.iter().all(Result::is_ok))
        }
        Outcome::Replayed(_) => "replayed".to_owned(),
        Outcome::KeyReused(original) => format!("key reused {}", original.is_some()),
        Outcome::BulkKeyReused(originals) => format!("bulk key reused {}", !originals.is_empty()),
        Outcome::Done => "done".to_owned(),
        Outcome::Already => "already".to_owned(),
        Outcome::Forbidden => "forbidden".to_owned(),
        Outcome::ReadOnly => "read only".to_owned(),
        Outcome::Strange(what) => panic!("{what}"),
    };
    vec![words]
}

#[test]
fn histories_come_to_everything() {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let one = |steps: &[Step]| {
        let mut model = Exchange::default();
        for step in prologue().iter().chain(steps) {
            if let Some(step) = model.resolve(step) {
                seen.extend(words(model.apply(&step)));
            }
        }
        Ok(())
    };
    // As many as every run on PostgreSQL has, whatever the environment says.
    let plan = Plan {
        cases: 300,
        steps: 50,
        seed: 1,
        only: None,
        shrinks: 0,
        profile: Profile::Store,
    };
    plan.run(0, 1, one);
    let missing: Vec<&str> = ALL_WORDS
        .into_iter()
        .filter(|word| !seen.contains(*word))
        .collect();
    assert!(
        missing.is_empty(),
        "nothing comes to {missing:?}: {seen:#?}"
    );
}

/// All that a history can come to, but for what is too rare.
const ALL_WORDS: [&str; 61] = [
    "already",
    "bulk key reused false",
    "bulk key reused true",
    "bulk refused false",
    "bulk refused true",
    "bulk replayed false",
    "bulk replayed true",
    "done",
    "forbidden",
    "key reused false",
    "key reused true",
    "made AwaitingConfirmation -",
    "made AwaitingConfirmation approval",
    "made AwaitingConfirmation payout",
    "made Canceled -",
    "made Completed -",
    "made Failed account.frozen",
    "made Failed approval.expired",
    "made Failed approval.rejected",
    "made Failed payout.refused",
    "made Failed transfer.expired",
    "made Pending -",
    "made Pending approval",
    "made Rejected account.frozen",
    "made Rejected account.terminated",
    "made Rejected asset.disabled",
    "made Rejected asset.outgoing_stopped",
    "made Rejected balance.insufficient",
    "made Rejected limit.daily",
    "made Rejected limit.max_amount",
    "made Rejected limit.min_amount",
    "made Rejected limit.monthly",
    "made Rejected rate.unknown",
    "made Rejected recipient.unavailable",
    "made Success -",
    "read only",
    "refused account.frozen false",
    "refused account.frozen true",
    "refused account.terminated false",
    "refused account.terminated true",
    "refused asset.disabled false",
    "refused asset.disabled true",
    "refused asset.outgoing_stopped false",
    "refused asset.outgoing_stopped true",
    "refused balance.overflow false",
    "refused balance.insufficient false",
    "refused balance.insufficient true",
    "refused fee.exceeds_amount false",
    "refused limit.daily false",
    "refused limit.daily true",
    "refused limit.max_amount false",
    "refused limit.max_amount true",
    "refused limit.min_amount false",
    "refused limit.min_amount true",
    "refused limit.monthly false",
    "refused limit.monthly true",
    "refused rate.unknown false",
    "refused rate.unknown true",
    "refused recipient.is_sender false",
    "refused reversal.exceeds_original false",
    "replayed",
];
