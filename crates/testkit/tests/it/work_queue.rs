use std::sync::Arc;

use bursar_ports::WorkQueue;
use bursar_testkit::{InMemoryQueue, work_queue_contract};

use crate::memory_store::MemoryHarness;

fn scene() -> (MemoryHarness, Arc<dyn WorkQueue>) {
    let harness = MemoryHarness::new();
    let queue = InMemoryQueue::of(harness.store.clone());
    (harness, Arc::new(queue))
}

work_queue_contract!(scene());
