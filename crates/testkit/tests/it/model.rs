//! The in-memory store agrees with the reference model.

use async_trait::async_trait;
use bursar_domain::{Rules, Usage, UsageKey};
use bursar_testkit::model::{ModelHarness, Plan, Profile, RuleChange, Step, StoreRunner, play};

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let one = |steps: &[Step]| {
        runtime.block_on(async {
            let harness = MemoryHarness::new();
            let mut runner = StoreRunner::new(&harness).await;
            play(&mut runner, steps).await
        })
    };
    Plan::from_env(2_000, Profile::STORE).run(0, 1, one);
}
