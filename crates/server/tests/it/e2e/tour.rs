//! Every example of the two API documents, sent as printed, on the demo.

use serde_json::{Value, json};

use super::{
    MICROS, SECONDS,
    client::Client,
    demo_process::{Demo, DemoFolder},
    eventually,
    exchange::{CANCEL, CONFIRM, DEPOSIT, INTERNAL, WITHDRAW},
    receiver::Receiver,
    shape, units,
};

const ALICE: &str = "942fe02b-e9b9-6e9e-7c82-85d74f3234d4";
const BOB: &str = "ab9ac3d2-879d-02de-a53e-720d78414f0a";

/// The body that the document prints for a deposit and for a withdrawal.
const OPEN: &str = r#"{
  "userId": "942fe02b-e9b9-6e9e-7c82-85d74f3234d4",
  "assetId": "btc",
  "amount": 1,
  "comment": "1",
  "callbackUrl": ""
}"#;

/// The history as the document asks for it.
fn history(user: &str) -> String {
    let path = "/back-api/backoffice/transfers/account/";
    format!("{path}?userId={user}&startDate=2019-04-04T15%3A27%3A41")
}

/// The eight keys in their order, with the values of a whole bitcoin and the times of `answer`.
fn eight_keys(kind: &str, status: &str, answer: &Value) -> String {
    let (id, created, updated) = (&answer["id"], &answer["createdAt"], &answer["updatedAt"]);
    assert_eq!(shape(created.as_str().unwrap()), MICROS);
    assert_eq!(shape(updated.as_str().unwrap()), MICROS);
    assert!(created.as_str() <= updated.as_str());
    format!(
        r#"{{"id":{id},"asset":"btc","type":"{kind}","status":"{status}","amount":"1","fee":"0","createdAt":{created},"updatedAt":{updated}}}"#
    )
}

/// The row of a user's history that has this id, once it has this status.
async fn in_history(backoffice: &Client, user: &str, id: &Value, status: &str) -> String {
    eventually(&format!("transfer {id} is {status}"), async || {
        let text = backoffice.get(&history(user)).await.ok().text;
        let rows = text.strip_prefix("[{").unwrap().strip_suffix("}]").unwrap();
        let mut rows = rows.split("},{").map(|row| format!("{{{row}}}"));
        let begin = format!("{{\"id\":{id},");
        let row = rows.find(|row| row.starts_with(&begin)).unwrap();
        let is_there = row.contains(&format!("\"status\":\"{status}\""));
        is_there.then_some(row)
    })
    .await
}

/// All money of the exchange, and the users': every asset must come to nothing.
async fn assert_zero_sum(demo: &Demo) {
    let admin = demo.as_("ADMIN");
    let mut rows = Vec::new();
    let whose = ["owner=system".to_owned()].into_iter().chain(
        ["ALICE", "BOB", "CAROL"]
            .map(|name| format!("user_id={}", demo.env(&format!("{name}_ID")))),
    );
    for whose in whose {
        let answer = admin.get(&format!("/admin/v1/balances?{whose}")).await;
        let page = answer.ok().json();
        assert_eq!(page["next_cursor"], Value::Null);
        rows.extend(page["data"].as_array().unwrap().clone());
    }
    for asset in ["btc", "eth", "usd", "usdt"] {
        let of_asset = rows.iter().filter(|row| row["asset"] == asset);
        let amounts = of_asset.map(|row| {
            let of = |key: &str| units(row[key].as_str().unwrap());
            (of("available"), of("held"))
        });
        let (sum, turnover) = amounts.fold((0, 0), |(sum, turnover), (available, held)| {
            (sum + available + held, turnover + available.abs())
        });
        assert_eq!(sum, 0, "{asset}");
        assert!(turnover > 0, "{asset} was never there");
    }
    let books = super::books::Books::of(demo.env("DATABASE_URL"));
    books.settled().await;
    books.audit().await;
}

