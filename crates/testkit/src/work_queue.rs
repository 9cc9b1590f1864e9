//! A queue of work in memory, and what every one of them must do.

mod contract;

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bursar_domain::{
    ActorId, AuditDraft, Kind, Stage, Status, Timestamp, Transfer, TransferId, Version,
};
use bursar_ports::{
    LetGo, OpenWork, QueueOrder, QueuePlace, QueueScan, QueueSlice, StoreError, Take, Taking,
    WorkQueue, sort_value,
};

pub use self::contract::{
    a_taking_ends_with_its_time_or_with_the_version, letting_go_frees_ones_own_and_nobody_elses,
    of_many_who_take_at_once_one_has_it, queues_come_in_their_order_page_by_page,
    takings_are_in_the_audit_log_when_they_change_something,
    what_is_taken_is_told_to_others_and_prolonged_for_its_own,
};
use crate::InMemoryStore;

/// What waits in an [`InMemoryStore`], and who is at it.
pub struct InMemoryQueue {
    store: Arc<InMemoryStore>,
    takings: Mutex<HashMap<TransferId, Taking>>,
}

impl InMemoryQueue {
    /// The queue of this store.
    pub fn of(store: Arc<InMemoryStore>) -> Self {
        Self {
            store,
            takings: Mutex::default(),
        }
    }

    fn takings(&self) -> MutexGuard<'_, HashMap<TransferId, Taking>> {
        self.takings.lock().expect("no holder of the lock panics")
    }
}

fn waits(transfer: &Transfer, which: OpenWork) -> bool {
    match which {
        OpenWork::Withdrawals => {
            transfer.kind() == Kind::Withdrawal
                && transfer.status() == Status::AwaitingConfirmation
                && transfer.stage().is_none()
        }
        OpenWork::Approvals => transfer.stage() == Some(Stage::Approval),
    }
}

/// A taking as the audit log tells it.
fn told(taking: &Taking) -> String {
    let (version, until) = (taking.version.get(), taking.until.to_micros_text());
    format!(r#"{{"until":"{until}","version":{version}}}"#)
}

/// Whether a transfer stands behind a place.
fn is_behind(transfer: &Transfer, place: &QueuePlace) -> bool {
    match place {
        QueuePlace::Age { created_at, id } => {
            (transfer.parts().created_at, transfer.id()) > (*created_at, *id)
        }
        QueuePlace::Value { value, id } => {
            (Reverse(sort_value(transfer)), Reverse(transfer.id()))
                > (Reverse(value.clone()), Reverse(*id))
        }
    }
}

#[async_trait]
impl WorkQueue for InMemoryQueue {
    async fn list_open(&self, scan: QueueScan) -> Result<QueueSlice, StoreError> {
        let mut open = self.store.transfers();
        open.retain(|transfer| waits(transfer, scan.which));
        open.retain(|transfer| {
            scan.asset
                .is_none_or(|asset| asset == transfer.parts().asset)
        });
        match scan.order {
            QueueOrder::Age => open.sort_by_key(|one| (one.parts().created_at, one.id())),
            QueueOrder::Value => {
                open.sort_by_key(|one| (Reverse(sort_value(one)), Reverse(one.id())));
            }
        }
        let after = scan.after.filter(|place| place.order() == scan.order);
        open.retain(|transfer| {
            after
                .as_ref()
                .is_none_or(|place| is_behind(transfer, place))
        });
        let limit = usize::try_from(scan.limit).unwrap_or(usize::MAX);
        let more = open.len() > limit;
        open.truncate(limit);
        let last = open.last().filter(|_| more);
        Ok(QueueSlice {
            next: last.map(|transfer| QueuePlace::of(transfer, scan.order)),
            transfers: open,
        })
    }

    async fn take(&self, taking: Taking, audit: AuditDraft) -> Result<Take, StoreError> {
        let mut takings = self.takings();
        let (now, mut wanted) = (taking.taken_at, taking);
        if let Some(other) = takings.get(&wanted.transfer) {
            let is_held = other.until > wanted.taken_at;
            if other.version > wanted.version {
                return Ok(Take::Stale);
            }
            if other.version == wanted.version && is_held {
                if other.by != wanted.by {
                    return Ok(Take::Held(other.clone()));
                }
                wanted.taken_at = other.taken_at;
            }
        }
        takings.insert(wanted.transfer, wanted.clone());
        self.store.note(audit, now, None, Some(told(&wanted)));
        Ok(Take::Taken(wanted))
    }

    async fn let_go(
        &self,
        transfer: TransferId,
        version: Version,
        by: ActorId,
        now: Timestamp,
        audit: AuditDraft,
    ) -> Result<LetGo, StoreError> {
        let mut takings = self.takings();
        let Some(other) = takings.get(&transfer).cloned() else {
            return Ok(LetGo::Free);
        };
        if other.by == by && other.version <= version {
            takings.remove(&transfer);
            if other.version == version && other.until > now {
                self.store.note(audit, now, Some(told(&other)), None);
            }
            return Ok(LetGo::Free);
        }
        let is_held = other.by != by && other.version == version && other.until > now;
        Ok(if is_held {
            LetGo::Held(other)
        } else {
            LetGo::Free
        })
    }

    async fn list_takings(
        &self,
        transfers: Vec<TransferId>,
        now: Timestamp,
    ) -> Result<Vec<Taking>, StoreError> {
        let takings = self.takings();
        let of = |id: &TransferId| takings.get(id).filter(|one| one.until > now).cloned();
        Ok(transfers.iter().filter_map(of).collect())
    }
}

/// Stamps one test per case of the contract of [`WorkQueue`]; the argument makes a fresh pair of a
/// [`Harness`](crate::contract::Harness) and the queue of its store, and may await.
#[macro_export]
macro_rules! work_queue_contract {
    ($scene:expr) => {
        $crate::work_queue_contract! { @stamp ($scene)
            queues_come_in_their_order_page_by_page
            what_is_taken_is_told_to_others_and_prolonged_for_its_own
            a_taking_ends_with_its_time_or_with_the_version
            letting_go_frees_ones_own_and_nobody_elses
            takings_are_in_the_audit_log_when_they_change_something
            of_many_who_take_at_once_one_has_it
        }
    };
    (@stamp ($scene:expr) $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let (harness, queue) = $scene;
                $crate::work_queue::$case(&harness, queue).await;
            }
        )+
    };
}
