//! Money that moves: what people write to it, whom it goes to, and who is told.

use serde_json::json;

use super::{
    super::{
        eventually,
        exchange::{BULK, CONFIRM, DEPOSIT, INTERNAL, WAIT, WITHDRAW},
        gateway::{RESULTS, tell},
    },
    Scene,
    planted::Planted,
};

/// The id of somebody who is paid.
const RECIPIENT: &str = "66666666-6666-4666-8666-666666666666";
const BOOK: &str = "/address-book";

pub(super) async fn plant(scene: &Scene, planted: &mut Planted) {
    let recipient = make_recipient(scene, planted).await;
    deposit(scene, planted).await;
    transfer(scene, planted, &recipient).await;
    send_bulks(scene, planted, &recipient).await;
    keep_addresses(scene, planted).await;
    pay_out(scene, planted).await;
    look_up(scene, planted).await;
}

/// Somebody's email, as senders type it.
async fn make_recipient(scene: &Scene, planted: &mut Planted) -> String {
    let typed = planted.canary("a recipient as it is typed");
    let email = format!("{typed}@example.com");
    let user = json!({
        "username": planted.canary("the name of a recipient"), "email": email, "roles": [],
        "status": "Active",
    });
    let path = format!("/admin/v1/users/{RECIPIENT}");
    scene.admin().put(&path, user.to_string()).await.ok();
    email
}

/// A deposit whose receiver first has trouble of its own.
async fn deposit(scene: &Scene, planted: &mut Planted) {
    let callbacks = planted.callback_path("a deposit");
    let key = planted.canary("the idempotency key of a deposit");
    let mut body = json!({
        "userId": scene.user(), "assetId": "btc", "amount": "1.23456789",
        "comment": planted.canary("the comment of a deposit"),
        "callbackUrl": scene.receiver.url(&callbacks),
    });
    // The back office's API takes no notice of what it does not know.
    let name = planted.canary("the name of a field that nobody knows");
    body[name.as_str()] = json!(planted.canary("a field that nobody knows"));
    scene.receiver.answer_next(&callbacks, 500);
    let headers = [("idempotency-key", key.as_str()), WAIT];
    let made = scene
        .backoffice()
        .post_with(DEPOSIT, body.to_string(), &headers)
        .await
        .ok();
    assert_eq!(made.text_of("status"), "Completed");
    scene.receiver.expect(&callbacks, 2).await;
}

/// A transfer, and another one with the same key.
async fn transfer(scene: &Scene, planted: &mut Planted, recipient: &str) {
    let callbacks = planted.callback_path("a transfer");
    let key = planted.canary("the idempotency key of a transfer");
    let mut body = json!({
        "currency_code": "btc", "amount": "0.5", "recipient": recipient,
        "note": planted.canary("the note of a transfer"),
        "custom_id": planted.canary("the own id of a transfer"),
        "callback_url": scene.receiver.url(&callbacks),
    });
    let preference = planted.canary("a preference");
    let prefer = format!("wait, handling={preference}");
    let headers = [
        ("idempotency-key", key.as_str()),
        ("prefer", prefer.as_str()),
    ];
    let trading = scene.trading();
    let sent = trading.post_with(INTERNAL, body.to_string(), &headers);
    assert_eq!(sent.await.ok().text_of("status"), "success");
    scene.receiver.expect(&callbacks, 1).await;
    body["note"] = json!(planted.canary("the note of a transfer whose key was used"));
    let reused = trading.post_with(INTERNAL, body.to_string(), &headers);
    let reused = reused.await.refused(422, "idempotency.key_reused");
    planted.assert_not_in("a refusal", &reused.text);
}

/// Of three items one is made, one is rejected and one is wrong; and a bulk that is refused as a whole.
async fn send_bulks(scene: &Scene, planted: &mut Planted, recipient: &str) {
    let callbacks = planted.callback_path("an item of a bulk");
    let key = planted.canary("the idempotency key of a bulk");
    let nobody = planted.canary("a recipient of a bulk whom nobody knows");
    let items = json!([
        {
            "currency_code": "btc", "amount": "0.01", "recipient": recipient,
            "note": planted.canary("the note of an item of a bulk"),
            "custom_id": planted.canary("the own id of an item of a bulk"),
            "callback_url": scene.receiver.url(&callbacks),
        },
        {
            "currency_code": "btc", "amount": "0.01", "recipient": format!("{nobody}@example.com"),
            "note": planted.canary("the note of an item that is rejected"),
        },
        {
            "currency_code": "btc", "amount": planted.canary("an amount of a bulk that is none"),
            "recipient": [planted.canary("a recipient of a bulk that is none")],
        },
    ]);
    let body = json!({"transfers": items, "atomic": false}).to_string();
    let headers = [("idempotency-key", key.as_str()), WAIT];
    let trading = scene.trading();
    let made = trading.post_with(BULK, body, &headers).await.ok().json();
    let results = made["results"].as_array().unwrap();
    assert_eq!(results.len(), 3, "{made}");
    assert_eq!(results[0]["status"], "success", "{made}");
    assert_eq!(results[1]["reason_code"], "recipient.unavailable", "{made}");
    assert_eq!(results[2]["status"], 400, "{made}");
    planted.assert_not_in("a refusal", &results[2].to_string());
    scene.receiver.expect(&callbacks, 1).await;

    let too_much = json!({
        "currency_code": "btc", "amount": "1000", "recipient": recipient,
        "note": planted.canary("the note of a bulk that is refused"),
    });
    let body = json!({"transfers": [too_much], "atomic": true}).to_string();
    let refused = trading.post(BULK, body).await.refused(422, "bulk.refused");
    planted.assert_not_in("a refusal", &refused.text);
}