#[tokio::test]
async fn the_back_office_examples_get_the_documented_answers() {
    let folder = DemoFolder::create().await;
    let demo = folder.start(&[]).await;
    let backoffice = demo.as_("BACKOFFICE");

    let deposit = backoffice.post(DEPOSIT, OPEN).await.ok();
    let answer = deposit.json();
    assert_eq!(deposit.text, eight_keys("Deposit", "Pending", &answer));
    assert_eq!(answer["createdAt"], answer["updatedAt"]);
    let row = in_history(&backoffice, ALICE, &answer["id"], "Completed").await;
    let completed: Value = serde_json::from_str(&row).unwrap();
    assert_eq!(row, eight_keys("Deposit", "Completed", &completed));
    assert_eq!(completed["createdAt"], answer["createdAt"]);

    let withdrawal = backoffice.post(WITHDRAW, OPEN).await.ok();
    let answer = withdrawal.json();
    let held = eight_keys("Withdrawal", "AwaitingConfirmation", &answer);
    assert_eq!(withdrawal.text, held);
    assert_eq!(
        balance(&demo, "ALICE", "btc").await,
        ("10".into(), "1".into())
    );
    let cancel = json!({"userId": ALICE, "transferId": answer["id"].to_string()});
    let canceled = backoffice.post(CANCEL, cancel.to_string()).await.ok();
    let expected = eight_keys("Withdrawal", "Canceled", &canceled.json());
    assert_eq!(canceled.text, expected);
    assert_eq!(
        balance(&demo, "ALICE", "btc").await,
        ("11".into(), "0".into())
    );
    let row = in_history(&backoffice, ALICE, &answer["id"], "Canceled").await;
    assert_eq!(row, canceled.text);

    // The document confirms and cancels the withdrawals of another user than it opens them for.
    for (path, status, left) in [(CONFIRM, "Completed", "0"), (CANCEL, "Canceled", "0")] {
        if path == CANCEL {
            let back = OPEN.replace(ALICE, BOB);
            let headers = [("prefer", "wait")];
            backoffice.post_with(DEPOSIT, back, &headers).await.ok();
        }
        let open = backoffice.post(WITHDRAW, OPEN.replace(ALICE, BOB)).await;
        let id = open.ok().name();
        assert_eq!(
            balance(&demo, "BOB", "btc").await,
            (left.into(), "1".into())
        );
        let body = format!(
            "{{\n  \"userId\": \"{BOB}\",\n  \"transferId\": \"{id}\",\n  \"callbackUrl\": \"\"\n}}"
        );
        let done = backoffice.post(path, body.clone()).await.ok();
        assert_eq!(done.text, eight_keys("Withdrawal", status, &done.json()));
        // Once more is no more.
        assert_eq!(backoffice.post(path, body).await.ok().text, done.text);
    }
    assert_eq!(balance(&demo, "BOB", "btc").await, ("1".into(), "0".into()));
    assert_zero_sum(&demo).await;
    demo.interrupted().await;
}

/// What the back office sees of a user's asset: available and held.
async fn balance(demo: &Demo, name: &str, asset: &str) -> (String, String) {
    let user = demo.env(&format!("{name}_ID"));
    let path = format!("/admin/v1/balances?user_id={user}");
    let rows = demo.as_("READONLY").get(&path).await.ok().json();
    let rows = rows["data"].as_array().unwrap().clone();
    let row = rows.into_iter().find(|row| row["asset"] == asset).unwrap();
    let text = |key: &str| row[key].as_str().unwrap().to_owned();
    (text("available"), text("held"))
}

