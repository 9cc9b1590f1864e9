//! What a page is told, as the lines of a stream. All of it is made of numbers, but for the names of
//! operators.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use bursar_app::Taken;
use bursar_domain::TransferId;

/// What a page is told of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// A transfer on the page is not any more what the page shows.
    Changed(TransferId),
    /// A transfer has come to what the page shows.
    New(TransferId),
    /// Transfers were made that the page may show.
    Perhaps,
    /// Transfers have moved on, whichever.
    Moved,
}

/// Words, and the number of the event up to which they tell everything.
pub(super) fn words(words: &BTreeSet<Word>, last: i64) -> String {
    let mut text = String::new();
    for word in words {
        let (event, id) = match word {
            Word::Changed(id) => ("changed", id.get()),
            Word::New(id) => ("new", id.get()),
            Word::Perhaps => ("perhaps", 0),
            Word::Moved => ("moved", 0),
        };
        // Writing to a string cannot fail.
        let _written = write!(text, "event: {event}\ndata: {id}\n\n");
    }
    let _written = write!(text, "id: {last}\nevent: at\ndata: {last}\n\n");
    text
}

/// That more has happened than is told one by one; it goes on after this number.
pub(super) fn behind(last: i64) -> String {
    format!("id: {last}\nevent: behind\ndata: {last}\n\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: i64) -> TransferId {
        TransferId::try_new(id).unwrap()
    }

    #[test]
    fn a_page_is_told_who_took_what_and_what_is_free_again() {
        let [olga, otto] = ["10:55 olga", "10:56 otto"].map(str::to_owned);
        let known = BTreeMap::from([(id(1), olga.clone()), (id(2), olga.clone())]);
        let now = BTreeMap::from([(id(2), olga), (id(3), otto)]);
        let told = "event: taken\ndata: 3 10:56 otto\n\nevent: taken\ndata: 1\n\n";
        assert_eq!(changes(&known, &now), told);
        assert_eq!(changes(&now, &now), "");
    }

    #[test]
    fn a_page_is_told_everything_once_and_how_far_that_goes() {
        let said = [
            Word::Moved,
            Word::New(id(7)),
            Word::Changed(id(5)),
            Word::Moved,
        ];
        let told = "event: changed\ndata: 5\n\nevent: new\ndata: 7\n\nevent: moved\ndata: 0\n\n\
                    id: 9\nevent: at\ndata: 9\n\n";
        assert_eq!(words(&BTreeSet::from(said), 9), told);
        assert_eq!(words(&BTreeSet::new(), 9), "id: 9\nevent: at\ndata: 9\n\n");
        assert_eq!(behind(9), "id: 9\nevent: behind\ndata: 9\n\n");
    }
}
