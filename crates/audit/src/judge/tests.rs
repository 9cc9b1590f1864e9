//! A record that fits its ledger is believed, and each way in which it does not is named.

use super::*;
use crate::record::Missing;

/// A payment of transfer 7 from account 1 to account 2, asked for with key a, told and heard of; and
/// somebody who looked before it and somebody who did after it.
fn record() -> Vec<Line> {
    let lines = r#"
        {"what": "began", "lines": [{"account": 1, "line": 4}]}
        {"what": "asked", "sent": 10, "key": "a", "outcome": "unknown"}
        {"what": "asked", "sent": 20, "answered": 30, "key": "a", "outcome": "done", "moves": true,
         "transfer": 7}
        {"what": "asked", "sent": 12, "answered": 13, "key": "b", "outcome": "refused"}
        {"what": "saw", "sent": 1, "answered": 9, "lines": [{"account": 1, "line": 4}]}
        {"what": "saw", "sent": 31, "answered": 32, "lines":
            [{"account": 1, "line": 5}, {"account": 2, "line": 1}]}
        {"what": "asked", "sent": 14, "answered": 15, "key": "d", "outcome": "refused",
         "lacks": {"account": 2, "units": "170141183460469231731687303715884105727"}}
        {"what": "heard", "id": "c", "status": "success"}"#;
    let lines = serde_json::Deserializer::from_str(lines).into_iter();
    lines.map(Result::unwrap).collect()
}

fn place(account: u64, line: u64) -> Place {
    Place { account, line }
}

fn ledger() -> Ledger {
    let step = Step {
        transfer: 7,
        is_end: false,
    };
    let before = Step {
        transfer: 6,
        is_end: false,
    };
    let bound = |made: &[i64], is_refusal| Bound {
        made: made.to_vec(),
        is_refusal,
    };
    let callback = Callback {
        status: "Success".to_owned(),
        state: Some("Success".to_owned()),
        is_end: true,
        is_delivered: true,
        is_skipped: false,
    };
    Ledger {
        keys: HashMap::from([
            ("a".to_owned(), bound(&[7], false)),
            ("b".to_owned(), bound(&[], true)),
            ("d".to_owned(), bound(&[], true)),
        ]),
        steps: HashMap::from([
            (step, vec![place(1, 5), place(2, 1)]),
            (before, vec![place(1, 4)]),
        ]),
        available: HashMap::from([(2, vec![0, 300])]),
        callbacks: HashMap::from([("c".to_owned(), callback)]),
        untold: vec![],
    }
}

/// The rules that do not hold after something was changed, with what shows it.
fn found(change: impl FnOnce(&mut Vec<Line>, &mut Ledger)) -> Vec<(Rule, String)> {
    let (mut record, mut ledger) = (record(), ledger());
    change(&mut record, &mut ledger);
    let (_, violations) = judge(&record, ledger);
    violations
        .into_iter()
        .map(|violation| (violation.rule, violation.shown_by))
        .collect()
}

#[track_caller]
fn assert_found(rule: Rule, shown_by: &str, change: impl FnOnce(&mut Vec<Line>, &mut Ledger)) {
    assert_eq!(found(change), [(rule, shown_by.to_owned())]);
}

#[test]
fn a_record_that_fits_its_ledger_is_believed() {
    let (judged, violations) = judge(&record(), ledger());
    assert_eq!(violations, []);
    let expected = Judged {
        requests: 3,
        lacks: 1,
        looks: 2,
        heard: 1,
        ..Judged::default()
    };
    assert_eq!(judged, expected);
}

#[test]
fn lines_are_written_as_they_are_read() {
    for line in record() {
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
    let unknown = r#"{"what": "heard", "id": "c", "status": "success", "more": 1}"#;
    let error = serde_json::from_str::<Line>(unknown).unwrap_err();
    assert!(error.to_string().contains("more"), "{error}");
    let broken = r#"{"what": "asked", "sent": 1, "key": "d", "outcome": "refused",
        "lacks": {"account": 2, "units": "1.5"}}"#;
    let error = serde_json::from_str::<Line>(broken).unwrap_err();
    assert!(error.to_string().contains("`1.5` is no whole"), "{error}");
}

