//! A record held against the ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{
    Rule, Violation,
    history::{Lack, Operation, Outcome, Place, check, unfounded},
    record::{self, Asked, Heard, Line, Saw},
};

/// How many rows show what is wrong; there may be as many as in the books.
const SHOWN_MAX: usize = 10;

/// What the ledger has, as far as a record can be held against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What each key is bound to.
    pub keys: HashMap<String, Bound>,
    /// What the steps of transfers wrote.
    pub steps: HashMap<Step, Vec<Place>>,
    /// What accounts that were said to have too little had before their first line and after each.
    pub available: HashMap<u64, Vec<i128>>,
    /// Every callback, by its `webhook-id`.
    pub callbacks: HashMap<String, Callback>,
    /// Transfers in a final state with a URL of their own that has no callback of that.
    pub untold: Vec<i64>,
}

/// What a key is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The transfers that were made with it; none of the end of a transfer.
    pub made: Vec<i64>,
    /// Whether it is a refusal.
    pub is_refusal: bool,
}

/// A step of a transfer that wrote lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step {
    /// The transfer.
    pub transfer: i64,
    /// Whether it is the one that ended a withdrawal, after the one that held its money.
    pub is_end: bool,
}

/// A callback in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The status that it tells.
    pub status: String,
    /// The state that its transfer is in; none when there is no such transfer.
    pub state: Option<String>,
    /// Whether it tells the end of its transfer, and not a state before that or a refusal.
    pub is_end: bool,
    /// Whether it is said to have arrived.
    pub is_delivered: bool,
    /// Whether it was passed over for a newer one.
    pub is_skipped: bool,
}

/// How much was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Requests, repeats not counted.
    pub requests: usize,
    /// Requests of which the record does not know what became.
    pub unknown: usize,
    /// Of those, the ones that had moved money.
    pub unknown_moved: usize,
    /// Requests that were refused for lack of money, or whose transfers were rejected for it.
    pub lacks: usize,
    /// Answers with accounts.
    pub looks: usize,
    /// Callbacks that arrived, repeats counted.
    pub heard: usize,
}

/// Holds a record against the ledger: what was answered is there, what was refused is not, a key has
/// one effect, receivers heard of what is there and of nothing else, everything can have happened one
/// after the other, and money that was said to be missing was. Nothing may be under way.
pub fn judge(record: &[Line], mut ledger: Ledger) -> (Judged, Vec<Violation>) {
    let mut found = vec![];
    let places = record::began(record);
    let began = places.map(|place| (place.account, place.line)).collect();
    number_from(&began, &mut ledger);
    let (asked, contradictions) = requests(record);
    shown(&mut found, Rule::KeyIsOnce, contradictions);
    contradicted(&asked, &ledger, &mut found);
    let unknown = asked
        .iter()
        .filter(|asked| asked.outcome == Outcome::Unknown);
    let mut judged = Judged {
        requests: asked.len(),
        unknown: unknown.count(),
        lacks: asked.iter().filter(|asked| asked.lacks.is_some()).count(),
        ..Judged::default()
    };
    let mut history: Vec<Operation> = vec![];
    let mut keys: Vec<&str> = vec![];
    for asked in &asked {
        let operations = operations(asked, &mut ledger);
        let moved = operations.iter().any(|op| !op.wrote.is_empty());
        if moved && asked.outcome == Outcome::Unknown {
            judged.unknown_moved = judged.unknown_moved.saturating_add(1);
        }
        keys.extend(operations.iter().map(|_| &*asked.key));
        history.extend(operations);
    }
    let unasked: BTreeSet<i64> = ledger.steps.keys().map(|step| step.transfer).collect();
    let unasked = unasked
        .iter()
        .map(|id| format!("nobody asked for what moved transfer {id}"));
    shown(&mut found, Rule::RefusedIsNot, unasked.collect());
    for line in record {
        if let Line::Saw(saw) = line {
            judged.looks = judged.looks.saturating_add(1);
            history.extend(look(saw, &began, &mut found));
        }
    }
    let heard = || record.iter().filter_map(heard_of);
    judged.heard = heard().count();
    told(heard(), &ledger, &mut found);
    // What nobody asked for has no place in an order.
    if ledger.steps.is_empty() {
        let wrong = check(&history).into_iter();
        let told = wrong.map(|anomaly| describe(&anomaly.to_string(), &anomaly.operations, &keys));
        let told: Vec<String> = told.collect();
        if told.is_empty() {
            let without_reason = without_reason(&asked, &history, &ledger, &began);
            shown(&mut found, Rule::RefusedForAReason, without_reason);
        }
        shown(&mut found, Rule::OneOrder, told);
    }
    (judged, found)
}

