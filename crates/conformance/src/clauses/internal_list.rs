//! §2, listing internal transfers and looking at one.

use serde_json::{Value, json};

use crate::{
    answer::{keys, raw_rows, text},
    clause::clauses,
    scene::{INTERNAL, NOBODY, Scene, User, and, send},
};

clauses! { "2.3 Lists of internal transfers",
    "Documented: a direct array of transfer objects": the_internal_list_is_a_bare_array
        = "The list is a bare array of the same objects as the create's answer.",
    "Documented: sorted by creation date in descending order": the_internal_list_is_newest_first
        = "The newest comes first.",
    "Documented: filter by status": the_internal_list_is_filtered_by_status
        = "`status` filters by `pending`, `success` and `rejected`; `completed` means `success`; anything else is 400 `status.invalid`.",
    "Documented: filter by currency": the_internal_list_is_filtered_by_currency
        = "`currency_code`, or `currency`, filters in any case.",
    "Documented: filter by custom ID": the_internal_list_is_filtered_by_custom_id
        = "`custom_id` filters exactly, and only what the caller sent.",
    "Documented: `start_at`, `end_at` on field timestamp, inclusive": the_internal_list_is_bounded_by_timestamp
        = "`start_at` and `end_at` bound `timestamp` by whole seconds, inclusively, whatever their fractions.",
    "Documented: default: 100, max: 200": the_internal_limit_is_bounded
        = "`limit` is 1 to 200 and 100 by default; outside it is 400 `limit.out_of_range`.",
    "Documented: offset is limited for maximum 10000, else an error": the_internal_offset_is_bounded
        = "`offset` is 0 to 10000; more is 400 `offset.too_large`.",
    "Documented: offset-based pagination": the_internal_list_has_offsets
        = "Pages by `limit` and `offset` join without a gap or a row twice; past the end is `[]`.",
    "Decision: notes cost something": the_list_has_what_was_sent_and_what_was_received
        = "The list has all that the caller sent and the successful ones that it received, and nothing else.",
    "Decision: the sender's own matters": a_recipient_does_not_see_custom_id_and_callback_url
        = "For the recipient `custom_id` and `callback_url` are null; the rest is the same.",
    "Documented: same as a single transfer object from the list": one_transfer_is_the_same_object
        = "`GET /internal-transfer/{code}` answers the same bytes as the list's row.",
    "Decision: someone else's or unknown: the same 404": a_strangers_transfer_is_unknown
        = "Someone else's, an unknown, a malformed code and what a recipient never received are one 404 `transfer.unknown`.",
    "Documented: note (visible to recipient)": the_recipient_sees_the_note
        = "The recipient of a successful transfer sees its note.",
}

/// No rows.
const NONE: [&str; 0] = [];

async fn codes(user: &User, query: &str) -> Vec<String> {
    let rows = user
        .own
        .get(&format!("{INTERNAL}?{query}"))
        .await
        .ok()
        .rows();
    rows.iter().map(|row| text(row, "code")).collect()
}

/// A sender, a recipient, and the codes of three payments, the newest first.
async fn three(scene: &Scene) -> (User, User, Vec<String>) {
    let (user, other) = (scene.rich("btc", "9").await, scene.user().await);
    let mut made = vec![];
    for _ in 0..3 {
        let code = scene.paid(&user, &other, "btc", "1").await.text("code");
        made.insert(0, code);
    }
    (user, other, made)
}

async fn rejected(user: &User) -> String {
    let body = and(send("btc", "1", NOBODY), "custom_id", "lost");
    let answer = user.own.waiting().post(INTERNAL, body).await.ok();
    assert_eq!(answer.text("status"), "rejected");
    answer.text("code")
}

async fn the_internal_list_is_a_bare_array(scene: Scene) {
    let (user, other) = (scene.rich("btc", "9").await, scene.user().await);
    assert_eq!(user.own.get(INTERNAL).await.ok().text, "[]");
    let made = scene.paid(&user, &other, "btc", "1").await;
    let answer = user.own.get(INTERNAL).await.ok();
    assert_eq!(answer.text, format!("[{}]", made.text));
    assert_eq!(
        raw_rows(&answer.text)
            .iter()
            .map(|row| keys(row).len())
            .sum::<usize>(),
        16
    );
}

