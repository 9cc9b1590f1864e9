//! §2, creating an internal transfer.

use serde_json::{Value, json};

use crate::{
    answer::{SECONDS, keys, shape},
    clause::clauses,
    scene::{INTERNAL, NOBODY, Scene, and, eventually, send},
};

clauses! { "2.1 Creating an internal transfer",
    "Documented: response fields": an_internal_transfer_has_sixteen_keys_in_order
        = "The answer has the sixteen documented keys in their order, the nullable ones too.",
    "Documented: paths; decision: with and without `/api/v1`": the_api_is_there_under_two_paths
        = "All three calls answer alike under `/internal-transfer…` and `/api/v1/internal-transfer…`.",
    "Documented: Currency code \"BTC\"; decision: any case in": currency_codes_are_upper_case_out
        = "`currency_code` may come in any case and is upper case out.",
    "Documented: \"0.01000000\"; decision: max(8, scale) decimals": internal_amounts_have_at_least_eight_decimals
        = "Amounts are strings with as many decimals as the asset has, at least eight.",
    "Documented: ISO 8601, whole seconds in the samples": internal_times_are_whole_seconds
        = "Times are whole seconds and `Z`.",
    "Documented: `done_at` null while pending": times_of_a_pending_transfer
        = "While pending `done_at` is null and `timestamp` is `created_at`.",
    "Documented: `done_at`: completion timestamp": times_of_a_settled_transfer
        = "Once settled `done_at` is set and `timestamp` is `done_at`.",
    "Documented: `code`: unique transfer code, TRF…": codes_are_unguessable_and_url_safe
        = "`code` is `TRF` and at least 16 URL-safe characters, never the same twice and in no order.",
    "Documented: `custom_id`: custom identifier; decision: need not be unique": custom_ids_need_not_be_unique
        = "`custom_id` comes back, and two transfers may share one.",
    "Decision: up to 255 characters": custom_id_and_note_are_bounded
        = "`custom_id` has at most 255 characters, `note` at most 1,000; more is 400 `….too_long`.",
    "Documented: optional fields": optional_fields_may_be_null_or_missing
        = "`custom_id`, `callback_url` and `note` may be null or missing and are null then.",
    "Documented: required fields": missing_fields_of_an_internal_transfer_are_named
        = "Without `currency_code`, `amount` and `recipient` it is 400 naming all three.",
    "Decision: 404 `currency.unknown`": an_unknown_currency_is_404
        = "An unknown currency is 404 `currency.unknown`.",
    "Documented: Amount to transfer; decision: the sender pays amount and fee": a_transfer_moves_the_amount
        = "The sender has less and the recipient more by exactly the amount, at once.",
    "Decision: `pending` → `rejected`": too_little_money_is_rejected
        = "Too little money is no error but `rejected` with `balance.insufficient`, `done_at` set and nothing moved.",
    "Decision: a closed asset": a_currency_that_cannot_be_transferred_is_rejected
        = "A currency without `can_transfer` is refused or rejected as `asset.disabled`.",
    "Decision: a frozen sender": a_frozen_sender_is_rejected
        = "A frozen sender's transfer is refused or rejected as `account.frozen`, a terminated one's as `account.terminated`.",
    "Documented: transfers between users": to_oneself_is_refused
        = "A transfer to oneself, by id, email or username, is 422 `recipient.is_sender`.",
    "Documented: `address_book_code`; decision: must belong to the sender": a_foreign_address_book_code_is_refused
        = "An `address_book_code` that names no entry of the sender's is 400 `address_book_code.mismatch`.",
    "Documented: `reason_code`, `reason_message`": a_rejection_has_a_code_and_a_message
        = "A rejected transfer has `reason_code` and `reason_message`, any other has neither.",
}

const KEYS: [&str; 16] = [
    "code",
    "custom_id",
    "callback_url",
    "created_at",
    "updated_at",
    "done_at",
    "timestamp",
    "status",
    "reason_code",
    "reason_message",
    "currency_code",
    "amount",
    "fee_amount",
    "sender",
    "recipient",
    "note",
];

async fn an_internal_transfer_has_sixteen_keys_in_order(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let pending = user
        .own
        .post(INTERNAL, send("btc", "1", &other.id))
        .await
        .ok();
    assert_eq!(keys(&pending.text), KEYS);
    assert_eq!(
        keys(&scene.paid(&user, &other, "btc", "1").await.text),
        KEYS
    );
    let rejected = user
        .own
        .waiting()
        .post(INTERNAL, send("btc", "9", &other.id))
        .await
        .ok();
    assert_eq!(keys(&rejected.text), KEYS);
}

