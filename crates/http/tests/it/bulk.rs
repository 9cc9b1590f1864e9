//! `POST /internal-transfer/bulk`.

use serde_json::{Value, json};

use crate::world::{ALICE, ALICES, Answer, BOB, BOBS, INTERNAL, OPERATOR, Sent, World};

const BULK: &str = "/internal-transfer/bulk";
/// The largest body of a bulk, in bytes.
const LIMIT: usize = 8 * 1024 * 1024;

fn item(amount: &str) -> Value {
    json!({"currency_code": "btc", "amount": amount, "recipient": BOB.to_string()})
}

fn bulk(items: &[Value], atomic: bool) -> String {
    json!({"transfers": items, "atomic": atomic}).to_string()
}

async fn post(world: &World, body: &str) -> Answer {
    world.send(Sent::post(BULK, body).bearer(ALICES)).await
}

async fn post_and_wait(world: &World, body: &str) -> Answer {
    let sent = Sent::post(BULK, body).bearer(ALICES);
    world.send(sent.header("Prefer", "wait")).await
}

async fn keyed(world: &World, body: &str) -> Answer {
    let sent = Sent::post(BULK, body).bearer(ALICES);
    world.send(sent.header("Idempotency-Key", "k")).await
}

fn results(answer: &Answer) -> Vec<Value> {
    let results = answer.member("results");
    results.as_array().expect("results are a list").clone()
}

/// One member of every result.
fn each(answer: &Answer, member: &str) -> Vec<Value> {
    let pick = |result: Value| result.get(member).cloned().unwrap_or_default();
    results(answer).into_iter().map(pick).collect()
}

#[actix_web::test]
async fn transfers_are_pending_and_then_settle_in_order() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let answer = post(&world, &bulk(&[item("2"), item("2"), item("1")], false)).await;
    let answer = answer.ok();
    assert_eq!(each(&answer, "status"), ["pending", "pending", "pending"]);
    assert_eq!(answer.header("preference-applied"), None);
    let first = results(&answer).remove(0);
    let code = first["code"].as_str().expect("a code");
    let single = world.send(Sent::get(&format!("{INTERNAL}/{code}")).bearer(ALICES));
    let shown = single.await.ok().body;
    assert!(
        answer.body.starts_with(&format!("{{\"results\":[{shown},")),
        "an item is what the transfer shows: {}",
        answer.body
    );
    world.tasks.run().await;
    let mut ended = vec![];
    for code in each(&answer, "code") {
        let path = format!("{INTERNAL}/{}", code.as_str().expect("a code"));
        let shown = world.send(Sent::get(&path).bearer(ALICES)).await.ok();
        ended.push(shown.text("status"));
    }
    assert_eq!(ended, ["success", "rejected", "success"]);
    assert_eq!(world.balance(BOB, "btc"), (300_000_000, 0));
}

#[actix_web::test]
async fn whoever_waits_gets_settled_transfers() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let answer = post_and_wait(&world, &bulk(&[item("1"), item("1")], false)).await;
    let answer = answer.ok();
    assert_eq!(answer.header("preference-applied"), Some("wait"));
    assert_eq!(each(&answer, "status"), ["success", "rejected"]);
    let reasons = each(&answer, "reason_code");
    assert_eq!(reasons, [Value::Null, json!("balance.insufficient")]);
}