#[test]
fn what_is_not_known_is_looked_up() {
    let (mut record, ledger) = (record(), ledger());
    record.remove(2);
    let (judged, violations) = judge(&record, ledger);
    assert_eq!(violations, []);
    assert_eq!((judged.unknown, judged.unknown_moved), (1, 1));
}

#[test]
fn an_answer_that_is_lost_is_named() {
    let shown = "key b was answered and is not there";
    assert_found(Rule::AnsweredIsThere, shown, |record, ledger| {
        ledger.keys.remove("b");
        record[3] = Line::Asked(Asked {
            sent: 12,
            answered: None,
            key: "b".to_owned(),
            ends: None,
            outcome: Outcome::Done,
            moves: false,
            transfer: None,
            one_by_one: false,
            lacks: None,
        });
    });
    let shown = "key a made [7], and 8 was answered";
    assert_found(Rule::AnsweredIsThere, shown, |record, _| {
        let Line::Asked(asked) = &mut record[2] else {
            panic!("{record:?}");
        };
        asked.transfer = Some(8);
    });
}

#[test]
fn what_was_refused_and_is_there_is_named() {
    let shown = "nobody asked for what moved transfer 8";
    assert_found(Rule::RefusedIsNot, shown, |_, ledger| {
        let step = Step {
            transfer: 8,
            is_end: false,
        };
        ledger.steps.insert(step, vec![place(1, 6)]);
    });
    let refused = found(|_, ledger| {
        let a = ledger.keys.get_mut("a").unwrap();
        a.made = vec![];
        let b = ledger.keys.get_mut("b").unwrap();
        (b.made, b.is_refusal) = (vec![7], false);
    });
    let rules: Vec<Rule> = refused.iter().map(|(rule, _)| *rule).collect();
    assert!(rules.contains(&Rule::OneOrder), "{refused:?}");
}

#[test]
fn what_was_refused_and_is_bound_to_a_transfer_is_named() {
    // It left no lines, as one that was rejected.
    let shown = "key b was refused, and made [8]";
    assert_found(Rule::RefusedIsNot, shown, |_, ledger| {
        let b = ledger.keys.get_mut("b").unwrap();
        (b.made, b.is_refusal) = (vec![8], false);
    });
    let shown = "key b was refused, and is of the end of transfer 8";
    assert_found(Rule::RefusedIsNot, shown, |record, ledger| {
        let Line::Asked(asked) = &mut record[3] else {
            panic!("{record:?}");
        };
        asked.ends = Some(8);
        ledger.keys.get_mut("b").unwrap().is_refusal = false;
    });
    // All items of a bulk were refused.
    let bulk = found(|_, ledger| ledger.keys.get_mut("b").unwrap().is_refusal = false);
    assert_eq!(bulk, []);
}

#[test]
fn what_was_said_to_move_nothing_and_did_is_named() {
    let shown = "key a was said to move nothing, and moved [7]";
    let rejected = |record: &mut Vec<Line>| {
        let Line::Asked(asked) = &mut record[2] else {
            panic!("{record:?}");
        };
        asked.moves = false;
    };
    assert_found(Rule::AnsweredIsThere, shown, |record, _| rejected(record));
    // Nobody knew yet what would come of it.
    let pending = found(|record, _| {
        rejected(record);
        let Line::Asked(asked) = &mut record[2] else {
            panic!("{record:?}");
        };
        asked.answered = None;
    });
    assert_eq!(pending, []);
    // A withdrawal whose hold has been given back.
    let canceled = found(|record, ledger| {
        rejected(record);
        record.push(Line::Asked(Asked {
            sent: 33,
            answered: None,
            key: "cancel".to_owned(),
            ends: Some(7),
            outcome: Outcome::Unknown,
            moves: false,
            transfer: None,
            one_by_one: false,
            lacks: None,
        }));
        let bound = Bound::default();
        ledger.keys.insert("cancel".to_owned(), bound);
        let end = Step {
            transfer: 7,
            is_end: true,
        };
        ledger.steps.insert(end, vec![place(1, 6)]);
    });
    assert_eq!(canceled, []);
}

#[test]
fn a_key_with_two_answers_is_named() {
    let shown = "key a was done and refused";
    assert_found(Rule::KeyIsOnce, shown, |record, _| {
        let mut again = record[3].clone();
        if let Line::Asked(asked) = &mut again {
            "a".clone_into(&mut asked.key);
        }
        record.push(again);
    });
}