async fn the_api_is_there_under_two_paths(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let versioned = "/api/v1/internal-transfer";
    let made = user
        .own
        .waiting()
        .post(versioned, send("btc", "1", &other.id))
        .await
        .ok();
    for base in [INTERNAL, versioned] {
        let one = user
            .own
            .get(&format!("{base}/{}", made.text("code")))
            .await
            .ok();
        assert_eq!(one.text, made.text);
        let all = user.own.get(base).await.ok();
        assert_eq!(all.text, format!("[{}]", made.text));
    }
}

async fn currency_codes_are_upper_case_out(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    for currency in ["btc", "BTC", "Btc"] {
        let answer = scene.paid(&user, &other, currency, "1").await;
        assert_eq!(answer.text("currency_code"), "BTC");
    }
}

async fn internal_amounts_have_at_least_eight_decimals(scene: Scene) {
    let (user, other) = (scene.user().await, scene.user().await);
    for (asset, amount, is, none) in [
        ("btc", "0.01", "0.01000000", "0.00000000"),
        ("usd", "25", "25.00000000", "0.00000000"),
        ("usdt", "0.000001", "0.00000100", "0.00000000"),
        ("eth", "0.5", "0.500000000000000000", "0.000000000000000000"),
    ] {
        scene.fund(&user, asset, "100").await;
        let answer = scene.paid(&user, &other, asset, amount).await;
        assert_eq!(
            (answer.text("amount"), answer.text("fee_amount")),
            (is.into(), none.into())
        );
    }
}

async fn internal_times_are_whole_seconds(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let answer = scene.paid(&user, &other, "btc", "1").await;
    for name in ["created_at", "updated_at", "done_at", "timestamp"] {
        assert_eq!(shape(&answer.text(name)), SECONDS);
    }
}

async fn times_of_a_pending_transfer(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let answer = user
        .own
        .post(INTERNAL, send("btc", "1", &other.id))
        .await
        .ok();
    assert_eq!(answer.get("done_at"), json!(null));
    assert_eq!(answer.text("timestamp"), answer.text("created_at"));
    assert_eq!(answer.text("updated_at"), answer.text("created_at"));
}

async fn times_of_a_settled_transfer(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    for amount in ["1", "9"] {
        let body = send("btc", amount, &other.id);
        let answer = user.own.waiting().post(INTERNAL, body).await.ok();
        assert_eq!(answer.text("timestamp"), answer.text("done_at"));
        assert_eq!(answer.text("updated_at"), answer.text("done_at"));
    }
}

async fn codes_are_unguessable_and_url_safe(scene: Scene) {
    let (user, other) = (scene.rich("btc", "50").await, scene.user().await);
    let mut codes = vec![];
    for _ in 0..12 {
        let code = scene.paid(&user, &other, "btc", "1").await.text("code");
        let suffix = code.strip_prefix("TRF").expect("codes begin with TRF");
        assert!(suffix.len() >= 16, "{code}");
        assert!(
            suffix
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        codes.push(code);
    }
    // Twelve in order, one way or the other, by chance: once in 240 million.
    assert!(
        !codes.is_sorted() && !codes.iter().rev().is_sorted(),
        "{codes:?}"
    );
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 12);
}

async fn custom_ids_need_not_be_unique(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let body = and(send("btc", "1", &other.id), "custom_id", "my-transfer-123");
    let first = user.own.post(INTERNAL, body.clone()).await.ok();
    let second = user.own.post(INTERNAL, body).await.ok();
    assert_ne!(first.text("code"), second.text("code"));
    assert_eq!(second.text("custom_id"), "my-transfer-123");
}

async fn custom_id_and_note_are_bounded(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    for (name, most) in [("custom_id", 255), ("note", 1_000)] {
        let body = and(send("btc", "1", &other.id), name, "é".repeat(most));
        let answer = user.own.post(INTERNAL, body).await.ok();
        assert_eq!(answer.text(name).chars().count(), most);
        let body = and(send("btc", "1", &other.id), name, "x".repeat(most + 1));
        let answer = user.own.post(INTERNAL, body).await;
        answer.refused(400, &format!("{name}.too_long"));
    }
}

