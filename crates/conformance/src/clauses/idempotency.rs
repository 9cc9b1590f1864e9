//! §0, idempotency: what a key is and what it does.

use serde_json::json;

use crate::{
    clause::clauses,
    scene::{CANCEL, CONFIRM, DEPOSIT, INTERNAL, Scene, WITHDRAW, and, finish, open, send, unique},
};

clauses! { "0.5 Idempotency keys",
    "Decision: optional on every POST that moves money": a_key_is_optional
        = "Without a key equal requests are different transfers.",
    "Decision: at most one effect": a_repeated_deposit_is_one_deposit
        = "A deposit repeated with its key answers the same transfer, as it is now, with `Idempotent-Replayed: true`, and moves nothing.",
    "Decision: at most one effect": a_repeated_withdrawal_is_one_withdrawal
        = "The same for a withdrawal.",
    "Decision: at most one effect": a_repeated_confirm_is_one_confirm
        = "The same for a confirm and a cancel.",
    "Decision: at most one effect": a_repeated_internal_transfer_is_one_transfer
        = "The same for an internal transfer.",
    "Decision: bare or quoted": a_key_is_the_same_bare_and_quoted
        = "A key in double quotes is the same key as without them.",
    "Decision: 1 to 255 visible characters": a_malformed_key_is_refused
        = "An empty key, one of more than 255 characters, one with a blank, and two keys are 400 `idempotency_key.invalid`.",
    "Decision: the fingerprint is over the parsed request": two_spellings_of_a_request_are_one_request
        = "Two spellings of one amount, asset or id are the same request.",
    "Decision: `Prefer` is no part of the request": prefer_is_no_part_of_the_request
        = "The same request with and without `Prefer` is the same request; a replay shows the transfer as it is now.",
    "Decision: another request is refused": another_request_with_the_key_is_refused
        = "Another request with the key is 422 `idempotency.key_reused`, naming the first transfer in `original` and the differing `fields`.",
    "Decision: a key belongs to principal and operation": a_key_belongs_to_its_principal
        = "Two users' equal keys are two keys; all credentials of one user share theirs.",
    "Decision: a key belongs to the operation, not to the path": a_key_belongs_to_its_operation
        = "One key for a deposit and a withdrawal is two keys; `/api/v1` shares keys with the bare path.",
    "Decision: a refusal is kept": a_kept_refusal_replays
        = "A 422 decided with the money replays with its key, also once there is money.",
    "Decision: what is found before the money leaves the key free": what_is_refused_early_leaves_the_key_free
        = "After 400, 401, 403, 404, 409, 413 and 415 the key is free.",
    "Decision: the second waits and replays": racing_duplicates_are_one_transfer
        = "Twenty equal requests at once with one key are one transfer, and nineteen replays.",
}

async fn a_key_is_optional(scene: Scene) {
    let user = scene.user().await;
    let body = open(&user, "btc", "1");
    let first = scene.office().post(DEPOSIT, body.clone()).await.ok();
    let second = scene.office().post(DEPOSIT, body).await.ok();
    assert_ne!(first.id(), second.id());
}

async fn a_repeated_deposit_is_one_deposit(scene: Scene) {
    let user = scene.user().await;
    let office = scene.office().key(&unique("key"));
    let first = office.post(DEPOSIT, open(&user, "btc", "1")).await.ok();
    assert!(!first.is_replayed());
    scene.row(&user, first.id(), "Completed").await;
    let again = office.post(DEPOSIT, open(&user, "btc", "1")).await.ok();
    assert!(again.is_replayed());
    assert_eq!(
        (again.id(), again.text("status")),
        (first.id(), "Completed".into())
    );
    assert_eq!(scene.balance(&user, "BTC").await.0, "1.00000000");
}

async fn a_repeated_withdrawal_is_one_withdrawal(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let office = scene.office().key(&unique("key"));
    let first = office.post(WITHDRAW, open(&user, "btc", "1")).await.ok();
    let again = office.post(WITHDRAW, open(&user, "btc", "1")).await.ok();
    assert!(again.is_replayed() && !first.is_replayed());
    assert_eq!(again.text, first.text);
    let held = ("4.00000000".to_owned(), "1.00000000".to_owned());
    assert_eq!(scene.balance(&user, "BTC").await, held);
}

