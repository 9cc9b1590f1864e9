//! What a batch changed, as the columns of its row in the journal.

use bursar_domain::{Timestamp, Transfer};
use uuid::Uuid;

use crate::{events::REVERSED, ids::time_ordered_id, statement::InsertJournal, value::At};

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
        let at = transfer.parts().updated_at;
        self.push_step(transfer, transfer.status().as_str(), at);
    }

    /// A transfer of which some was taken back at this time.
    pub(super) fn push_reversed(&mut self, transfer: &Transfer, at: Timestamp) {
        self.push_step(transfer, REVERSED, at);
    }

    fn push_step(&mut self, transfer: &Transfer, state: &'static str, at: Timestamp) {
        let parts = transfer.parts();
        if self.ids.is_empty() {
            self.ids.push(time_ordered_id(at));
        }
        self.transfers.push(parts.id.get());
        self.versions.push(parts.version.get());
        self.states.push(state);
        self.ats.push(At(at));
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