async fn optional_fields_may_be_null_or_missing(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let mut nulls = send("btc", "1", &other.id);
    for name in ["custom_id", "callback_url", "note", "address_book_code"] {
        nulls = and(nulls, name, Value::Null);
    }
    for body in [nulls, send("btc", "1", &other.id)] {
        let answer = user.own.post(INTERNAL, body).await.ok();
        for name in ["custom_id", "callback_url", "note"] {
            assert_eq!(answer.get(name), json!(null));
        }
    }
}

async fn missing_fields_of_an_internal_transfer_are_named(scene: Scene) {
    let user = scene.user().await;
    let answer = user.own.post(INTERNAL, "{}").await;
    let wrong = answer.refused(400, "request.invalid").wrong();
    let expected = ["currency_code", "amount", "recipient"];
    assert_eq!(
        wrong,
        expected.map(|name| (name.to_owned(), format!("{name}.missed")))
    );
}

async fn an_unknown_currency_is_404(scene: Scene) {
    let user = scene.user().await;
    let answer = user.own.post(INTERNAL, send("cf-none", "1", NOBODY)).await;
    answer.refused(404, "currency.unknown");
}

async fn a_transfer_moves_the_amount(scene: Scene) {
    let (user, other) = (scene.rich("eth", "5").await, scene.user().await);
    scene
        .paid(&user, &other, "eth", "1.000000000000000001")
        .await;
    assert_eq!(scene.balance(&user, "ETH").await.0, "3.999999999999999999");
    assert_eq!(scene.balance(&other, "ETH").await.0, "1.000000000000000001");
}

async fn too_little_money_is_rejected(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let answer = user
        .own
        .post(INTERNAL, send("btc", "1.00000001", &other.id))
        .await
        .ok();
    assert_eq!(answer.text("status"), "pending");
    let path = format!("{INTERNAL}/{}", answer.text("code"));
    let rejected = eventually("rejected", async || {
        let now = user.own.get(&path).await.ok();
        (now.text("status") == "rejected").then_some(now)
    })
    .await;
    assert_eq!(rejected.text("reason_code"), "balance.insufficient");
    assert_eq!(shape(&rejected.text("done_at")), SECONDS);
    assert_eq!(scene.balance(&user, "BTC").await.0, "1.00000000");
    assert_eq!(scene.balance(&other, "BTC").await.0, "0.00000000");
}

/// The code of a refusal, or of the reason for a rejection.
async fn turned_down(user: &crate::scene::User, body: Value) -> String {
    let answer = user.own.waiting().post(INTERNAL, body).await;
    if answer.status == 200 {
        assert_eq!(answer.text("status"), "rejected");
        answer.text("reason_code")
    } else {
        assert_eq!(answer.status, 422, "{}", answer.text);
        answer.text("code")
    }
}

async fn a_currency_that_cannot_be_transferred_is_rejected(scene: Scene) {
    scene.asset("cf-in-only", 8, true, false).await;
    let (user, other) = (scene.rich("cf-in-only", "5").await, scene.user().await);
    let code = turned_down(&user, send("cf-in-only", "1", &other.id)).await;
    assert_eq!(code, "asset.disabled");
}

async fn a_frozen_sender_is_rejected(scene: Scene) {
    let other = scene.user().await;
    for (status, code) in [
        ("Frozen", "account.frozen"),
        ("Terminated", "account.terminated"),
    ] {
        let user = scene.rich("btc", "5").await;
        scene.put_user(&user, status).await;
        assert_eq!(turned_down(&user, send("btc", "1", &other.id)).await, code);
    }
}

async fn to_oneself_is_refused(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    for name in [
        &user.id,
        &user.email,
        &user.name,
        &user.email.to_uppercase(),
    ] {
        let answer = user.own.post(INTERNAL, send("btc", "1", name)).await;
        answer.refused(422, "recipient.is_sender");
    }
}

async fn a_foreign_address_book_code_is_refused(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let body = and(send("btc", "1", &other.id), "address_book_code", "nobodys");
    let answer = user.own.post(INTERNAL, body).await;
    answer.refused(400, "address_book_code.mismatch");
}

async fn a_rejection_has_a_code_and_a_message(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let paid = scene.paid(&user, &other, "btc", "1").await;
    let none = (json!(null), json!(null));
    assert_eq!((paid.get("reason_code"), paid.get("reason_message")), none);
    let rejected = user
        .own
        .waiting()
        .post(INTERNAL, send("btc", "9", &other.id))
        .await
        .ok();
    assert_eq!(rejected.text("reason_code"), "balance.insufficient");
    assert!(!rejected.text("reason_message").is_empty());
}