async fn a_repeated_confirm_is_one_confirm(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    for (path, status) in [(CONFIRM, "Completed"), (CANCEL, "Canceled")] {
        let held = scene.withdrawal(&user, "btc", "1").await.id();
        let office = scene.office().key(&unique("key"));
        let first = office.post(path, finish(&user, held)).await.ok();
        let again = office.post(path, finish(&user, held)).await.ok();
        assert!(again.is_replayed(), "{path}");
        assert_eq!(again.text, first.text);
        assert_eq!(again.text("status"), status);
    }
    let left = ("4.00000000".to_owned(), "0.00000000".to_owned());
    assert_eq!(scene.balance(&user, "BTC").await, left);
}

async fn a_repeated_internal_transfer_is_one_transfer(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let own = user.own.key(&unique("key")).waiting();
    let first = own.post(INTERNAL, send("btc", "1", &other.id)).await.ok();
    let again = own.post(INTERNAL, send("btc", "1", &other.id)).await.ok();
    assert!(again.is_replayed() && !first.is_replayed());
    assert_eq!(again.text, first.text);
    assert_eq!(scene.balance(&other, "BTC").await.0, "1.00000000");
}

async fn a_key_is_the_same_bare_and_quoted(scene: Scene) {
    let (user, key) = (scene.user().await, unique("key"));
    let bare = scene.office().key(&key);
    let first = bare.post(DEPOSIT, open(&user, "btc", "1")).await.ok();
    let quoted = scene.office().key(&format!("\"{key}\""));
    let again = quoted.post(DEPOSIT, open(&user, "btc", "1")).await.ok();
    assert!(again.is_replayed());
    assert_eq!(again.id(), first.id());
}

async fn a_malformed_key_is_refused(scene: Scene) {
    let user = scene.user().await;
    let long = "k".repeat(256);
    for key in ["", "\"\"", "two words", &long] {
        let answer = scene
            .office()
            .key(key)
            .post(DEPOSIT, open(&user, "btc", "1"))
            .await;
        answer.refused(400, "idempotency_key.invalid");
    }
    let two = scene.office().key("one").key("two");
    let answer = two.post(DEPOSIT, open(&user, "btc", "1")).await;
    answer.refused(400, "idempotency_key.invalid");
    let longest = unique(&"k".repeat(200)).repeat(2);
    let longest = longest.get(..255).expect("it is longer");
    scene
        .office()
        .key(longest)
        .post(DEPOSIT, open(&user, "btc", "1"))
        .await
        .ok();
}

async fn two_spellings_of_a_request_are_one_request(scene: Scene) {
    let user = scene.user().await;
    let office = scene.office().key(&unique("key"));
    let first = office.post(DEPOSIT, open(&user, "btc", "1.5")).await.ok();
    for body in [
        and(open(&user, "BTC", "1.500"), "comment", json!(null)),
        and(open(&user, "btc", ""), "amount", 1.5),
        json!({"assetID": "Btc", "userId": user.id.to_uppercase(), "amount": "1.50", "callbackUrl": null}),
    ] {
        let again = office.post(DEPOSIT, body).await.ok();
        assert!(again.is_replayed());
        assert_eq!(again.id(), first.id());
    }
}

async fn prefer_is_no_part_of_the_request(scene: Scene) {
    let user = scene.user().await;
    let office = scene.office().key(&unique("key"));
    let first = office.post(DEPOSIT, open(&user, "btc", "1")).await.ok();
    scene.row(&user, first.id(), "Completed").await;
    let again = office
        .waiting()
        .post(DEPOSIT, open(&user, "btc", "1"))
        .await
        .ok();
    assert!(again.is_replayed());
    assert_eq!(
        (again.id(), again.text("status")),
        (first.id(), "Completed".into())
    );
}

async fn another_request_with_the_key_is_refused(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let key = unique("key");
    let office = scene.office().key(&key);
    let first = office.post(DEPOSIT, open(&user, "btc", "1")).await.ok();
    let body = and(open(&user, "eth", "2"), "comment", "other");
    let answer = office.post(DEPOSIT, body).await;
    let answer = answer.refused(422, "idempotency.key_reused");
    assert_eq!(answer.get("original"), json!({"id": first.id()}));
    let mut fields: Vec<String> =
        serde_json::from_value(answer.get("fields")).expect("fields are texts");
    fields.sort();
    assert_eq!(fields, ["amount", "assetId", "comment"]);
    let own = user.own.key(&key);
    let first = own.post(INTERNAL, send("btc", "1", &other.id)).await.ok();
    let answer = own.post(INTERNAL, send("btc", "2", &other.id)).await;
    let answer = answer.refused(422, "idempotency.key_reused");
    assert_eq!(answer.get("original"), json!({"code": first.text("code")}));
    assert_eq!(answer.get("fields"), json!(["amount"]));
}