const fn heard_of(line: &Line) -> Option<&Heard> {
    match line {
        Line::Heard(heard) => Some(heard),
        Line::Began(_) | Line::Asked(_) | Line::Saw(_) => None,
    }
}

/// Forgets what was there before, and numbers the rest from there.
fn number_from(began: &HashMap<u64, u64>, ledger: &mut Ledger) {
    for wrote in ledger.steps.values_mut() {
        wrote.retain_mut(|place| {
            let before = began.get(&place.account).copied().unwrap_or_default();
            place.line = place.line.saturating_sub(before);
            place.line > 0
        });
    }
    ledger.steps.retain(|_, wrote| !wrote.is_empty());
}

/// Requests with their repeats as one, which was under way from the first one's beginning to the first
/// certain answer; and the keys that were answered in two ways.
fn requests(record: &[Line]) -> (Vec<Asked>, Vec<String>) {
    let mut requests: BTreeMap<&str, Asked> = BTreeMap::new();
    let mut contradictions = vec![];
    for line in record {
        let Line::Asked(asked) = line else {
            continue;
        };
        let Some(first) = requests.get_mut(&*asked.key) else {
            requests.insert(&asked.key, asked.clone());
            continue;
        };
        first.sent = first.sent.min(asked.sent);
        match (first.outcome, asked.outcome) {
            (_, Outcome::Unknown) => {}
            (Outcome::Unknown, Outcome::Done | Outcome::Refused) => {
                let sent = first.sent;
                *first = asked.clone();
                first.sent = sent;
            }
            (Outcome::Done, Outcome::Done) | (Outcome::Refused, Outcome::Refused) => {
                // None is no time before all others: it was settled when nobody was told.
                let answered = [first.answered, asked.answered];
                first.answered = answered.into_iter().flatten().min();
                first.moves |= asked.moves;
                if first.transfer != asked.transfer || first.ends != asked.ends {
                    contradictions.push(format!("key {} names two transfers", asked.key));
                }
            }
            (Outcome::Done, Outcome::Refused) | (Outcome::Refused, Outcome::Done) => {
                contradictions.push(format!("key {} was done and refused", asked.key));
            }
        }
    }
    (requests.into_values().collect(), contradictions)
}

/// What the ledger has of a request, which it then has no more.
fn operations(asked: &Asked, ledger: &mut Ledger) -> Vec<Operation> {
    let bound = ledger.keys.get(&asked.key);
    let bound = bound.filter(|bound| !bound.is_refusal);
    let step = |(transfer, is_end)| Step { transfer, is_end };
    let steps: Vec<Step> = match (bound, asked.ends) {
        (None, _) => vec![],
        (Some(_), Some(ended)) => vec![step((ended, true))],
        (Some(bound), None) => bound.made.iter().map(|made| step((*made, false))).collect(),
    };
    let steps = steps.iter();
    let mut wrote: Vec<Vec<Place>> = steps.filter_map(|step| ledger.steps.remove(step)).collect();
    if !asked.one_by_one || wrote.is_empty() {
        wrote = vec![wrote.into_iter().flatten().collect()];
    }
    let operation = |wrote| Operation {
        sent: asked.sent,
        answered: asked.answered,
        outcome: asked.outcome,
        moves: asked.moves,
        wrote,
        saw: vec![],
    };
    wrote.into_iter().map(operation).collect()
}

