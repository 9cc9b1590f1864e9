//! What a batch changed, as the columns of its row in the journal.

use bursar_domain::Transfer;
use uuid::Uuid;

use super::columns::time_ordered_id;
use crate::{statement::InsertJournal, value::At};

#[derive(Default)]
pub(super) struct JournalColumns {
    /// The row's id, once there is something to tell.
    ids: Vec<Uuid>,
    transfers: Vec<i64>,
    versions: Vec<i32>,
    states: Vec<&'static str>,
    ats: Vec<At>,
}

impl JournalColumns {
    pub(super) fn push(&mut self, transfer: &Transfer) {
        let parts = transfer.parts();
        if self.ids.is_empty() {
            let millis = parts.updated_at.as_micros().div_euclid(1_000);
            self.ids.push(time_ordered_id(millis));
        }
        self.transfers.push(parts.id.get());
        self.versions.push(parts.version.get());
        self.states.push(transfer.status().as_str());
        self.ats.push(At(parts.updated_at));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn statement(&self) -> InsertJournal<'_> {
        InsertJournal {
            transfers: &self.transfers,
            versions: &self.versions,
            states: &self.states,
            ats: &self.ats,
            ids: &self.ids,
        }
    }
}
