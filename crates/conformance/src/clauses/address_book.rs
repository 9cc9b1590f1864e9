//! §2, the address book.

use serde_json::{Value, json};

use crate::{
    answer::text,
    clause::clauses,
    scene::{INTERNAL, NOBODY, Scene, User, and, send},
};

const BOOK: &str = "/address-book";

clauses! { "2.6 Address book",
    "Decision: ours": an_entry_is_added_listed_and_removed
        = "`POST /address-book` answers the entry, `GET` lists the caller's own, `DELETE /address-book/{code}` is 204 and removes it.",
    "Decision: `\"code\"?`": a_code_is_made_up_where_none_is_given
        = "Without a code one is made up; a given one is kept.",
    "Decision: answers alike whether or not the recipient exists": adding_tells_nothing_about_the_recipient
        = "Adding a known, an unknown and a frozen recipient is answered alike.",
    "Documented: address book entry code to use for the transfer": an_entry_of_the_sender_is_accepted
        = "A transfer with the code of an entry for the same user is made, also when the two name it differently.",
    "Decision: must belong to the sender and name the same user": an_entry_that_does_not_fit_is_a_mismatch
        = "A code of another user's book, of another recipient, an unknown and a removed one are all 400 `address_book_code.mismatch`.",
    "Decision: one's own": books_are_private
        = "Nobody sees or removes another user's entries: 404 `address_book_code.unknown`.",
    "Decision: needs `allow_transfer`": the_book_needs_its_permission
        = "The three calls need `allow_transfer` of a user.",
}

async fn add(user: &User, body: Value) -> String {
    user.own.post(BOOK, body).await.ok().text("code")
}

async fn an_entry_is_added_listed_and_removed(scene: Scene) {
    let (user, other) = (scene.user().await, scene.user().await);
    let body = json!({"code": "friend", "recipient": other.email, "label": "A friend"});
    let entry = user.own.post(BOOK, body).await.ok().json();
    let found = ["code", "recipient", "label"].map(|name| text(&entry, name));
    assert_eq!(found, ["friend", &*other.email, "A friend"]);
    assert_eq!(user.own.get(BOOK).await.ok().rows(), [entry]);
    let removed = user.own.delete("/address-book/friend").await;
    assert_eq!((removed.status, removed.text.as_str()), (204, ""));
    assert_eq!(user.own.get(BOOK).await.ok().text, "[]");
    let again = user.own.delete("/address-book/friend").await;
    again.refused(404, "address_book_code.unknown");
}

async fn a_code_is_made_up_where_none_is_given(scene: Scene) {
    let (user, other) = (scene.user().await, scene.user().await);
    let made = add(&user, json!({"recipient": other.id})).await;
    assert!(!made.is_empty());
    let given = add(&user, json!({"code": "mine", "recipient": other.id})).await;
    assert_eq!(given, "mine");
    assert_eq!(user.own.get(BOOK).await.ok().rows().len(), 2);
}

async fn adding_tells_nothing_about_the_recipient(scene: Scene) {
    let (user, known, frozen) = (scene.user().await, scene.user().await, scene.user().await);
    scene.put_user(&frozen, "Frozen").await;
    let mut seen = vec![];
    for recipient in [&*known.email, &frozen.email, "nobody@example.com"] {
        let body = json!({"recipient": recipient, "label": null});
        let answer = user.own.post(BOOK, body).await.ok();
        assert_eq!(answer.text("recipient"), recipient);
        let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        seen.push((crate::answer::keys(&answer.text), headers));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

async fn an_entry_of_the_sender_is_accepted(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let code = add(&user, json!({"recipient": other.email})).await;
    for recipient in [&other.email, &other.id, &other.name] {
        let body = and(send("btc", "1", recipient), "address_book_code", &*code);
        let answer = user.own.waiting().post(INTERNAL, body).await.ok();
        assert_eq!(answer.text("status"), "success", "{recipient}");
    }
}

async fn an_entry_that_does_not_fit_is_a_mismatch(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    let stranger = scene.user().await;
    let theirs = add(&stranger, json!({"recipient": other.id})).await;
    let elses = add(&user, json!({"recipient": stranger.id})).await;
    let removed = add(&user, json!({"recipient": other.id})).await;
    user.own.delete(&format!("{BOOK}/{removed}")).await;
    let mut details = vec![];
    for code in [&*theirs, &elses, &removed, "never-made"] {
        let body = and(send("btc", "1", &other.id), "address_book_code", code);
        let answer = user.own.post(INTERNAL, body).await;
        let answer = answer.refused(400, "address_book_code.mismatch");
        details.push(answer.text("detail"));
    }
    details.dedup();
    assert_eq!(details.len(), 1);
    assert_eq!(user.own.get(INTERNAL).await.ok().text, "[]");
}

async fn books_are_private(scene: Scene) {
    let (user, stranger) = (scene.user().await, scene.user().await);
    let code = add(&user, json!({"recipient": NOBODY})).await;
    assert_eq!(stranger.own.get(BOOK).await.ok().text, "[]");
    let answer = stranger.own.delete(&format!("{BOOK}/{code}")).await;
    answer.refused(404, "address_book_code.unknown");
    assert_eq!(user.own.get(BOOK).await.ok().rows().len(), 1);
}

async fn the_book_needs_its_permission(scene: Scene) {
    let user = scene.user().await;
    let reading = scene.token(Some(&user.id), &["allow_balance"]).await;
    reading.get(BOOK).await.refused(403, "permission.missing");
    reading
        .post(BOOK, "{}")
        .await
        .refused(403, "permission.missing");
    scene
        .reader()
        .get(BOOK)
        .await
        .refused(403, "permission.missing");
    scene
        .stranger()
        .get(BOOK)
        .await
        .refused(401, "credentials.missing");
    user.own
        .post(BOOK, "{}")
        .await
        .refused(400, "recipient.missed");
}
