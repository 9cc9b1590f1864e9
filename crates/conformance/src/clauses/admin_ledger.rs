//! §4, the ledger: statements, balances of the past, and exports.

use serde_json::{Value, json};

use crate::{
    answer::{Answer, MICROS, keys, shape, text},
    clause::clauses,
    scene::{CONFIRM, DEPOSIT, NOBODY, Scene, User, and, eventually, finish, open},
};

clauses! { "4.5 The ledger",
    "Decision: ledger lines with balances after": a_statement_leads_from_opening_to_closing
        = "`GET /users/{id}/statement` tells every ledger line, oldest first, with the balances after it; opening plus all deltas is closing.",
    "Decision: ledger lines with balances after": a_statement_goes_on_by_cursor
        = "The cursor of a statement goes on without a gap or a line twice, and what is written meanwhile does not come into it.",
    "Decision: `asset`, `from`, `to`": a_statement_is_bounded_by_time
        = "`from` and `to` bound the lines, inclusively; what came before is in `opening`.",
    "Decision: balances at a time": balances_are_told_as_of_a_time
        = "`GET /balances?as_of=` tells what a user had at that time, and `owner=system` the other side of it.",
    "Decision: the same filters as a stream": an_export_of_transfers_is_the_list
        = "`/transfers.jsonl` and `/transfers.csv` have the rows of the list with the same filters, then totals, then `end`.",
    "Decision: the ledger as a stream": an_export_of_entries_sums_to_zero
        = "`/entries.jsonl` has every ledger line; the totals of an asset sum to zero.",
    "Decision: cells that a spreadsheet would run are neutralised": formulas_in_csv_are_neutralised
        = "In CSV a text that begins like a formula has an apostrophe before it; JSON Lines have it as it is.",
    "Decision: out-of-range values are refused by name": wrong_filters_of_the_ledger_are_named
        = "Malformed filters are 400 under their own names, unknown users and assets 404, in statements and exports as elsewhere.",
}

/// A page of a user's statement.
async fn statement(scene: &Scene, user: &User, query: &str) -> Answer {
    let path = format!("/admin/v1/users/{}/statement?{query}", user.id);
    scene.reader().get(&path).await.ok()
}

fn list(answer: &Answer, name: &str) -> Vec<Value> {
    let list = answer.get(name);
    list.as_array().expect("a list").clone()
}

/// A whole number of an asset.
fn whole(row: &Value, name: &str) -> i64 {
    text(row, name).parse().expect("a whole number")
}

/// A user that was given 5, of whom 2 were paid out and 1 is held.
async fn moved(scene: &Scene) -> User {
    let user = scene.rich("btc", "5").await;
    let held = scene.withdrawal(&user, "btc", "2").await.id();
    scene.office().post(CONFIRM, finish(&user, held)).await.ok();
    scene.withdrawal(&user, "btc", "1").await;
    user
}

async fn a_statement_leads_from_opening_to_closing(scene: Scene) {
    let user = moved(&scene).await;
    let answer = statement(&scene, &user, "").await;
    assert_eq!(keys(&answer.text), ["data", "balances", "next_cursor"]);
    let lines = list(&answer, "data");
    let expected = [
        "asset",
        "seq",
        "transfer_id",
        "kind",
        "code",
        "available_delta",
        "held_delta",
        "available_after",
        "held_after",
        "at",
    ];
    let (mut available, mut held) = (0, 0);
    for (line, seq) in lines.iter().zip(1..) {
        let mut names: Vec<_> = line.as_object().expect("an object").keys().collect();
        names.sort();
        let mut sorted = expected;
        sorted.sort_unstable();
        assert_eq!(names, sorted);
        available += whole(line, "available_delta");
        held += whole(line, "held_delta");
        let after = (whole(line, "available_after"), whole(line, "held_after"));
        assert_eq!(
            (line["seq"].as_i64(), after),
            (Some(seq), (available, held))
        );
        assert_eq!(shape(&text(line, "at")), MICROS);
    }
    assert_eq!((available, held), (2, 1));
    let account = json!({
        "asset": "btc", "lines": lines.len(), "opening": {"available": "0", "held": "0"},
        "closing": {"available": "2", "held": "1"},
    });
    assert_eq!(list(&answer, "balances"), [account]);
}