async fn keep_addresses(scene: &Scene, planted: &mut Planted) {
    let trading = scene.trading();
    let code = planted.canary("a code of an address book");
    let mut entry = json!({
        "code": code, "recipient": planted.canary("a recipient of an address book"),
        "label": planted.canary("a label of an address book"),
    });
    let added = trading.post(BOOK, entry.to_string()).await.ok();
    assert_eq!(added.text_of("code"), code);
    let listed = trading.get(BOOK).await.ok();
    assert!(listed.text.contains(&added.text), "{}", listed.text);
    entry["label"] = json!(planted.canary("a label whose code is taken"));
    let taken = trading.post(BOOK, entry.to_string()).await;
    let taken = taken.refused(422, "address_book_code.taken");
    let payment = json!({
        "currency_code": "btc", "amount": "0.01", "address_book_code": code,
        "recipient": planted.canary("a recipient whom the code does not mean"),
    });
    let mismatch = trading.post(INTERNAL, payment.to_string()).await;
    let mismatch = mismatch.refused(400, "address_book_code.mismatch");
    let other = planted.canary("a code that no address book has");
    let unknown = trading.delete(&format!("{BOOK}/{other}")).await;
    let unknown = unknown.refused(404, "address_book_code.unknown");
    for refused in [taken, mismatch, unknown] {
        planted.assert_not_in("a refusal", &refused.text);
    }
    let removed = trading.delete(&format!("{BOOK}/{code}")).await;
    assert_eq!(removed.status, 204);
}

/// A withdrawal that the gateway pays out, and a word about it that is not the gateway's.
async fn pay_out(scene: &Scene, planted: &mut Planted) {
    let office = scene.backoffice();
    let comment = planted.canary("the comment of a payout");
    let body = json!({
        "userId": scene.user(), "assetId": "btc", "amount": "0.01", "comment": comment,
    });
    let held = office.post(WITHDRAW, body.to_string()).await.ok();
    let id = held.json()["id"].as_i64().unwrap();
    let callbacks = planted.callback_path("a confirmation");
    let key = planted.canary("the idempotency key of a confirmation");
    let body = json!({
        "userId": scene.user(), "transferId": id, "callbackUrl": scene.receiver.url(&callbacks),
    });
    let headers = [("idempotency-key", key.as_str())];
    let confirmed = office.post_with(CONFIRM, body.to_string(), &headers);
    confirmed.await.ok();
    let order = eventually("the gateway is asked", async || {
        let known = scene.gateway.known().remove(&id)?;
        Some(known.order)
    })
    .await;
    assert!(order.contains(&comment), "{order}");

    let body = json!({
        "id": id, "status": "paid", "detail": planted.canary("a word of a gateway that is none"),
    });
    let message = planted.canary("the id of a message that nobody has signed");
    let signature = planted.canary("the signature of a gateway that is none");
    let signature = format!("v1,{signature}");
    let headers = [
        ("webhook-id", message.as_str()),
        ("webhook-timestamp", "1"),
        ("webhook-signature", signature.as_str()),
    ];
    let unsigned = scene
        .client
        .post_with(RESULTS, body.to_string(), &headers)
        .await;
    let unsigned = unsigned.refused(401, "signature.invalid");
    planted.assert_not_in("a refusal", &unsigned.text);
    tell(&scene.client, id, "paid").await.ok();
    scene.receiver.expect(&callbacks, 1).await;
}

/// What users and the back office look for.
async fn look_up(scene: &Scene, planted: &mut Planted) {
    let own_id = planted.canary("an own id that its sender looks for");
    let path = format!("{INTERNAL}?custom_id={own_id}");
    assert_eq!(scene.trading().get(&path).await.ok().text, "[]");
    let search = planted.canary("a search of the back office");
    let path = format!("/back-api/api/v2/transfers?search={search}");
    assert_eq!(scene.backoffice().get(&path).await.ok().text, "[]");
}