#[actix_web::test]
async fn what_is_wrong_with_an_item_is_a_problem_in_its_place() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let with = |field: &str, value: &str| {
        let mut item = item("0.1");
        item[field] = json!(value);
        item.to_string()
    };
    let items = [
        item("0.1").to_string(),
        with("currency_code", "doge"),
        with("amount", "0.123456789"),
        with("recipient", "alice"),
        r#"{"currency_code":"b c","amount":"-1"}"#.to_owned(),
        "7".to_owned(),
        "null".to_owned(),
        r#"{"amount":"1","\u0061mount":"1"}"#.to_owned(),
        with("address_book_code", "AB1"),
        item("0.2").to_string(),
    ];
    let body = format!(r#"{{"transfers":[{}]}}"#, items.join(" , "));
    let answer = post_and_wait(&world, &body).await.ok();
    let seen: Vec<(Value, Value)> = each(&answer, "status")
        .into_iter()
        .zip(each(&answer, "code"))
        .filter(|(status, _)| status.is_number())
        .collect();
    let expected = [
        (404, "currency.unknown"),
        (400, "amount.too_precise"),
        (422, "recipient.is_sender"),
        (400, "request.invalid"),
        (400, "json.object_required"),
        (400, "json.object_required"),
        (400, "json.duplicate_key"),
        (400, "address_book_code.mismatch"),
    ]
    .map(|(status, code)| (json!(status), json!(code)));
    assert_eq!(seen, expected);
    let results = results(&answer);
    assert_eq!(results[0]["status"], "success");
    assert_eq!(results[9]["status"], "success");
    assert_eq!(
        results[5].to_string(),
        json!({
            "type": "urn:bursar:problem:json.object_required",
            "title": "Invalid request",
            "status": 400,
            "detail": "transfers[5]: must be a JSON object.",
            "instance": "req-1",
            "code": "json.object_required",
            "errors": [{
                "field": "transfers[5]",
                "code": "json.object_required",
                "detail": "must be a JSON object",
            }],
        })
        .to_string()
    );
    let fields = results[4]["errors"].as_array().expect("errors").iter();
    let fields: Vec<&Value> = fields.map(|error| &error["field"]).collect();
    assert_eq!(fields, ["currency_code", "amount", "recipient"]);
    assert_eq!(world.balance(BOB, "btc"), (30_000_000, 0));
}

