//! What a page is told, as the lines of a stream.

use std::{collections::BTreeMap, fmt::Write};

use bursar_app::{FeedEvent, Taken};
use bursar_domain::TransferId;

/// How many rows a page may ask about.
const ROWS_MAX: usize = 100;

/// The transfers that a page asks about.
pub(super) fn rows(text: &str) -> Vec<TransferId> {
    let ids = text
        .split(',')
        .filter_map(|id| TransferId::try_new(id.parse().ok()?).ok());
    ids.take(ROWS_MAX).collect()
}

/// Until when and who: one line, whatever the name is.
pub(super) fn who(taken: &Taken) -> String {
    let name: String = taken
        .by
        .as_str()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    format!("{} {name}", taken.until.to_seconds_text())
}

/// What a page is told: a transfer with who has it and until when, or alone when nobody has it any more.
pub(super) fn changes(
    known: &BTreeMap<TransferId, String>,
    now: &BTreeMap<TransferId, String>,
) -> String {
    let mut text = String::new();
    let told = now.iter().filter(|(id, who)| known.get(id) != Some(who));
    let ended = known.keys().filter(|id| !now.contains_key(id));
    // Writing to a string cannot fail.
    for (id, who) in told {
        let _written = write!(text, "event: taken\ndata: {id} {who}\n\n");
    }
    for id in ended {
        let _written = write!(text, "event: taken\ndata: {id}\n\n");
    }
    text
}

/// Each event as one line: what happened, and the number of the transfer it is about. Both are made of
/// letters, digits and dots.
pub(super) fn told(events: &[FeedEvent]) -> String {
    let mut text = String::new();
    for event in events {
        let about = event
            .about
            .as_ref()
            .map_or(0, |told| told.transfer.id().get());
        // Writing to a string cannot fail.
        let _written = write!(
            text,
            "id: {}\ndata: {} {about}\n\n",
            event.number, event.event_type
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_who_took_what_and_what_is_free_again() {
        let id = |id| TransferId::try_new(id).unwrap();
        let [olga, otto] = ["10:55 olga", "10:56 otto"].map(str::to_owned);
        let known = BTreeMap::from([(id(1), olga.clone()), (id(2), olga.clone())]);
        let now = BTreeMap::from([(id(2), olga), (id(3), otto)]);
        let told = "event: taken\ndata: 3 10:56 otto\n\nevent: taken\ndata: 1\n\n";
        assert_eq!(changes(&known, &now), told);
        assert_eq!(changes(&now, &now), "");
        assert_eq!(rows("1,x,0,2"), [id(1), id(2)]);
    }
}
