//! What is told row by row, held against the database: the feed of events, the exports, and what was
//! moved on every user's accounts.

use std::collections::HashMap;

use bursar_audit::Rule;
use serde_json::{Value, json};

use super::{
    super::{books::Books, client::Client, eventually, exchange::Exchange},
    lists::{There, assert_once, cursored, id_of, page_size, row_of},
    require,
};

const EVENTS_MAX: usize = 1_000;
const LINES_MAX: usize = 200;
/// Where each line of the ledger stands: what its account is called, and the asset, both numbers.
const LINES: &str = "
    SELECT CASE a.owner_kind WHEN 'user' THEN a.owner::text ELSE a.owner_kind END,
        a.asset, e.seq, e.transfer_id
    FROM book_main.entries e JOIN book_main.accounts a ON a.id = e.account_id";
/// What has no number yet is told in some milliseconds.
const UNTOLD: &str = "SELECT count(*) FROM book_main.journal_queue";

/// The feed tells what every transfer came to, once and in order; exports have every transfer and every
/// line of the ledger once, and statements every line of their user's.
pub(super) async fn assert_told(
    client: &Client,
    exchange: &Exchange,
    books: &Books,
    there: &[There],
) {
    let reader = client.with(&exchange.backoffice);
    eventually("events get their numbers", async || {
        (books.number(UNTOLD).await == 0).then_some(())
    })
    .await;
    assert_steps(&fed(&reader).await, there);

    let exported = exported(&reader, "transfers", "transfer").await;
    let all = there.iter().map(There::row).collect();
    assert_once(
        "the export of transfers",
        exported.iter().map(row_of).collect(),
        all,
    );
    let lines: Vec<String> = books
        .rows(LINES)
        .await
        .iter()
        .map(|row| row.join(" "))
        .collect();
    let exported = self::exported(&reader, "entries", "entry").await;
    let exported = exported.iter().map(|row| {
        let owner = row["user_id"].as_str().or(row["owner"].as_str());
        place_of(owner.unwrap(), row)
    });
    assert_once(
        "the export of the ledger",
        exported.collect(),
        lines.clone(),
    );
    for user in &exchange.traders {
        let theirs = lines.iter().filter(|line| line.starts_with(&user.id));
        let theirs: Vec<String> = theirs.cloned().collect();
        let size = page_size(theirs.len(), LINES_MAX);
        let path = format!("/admin/v1/users/{}/statement?limit={size}", user.id);
        let stated = cursored(&reader, &path, theirs.len()).await;
        let stated = stated.iter().map(|row| place_of(&user.id, row)).collect();
        assert_once(&format!("the statement of {}", user.id), stated, theirs);
    }
}

/// The feed, from its beginning.
async fn fed(reader: &Client) -> Vec<Value> {
    let mut events: Vec<Value> = vec![];
    let mut after = json!(0);
    loop {
        let path = format!("/admin/v1/events?after={after}&limit={EVENTS_MAX}");
        let page = reader.get(&path).await.ok().json();
        let data = page["data"].as_array().unwrap();
        if data.is_empty() {
            return events;
        }
        events.extend_from_slice(data);
        after = page["next_after"].clone();
    }
}

/// Events have every number, and take every transfer from one state to the next, to where it is.
fn assert_steps(events: &[Value], there: &[There]) {
    let numbers = events.iter().map(|event| event["number"].as_i64().unwrap());
    for (number, wanted) in numbers.zip(1..) {
        require(number == wanted, Rule::ListsAgree, || {
            format!("the feed: {number} where {wanted} should be")
        });
    }
    let mut told: HashMap<i64, Step> = HashMap::new();
    for event in events {
        let Some(step) = Step::told_by(event) else {
            continue;
        };
        let before = told.insert(id_of(&event["transfer"]), step);
        let is_next = before.is_none_or(|before| before.rank < step.rank);
        require(is_next, Rule::ListsAgree, || {
            format!("the feed: {event} after {before:?}")
        });
    }
    for one in there {
        let told = told.remove(&one.id).map(|step| step.state);
        let state = match one.state.as_str() {
            "Pending" | "AwaitingConfirmation" => OPEN,
            state => state,
        };
        require(told == Some(state), Rule::ListsAgree, || {
            format!("the feed: {} is {state}, and told is {told:?}", one.id)
        });
    }
    require(told.is_empty(), Rule::ListsAgree, || {
        format!("the feed: nobody has {told:?}")
    });
}

