//! Which texts are taken: those that PostgreSQL takes.

use bursar_domain::Change;
use bursar_ports::StoreError;

pub(super) fn check_texts<'a>(
    mut changes: impl Iterator<Item = &'a Change>,
) -> Result<(), StoreError> {
    if changes.any(holds_nul) {
        return Err(StoreError::Unavailable("a text has a NUL character".into()));
    }
    Ok(())
}

fn holds_nul(change: &Change) -> bool {
    let parts = change.next.parts();
    let urls = change.callbacks.iter().map(|draft| &draft.url);
    parts
        .note
        .iter()
        .chain(&parts.callback_url)
        .chain(urls)
        .any(|text| text.contains('\0'))
}
