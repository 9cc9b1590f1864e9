//! `/admin/v1/transfers.csv`, `/admin/v1/entries.csv`, `/admin/v1/audit.csv` and their `.jsonl`.

use std::sync::atomic::Ordering;

use actix_web::{
    App as Web,
    body::{BodySize, MessageBody},
    test,
};
use bursar_domain::{AccountKey, CodeSalt, Command, Kind, NewTransfer, Timestamp, Transfer};
use bursar_http::configure;
use bursar_ports::{
    AuditFilter, AuditRecord, EntryFilter, LedgerLine, LedgerOwner, LedgerRecord, TransferScan,
};
use bursar_testkit::build;
use serde_json::{Value, json};

use crate::{
    audit,
    fakes::locked,
    world::{ALICE, ALICES, Answer, BOB, NOW, OPERATOR, Sent, World},
};

const PATHS: [&str; 6] = [
    "/admin/v1/transfers.csv",
    "/admin/v1/transfers.jsonl",
    "/admin/v1/entries.csv",
    "/admin/v1/entries.jsonl",
    "/admin/v1/audit.csv",
    "/admin/v1/audit.jsonl",
];

async fn export(world: &World, path: &str) -> Answer {
    world.send(Sent::get(path).bearer(OPERATOR)).await
}

/// A deposit that went through, with this comment.
fn deposit(id: i64, note: &str) -> Transfer {
    let new = NewTransfer {
        note: Some(note.to_owned()),
        ..build::new_transfer(
            build::transfer_id(id),
            &build::asset("btc", 8),
            150_000_000,
            NOW,
        )
    };
    let pending = build::deposit(new, ALICE).next;
    World::listed(build::step(&pending, &Command::Settle, NOW))
}

fn internal(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &build::asset("btc", 8), 1_000, NOW);
    World::listed(build::internal(new, ALICE, BOB))
}

fn record(account: AccountKey, seq: i64, units: i128, kind: Kind) -> LedgerRecord {
    LedgerRecord {
        line: LedgerLine {
            account,
            seq,
            transfer: build::transfer_id(7),
            available_delta: units,
            held_delta: 0,
            available_after: units,
            held_after: 0,
            at: NOW,
        },
        scale: build::asset("btc", 8).scale,
        kind,
        salt: (kind == Kind::Internal).then(|| CodeSalt::new([9; 10])),
    }
}

fn give(world: &World, transfers: &[&[Transfer]]) {
    let pages = transfers.iter().map(|page| Some(page.to_vec()));
    *locked(&world.exports.transfers) = pages.collect();
}

/// Both sides of a deposit and a payment.
fn give_entries(world: &World) {
    let btc = build::asset_id("btc");
    let user = |id| AccountKey::user(id, btc);
    let page = vec![
        record(user(ALICE), 1, 150_000_000, Kind::Deposit),
        record(user(BOB), 1, 1_000, Kind::Internal),
        record(AccountKey::world(btc), 1, -150_000_000, Kind::Deposit),
    ];
    *locked(&world.exports.entries) = [Some(page)].into();
}

/// The rows of a CSV export, each by its columns' names.
fn rows(csv: &str) -> Vec<Value> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let names = reader.headers().expect("there are names").clone();
    let rows = reader.records().map(|row| {
        let row = row.expect("every row has as many cells");
        let cells = names.iter().zip(row.iter());
        cells
            .map(|(name, cell)| (name.to_owned(), Value::from(cell)))
            .collect()
    });
    rows.collect()
}