async fn the_internal_list_is_newest_first(scene: Scene) {
    let (user, other, made) = three(&scene).await;
    assert_eq!(codes(&user, "").await, made);
    assert_eq!(codes(&other, "").await, made);
}

async fn the_internal_list_is_filtered_by_status(scene: Scene) {
    let (user, _, made) = three(&scene).await;
    let lost = rejected(&user).await;
    for (status, expected) in [
        ("success", made.clone()),
        ("completed", made.clone()),
        ("rejected", vec![lost]),
        ("pending", vec![]),
    ] {
        assert_eq!(
            codes(&user, &format!("status={status}")).await,
            expected,
            "{status}"
        );
    }
    let answer = user.own.get("/internal-transfer?status=done").await;
    answer.refused(400, "status.invalid");
}

async fn the_internal_list_is_filtered_by_currency(scene: Scene) {
    let (user, other, made) = three(&scene).await;
    scene.fund(&user, "usd", "5").await;
    let dollars = scene.paid(&user, &other, "usd", "1").await.text("code");
    for name in ["currency_code", "currency"] {
        assert_eq!(codes(&user, &format!("{name}=BTC")).await, made);
        assert_eq!(
            codes(&user, &format!("{name}=usd")).await,
            std::slice::from_ref(&dollars)
        );
        assert_eq!(codes(&user, &format!("{name}=eth")).await, NONE);
    }
}

async fn the_internal_list_is_filtered_by_custom_id(scene: Scene) {
    let (user, other) = (scene.rich("btc", "9").await, scene.user().await);
    for custom_id in ["one", "two", "one"] {
        let body = and(send("btc", "1", &other.id), "custom_id", custom_id);
        user.own.waiting().post(INTERNAL, body).await.ok();
    }
    assert_eq!(codes(&user, "custom_id=one").await.len(), 2);
    assert_eq!(codes(&user, "custom_id=on").await.len(), 0);
    assert_eq!(codes(&other, "custom_id=one").await.len(), 0);
}

async fn the_internal_list_is_bounded_by_timestamp(scene: Scene) {
    let (user, other) = (scene.rich("btc", "9").await, scene.user().await);
    let made = scene.paid(&user, &other, "btc", "1").await;
    let (at, code) = (made.text("timestamp"), made.text("code"));
    let fraction = at.replace('Z', ".999Z");
    for query in [
        format!("start_at={at}"),
        format!("end_at={at}"),
        format!("start_at={at}&end_at={at}"),
        format!("start_at={fraction}&end_at={fraction}"),
    ] {
        assert_eq!(
            codes(&user, &query).await,
            std::slice::from_ref(&code),
            "{query}"
        );
    }
    for query in ["start_at=2999-01-01", "end_at=2020-01-01"] {
        assert_eq!(codes(&user, query).await, NONE, "{query}");
    }
}

async fn the_internal_limit_is_bounded(scene: Scene) {
    let (user, _, made) = three(&scene).await;
    assert_eq!(
        codes(&user, "limit=2").await,
        made.get(..2).expect("three were made")
    );
    assert_eq!(codes(&user, "limit=200").await.len(), 3);
    for (limit, code) in [
        ("0", "limit.out_of_range"),
        ("201", "limit.out_of_range"),
        ("-1", "limit.out_of_range"),
        ("x", "limit.invalid"),
    ] {
        let answer = user.own.get(&format!("{INTERNAL}?limit={limit}")).await;
        answer.refused(400, code);
    }
    // The default, with a hundred and one of them.
    let other = scene.user().await;
    for _ in 0..98 {
        let body = send("btc", "0.0001", &other.id);
        user.own.post(INTERNAL, body).await.ok();
    }
    assert_eq!(codes(&user, "").await.len(), 100);
}