/// What the feed says of a transfer that has not ended.
const OPEN: &str = "open";

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// What comes later has more.
    rank: u8,
    state: &'static str,
}

impl Step {
    /// None where the state stays as it was.
    fn told_by(event: &Value) -> Option<Self> {
        let (_, what) = event["type"].as_str()?.split_once('.')?;
        let (rank, state) = match what {
            "created" => (0, OPEN),
            "confirmed" => (1, OPEN),
            "completed" => (2, "Completed"),
            "succeeded" => (2, "Success"),
            "failed" => (2, "Failed"),
            "canceled" => (2, "Canceled"),
            "rejected" => (2, "Rejected"),
            "expiring" | "reversed" => return None,
            _ => panic!("nothing is known of {event}"),
        };
        Some(Self { rank, state })
    }
}

/// Where a line of the ledger stands, as [`LINES`] has it.
fn place_of(owner: &str, row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let number = |name: &str| row[name].as_i64().unwrap();
    format!(
        "{owner} {} {} {}",
        text("asset"),
        number("seq"),
        number("transfer_id")
    )
}

/// The rows of an export that has come to its end.
async fn exported(reader: &Client, of: &str, record: &str) -> Vec<Value> {
    let answer = reader.get(&format!("/admin/v1/{of}.jsonl")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let lines = answer.text.lines();
    let mut rows: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = rows.last().map(|row| &row["record"]);
    assert_eq!(last, Some(&json!("end")), "it was cut off");
    rows.retain(|row| row["record"] == record);
    rows
}

#[test]
fn a_feed_with_a_gap_or_with_a_step_too_much_or_too_few_is_named() {
    let there = [There::deposit(7, "Completed")];
    let event = |number: i64, what: &str, id: i64| json!({"number": number, "type": format!("deposit.{what}"), "transfer": {"id": id}});
    let said = |events: &[Value]| {
        let judged = std::panic::catch_unwind(|| assert_steps(events, &there));
        judged.map_err(|said| said.downcast_ref::<String>().unwrap().clone())
    };
    let whole = [event(1, "created", 7), event(2, "completed", 7)];
    assert_eq!(said(&whole), Ok(()));
    assert_eq!(said(&[event(1, "completed", 7)]), Ok(()));
    for (events, what) in [
        (
            vec![event(1, "created", 7), event(3, "completed", 7)],
            "3 where 2 should be",
        ),
        (vec![event(2, "completed", 7)], "2 where 1 should be"),
        (
            vec![event(1, "completed", 7), event(2, "created", 7)],
            "after Some(Step",
        ),
        (
            vec![event(1, "completed", 7), event(2, "completed", 7)],
            "after Some(Step",
        ),
        (
            vec![event(1, "completed", 7), event(2, "failed", 7)],
            "after Some(Step",
        ),
        (
            vec![event(1, "created", 7)],
            "7 is Completed, and told is Some(\"open\")",
        ),
        (
            vec![event(1, "failed", 7)],
            "7 is Completed, and told is Some(\"Failed\")",
        ),
        (vec![], "7 is Completed, and told is None"),
        (
            [&whole[..], &[event(3, "created", 8)]].concat(),
            "nobody has {8:",
        ),
    ] {
        let said = said(&events).expect_err("nobody has found out what is wrong");
        assert!(said.starts_with("violated A14"), "{said}");
        assert!(said.contains(what), "{said}");
    }
}