async fn a_statement_goes_on_by_cursor(scene: Scene) {
    let user = moved(&scene).await;
    let all = list(&statement(&scene, &user, "").await, "data");
    let (mut query, mut seen) = ("limit=2".to_owned(), vec![]);
    loop {
        let page = statement(&scene, &user, &query).await;
        seen.extend(list(&page, "data"));
        let accounts = list(&page, "balances");
        assert!(accounts.iter().all(|account| account["lines"] == all.len()));
        scene.fund(&user, "btc", "1").await;
        match page.get("next_cursor").as_str() {
            Some(cursor) => query = format!("limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
}

async fn a_statement_is_bounded_by_time(scene: Scene) {
    let user = moved(&scene).await;
    let all = list(&statement(&scene, &user, "asset=BTC").await, "data");
    let first = all.first().expect("there are lines");
    let second = text(all.get(1).expect("there are lines"), "at");
    let later = statement(&scene, &user, &format!("from={second}")).await;
    let rest = all.get(1..).expect("there are lines");
    assert_eq!(list(&later, "data"), rest);
    let opening = list(&later, "balances").remove(0)["opening"].clone();
    assert_eq!(text(&opening, "available"), text(first, "available_after"));
    let only = statement(&scene, &user, &format!("to={}", text(first, "at"))).await;
    assert_eq!(list(&only, "data"), all.get(..1).expect("there are lines"));
    let nothing = statement(&scene, &user, "asset=eth&from=2999-01-01").await;
    assert!(list(&nothing, "data").is_empty());
    assert_eq!(list(&nothing, "balances").len(), 1);
}

async fn balances_are_told_as_of_a_time(scene: Scene) {
    scene.asset("cf-past", 0, true, true).await;
    let user = scene.rich("cf-past", "7").await;
    let deposit = statement(&scene, &user, "asset=cf-past").await;
    let at = text(&list(&deposit, "data").remove(0), "at");
    scene.withdrawal(&user, "cf-past", "3").await;
    let had = async |whose: &str, at: &str| {
        let path = format!("/admin/v1/balances?{whose}&limit=200&as_of={at}");
        let rows = list(&scene.reader().get(&path).await.ok(), "data");
        let of_asset = |row: &&Value| row["asset"] == "cf-past" && row["owner"] != "fees";
        let row = rows.iter().find(of_asset).cloned();
        row.map_or((0, 0), |row| {
            (whole(&row, "available"), whole(&row, "held"))
        })
    };
    let own = format!("user_id={}", user.id);
    assert_eq!(had(&own, "2000-01-01").await, (0, 0));
    assert_eq!(had(&own, &at).await, (7, 0));
    assert_eq!(had(&own, "2999-01-01").await, (4, 3));
    let world = had("owner=system", &at).await.0;
    assert!(world <= -7, "{world}");
}

/// An export, once there is a place for it.
pub(super) async fn export(scene: &Scene, path: &str) -> Answer {
    let answer = eventually("a place for the export", async || {
        let answer = scene.reader().get(&format!("/admin/v1/{path}")).await;
        (answer.status != 429).then_some(answer)
    });
    let answer = answer.await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

/// The lines of an export that is complete, without the last one.
pub(super) fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.header("content-type"), Some("application/jsonl"));
    let lines = answer.text.lines();
    let mut lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let end = lines.pop().expect("there is a last line");
    let rows = lines
        .iter()
        .filter(|line| line["record"] != "total")
        .count();
    assert_eq!(end, json!({"record": "end", "count": rows}));
    lines
}

async fn an_export_of_transfers_is_the_list(scene: Scene) {
    let user = moved(&scene).await;
    let query = format!("user_id={}", user.id);
    let listed = scene
        .reader()
        .get(&format!("/admin/v1/transfers?{query}"))
        .await
        .ok();
    let listed = list(&listed, "data");
    let exported = lines(&export(&scene, &format!("transfers.jsonl?{query}")).await);
    for (line, row) in exported.iter().zip(&listed) {
        let expected = and(row.clone(), "record", "transfer");
        assert_eq!(*line, expected);
    }
    let totals = exported.get(listed.len()..).expect("totals follow");
    let total = |status: &str, kind: &str, amount: &str| {
        json!({"record": "total", "kind": kind, "status": status, "asset": "btc",
            "amount": amount, "fee": "0", "count": 1})
    };
    let expected = [
        total("Completed", "deposit", "5"),
        total("AwaitingConfirmation", "withdrawal", "1"),
        total("Completed", "withdrawal", "2"),
    ];
    assert_eq!(totals, expected);
    let csv = export(&scene, &format!("transfers.csv?{query}")).await;
    let media = csv.header("content-type").unwrap_or_default();
    assert!(media.starts_with("text/csv"), "{media}");
    // A line of names, what JSON Lines have, and the end; no cell here holds a line break.
    assert_eq!(csv.text.matches("\r\n").count(), exported.len() + 2);
    assert!(csv.text.starts_with("record,id,code,kind,status,"));
    assert!(csv.text.contains("\r\nend,"), "{}", csv.text);
}

async fn an_export_of_entries_sums_to_zero(scene: Scene) {
    scene.asset("cf-sums", 0, true, true).await;
    let user = scene.rich("cf-sums", "7").await;
    scene.withdrawal(&user, "cf-sums", "3").await;
    let exported = lines(&export(&scene, "entries.jsonl?asset=cf-sums").await);
    let sum = |record: &str| {
        let of = exported.iter().filter(|line| line["record"] == record);
        let moved = of.map(|line| whole(line, "available_delta") + whole(line, "held_delta"));
        moved.sum::<i64>()
    };
    assert_eq!((sum("entry"), sum("total")), (0, 0));
    let own = |line: &&Value| line["user_id"] == user.id.as_str();
    assert_eq!(exported.iter().filter(own).count(), 2);
    let system = lines(&export(&scene, "entries.jsonl?asset=cf-sums&owner=system").await);
    assert!(system.iter().all(|line| line["owner"] != "user"));
}

async fn formulas_in_csv_are_neutralised(scene: Scene) {
    let user = scene.user().await;
    let comment = "=HYPERLINK(\"http://example.com\")";
    let body = and(open(&user, "btc", "1"), "comment", comment);
    scene.office().waiting().post(DEPOSIT, body).await.ok();
    let query = format!("user_id={}", user.id);
    let csv = export(&scene, &format!("transfers.csv?{query}")).await.text;
    let neutral = ",\"'=HYPERLINK(\"\"http://example.com\"\")\",";
    assert!(csv.contains(neutral), "{csv}");
    let jsonl = lines(&export(&scene, &format!("transfers.jsonl?{query}")).await);
    assert_eq!(
        jsonl.first().map(|line| text(line, "comment")),
        Some(comment.into())
    );
}

async fn wrong_filters_of_the_ledger_are_named(scene: Scene) {
    let user = scene.user().await;
    let own = format!("users/{}/statement", user.id);
    for (path, status, code) in [
        ("users/x/statement".to_owned(), 400, "id.invalid"),
        (format!("users/{NOBODY}/statement"), 404, "user.unknown"),
        (format!("{own}?asset=cf-unheard"), 404, "asset.unknown"),
        (format!("{own}?from=x"), 400, "from.invalid"),
        (format!("{own}?cursor=x"), 400, "cursor.invalid"),
        (format!("{own}?limit=201"), 400, "limit.out_of_range"),
        (
            "balances?owner=system&as_of=x".to_owned(),
            400,
            "as_of.invalid",
        ),
        ("transfers.csv?kind=gift".to_owned(), 400, "kind.invalid"),
        (
            "transfers.jsonl?limit=1".to_owned(),
            400,
            "parameter.unknown",
        ),
        ("entries.csv?to=x".to_owned(), 400, "to.invalid"),
        ("entries.jsonl?owner=world".to_owned(), 400, "owner.invalid"),
    ] {
        let answer = scene.reader().get(&format!("/admin/v1/{path}")).await;
        answer.refused(status, code);
    }
}
