//! Address books through the binary.

use serde_json::{Value, json};

use super::{
    client::Client,
    exchange::{INTERNAL, WAIT},
    recipients::{Scene, USERS, payment, told},
};

#[tokio::test]
async fn an_address_book_is_kept_and_binds_transfers() {
    let scene = Scene::set().await;
    let (alice, bob) = (scene.trader(0), scene.trader(1));
    let book = "/api/v1/address-book";
    let add = json!({"code": "friend", "recipient": "Active@Example.com", "label": "A friend"});
    let added = alice.post(book, add.to_string()).await.ok();
    let again = alice.post("/address-book", add.to_string()).await.ok();
    assert_eq!(again.text, added.text);
    let made = alice.post(book, r#"{"recipient": "absent"}"#).await.ok();
    let listed = alice.get("/address-book").await.ok();
    let codes = listed.json();
    let codes: Vec<&Value> = codes
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["code"])
        .collect();
    assert_eq!(codes.len(), 2);
    assert!(listed.text.contains(&added.text) && listed.text.contains(&made.text));
    assert_eq!(bob.get(book).await.ok().text, "[]");

    let pay = async |sender: &Client, code: &str, recipient: &str| {
        let mut body: Value = serde_json::from_str(&payment(recipient, "", "")).unwrap();
        body["address_book_code"] = json!(code);
        sender.post_with(INTERNAL, body.to_string(), &[WAIT]).await
    };
    let (name, id, _) = USERS[0];
    for recipient in ["active@example.com", name, id] {
        let paid = pay(&alice, "friend", recipient).await.ok();
        assert_eq!(paid.text_of("status"), "success", "{recipient}");
    }
    let nobody = pay(&alice, &made.text_of("code"), "absent").await.ok();
    assert_eq!(nobody.json()["reason_code"], "recipient.unavailable");
    let mut refusals = vec![];
    for (sender, code, recipient) in [
        (&bob, "friend", name),
        (&alice, "none", name),
        (&alice, "friend", "frozen"),
        (&alice, "friend", "absent"),
        (&alice, "friend", "trader1"),
    ] {
        let refused = pay(sender, code, recipient).await;
        let mut refused = refused.refused(400, "address_book_code.mismatch");
        // It counts the caller's requests, of which each is another one.
        refused.headers.remove("ratelimit");
        let told = told(&refused).replace(refused.header("x-request-id").unwrap(), "ID");
        refusals.push(told);
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    let one = "/address-book/friend";
    bob.delete(one)
        .await
        .refused(404, "address_book_code.unknown");
    assert_eq!(alice.delete(one).await.status, 204);
    alice
        .delete(one)
        .await
        .refused(404, "address_book_code.unknown");
    scene.books.audit().await;
}