/// What the ledger has otherwise than clients were told.
fn contradicted(asked: &[Asked], ledger: &Ledger, found: &mut Vec<Violation>) {
    let answered = asked.iter().filter_map(|one| {
        let otherwise = answered_otherwise(one, ledger.keys.get(&one.key));
        otherwise.or_else(|| moved_otherwise(one, ledger))
    });
    shown(found, Rule::AnsweredIsThere, answered.collect());
    let refused = asked
        .iter()
        .filter_map(|one| refused_otherwise(one, ledger.keys.get(&one.key)));
    shown(found, Rule::RefusedIsNot, refused.collect());
}

/// What moved though its client was told that it did not. Of a withdrawal that has ended it may be said
/// so, for its hold is given back; its end, and the items of a bulk that nobody waits for, move when
/// nobody is told.
fn moved_otherwise(asked: &Asked, ledger: &Ledger) -> Option<String> {
    let is_told = asked.outcome == Outcome::Done && asked.answered.is_some() && !asked.moves;
    if !is_told || asked.ends.is_some() || asked.one_by_one {
        return None;
    }
    let bound = ledger.keys.get(&asked.key)?;
    let wrote = |transfer, is_end| ledger.steps.contains_key(&Step { transfer, is_end });
    let made = bound.made.iter().copied();
    let moved: Vec<i64> = made
        .filter(|made| wrote(*made, false) && !wrote(*made, true))
        .collect();
    let key = &asked.key;
    (!moved.is_empty()).then(|| format!("key {key} was said to move nothing, and moved {moved:?}"))
}

/// In what the ledger has something done that was refused. The key of a refusal may be bound to it, and
/// that of a bulk to the refusals of all its items.
fn refused_otherwise(asked: &Asked, bound: Option<&Bound>) -> Option<String> {
    let bound = bound.filter(|bound| asked.outcome == Outcome::Refused && !bound.is_refusal)?;
    let (key, made) = (&asked.key, &bound.made);
    match asked.ends {
        Some(ended) => Some(format!(
            "key {key} was refused, and is of the end of transfer {ended}"
        )),
        None => (!made.is_empty()).then(|| format!("key {key} was refused, and made {made:?}")),
    }
}

/// In what the ledger has another answer than the one that was given.
fn answered_otherwise(asked: &Asked, bound: Option<&Bound>) -> Option<String> {
    let key = &asked.key;
    match (asked.outcome, bound) {
        (Outcome::Done, None) => Some(format!("key {key} was answered and is not there")),
        (Outcome::Done, Some(bound)) if bound.is_refusal => {
            Some(format!("key {key} was done, and is refused"))
        }
        (Outcome::Done, Some(Bound { made, .. })) => {
            let named = asked.transfer.filter(|_| asked.ends.is_none())?;
            let is_it = made.contains(&named);
            (!is_it).then(|| format!("key {key} made {made:?}, and {named} was answered"))
        }
        (Outcome::Refused | Outcome::Unknown, _) => None,
    }
}

/// The requests that were refused for lack of money that was there all the while.
fn without_reason(
    asked: &[Asked],
    history: &[Operation],
    ledger: &Ledger,
    began: &HashMap<u64, u64>,
) -> Vec<String> {
    let refused = asked.iter().filter_map(|asked| {
        let missing = asked.lacks.as_ref()?;
        let lack = Lack {
            sent: asked.sent,
            answered: asked.answered?,
            account: missing.account,
            units: missing.units,
        };
        Some((&asked.key, lack))
    });
    let (keys, lacks): (Vec<&String>, Vec<Lack>) = refused.unzip();
    let since = |account| {
        let before = began.get(&account).copied().unwrap_or_default();
        let before = usize::try_from(before).ok()?;
        ledger.available.get(&account)?.get(before..)
    };
    let found = unfounded(&lacks, history, since).into_iter();
    let described = found.filter_map(|unfounded| {
        let (key, lack) = (keys.get(unfounded.lack)?, lacks.get(unfounded.lack)?);
        let Lack { account, units, .. } = lack;
        Some(format!(
            "key {key}: {units} of account {account} were said to be missing, and {unfounded}"
        ))
    });
    described.collect()
}