#[test]
fn receivers_that_hear_something_else_are_named() {
    let shown = "callback d arrived and is not there";
    assert_found(Rule::ReceiversAreTold, shown, |record, _| {
        record.push(Line::Heard(Heard {
            id: "d".to_owned(),
            status: "success".to_owned(),
        }));
    });
    let shown = "callback c told success, and is of Rejected";
    assert_found(Rule::ReceiversAreTold, shown, |_, ledger| {
        let callback = ledger.callbacks.get_mut("c").unwrap();
        "Rejected".clone_into(&mut callback.status);
        callback.state = Some("Rejected".to_owned());
    });
    let shown = "callback e arrived nowhere";
    assert_found(Rule::ReceiversAreTold, shown, |_, ledger| {
        let callback = ledger.callbacks["c"].clone();
        ledger.callbacks.insert("e".to_owned(), callback);
    });
    let shown = "transfer 7 is final, and has no callback of that";
    assert_found(Rule::ReceiversAreTold, shown, |_, ledger| {
        ledger.untold.push(7);
    });
}

/// What is wrong once the one callback, of which nobody heard anything, is otherwise.
fn untrue(change: impl FnOnce(&mut Callback)) -> Vec<(Rule, String)> {
    found(|record, ledger| {
        record.retain(|line| !matches!(line, Line::Heard(_)));
        change(ledger.callbacks.get_mut("c").unwrap());
    })
}

#[test]
fn callbacks_that_are_not_of_their_transfers_are_named() {
    let named = |shown: &str| vec![(Rule::ReceiversAreTold, shown.to_owned())];
    let told_otherwise = |callback: &mut Callback| "Rejected".clone_into(&mut callback.status);
    assert_eq!(
        untrue(told_otherwise),
        named("callback c tells Rejected, and its transfer is Success")
    );
    assert_eq!(
        untrue(|callback| callback.is_skipped = true),
        named("callback c tells Success, and was passed over")
    );
    assert_eq!(
        untrue(|callback| callback.state = None),
        named("callback c is of no transfer")
    );
    // A refusal, or a state before the end, is neither the transfer's nor the newest.
    let early = |callback: &mut Callback| {
        told_otherwise(callback);
        (callback.is_end, callback.is_skipped) = (false, true);
    };
    assert_eq!(untrue(early), []);
}

#[test]
fn looks_that_cannot_be_are_named() {
    let shown = "account 1 had 4 lines, and later 3";
    assert_found(Rule::OneOrder, shown, |record, _| {
        let lines = vec![place(1, 3)];
        record.push(Line::Saw(Saw {
            sent: 40,
            answered: 41,
            lines,
        }));
    });
    let stale = found(|record, _| {
        let lines = vec![place(1, 4)];
        record.push(Line::Saw(Saw {
            sent: 40,
            answered: 41,
            lines,
        }));
    });
    let [(Rule::OneOrder, shown)] = &stale[..] else {
        panic!("{stale:?}");
    };
    assert!(shown.contains("(keys a)"), "{shown}");
}

/// Whoever was told first that it is pending was told at 30 that it is done.
#[test]
fn an_answer_without_a_time_takes_no_time_from_another() {
    let stale = found(|record, _| {
        let mut pending = record[2].clone();
        if let Line::Asked(asked) = &mut pending {
            (asked.answered, asked.moves) = (None, false);
        }
        record.insert(2, pending);
        // Nobody else has seen it.
        record.retain(|line| !matches!(line, Line::Saw(_)));
        let lines = vec![place(1, 4)];
        record.push(Line::Saw(Saw {
            sent: 40,
            answered: 41,
            lines,
        }));
    });
    let [(Rule::OneOrder, shown)] = &stale[..] else {
        panic!("{stale:?}");
    };
    assert!(shown.contains("stale read"), "{shown}");
}

/// Key b was refused for lack of so much on account 1, which has 500 before key a's payment and 200
/// after it; what is wrong with that.
fn refused_for_lack(sent: u64, answered: u64, units: i128) -> Vec<(Rule, String)> {
    found(|record, ledger| {
        let Line::Asked(asked) = &mut record[3] else {
            panic!("{record:?}");
        };
        (asked.sent, asked.answered) = (sent, Some(answered));
        asked.lacks = Some(Missing { account: 1, units });
        ledger
            .available
            .insert(1, vec![0, 1_000, 900, 800, 500, 200]);
    })
}

