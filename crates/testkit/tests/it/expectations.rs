//! The fakes pass the suite that every directory and rule book passes.

use std::sync::Arc;

use bursar_testkit::{
    FixedClock, InMemoryStore,
    expectations::Replicas,
    expectations_contract,
    fakes::{FakeDirectory, FakeRuleBook},
};

fn scene() -> (Replicas, ()) {
    let store = Arc::new(InMemoryStore::new(Arc::new(FixedClock::default())));
    let directory = Arc::new(FakeDirectory::default());
    let replicas = Replicas {
        here: directory.clone(),
        elsewhere: directory,
        rule_book: Arc::new(FakeRuleBook::of(store)),
    };
    (replicas, ())
}

expectations_contract!(scene());
