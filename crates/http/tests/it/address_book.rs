//! Address books, and what their entries mean for transfers.

use bursar_domain::UserStatus;

use crate::world::{ALICE, ALICES, Answer, BOB, BOBS, INTERNAL, OPERATOR, Sent, World};

const BOOK: &str = "/address-book";

async fn add(world: &World, body: &str) -> Answer {
    world.send(Sent::post(BOOK, body).bearer(ALICES)).await
}

async fn list(world: &World, token: &str) -> Answer {
    world.send(Sent::get(BOOK).bearer(token)).await
}

async fn remove(world: &World, code: &str, token: &str) -> Answer {
    let path = format!("{BOOK}/{code}");
    let sent = Sent::new(actix_web::http::Method::DELETE, &path);
    world.send(sent.bearer(token)).await
}

async fn pay(world: &World, code: &str, recipient: &str) -> Answer {
    let body = format!(
        r#"{{"currency_code":"btc","amount":"0.01","recipient":"{recipient}","address_book_code":"{code}"}}"#
    );
    world.send(Sent::post(INTERNAL, &body).bearer(ALICES)).await
}

#[actix_web::test]
async fn entries_are_added_listed_and_removed() {
    let world = World::new();
    assert_eq!(list(&world, ALICES).await.ok().body, "[]");
    let bob = r#"{"code":"bob","recipient":"Bob@Example.com","label":"rent"}"#;
    let first = r#"{"code":"bob","recipient":"Bob@Example.com","label":"rent","created_at":"2021-04-09T10:50:40Z"}"#;
    for _ in 0..2 {
        assert_eq!(add(&world, bob).await.ok().body, first);
        world.clock.advance_ms(5_000);
    }
    let second = add(&world, r#"{"recipient":"carol"}"#).await.ok();
    let made = second.text("code");
    assert!(made.starts_with("ADR"), "{made}");
    assert_eq!(
        second.body,
        format!(
            r#"{{"code":"{made}","recipient":"carol","label":null,"created_at":"2021-04-09T10:50:50Z"}}"#
        )
    );
    let all = format!("[{},{first}]", second.body);
    assert_eq!(list(&world, ALICES).await.ok().body, all);
    assert_eq!(list(&world, BOBS).await.ok().body, "[]");
    let removed = remove(&world, &made, ALICES).await;
    assert_eq!((removed.status, removed.body.as_str()), (204, ""));
    let again = remove(&world, &made, ALICES).await;
    assert_eq!(again.refusal(), (404, "address_book_code.unknown".into()));
    let only = format!("[{first}]");
    assert_eq!(list(&world, ALICES).await.ok().body, only);
}

#[actix_web::test]
async fn both_paths_are_the_same_book() {
    let world = World::new();
    let path = format!("/api/v1{BOOK}");
    let body = r#"{"code":"b","recipient":"bob"}"#;
    let added = world
        .send(Sent::post(&path, body).bearer(ALICES))
        .await
        .ok();
    let listed = world.send(Sent::get(&path).bearer(ALICES)).await.ok();
    assert_eq!(listed.body, format!("[{}]", added.body));
    assert_eq!(list(&world, ALICES).await.ok().body, listed.body);
    let one = format!("{path}/b");
    let sent = Sent::new(actix_web::http::Method::DELETE, &one).bearer(ALICES);
    assert_eq!(world.send(sent).await.status, 204);
}

#[actix_web::test]
async fn whether_there_is_such_a_recipient_is_not_told() {
    let world = World::new();
    let carol = bursar_testkit::build::user_id(7);
    world.put_user(carol, "carol", UserStatus::Frozen);
    let nobody = bursar_testkit::build::user_id(8);
    let mut answers = vec![];
    for (number, recipient) in [
        "bob@example.com".to_owned(),
        "carol@example.com".to_owned(),
        "nobody@example.com".to_owned(),
        BOB.to_string(),
        carol.to_string(),
        nobody.to_string(),
        "alice".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let code = format!("entry-{number}");
        let body = format!(r#"{{"code":"{code}","recipient":"{recipient}"}}"#);
        let answer = add(&world, &body).await.ok();
        let told = answer.body.replace(&recipient, "…").replace(&code, "…");
        answers.push((told, answer.headers.keys().cloned().collect::<Vec<_>>()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[actix_web::test]
async fn every_wrong_field_is_named_at_once() {
    let world = World::new();
    let long = "x".repeat(256);
    let body = format!(r#"{{"code":"a/b","recipient":"","label":"{long}"}}"#);
    let answer = add(&world, &body).await;
    assert_eq!(answer.refusal(), (400, "request.invalid".into()));
    let expected = [
        ("code", "code.invalid"),
        ("recipient", "recipient.missed"),
        ("label", "label.too_long"),
    ]
    .map(|(field, code)| (field.to_owned(), code.to_owned()));
    assert_eq!(answer.wrong_fields(), expected);
    for (body, code) in [
        (r#"{"recipient":7}"#, "recipient.invalid"),
        (r#"{"recipient":"b","code":".."}"#, "code.invalid"),
        (r#"{"recipient":"b","label":"a\nb"}"#, "label.invalid"),
    ] {
        assert_eq!(add(&world, body).await.refusal(), (400, code.to_owned()));
    }
    let long = "x".repeat(65);
    let answer = add(&world, &format!(r#"{{"recipient":"b","code":"{long}"}}"#)).await;
    assert_eq!(answer.refusal(), (400, "code.too_long".into()));
}

#[actix_web::test]
async fn a_code_names_one_entry() {
    let world = World::new();
    let body = r#"{"code":"b","recipient":"bob","label":null}"#;
    add(&world, body).await.ok();
    for other in [
        r#"{"code":"b","recipient":"carol"}"#,
        r#"{"code":"b","recipient":"bob","label":"x"}"#,
    ] {
        let answer = add(&world, other).await;
        assert_eq!(answer.refusal(), (422, "address_book_code.taken".into()));
    }
    // Codes are one's own: everybody may have a `b`, and nobody else's can be removed.
    let theirs = Sent::post(BOOK, body).bearer(BOBS);
    let unknown = remove(&world, "b", BOBS).await;
    assert_eq!(unknown.refusal(), (404, "address_book_code.unknown".into()));
    world.send(theirs).await.ok();
    remove(&world, "b", BOBS).await;
    assert!(list(&world, ALICES).await.ok().body.contains("\"b\""));
}

#[actix_web::test]
async fn a_book_has_at_most_a_thousand_entries() {
    let world = World::new();
    for number in 0..1_000 {
        let body = format!(r#"{{"code":"c{number}","recipient":"bob"}}"#);
        add(&world, &body).await.ok();
    }
    let answer = add(&world, r#"{"recipient":"bob"}"#).await;
    assert_eq!(answer.refusal(), (422, "address_book.full".into()));
    // What is there may be repeated, and what was removed makes room.
    add(&world, r#"{"code":"c0","recipient":"bob"}"#).await.ok();
    remove(&world, "c0", ALICES).await;
    add(&world, r#"{"recipient":"bob"}"#).await.ok();
}

#[actix_web::test]
async fn an_entry_must_be_the_senders_and_name_the_recipient() {
    let world = World::new();
    let bobs = r#"{"code":"theirs","recipient":"bob"}"#;
    let bobs = Sent::post(BOOK, bobs).bearer(BOBS);
    world.send(bobs).await.ok();
    add(&world, r#"{"code":"mine","recipient":"bob@example.com"}"#)
        .await
        .ok();
    let id = BOB.to_string();
    for recipient in ["bob@example.com", "BOB@example.com", "bob", id.as_str()] {
        let answer = pay(&world, "mine", recipient).await.ok();
        assert_eq!(answer.json()["recipient"], recipient);
    }
    let mut refusals = vec![];
    for (code, recipient) in [
        ("theirs", "bob"),
        ("nothing", "bob"),
        ("no code", "bob"),
        ("mine", "nobody"),
        ("mine", "alice"),
        ("mine", "bob@example.org"),
    ] {
        let answer = pay(&world, code, recipient).await;
        let expected = (400, "address_book_code.mismatch".to_owned());
        assert_eq!(answer.refusal(), expected, "{code} {recipient}");
        refusals.push(answer.wrong_fields());
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1);
    // Nothing moved, and an entry alone opens nothing to the one it names.
    assert_eq!(world.balance(ALICE, "btc"), (0, 0));
    assert_eq!(
        list(&world, BOBS)
            .await
            .ok()
            .json()
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[actix_web::test]
async fn a_credential_without_a_user_has_no_book() {
    let world = World::new();
    for answer in [
        list(&world, OPERATOR).await,
        remove(&world, "x", OPERATOR).await,
        world.send(Sent::post(BOOK, "{").bearer(OPERATOR)).await,
    ] {
        assert_eq!(answer.refusal(), (403, "user.required".into()));
    }
}