async fn a_key_belongs_to_its_principal(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.rich("btc", "5").await);
    let key = unique("key");
    let body = send("btc", "1", crate::scene::NOBODY);
    let first = user.own.key(&key).post(INTERNAL, body.clone()).await.ok();
    let others = other.own.key(&key).post(INTERNAL, body.clone()).await.ok();
    assert!(!others.is_replayed());
    // Another token and an access key of the same user.
    let token = scene.token(Some(&user.id), &["allow_transfer"]).await;
    let again = token.key(&key).post(INTERNAL, body.clone()).await.ok();
    assert!(again.is_replayed());
    assert_eq!(again.text("code"), first.text("code"));
    let access = scene.access_key(&user, None).await;
    let signed = scene
        .stranger()
        .signed(&access, INTERNAL, &body.to_string());
    let again = signed.key(&key).post(INTERNAL, body).await.ok();
    assert!(again.is_replayed());
}

async fn a_key_belongs_to_its_operation(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let key = unique("key");
    let office = scene.office().key(&key);
    for path in [DEPOSIT, WITHDRAW] {
        let answer = office.post(path, open(&user, "btc", "1")).await.ok();
        assert!(!answer.is_replayed(), "{path}");
    }
    let own = user.own.key(&key);
    let body = send("btc", "1", crate::scene::NOBODY);
    own.post(INTERNAL, body.clone()).await.ok();
    let again = own.post("/api/v1/internal-transfer", body).await.ok();
    assert!(again.is_replayed());
}

async fn a_kept_refusal_replays(scene: Scene) {
    let user = scene.user().await;
    let office = scene.office().key(&unique("key"));
    let body = open(&user, "btc", "1");
    let first = office.post(WITHDRAW, body.clone()).await;
    let first = first.refused(422, "balance.insufficient");
    assert!(!first.is_replayed());
    scene.fund(&user, "btc", "1").await;
    let again = office.post(WITHDRAW, body).await;
    assert!(again.refused(422, "balance.insufficient").is_replayed());
    let answer = office.post(WITHDRAW, open(&user, "btc", "0.5")).await;
    let answer = answer.refused(422, "idempotency.key_reused");
    assert_eq!(answer.get("original"), json!(null));
}

async fn what_is_refused_early_leaves_the_key_free(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let key = unique("key");
    let office = scene.office().key(&key);
    let good = open(&user, "btc", "1");
    let large = and(good.clone(), "comment", "x".repeat(70_000));
    office
        .post(WITHDRAW, open(&user, "btc", "0"))
        .await
        .refused(400, "amount.zero");
    office
        .post(WITHDRAW, open(&user, "cf-none", "1"))
        .await
        .refused(404, "asset.unknown");
    office
        .post(WITHDRAW, large)
        .await
        .refused(413, "body.too_large");
    let typed = office.with("content-type", "text/plain");
    typed
        .post(WITHDRAW, good.clone())
        .await
        .refused(415, "media_type.unsupported");
    let stranger = scene.stranger().key(&key);
    stranger
        .post(WITHDRAW, good.clone())
        .await
        .refused(401, "credentials.missing");
    let reader = scene.reader().key(&key);
    reader
        .post(WITHDRAW, good.clone())
        .await
        .refused(403, "permission.missing");
    assert!(!office.post(WITHDRAW, good).await.ok().is_replayed());
    // 409: a key whose confirm was refused confirms something else.
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    scene.office().post(CANCEL, finish(&user, held)).await.ok();
    let answer = office.post(CONFIRM, finish(&user, held)).await;
    answer.refused(409, "transfer.already_canceled");
    let other = scene.withdrawal(&user, "btc", "1").await.id();
    let answer = office.post(CONFIRM, finish(&user, other)).await.ok();
    assert!(!answer.is_replayed());
}

async fn racing_duplicates_are_one_transfer(scene: Scene) {
    let user = scene.rich("btc", "100").await;
    let office = scene.office().key(&unique("key"));
    let racing: Vec<_> = (0..20)
        .map(|_| {
            let (office, body) = (office.clone(), open(&user, "btc", "1"));
            tokio::spawn(async move { office.post(WITHDRAW, body).await.ok() })
        })
        .collect();
    let mut ids = vec![];
    let mut replays = 0;
    for answer in racing {
        let answer = answer.await.expect("the request is answered");
        ids.push(answer.id());
        replays += usize::from(answer.is_replayed());
    }
    ids.dedup();
    assert_eq!((ids.len(), replays), (1, 19));
    assert_eq!(scene.balance(&user, "BTC").await.0, "99.00000000");
}