#[test]
fn a_refusal_without_a_reason_is_named() {
    // Before the payment, after it, and while it was under way.
    for (sent, answered, had) in [(1, 9, 500), (31, 40, 200), (5, 40, 200)] {
        assert_eq!(refused_for_lack(sent, answered, had + 1), []);
        let shown = format!(
            "key b: {had} of account 1 were said to be missing, and the account had at least {had} \
             all the while"
        );
        let expected = [(Rule::RefusedForAReason, shown)];
        assert_eq!(refused_for_lack(sent, answered, had), expected);
    }
}

#[test]
fn a_refusal_by_an_account_that_nobody_knows_is_named() {
    let shown = "key b: 5 of account 9 were said to be missing, and the account never was as it must \
                 have been";
    assert_found(Rule::RefusedForAReason, shown, |record, _| {
        let Line::Asked(asked) = &mut record[3] else {
            panic!("{record:?}");
        };
        asked.lacks = Some(Missing {
            account: 9,
            units: 5,
        });
    });
}

#[test]
fn the_end_of_a_transfer_is_its_own_request_s() {
    let ends = |key: &str, outcome, moves| {
        Line::Asked(Asked {
            sent: 50,
            answered: (outcome != Outcome::Unknown).then_some(60),
            key: key.to_owned(),
            ends: Some(7),
            outcome,
            moves,
            transfer: Some(7),
            one_by_one: false,
            lacks: None,
        })
    };
    let end = Step {
        transfer: 7,
        is_end: true,
    };
    let wrong = found(|record, ledger| {
        record.push(ends("refused", Outcome::Refused, false));
        record.push(ends("lost", Outcome::Unknown, false));
        record.push(ends("done", Outcome::Done, true));
        let bound = |is_refusal| Bound {
            made: vec![],
            is_refusal,
        };
        ledger.keys.insert("refused".to_owned(), bound(true));
        ledger.keys.insert("done".to_owned(), bound(false));
        ledger.steps.insert(end, vec![place(1, 6)]);
    });
    assert_eq!(wrong, []);
}

#[test]
fn the_items_of_a_bulk_that_nobody_waits_for_are_each_at_a_time_of_its_own() {
    // Another payment of account 1 lies between its two items.
    let bulk = |one_by_one| {
        found(|record, ledger| {
            record.push(Line::Asked(Asked {
                sent: 5,
                answered: None,
                key: "bulk".to_owned(),
                ends: None,
                outcome: Outcome::Done,
                moves: false,
                transfer: None,
                one_by_one,
                lacks: None,
            }));
            let bound = Bound {
                made: vec![8, 9],
                is_refusal: false,
            };
            ledger.keys.insert("bulk".to_owned(), bound);
            let step = |transfer| Step {
                transfer,
                is_end: false,
            };
            let paid = vec![place(1, 6), place(2, 1)];
            ledger.steps.insert(step(7), paid);
            ledger.steps.insert(step(8), vec![place(1, 5)]);
            ledger.steps.insert(step(9), vec![place(1, 7)]);
            record.retain(|line| !matches!(line, Line::Saw(_)));
        })
    };
    assert_eq!(bulk(true), []);
    let [(Rule::OneOrder, shown)] = &bulk(false)[..] else {
        panic!("items that were made together were not");
    };
    assert!(shown.contains("write cycle"), "{shown}");
}

#[test]
fn of_many_lost_answers_some_are_shown() {
    let wrong = found(|record, _| {
        for number in 0..25 {
            record.push(Line::Asked(Asked {
                sent: 1,
                answered: None,
                key: format!("lost{number:02}"),
                ends: None,
                outcome: Outcome::Done,
                moves: false,
                transfer: None,
                one_by_one: false,
                lacks: None,
            }));
        }
    });
    assert_eq!(wrong.len(), SHOWN_MAX + 1, "{wrong:?}");
    assert_eq!(wrong[SHOWN_MAX].1, "and 15 more");
}

#[test]
fn of_many_rows_some_are_shown() {
    let wrong = found(|_, ledger| ledger.untold.extend(0..25));
    assert_eq!(wrong.len(), SHOWN_MAX + 1);
    assert_eq!(wrong[SHOWN_MAX].1, "and 15 more");
}