#[actix_web::test]
async fn the_whole_is_refused_when_it_is_no_list_of_1_to_1000() {
    let world = World::allowing(10_000);
    let many = vec![item("1"); 1_001];
    for (body, code) in [
        ("{}".to_owned(), "transfers.missed"),
        (r#"{"transfers":null}"#.to_owned(), "transfers.missed"),
        (r#"{"transfers":{}}"#.to_owned(), "transfers.invalid"),
        (r#"{"transfers":"[]"}"#.to_owned(), "transfers.invalid"),
        (bulk(&[], false), "transfers.out_of_range"),
        (bulk(&many, false), "transfers.out_of_range"),
        (
            r#"{"transfers":[{}],"atomic":"true"}"#.to_owned(),
            "atomic.invalid",
        ),
        (
            r#"{"transfers":[{}],"atomic":true,"atomic":false}"#.to_owned(),
            "json.duplicate_key",
        ),
        ("[]".to_owned(), "json.object_required"),
        (r#"{"transfers":[{]}"#.to_owned(), "json.malformed"),
    ] {
        let answer = post(&world, &body).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{body:.60}");
    }
    let both = post(&world, r#"{"atomic":1}"#).await;
    let names: Vec<String> = both
        .wrong_fields()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["transfers", "atomic"]);
    let thousand = post(&world, &bulk(&many[..1_000], false)).await.ok();
    assert_eq!(results(&thousand).len(), 1_000);
    let null = post(&world, r#"{"transfers":[{}],"atomic":null}"#)
        .await
        .ok();
    assert_eq!(each(&null, "status"), [400]);
}

#[actix_web::test]
async fn a_bulk_may_be_larger_than_any_other_body() {
    let world = World::allowing(10_000);
    let note = "n".repeat(1_000);
    let mut long = item("1");
    long["note"] = json!(note);
    let body = bulk(&vec![long; 1_000], false);
    assert!(body.len() > 1_000_000);
    post(&world, &body).await.ok();
    let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
    post(&world, &padded(LIMIT)).await.ok();
    let answer = post(&world, &padded(LIMIT + 1)).await;
    assert_eq!(answer.refusal(), (413, "body.too_large".to_owned()));
    let other = world.send(Sent::post(INTERNAL, &padded(body.len())).bearer(ALICES));
    assert_eq!(other.await.refusal(), (413, "body.too_large".to_owned()));
}

#[actix_web::test]
async fn all_or_none_moves_all() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let answer = post(&world, &bulk(&[item("2"), item("1")], true))
        .await
        .ok();
    assert_eq!(each(&answer, "status"), ["success", "success"]);
    assert_eq!(answer.header("preference-applied"), None);
    let answer = post_and_wait(&world, &bulk(&[item("1")], true)).await;
    assert_eq!(answer.refusal(), (422, "bulk.refused".to_owned()));
    assert_eq!(world.balance(BOB, "btc"), (300_000_000, 0));
}

#[actix_web::test]
async fn all_or_none_is_refused_with_what_is_to_be_said_of_each() {
    let world = World::new();
    world.fund(ALICE, "btc", "2").await;
    let unknown = {
        let mut item = item("0.5");
        item["recipient"] = json!("nobody");
        item
    };
    let body = bulk(&[item("1"), item("2"), unknown.clone(), item("0.5")], true);
    let answer = post(&world, &body).await;
    assert_eq!(answer.refusal(), (422, "bulk.refused".to_owned()));
    let codes = [
        "bulk.not_executed",
        "balance.insufficient",
        "bulk.not_executed",
        "bulk.not_executed",
    ];
    assert_eq!(each(&answer, "code"), codes);
    assert!(each(&answer, "status").iter().all(|status| *status == 422));
    // Whose recipient cannot be paid is not told, for no money moved.
    let answer = post(&world, &bulk(&[item("1"), unknown, item("0.5")], true)).await;
    assert_eq!(answer.refusal(), (422, "bulk.refused".to_owned()));
    assert_eq!(
        answer.text("detail"),
        "Not every recipient can be paid, so nobody was."
    );
    assert_eq!(each(&answer, "code"), ["bulk.not_executed"; 3]);
    // What is wrong before any money is looked at.
    let body = bulk(&[item("1"), item("x"), item("9")], true);
    let answer = post(&world, &body).await;
    assert_eq!(answer.refusal(), (422, "bulk.refused".to_owned()));
    let codes = ["bulk.not_executed", "amount.invalid", "bulk.not_executed"];
    assert_eq!(each(&answer, "code"), codes);
    assert_eq!(world.balance(ALICE, "btc"), (200_000_000, 0));
    assert_eq!(world.balance(BOB, "btc"), (0, 0));
}

#[actix_web::test]
async fn a_repetition_is_told_the_transfers_as_they_are_and_the_same_problems() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let mut doge = item("1");
    doge["currency_code"] = json!("doge");
    let mut spelt = item("1.0");
    spelt["currency_code"] = json!("BTC");
    let rest = [doge, json!({"amount": 0}), item("1")];
    let first = [&[item("1")][..], &rest].concat();
    let again = [&[spelt][..], &rest].concat();
    let made = keyed(&world, &bulk(&first, false)).await.ok();
    assert_eq!(made.header("idempotent-replayed"), None);
    // By now there is such a currency.
    let asset = bursar_testkit::build::asset("doge", 8);
    world.store.put_asset(asset.clone());
    crate::fakes::locked(&world.directory.assets).insert(asset.id, asset);
    world.tasks.run().await;
    let told = keyed(&world, &bulk(&again, false)).await.ok();
    assert_eq!(told.header("idempotent-replayed"), Some("true"));
    assert_eq!(each(&told, "code"), each(&made, "code"));
    assert_eq!(
        each(&told, "status"),
        [json!("success"), json!(404), json!(400), json!("success")]
    );
    assert_eq!(results(&told)[1..3], results(&made)[1..3]);
    assert_eq!(world.balance(BOB, "btc"), (200_000_000, 0));
}

#[actix_web::test]
async fn a_refused_bulk_is_refused_again() {
    let world = World::new();
    let body = bulk(&[item("1"), item("2")], true);
    let refused = keyed(&world, &body).await;
    assert_eq!(refused.refusal(), (422, "bulk.refused".to_owned()));
    assert_eq!(refused.header("idempotent-replayed"), None);
    world.fund(ALICE, "btc", "3").await;
    let again = keyed(&world, &body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.body, refused.body);
    assert_eq!(world.balance(BOB, "btc"), (0, 0));
    let other = keyed(&world, &bulk(&[item("1"), item("3")], true)).await;
    assert_eq!(other.refusal(), (422, "idempotency.key_reused".to_owned()));
    assert_eq!(other.member("original"), Value::Null);
}

#[actix_web::test]
async fn another_bulk_with_the_key_learns_the_first_ones_transfers_and_the_difference() {
    let world = World::new();
    let made = keyed(&world, &bulk(&[item("1"), item("2")], false))
        .await
        .ok();
    let codes = each(&made, "code");
    let mut noted = item("2");
    noted["note"] = json!("n");
    for (other, fields) in [
        (bulk(&[item("1"), item("3")], false), json!(["transfers[1].amount"])),
        (bulk(&[item("1"), noted], false), json!(["transfers[1].note"])),
        (bulk(&[item("1"), item("2")], true), json!(["atomic"])),
        (
            bulk(&[item("1")], false),
            json!(["transfers[1].amount", "transfers[1].currency_code", "transfers[1].recipient"]),
        ),
        (
            r#"{"transfers":[{"currency_code":"btc","amount":1,"recipient":7},{"currency_code":"btc","amount":2,"recipient":"@"}]}"#
                .replace('@', &BOB.to_string()),
            json!(["transfers[0]", "transfers[0].amount", "transfers[0].currency_code", "transfers[0].recipient"]),
        ),
    ] {
        let answer = keyed(&world, &other).await;
        assert_eq!(answer.refusal(), (422, "idempotency.key_reused".to_owned()));
        assert_eq!(answer.member("original"), json!({"codes": codes}));
        let told = answer.member("fields");
        let mut told = told.as_array().expect("a list").clone();
        told.sort_by_key(Value::to_string);
        assert_eq!(json!(told), fields);
    }
}

#[actix_web::test]
async fn what_never_reaches_the_money_leaves_the_key_free() {
    let world = World::new();
    let wrong = bulk(&[item("x")], false);
    for replayed in [None, None] {
        let answer = keyed(&world, &wrong).await.ok();
        assert_eq!(answer.header("idempotent-replayed"), replayed);
        assert_eq!(each(&answer, "status"), [400]);
    }
    let refused = keyed(&world, &bulk(&[item("x"), item("1")], true)).await;
    assert_eq!(refused.refusal(), (422, "bulk.refused".to_owned()));
    let fresh = keyed(&world, &bulk(&[item("1")], false)).await.ok();
    assert_eq!(fresh.header("idempotent-replayed"), None);
    // A key of single transfers is another key.
    let single = Sent::post(INTERNAL, &item("1").to_string()).bearer(ALICES);
    let single = world.send(single.header("Idempotency-Key", "k")).await.ok();
    assert_eq!(single.header("idempotent-replayed"), None);
}

#[actix_web::test]
async fn both_paths_take_bulks_from_users_only() {
    let world = World::new();
    let body = bulk(&[item("1")], false);
    let path = "/api/v1/internal-transfer/bulk";
    world
        .send(Sent::post(path, &body).bearer(ALICES))
        .await
        .ok();
    let answer = world.send(Sent::post(BULK, "{").bearer(OPERATOR)).await;
    assert_eq!(answer.refusal(), (403, "user.required".to_owned()));
    let answer = world.send(Sent::get(BULK).bearer(BOBS)).await;
    assert_eq!(answer.refusal(), (405, "method.not_allowed".to_owned()));
    assert_eq!(answer.header("allow"), Some("POST"));
}

#[actix_web::test]
async fn each_item_is_one_unit_of_the_limit() {
    let world = World::allowing(10);
    let standing = |answer: &Answer| answer.header("ratelimit").map(str::to_owned);
    let answer = post(&world, &bulk(&vec![item("1"); 7], false)).await.ok();
    assert_eq!(standing(&answer).as_deref(), Some("\"internal\";r=3;t=60"));
    let answer = post(&world, &bulk(&vec![item("1"); 4], false)).await;
    assert_eq!(answer.refusal(), (429, "rate_limit.exceeded".to_owned()));
    let answer = post(&world, &bulk(&vec![item("1"); 11], false)).await;
    let too_large = (429, "rate_limit.request_too_large".to_owned());
    assert_eq!(answer.refusal(), too_large);
    // What is no list takes one unit, as a single transfer does.
    let answer = post(&world, "{}").await;
    assert_eq!(answer.refusal(), (400, "transfers.missed".to_owned()));
    assert_eq!(standing(&answer).as_deref(), Some("\"internal\";r=2;t=60"));
    let single = Sent::post(INTERNAL, &item("1").to_string()).bearer(ALICES);
    let single = world.send(single).await.ok();
    assert_eq!(standing(&single).as_deref(), Some("\"internal\";r=1;t=60"));
}

#[actix_web::test]
async fn recipients_who_cannot_be_paid_count_one_by_one() {
    let nobody = |number: usize| {
        let mut item = item("0.001");
        item["recipient"] = json!(format!("nobody{number}"));
        item
    };
    let many = |count: usize| (0..count).map(nobody).collect::<Vec<_>>();
    for atomic in [false, true] {
        let world = World::new();
        world.fund(ALICE, "btc", "1").await;
        let first = post_and_wait(&world, &bulk(&many(15), atomic)).await;
        assert_eq!(first.status, if atomic { 422 } else { 200 });
        // Five tries are left; a bulk that would go beyond them uses them up.
        let answer = post(&world, &bulk(&many(6), atomic)).await;
        let refused = (429, "rate_limit.failed_recipients".to_owned());
        let beyond = if atomic {
            (422, "bulk.refused".to_owned())
        } else {
            refused.clone()
        };
        assert_eq!(answer.refusal(), beyond);
        let answer = post(&world, &bulk(&[item("0.1")], atomic)).await;
        assert_eq!(answer.refusal(), refused, "whoever the recipient");
    }
}

/// Without money nothing fails for its recipient, so nothing may tell who there is: not even that
/// a limit is reached.
#[actix_web::test]
async fn a_bulk_without_money_says_the_same_of_anybody() {
    for atomic in [false, true] {
        for name in ["bob", "nobody"] {
            let world = World::new();
            let mut named = item("0.001");
            named["recipient"] = json!(name);
            let answer = post(&world, &bulk(&vec![named; 30], atomic)).await;
            assert_eq!(answer.status, if atomic { 422 } else { 200 }, "{name}");
            let answer = post(&world, &bulk(&[item("0.1")], false)).await;
            assert_eq!(answer.status, 200, "no try was used up by {name}");
        }
    }
}

#[actix_web::test]
async fn a_repetition_is_no_new_try() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let mut unknown = item("0.001");
    unknown["recipient"] = json!("nobody");
    let body = bulk(&vec![unknown; 12], false);
    let made = keyed(&world, &body).await.ok();
    world.tasks.run().await;
    // Eight tries are left, and twelve were asked for: but they were had before.
    let told = keyed(&world, &body).await.ok();
    assert_eq!(told.header("idempotent-replayed"), Some("true"));
    assert_eq!(each(&told, "code"), each(&made, "code"));
    assert_eq!(each(&told, "status"), ["rejected"; 12]);
    post(&world, &bulk(&[item("0.1")], false)).await.ok();
}