/// What somebody saw, numbered from the beginning of the record.
fn look(saw: &Saw, began: &HashMap<u64, u64>, found: &mut Vec<Violation>) -> Option<Operation> {
    let mut lines = vec![];
    for place in &saw.lines {
        let before = began.get(&place.account).copied().unwrap_or_default();
        let Some(line) = place.line.checked_sub(before) else {
            let lost = format!(
                "account {} had {before} lines, and later {}",
                place.account, place.line
            );
            shown(found, Rule::OneOrder, vec![lost]);
            return None;
        };
        lines.push(Place { line, ..*place });
    }
    Some(Operation {
        sent: saw.sent,
        answered: Some(saw.answered),
        outcome: Outcome::Done,
        moves: false,
        wrote: vec![],
        saw: lines,
    })
}

/// Receivers heard what the ledger says that they did, and nothing else. Without anything heard nobody
/// listened, and there is only the ledger to go by.
fn told<'h>(heard: impl Iterator<Item = &'h Heard>, ledger: &Ledger, found: &mut Vec<Violation>) {
    let untold = ledger.untold.iter();
    let mut wrong: Vec<String> = untold
        .map(|id| format!("transfer {id} is final, and has no callback of that"))
        .collect();
    let callbacks = ledger.callbacks.iter();
    let mut untrue: Vec<String> = callbacks
        .filter_map(|(id, callback)| untrue_of(id, callback))
        .collect();
    untrue.sort_unstable();
    wrong.extend(untrue);
    let mut arrived = HashSet::new();
    for heard in heard {
        arrived.insert(&*heard.id);
        match ledger.callbacks.get(&heard.id) {
            None => wrong.push(format!("callback {} arrived and is not there", heard.id)),
            Some(callback) if !callback.status.eq_ignore_ascii_case(&heard.status) => {
                let Heard { id, status } = heard;
                let told = &callback.status;
                wrong.push(format!("callback {id} told {status}, and is of {told}"));
            }
            Some(_) => {}
        }
    }
    if !arrived.is_empty() {
        let delivered = ledger.callbacks.iter().filter(|(_, one)| one.is_delivered);
        let missing = delivered.filter(|(id, _)| !arrived.contains(&***id));
        wrong.extend(missing.map(|(id, _)| format!("callback {id} arrived nowhere")));
    }
    shown(found, Rule::ReceiversAreTold, wrong);
}

/// In what a callback is not of its transfer. Whatever tells the end of one is true, and is the newest
/// that there is.
fn untrue_of(id: &str, callback: &Callback) -> Option<String> {
    let Callback { status, state, .. } = callback;
    match state {
        None => Some(format!("callback {id} is of no transfer")),
        Some(state) if callback.is_end && state != status => Some(format!(
            "callback {id} tells {status}, and its transfer is {state}"
        )),
        Some(_) if callback.is_end && callback.is_skipped => {
            Some(format!("callback {id} tells {status}, and was passed over"))
        }
        Some(_) => None,
    }
}

/// An anomaly with the keys of its requests.
fn describe(anomaly: &str, operations: &[usize], keys: &[&str]) -> String {
    let keys = operations.iter().filter_map(|number| keys.get(*number));
    let keys: Vec<&str> = keys.copied().collect();
    if keys.is_empty() {
        anomaly.to_owned()
    } else {
        format!("{anomaly} (keys {})", keys.join(", "))
    }
}

/// Adds what is wrong, as far as anybody wants to read it.
fn shown(found: &mut Vec<Violation>, rule: Rule, wrong: Vec<String>) {
    let more = wrong.len().saturating_sub(SHOWN_MAX);
    let rows = wrong.into_iter().take(SHOWN_MAX);
    found.extend(rows.map(|shown_by| Violation { rule, shown_by }));
    if more > 0 {
        let shown_by = format!("and {more} more");
        found.push(Violation { rule, shown_by });
    }
}

#[cfg(test)]
mod tests;