#[tokio::test]
async fn the_list_of_all_transfers_has_the_documented_rows() {
    let folder = DemoFolder::create().await;
    let demo = folder.start(&[]).await;
    let deposited = demo.as_("BACKOFFICE").post(DEPOSIT, OPEN).await.ok();
    let (id, created) = (deposited.name(), deposited.text_of("createdAt"));
    in_history(
        &demo.as_("BACKOFFICE"),
        ALICE,
        &deposited.json()["id"],
        "Completed",
    )
    .await;

    let readonly = demo.as_("READONLY");
    let path = "/back-api/api/v2/transfers?from=2019-03-05T00:00:00.000Z&";
    let list = readonly.get(path).await.ok();
    let updated = list.json()[0]["updatedAt"].as_str().unwrap().to_owned();
    assert_eq!(shape(&updated), MICROS);
    let first = format!(
        r#"[{{"userId":"{ALICE}","userName":"alice","email":"alice@example.com","userRole":"trader","userRoles":["trader"],"comment":"1","id":{id},"asset":"btc","transferId":"{id}","type":"Deposit","status":"Completed","amount":"1","fee":"0","errorDetails":"","createdAt":"{created}","updatedAt":"{updated}","amountInRootAsset":"65000","feeInRootAsset":"0","rootAsset":"usd"}},{{"#
    );
    assert!(list.text.starts_with(&first), "{}", list.text);
    // The demo begins with four deposits for each of two users.
    assert_eq!(list.json().as_array().unwrap().len(), 9);
    assert_eq!(list.header("x-page-size"), Some("100"));
    assert_eq!(list.header("x-total-count"), Some("9"));
    assert_eq!(list.header("x-total-pages"), Some("1"));
    assert_eq!(list.header("x-next-cursor"), None);

    let page = readonly.get(&format!("{path}pageSize=4&cursor=1")).await;
    let page = page.ok();
    assert_eq!(page.json().as_array().unwrap().len(), 4);
    assert_eq!(page.header("x-total-pages"), Some("3"));
    assert_eq!(page.header("x-next-cursor"), Some("2"));
    let past = readonly.get(&format!("{path}pageSize=4&cursor=3")).await;
    assert_eq!(past.ok().text, "[]");
    let found = readonly
        .get(&format!("{path}search=BOB&type=Withdraw"))
        .await;
    assert_eq!(found.ok().text, "[]");
    demo.interrupted().await;
}

/// The sixteen keys in their order, for the transfer that the document prints.
fn sixteen_keys(answer: &Value, status: &str, url: &str) -> String {
    let at = |key: &str| {
        let text = answer[key].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(shape(text), SECONDS);
        text.to_owned()
    };
    let (created, updated) = (at("created_at"), at("updated_at"));
    let code = answer["code"].as_str().unwrap();
    assert!(code.starts_with("TRF") && code.len() > 20, "{code}");
    let (done, timestamp) = if status == "pending" {
        ("null".to_owned(), created.clone())
    } else {
        (format!("\"{}\"", at("done_at")), at("done_at"))
    };
    format!(
        r#"{{"code":"{code}","custom_id":"my-transfer-123","callback_url":"{url}","created_at":"{created}","updated_at":"{updated}","done_at":{done},"timestamp":"{timestamp}","status":"{status}","reason_code":null,"reason_message":null,"currency_code":"BTC","amount":"0.01000000","fee_amount":"0.00000000","sender":"{ALICE}","recipient":"{BOB}","note":"Payment for services"}}"#
    )
}