async fn the_internal_offset_is_bounded(scene: Scene) {
    let (user, _, _) = three(&scene).await;
    assert_eq!(codes(&user, "offset=10000").await, NONE);
    for (offset, code) in [
        ("10001", "offset.too_large"),
        ("99999999999999999999", "offset.too_large"),
        ("-1", "offset.invalid"),
        ("x", "offset.invalid"),
    ] {
        let answer = user.own.get(&format!("{INTERNAL}?offset={offset}")).await;
        answer.refused(400, code);
    }
}

async fn the_internal_list_has_offsets(scene: Scene) {
    let (user, _, made) = three(&scene).await;
    let mut seen = vec![];
    for offset in 0..4 {
        let page = codes(&user, &format!("limit=1&offset={offset}")).await;
        assert_eq!(page.len(), usize::from(offset < 3));
        seen.extend(page);
    }
    assert_eq!(seen, made);
}

async fn the_list_has_what_was_sent_and_what_was_received(scene: Scene) {
    let (user, other, made) = three(&scene).await;
    let lost = rejected(&user).await;
    let body = send("btc", "99", &other.id);
    let refused = user
        .own
        .waiting()
        .post(INTERNAL, body)
        .await
        .ok()
        .text("code");
    let back = scene.paid(&other, &user, "btc", "1").await.text("code");
    let sent = [vec![back.clone(), refused, lost], made.clone()].concat();
    assert_eq!(codes(&user, "").await, sent);
    assert_eq!(codes(&other, "").await, [vec![back], made].concat());
    assert_eq!(codes(&scene.user().await, "").await, NONE);
}

/// A payment with all that it can carry, as sender and recipient see it.
async fn seen_by_both(scene: &Scene) -> (Value, Value) {
    let (user, other) = (scene.rich("btc", "9").await, scene.user().await);
    let body = and(send("btc", "1", &other.id), "custom_id", "mine");
    let body = and(
        and(body, "note", "for you"),
        "callback_url",
        "https://example.com/x",
    );
    let sent = user.own.waiting().post(INTERNAL, body).await.ok();
    let path = format!("{INTERNAL}/{}", sent.text("code"));
    let received = other.own.get(&path).await.ok();
    assert_eq!(user.own.get(&path).await.ok().text, sent.text);
    (sent.json(), received.json())
}

async fn a_recipient_does_not_see_custom_id_and_callback_url(scene: Scene) {
    let (sent, received) = seen_by_both(&scene).await;
    assert_eq!(
        (&sent["custom_id"], &sent["callback_url"]),
        (&json!("mine"), &json!("https://example.com/x"))
    );
    let hidden = and(
        and(sent, "custom_id", Value::Null),
        "callback_url",
        Value::Null,
    );
    assert_eq!(received, hidden);
}

async fn one_transfer_is_the_same_object(scene: Scene) {
    let (user, other, made) = three(&scene).await;
    for who in [&user, &other] {
        let rows = raw_rows(&who.own.get(INTERNAL).await.ok().text);
        for (code, row) in made.iter().zip(rows) {
            let one = who.own.get(&format!("{INTERNAL}/{code}")).await.ok();
            assert_eq!(one.text, row);
        }
    }
}

async fn a_strangers_transfer_is_unknown(scene: Scene) {
    let (user, other, made) = three(&scene).await;
    let stranger = scene.user().await;
    let refused = user
        .own
        .waiting()
        .post(INTERNAL, send("btc", "99", &other.id))
        .await
        .ok();
    let refused = refused.text("code");
    let paid = made.first().expect("three were made");
    let mut details = vec![];
    for (who, code) in [
        (&stranger, paid.as_str()),
        (&other, &refused),
        (&user, "TRF123456"),
        (&user, "nonsense"),
        (&user, "%00"),
    ] {
        let answer = who.own.get(&format!("{INTERNAL}/{code}")).await;
        details.push(answer.refused(404, "transfer.unknown").text("detail"));
    }
    details.dedup();
    assert_eq!(details.len(), 1);
}

async fn the_recipient_sees_the_note(scene: Scene) {
    let (_, received) = seen_by_both(&scene).await;
    assert_eq!(text(&received, "note"), "for you");
}