fn objects(jsonl: &str) -> Vec<Value> {
    assert!(jsonl.ends_with('\n'), "{jsonl:?}");
    let lines = jsonl.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

#[actix_web::test]
async fn the_lines_of_an_export_are_the_rows_of_the_list() {
    let world = World::new();
    let all = [deposit(3, "paid"), internal(2), deposit(1, "=1+1")];
    give(&world, &[&all[..1], &[], &all[1..]]);
    *locked(&world.query.transfers) = all.to_vec();
    let list = export(&world, "/admin/v1/transfers").await.ok().json();
    let listed = list["data"].as_array().expect("a list");
    let jsonl = export(&world, PATHS[1]).await.ok();
    assert_eq!(jsonl.header("content-type"), Some("application/jsonl"));
    let mut objects = objects(&jsonl.body);
    let mut kinds = vec![];
    for object in &mut objects {
        let object = object.as_object_mut().expect("an object");
        kinds.push(object.remove("record").expect("each says what it is"));
    }
    assert_eq!(
        kinds,
        ["transfer", "transfer", "transfer", "total", "total", "end"]
    );
    assert_eq!(objects[..3], listed[..]);
    let totals = [
        json!({"kind": "deposit", "status": "Completed", "asset": "btc", "amount": "3", "fee": "0", "count": 2}),
        json!({"kind": "internal", "status": "pending", "asset": "btc", "amount": "0.00001", "fee": "0", "count": 1}),
        json!({"count": 3}),
    ];
    assert_eq!(objects[3..], totals);
    let csv = export(&world, PATHS[0]).await.ok();
    for (row, object) in rows(&csv.body).iter().zip(&objects) {
        let row = row.as_object().expect("an object");
        for (name, value) in object.as_object().expect("an object") {
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text.replace("=1+1", "'=1+1"),
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    value.to_string()
                }
            };
            let cell = row.get(name).and_then(Value::as_str);
            assert_eq!(
                cell,
                Some(text.as_str()),
                "{name}: every member has a column"
            );
        }
    }
}

#[actix_web::test]
async fn csv_is_a_file_that_spreadsheets_open() {
    let world = World::new();
    give(&world, &[&[deposit(1, "=HYPERLINK(\"http://x\"),1\nnext")]]);
    let answer = export(&world, PATHS[0]).await.ok();
    let header = |name| answer.header(name);
    assert_eq!(
        header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    assert_eq!(
        header("content-disposition"),
        Some("attachment; filename=\"transfers.csv\"")
    );
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("x-content-type-options"), Some("nosniff"));
    assert_eq!(header("x-request-id"), Some("req-1"));
    let expected = "record,id,code,kind,status,reason_code,reason_message,user_id,recipient_id,\
        recipient,asset,amount,fee,comment,custom_id,callback_url,created_by,confirmed_by,stage,\
        approval_digest,reviewed_by,expires_at,reverses,reversed,root_rate,created_at,updated_at,\
        count\r\n\
        transfer,1,,deposit,Completed,,,942fe02b-e9b9-6e9e-7c82-85d74f3234d4,,,btc,1.5,0,\
        \"'=HYPERLINK(\"\"http://x\"\"),1\nnext\",,,operator,,,,,,,0,,2021-04-09T10:50:40.116485Z,\
        2021-04-09T10:50:40.116485Z,\r\n\
        total,,,deposit,Completed,,,,,,btc,1.5,0,,,,,,,,,,,,,,,1\r\n\
        end,,,,,,,,,,,,,,,,,,,,,,,,,,,1\r\n";
    assert_eq!(answer.body, expected);
}

#[actix_web::test]
async fn entries_are_written_with_sums_that_tie() {
    let world = World::new();
    give_entries(&world);
    let answer = export(&world, PATHS[2]).await.ok();
    let code = rows(&answer.body)[1]["code"].as_str().map(str::to_owned);
    let code = code.filter(|code| code.starts_with("TRF")).expect("a code");
    let expected = format!(
        "record,owner,user_id,asset,seq,transfer_id,kind,code,available_delta,held_delta,\
         available_after,held_after,at,count\r\n\
         entry,user,{ALICE},btc,1,7,deposit,,1.5,0,1.5,0,2021-04-09T10:50:40.116485Z,\r\n\
         entry,user,{BOB},btc,1,7,internal,{code},0.00001,0,0.00001,0,2021-04-09T10:50:40.116485Z,\r\n\
         entry,world,,btc,1,7,deposit,,-1.5,0,-1.5,0,2021-04-09T10:50:40.116485Z,\r\n\
         total,user,,btc,,,deposit,,1.5,0,,,,1\r\n\
         total,user,,btc,,,internal,,0.00001,0,,,,1\r\n\
         total,world,,btc,,,deposit,,-1.5,0,,,,1\r\n\
         end,,,,,,,,,,,,,3\r\n"
    );
    assert_eq!(answer.body, expected);
    let jsonl = objects(&export(&world, PATHS[3]).await.ok().body);
    let total = json!({"record": "total", "owner": "world", "asset": "btc", "kind": "deposit",
        "available_delta": "-1.5", "held_delta": "0", "count": 1});
    assert_eq!(jsonl[5], total);
    assert_eq!(jsonl[0]["user_id"], ALICE.to_string());
    assert_eq!(jsonl[2]["user_id"], Value::Null);
}