#[tokio::test]
async fn the_internal_transfer_examples_get_the_documented_answers() {
    let folder = DemoFolder::create().await;
    let demo = folder.start(&[]).await;
    let receiver = Receiver::start().await;
    let (alice, bob) = (demo.as_("ALICE"), demo.as_("BOB"));
    let url = receiver.url("/callbacks/transfers");
    let body = format!(
        r#"{{
"currency_code": "BTC",
"amount": "0.01000000",
"recipient": "{BOB}",
"callback_url": "{url}",
"custom_id": "my-transfer-123",
"note": "Payment for services"
}}"#
    );
    let created = alice.post(INTERNAL, body).await.ok();
    let answer = created.json();
    assert_eq!(created.text, sixteen_keys(&answer, "pending", &url));
    let one = format!("{INTERNAL}/{}", created.name());
    let settled = eventually("the transfer succeeds", async || {
        let shown = alice.get(&one).await.ok();
        (shown.text_of("status") == "success").then_some(shown)
    })
    .await;
    let success = sixteen_keys(&settled.json(), "success", &url);
    assert_eq!(settled.text, success);
    assert_eq!(settled.json()["created_at"], answer["created_at"]);
    for path in [
        "/internal-transfer",
        "/api/v1/internal-transfer?status=completed",
    ] {
        assert_eq!(alice.get(path).await.ok().text, format!("[{success}]"));
    }
    // Whoever receives it does not see what the sender keeps for itself.
    let seen = success
        .replace(r#""my-transfer-123""#, "null")
        .replace(&format!("\"{url}\""), "null");
    assert_eq!(bob.get(&one).await.ok().text, seen);
    assert_eq!(bob.get(INTERNAL).await.ok().text, format!("[{seen}]"));
    let stranger = demo.as_("CAROL");
    stranger.get(&one).await.refused(404, "transfer.unknown");
    assert_eq!(stranger.get(INTERNAL).await.ok().text, "[]");

    let balance = bob.get("/balance").await.ok();
    let updated: Vec<String> = balance
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["updated_at"].as_str().unwrap().to_owned())
        .collect();
    assert!(updated.iter().all(|at| shape(at) == SECONDS));
    let [btc, eth, usd, usdt] = &updated[..] else {
        panic!("{balance:?}")
    };
    assert_eq!(
        balance.text,
        format!(
            r#"[{{"currency":"BTC","available":"1.01000000","frozen":"0.00000000","updated_at":"{btc}"}},{{"currency":"ETH","available":"10.000000000000000000","frozen":"0.000000000000000000","updated_at":"{eth}"}},{{"currency":"USD","available":"10000.00000000","frozen":"0.00000000","updated_at":"{usd}"}},{{"currency":"USDT","available":"5000.00000000","frozen":"0.00000000","updated_at":"{usdt}"}}]"#
        )
    );
    receiver.expect("/callbacks/transfers", 1).await;
    assert_zero_sum(&demo).await;
    demo.interrupted().await;
}

#[tokio::test]
async fn an_internal_transfer_beyond_the_balance_is_rejected_and_moves_nothing() {
    let folder = DemoFolder::create().await;
    let demo = folder.start(&[]).await;
    let carol = demo.as_("CAROL");
    let body = json!({"currency_code": "btc", "amount": "0.01", "recipient": "bob@example.com"});
    let created = carol.post(INTERNAL, body.to_string()).await.ok();
    assert_eq!(created.text_of("status"), "pending");
    let one = format!("{INTERNAL}/{}", created.name());
    let rejected = eventually("the transfer is rejected", async || {
        let shown = carol.get(&one).await.ok();
        (shown.text_of("status") == "rejected").then_some(shown)
    })
    .await;
    let shown = rejected.json();
    assert_eq!(shown["reason_code"], "balance.insufficient");
    assert!(shown["reason_message"].as_str().unwrap().ends_with('.'));
    assert_eq!(shown["timestamp"], shown["done_at"]);
    // Nobody can turn an address into a user id without paying.
    assert_eq!(shown["recipient"], "bob@example.com");
    assert_eq!(
        carol.get(INTERNAL).await.ok().text,
        format!("[{}]", rejected.text)
    );
    let filtered = carol.get("/internal-transfer?status=success").await;
    assert_eq!(filtered.ok().text, "[]");
    let code = rejected.name();
    let unseen = demo.as_("BOB").get(&format!("{INTERNAL}/{code}")).await;
    unseen.refused(404, "transfer.unknown");
    assert_eq!(
        balance(&demo, "CAROL", "btc").await,
        ("0".into(), "0".into())
    );
    assert_eq!(balance(&demo, "BOB", "btc").await, ("1".into(), "0".into()));
    assert_zero_sum(&demo).await;
    demo.interrupted().await;
}
