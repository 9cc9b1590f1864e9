//! R6: every final state with a URL was told, under one id.

use std::collections::BTreeMap;

use bursar_domain::{CallbackDraft, Status, TransferId};

use crate::{bank::Bank, receivers::Heard};

pub(super) fn judge(bank: &Bank, heard: &[Heard]) {
    for transfer in bank.transfers() {
        let id = transfer.id();
        let drafts = bank.books.callbacks(id);
        let heard: Vec<&Heard> = heard.iter().filter(|one| one.transfer == id).collect();
        for draft in drafts.iter().filter(|draft| draft.status.is_final()) {
            let is_told = heard.iter().any(|one| one.settled && tells(one, draft));
            if !is_told {
                let wrong = format!("R6: {id}: nobody heard {draft:?}");
                bank.world.complain(wrong);
            }
        }
        // What the transfer itself says, whatever its callbacks are.
        if let Some(url) = &transfer.parts().callback_url {
            let heard_of = |one: &&Heard| one.url == *url && one.status == transfer.status();
            if !heard.iter().any(heard_of) {
                let status = transfer.status().as_str();
                let wrong = format!("R6: {id}: {url} never heard of {status}");
                bank.world.complain(wrong);
            }
        }
        ids_stay_the_same(bank, id, &drafts, &heard);
    }
}

/// Whether this told of that. Internal transfers have other words for errors.
fn tells(heard: &Heard, draft: &CallbackDraft) -> bool {
    heard.url == draft.url
        && heard.status == draft.status
        && (heard.error.is_none() || heard.error == draft.error)
}

/// What is told again is told under the same id.
fn ids_stay_the_same(bank: &Bank, id: TransferId, drafts: &[CallbackDraft], heard: &[&Heard]) {
    type Told<'a> = (&'a String, Status, &'a Option<String>);
    let mut ids: BTreeMap<Told<'_>, Vec<&String>> = BTreeMap::new();
    for one in heard {
        let ids = ids.entry((&one.url, one.status, &one.error)).or_default();
        ids.push(&one.webhook_id);
    }
    for ((url, status, error), mut ids) in ids {
        ids.sort_unstable();
        ids.dedup();
        let may = drafts
            .iter()
            .filter(|draft| draft.url == *url && draft.status == status)
            .filter(|draft| error.is_none() || draft.error == *error);
        if ids.len() > may.count() {
            let wrong = format!("R6: {id}: {url} heard of {status:?} under {ids:?}");
            bank.world.complain(wrong);
        }
    }
}
