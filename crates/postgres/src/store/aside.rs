//! Open transfers that cannot be taken up.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bursar_domain::Transfer;

use crate::{row::SealedRow, seal::SealKeys};

/// For how long one is left alone before it is looked at, and told of, again.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// How many are remembered.
const REMEMBERED_MAX: usize = 100_000;

/// The open transfers that nobody can read, that are not as Bursar wrote them, or that cannot be
/// committed. They must not keep the others from their end: the oldest come first in every list, which
/// has a limit.
#[derive(Clone, Default)]
pub(crate) struct Aside(Arc<Mutex<Left>>);

#[derive(Default)]
struct Left {
    until: Option<Instant>,
    ids: BTreeSet<i64>,
}

impl Aside {
    /// What is not to be looked at now.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.until.is_some_and(|until| until <= Instant::now()) {
            *left = Left::default();
        }
        left.ids.iter().copied().collect()
    }

    /// Those that are proven.
    pub(crate) fn sort_out(&self, rows: Vec<SealedRow>, seals: &SealKeys) -> Vec<Transfer> {
        let mut transfers = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id();
            match row.prove(seals) {
                Ok(transfer) => transfers.push(transfer),
                Err(error) => {
                    tracing::error!(%error, "an open transfer cannot be taken up");
                    self.leave(id);
                }
            }
        }
        transfers
    }

    pub(crate) fn leave(&self, id: i64) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.ids.len() < REMEMBERED_MAX {
            left.until
                .get_or_insert_with(|| Instant::now() + LEFT_ALONE);
            left.ids.insert(id);
        }
    }
}