#[actix_web::test]
async fn the_audit_log_is_written_as_it_is_listed_and_counted_by_action() {
    let world = World::new();
    let cancelled = AuditRecord {
        action: "withdrawal.cancel".to_owned(),
        target: "transfer:7".to_owned(),
        before: Some(r#"{"status":"AwaitingConfirmation","version":1}"#.to_owned()),
        ..audit::record(2)
    };
    let stranger = AuditRecord {
        actor: "=1+1".to_owned(),
        after: None,
        ..audit::record(1)
    };
    let all = vec![audit::record(3), cancelled, stranger];
    let pages = [
        Some(all[..1].to_vec()),
        Some(vec![]),
        Some(all[1..].to_vec()),
    ];
    *locked(&world.exports.audit) = pages.into();
    let csv = export(&world, PATHS[4]).await.ok();
    assert_eq!(
        csv.header("content-disposition"),
        Some("attachment; filename=\"audit.csv\"")
    );
    let expected = "record,id,at,actor,credential,request_id,address,action,target,before,after,count\r\n\
        audit,00000000-0000-0000-0000-000000000003,2021-04-09T10:50:40.116485Z,operator,token:1,\
        req-1,192.0.2.7,rate.put,rate:btc,,\"{\"\"rate\"\":\"\"1\"\"}\",\r\n\
        audit,00000000-0000-0000-0000-000000000002,2021-04-09T10:50:40.116485Z,operator,token:1,\
        req-1,192.0.2.7,withdrawal.cancel,transfer:7,\
        \"{\"\"status\"\":\"\"AwaitingConfirmation\"\",\"\"version\"\":1}\",\"{\"\"rate\"\":\"\"1\"\"}\",\r\n\
        audit,00000000-0000-0000-0000-000000000001,2021-04-09T10:50:40.116485Z,'=1+1,token:1,\
        req-1,192.0.2.7,rate.put,rate:btc,,,\r\n\
        total,,,,,,,rate.put,,,,2\r\n\
        total,,,,,,,withdrawal.cancel,,,,1\r\n\
        end,,,,,,,,,,,3\r\n";
    assert_eq!(csv.body, expected);

    *locked(&world.audit_log.records) = all;
    let list = export(&world, "/admin/v1/audit").await.ok().body;
    let rows = list.replace("{\"id\":", "{\"record\":\"audit\",\"id\":");
    let rows = rows.replace("},{\"record\"", "}\n{\"record\"");
    let rows = rows.strip_prefix("{\"data\":[").expect("a list");
    let rows = rows.strip_suffix("],\"next_cursor\":null}").expect("all");
    let expected = format!(
        "{rows}\n\
         {{\"record\":\"total\",\"action\":\"rate.put\",\"count\":2}}\n\
         {{\"record\":\"total\",\"action\":\"withdrawal.cancel\",\"count\":1}}\n\
         {{\"record\":\"end\",\"count\":3}}\n"
    );
    assert_eq!(export(&world, PATHS[5]).await.ok().body, expected);
}

#[actix_web::test]
async fn what_is_no_json_in_the_audit_log_breaks_its_export_off() {
    let world = World::new();
    let broken = AuditRecord {
        before: Some("{".to_owned()),
        ..audit::record(1)
    };
    let pages = [Some(vec![audit::record(2)]), Some(vec![broken])];
    *locked(&world.exports.audit) = pages.into();
    for path in &PATHS[4..] {
        let (chunks, is_complete) = chunks(&world, path, usize::MAX).await;
        assert!(!is_complete, "{path} looks complete");
        let text = chunks.concat();
        assert!(
            text.contains("rate.put") && !text.contains("total"),
            "{text}"
        );
    }
}

#[actix_web::test]
async fn an_export_of_nothing_says_so() {
    let world = World::new();
    let end = "{\"record\":\"end\",\"count\":0}\n";
    for path in [
        PATHS[1],
        PATHS[3],
        PATHS[5],
        "/admin/v1/transfers.jsonl?code=none",
    ] {
        assert_eq!(export(&world, path).await.ok().body, end, "{path}");
    }
    for path in [PATHS[0], PATHS[2], PATHS[4]] {
        let body = export(&world, path).await.ok().body;
        assert_eq!(rows(&body).len(), 1, "{body}");
    }
}

#[actix_web::test]
async fn exports_are_asked_for_as_lists_are() {
    let world = World::new();
    let time = |text: &str| Timestamp::parse(text).ok();
    let query = format!(
        "kind=deposit&user_id={ALICE}&asset=BTC&created_from=2021-04-09&custom_id=mine&id=7"
    );
    export(&world, &format!("{}?{query}", PATHS[0])).await.ok();
    let scan = TransferScan {
        kind: Some(Kind::Deposit),
        users: Some(vec![ALICE]),
        asset: Some(build::asset_id("btc")),
        from: time("2021-04-09"),
        custom_id: Some("mine".to_owned()),
        id: Some(build::transfer_id(7)),
        ..TransferScan::default()
    };
    assert_eq!(locked(&world.exports.asked_transfers).take(), Some(scan));
    let user = EntryFilter {
        owner: Some(LedgerOwner::User(ALICE)),
        asset: Some(build::asset_id("btc")),
        from: time("2021-04-09"),
        to: time("2021-04-10T00:00:00Z"),
    };
    let system = EntryFilter {
        owner: Some(LedgerOwner::System),
        ..EntryFilter::default()
    };
    let of_user = format!("user_id={ALICE}&asset=btc&from=2021-04-09&to=2021-04-10");
    for (query, filter) in [
        ("", EntryFilter::default()),
        ("owner=system", system),
        (&of_user, user),
    ] {
        export(&world, &format!("{}?{query}", PATHS[3])).await.ok();
        let asked = locked(&world.exports.asked_entries).take();
        assert_eq!(asked, Some(filter), "{query}");
    }
    let changes = AuditFilter {
        actor: Some("settlement robot".to_owned()),
        action: Some("asset.put".to_owned()),
        target: Some("asset:btc".to_owned()),
        from: time("2021-04-09"),
        to: time("2021-04-10"),
        ..AuditFilter::default()
    };
    let of_robot = "actor=settlement%20robot&action=asset.put&target=asset:btc&from=2021-04-09&\
                    to=2021-04-10";
    for (query, filter) in [("", AuditFilter::default()), (of_robot, changes)] {
        export(&world, &format!("{}?{query}", PATHS[5])).await.ok();
        let asked = locked(&world.exports.asked_audit).take();
        assert_eq!(asked, Some(filter), "{query}");
    }
}

#[actix_web::test]
async fn every_wrong_parameter_is_named() {
    let world = World::new();
    let transfers = "kind=x&status=x&user_id=x&asset=%20&min_amount=x&created_from=x&id=x&limit=1";
    let entries =
        format!("owner=users&user_id={ALICE}&asset=%20&from=x&to=x&cursor=x&kind=deposit");
    let wrong = |answer: Answer| {
        assert_eq!(answer.refusal(), (400, "request.invalid".to_owned()));
        let fields = answer.wrong_fields().into_iter();
        fields.map(|(field, _)| field).collect::<Vec<_>>()
    };
    for path in &PATHS[..2] {
        let answer = export(&world, &format!("{path}?{transfers}")).await;
        let fields = "kind status user_id asset min_amount created_from id limit";
        assert_eq!(wrong(answer).join(" "), fields);
    }
    for path in &PATHS[2..4] {
        let answer = export(&world, &format!("{path}?{entries}")).await;
        assert_eq!(wrong(answer).join(" "), "owner asset from to cursor kind");
        let both = export(&world, &format!("{path}?owner=system&user_id={ALICE}")).await;
        assert_eq!(both.refusal(), (400, "owner.invalid".to_owned()));
    }
    let long = "x".repeat(513);
    let audit = format!("actor={long}&action=a%00&target={long}&from=x&to=x&cursor=x&limit=1");
    for path in &PATHS[4..] {
        let answer = export(&world, &format!("{path}?{audit}")).await;
        let fields = "actor action target from to cursor limit";
        assert_eq!(wrong(answer).join(" "), fields);
    }
    let missed = export(&world, "/admin/v1/transfers.csv?min_amount=1").await;
    assert_eq!(missed.refusal(), (400, "asset.missed".to_owned()));
}

#[actix_web::test]
async fn who_may_not_read_gets_no_export() {
    let world = World::new();
    for path in PATHS {
        let refused = world.send(Sent::get(path).bearer(ALICES)).await;
        assert_eq!(refused.refusal(), (403, "permission.missing".to_owned()));
    }
    assert_eq!(world.exports.read.load(Ordering::SeqCst), 0);
}

#[actix_web::test]
async fn one_export_too_many_is_told_when_to_come_again() {
    let world = World::new();
    world.exports.busy.store(true, Ordering::SeqCst);
    for path in PATHS {
        let refused = export(&world, path).await;
        assert_eq!(refused.refusal(), (429, "rate_limit.exports".to_owned()));
        assert_eq!(refused.header("retry-after"), Some("10"));
    }
}

#[actix_web::test]
async fn what_is_wrong_from_the_start_is_a_refusal() {
    let world = World::new();
    *locked(&world.exports.transfers) = [None].into();
    *locked(&world.exports.entries) = [None].into();
    *locked(&world.exports.audit) = [None].into();
    for path in PATHS {
        let refused = export(&world, path).await;
        assert_eq!(refused.refusal(), (503, "service.unavailable".to_owned()));
    }
    assert_eq!(world.exports.open.load(Ordering::SeqCst), 0);
}

#[actix_web::test]
async fn head_is_answered_without_an_export() {
    let world = World::new();
    give(&world, &[&[deposit(1, "paid")], &[deposit(2, "paid")]]);
    let head = Sent::new(actix_web::http::Method::HEAD, PATHS[0]).bearer(OPERATOR);
    let answer = world.send(head).await.ok();
    assert_eq!(answer.body, "");
    let media = "text/csv; charset=utf-8; header=present";
    assert_eq!(answer.header("content-type"), Some(media));
    assert_eq!(world.exports.read.load(Ordering::SeqCst), 1);
    assert_eq!(world.exports.open.load(Ordering::SeqCst), 0);
}

/// What a client gets that reads chunk by chunk: the chunks, and whether the body ends as it should.
async fn chunks(world: &World, path: &str, at_most: usize) -> (Vec<String>, bool) {
    let (config, state) = (world.config.clone(), world.state.clone());
    let web = Web::new().configure(|service| configure(service, &config, state));
    let service = test::init_service(web).await;
    let request = Sent::get(path).bearer(OPERATOR).request.to_request();
    let answer = test::call_service(&service, request).await;
    let mut body = Box::pin(answer.into_body());
    assert_eq!(body.size(), BodySize::Stream);
    let mut chunks = vec![];
    while chunks.len() < at_most {
        match std::future::poll_fn(|context| body.as_mut().poll_next(context)).await {
            Some(Ok(chunk)) => chunks.push(String::from_utf8_lossy(&chunk).into_owned()),
            Some(Err(_)) => return (chunks, false),
            None => return (chunks, true),
        }
    }
    (chunks, false)
}

#[actix_web::test]
async fn where_the_store_cannot_go_on_the_body_ends_too_early_and_without_totals() {
    let world = World::new();
    let page = Some(vec![deposit(1, "paid")]);
    *locked(&world.exports.transfers) = [page.clone(), page, None].into();
    for path in &PATHS[..2] {
        let (chunks, is_complete) = chunks(&world, path, usize::MAX).await;
        assert!(!is_complete, "{path} looks complete");
        let text = chunks.concat();
        assert!(text.contains("paid"), "{text}");
        assert!(!text.contains("total") && !text.contains("end"), "{text}");
    }
    assert_eq!(world.exports.open.load(Ordering::SeqCst), 0);
}

#[actix_web::test]
async fn no_page_is_read_before_the_client_has_taken_the_one_before() {
    let world = World::new();
    let pages: Vec<Vec<Transfer>> = (1..=20).map(|id| vec![deposit(id, "paid")]).collect();
    let pages: Vec<&[Transfer]> = pages.iter().map(Vec::as_slice).collect();
    give(&world, &pages);
    let (first, _) = chunks(&world, PATHS[1], 3).await;
    assert_eq!(first.len(), 3);
    assert_eq!(world.exports.read.load(Ordering::SeqCst), 3);
    // The client has gone, and with it the export.
    assert_eq!(world.exports.open.load(Ordering::SeqCst), 0);
    let (all, is_complete) = chunks(&world, PATHS[1], usize::MAX).await;
    assert!(is_complete);
    assert_eq!(all.len(), 21, "one for each page, and one for the totals");
}
