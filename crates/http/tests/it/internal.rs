//! Internal transfers, to the byte.

use bursar_domain::{TransferId, UserStatus};

use crate::world::{ALICE, ALICES, Answer, BOB, BOBS, INTERNAL, OPERATOR, Sent, World};

fn body(recipient: &str) -> String {
    format!(
        r#"{{"currency_code":"btc","amount":"0.01000000","recipient":"{recipient}","callback_url":"https://example.com/callbacks/transfers","custom_id":"my-transfer-123","note":"Payment for services"}}"#
    )
}

async fn create(world: &World, body: &str) -> Answer {
    world.send(Sent::post(INTERNAL, body).bearer(ALICES)).await
}

async fn create_and_wait(world: &World, body: &str) -> Answer {
    let sent = Sent::post(INTERNAL, body).bearer(ALICES);
    world.send(sent.header("Prefer", "wait")).await
}

async fn show(world: &World, code: &str, token: &str) -> Answer {
    let path = format!("{INTERNAL}/{code}");
    world.send(Sent::get(&path).bearer(token)).await
}

fn code(answer: &Answer) -> String {
    answer.text("code")
}

#[actix_web::test]
async fn a_transfer_is_pending_and_then_succeeds() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let answer = create(&world, &body(&BOB.to_string())).await.ok();
    let code = code(&answer);
    assert_eq!(
        answer.body,
        format!(
            r#"{{"code":"{code}","custom_id":"my-transfer-123","callback_url":"https://example.com/callbacks/transfers","created_at":"2021-04-09T10:50:40Z","updated_at":"2021-04-09T10:50:40Z","done_at":null,"timestamp":"2021-04-09T10:50:40Z","status":"pending","reason_code":null,"reason_message":null,"currency_code":"BTC","amount":"0.01000000","fee_amount":"0.00000000","sender":"{ALICE}","recipient":"{BOB}","note":"Payment for services"}}"#
        )
    );
    let (id, _) = world
        .keyring
        .read_transfer_code(&code)
        .expect("the code carries the transfer");
    assert_eq!(Some(id), TransferId::try_new(2).ok());
    world.clock.advance_ms(5_000);
    world.tasks.run().await;
    let shown = show(&world, &code, ALICES).await.ok();
    assert_eq!(
        shown.body,
        answer
            .body
            .replace("\"pending\"", "\"success\"")
            .replace("\"done_at\":null", "\"done_at\":\"2021-04-09T10:50:45Z\"")
            .replace(
                "\"updated_at\":\"2021-04-09T10:50:40Z\"",
                "\"updated_at\":\"2021-04-09T10:50:45Z\""
            )
            .replace(
                "\"timestamp\":\"2021-04-09T10:50:40Z\"",
                "\"timestamp\":\"2021-04-09T10:50:45Z\""
            )
    );
}

#[actix_web::test]
async fn both_paths_are_the_same_api() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let path = "/api/v1/internal-transfer";
    let sent = Sent::post(path, &body(&BOB.to_string())).bearer(ALICES);
    let code = code(&world.send(sent).await.ok());
    let shown = world.send(Sent::get(&format!("{path}/{code}")).bearer(ALICES));
    assert_eq!(
        shown.await.ok().body,
        show(&world, &code, ALICES).await.body
    );
}

#[actix_web::test]
async fn whoever_waits_gets_success_or_the_reason() {
    let world = World::new();
    let rejected = create_and_wait(&world, &body(&BOB.to_string())).await.ok();
    assert_eq!(rejected.header("preference-applied"), Some("wait"));
    let json = rejected.json();
    assert_eq!(json["status"], "rejected");
    assert_eq!(json["reason_code"], "balance.insufficient");
    assert_eq!(
        json["reason_message"],
        "The available balance does not cover the transfer."
    );
    assert_eq!(json["done_at"], "2021-04-09T10:50:40Z");
    world.fund(ALICE, "btc", "1").await;
    let done = create_and_wait(&world, &body(&BOB.to_string())).await.ok();
    assert_eq!(done.header("preference-applied"), Some("wait"));
    assert_eq!(done.json()["status"], "success");
    assert_eq!(world.balance(BOB, "btc"), (1_000_000, 0));
}

#[actix_web::test]
async fn an_alias_turns_into_an_id_only_once_money_moved() {
    let world = World::new();
    for alias in ["bob@example.com", "BOB", "Bob@Example.com"] {
        let answer = create(&world, &body(alias)).await.ok();
        assert_eq!(answer.json()["recipient"], alias);
        let rejected = create_and_wait(&world, &body(alias)).await.ok();
        assert_eq!(rejected.json()["recipient"], alias);
    }
    world.fund(ALICE, "btc", "1").await;
    let done = create_and_wait(&world, &body("bob@example.com")).await.ok();
    assert_eq!(done.json()["recipient"], BOB.to_string());
}

#[actix_web::test]
async fn unable_recipients_cannot_be_told_apart() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let carol = bursar_testkit::build::user_id(7);
    world.put_user(carol, "carol", UserStatus::Frozen);
    for recipient in ["nobody@example.com", "carol", "carol@example.com"] {
        let pending = create(&world, &body(recipient)).await.ok();
        assert_eq!(pending.json()["status"], "pending");
        let json = create_and_wait(&world, &body(recipient)).await.ok().json();
        assert_eq!(json["status"], "rejected", "{recipient}");
        assert_eq!(json["reason_code"], "recipient.unavailable", "{recipient}");
        assert_eq!(json["recipient"], recipient);
    }
}

#[actix_web::test]
async fn nobody_pays_oneself() {
    let world = World::new();
    for recipient in [ALICE.to_string().as_str(), "alice", "Alice@example.com"] {
        let answer = create(&world, &body(recipient)).await;
        assert_eq!(answer.refusal(), (422, "recipient.is_sender".into()));
    }
}

#[actix_web::test]
async fn an_unknown_currency_is_not_found() {
    let world = World::new();
    let answer = create(&world, &body("bob").replace("btc", "doge")).await;
    assert_eq!(answer.refusal(), (404, "currency.unknown".into()));
}

#[actix_web::test]
async fn without_an_address_book_code_any_recipient_will_do() {
    let world = World::new();
    let with =
        |code: &str| body("bob").replacen('{', &format!("{{\"address_book_code\":{code},"), 1);
    for code in ["null", "\"\""] {
        create(&world, &with(code)).await.ok();
    }
    let answer = create(&world, &with("\"AB1\"")).await;
    assert_eq!(answer.refusal(), (400, "address_book_code.mismatch".into()));
    let answer = create(&world, &with("7")).await;
    assert_eq!(answer.refusal(), (400, "address_book_code.invalid".into()));
}

#[actix_web::test]
async fn every_wrong_field_is_named_at_once() {
    let world = World::new();
    let long = "x".repeat(256);
    let body = format!(
        r#"{{"currency_code":"b t","amount":"x","recipient":"","callback_url":"http://example.com","custom_id":"{long}","note":1,"address_book_code":2}}"#
    );
    let answer = create(&world, &body).await;
    assert_eq!(answer.refusal(), (400, "request.invalid".into()));
    let expected = [
        ("currency_code", "currency_code.invalid"),
        ("amount", "amount.invalid"),
        ("recipient", "recipient.missed"),
        ("callback_url", "callback_url.invalid"),
        ("custom_id", "custom_id.too_long"),
        ("note", "note.invalid"),
        ("address_book_code", "address_book_code.invalid"),
    ]
    .map(|(field, code)| (field.to_owned(), code.to_owned()));
    assert_eq!(answer.wrong_fields(), expected);
}

#[actix_web::test]
async fn names_match_exactly_and_unknown_ones_are_ignored() {
    let world = World::new();
    let upper = body("bob").replace("\"amount\"", "\"Amount\"");
    let answer = create(&world, &upper).await;
    assert_eq!(answer.refusal(), (400, "amount.missed".into()));
    let more = body("bob").replacen('{', r#"{"x":{"y":[1,{"z":null}]},"Amount":7,"#, 1);
    create(&world, &more).await.ok();
}

#[actix_web::test]
async fn keys_that_are_null_are_there_all_the_same() {
    let world = World::new();
    let body = format!(r#"{{"currency_code":"USD","amount":1,"recipient":"{BOB}"}}"#);
    let answer = create(&world, &body).await.ok();
    let code = code(&answer);
    assert_eq!(
        answer.body,
        format!(
            r#"{{"code":"{code}","custom_id":null,"callback_url":null,"created_at":"2021-04-09T10:50:40Z","updated_at":"2021-04-09T10:50:40Z","done_at":null,"timestamp":"2021-04-09T10:50:40Z","status":"pending","reason_code":null,"reason_message":null,"currency_code":"USD","amount":"1.00000000","fee_amount":"0.00000000","sender":"{ALICE}","recipient":"{BOB}","note":null}}"#
        )
    );
}

#[actix_web::test]
async fn the_recipient_sees_only_what_was_paid_and_not_the_senders_own_fields() {
    let world = World::new();
    let unpaid = create_and_wait(&world, &body("bob")).await.ok();
    let hidden = show(&world, &code(&unpaid), BOBS).await;
    assert_eq!(hidden.refusal(), (404, "transfer.unknown".into()));
    world.fund(ALICE, "btc", "1").await;
    let paid = create_and_wait(&world, &body("bob")).await.ok();
    let seen = show(&world, &code(&paid), BOBS).await.ok().json();
    assert_eq!(seen["custom_id"], serde_json::Value::Null);
    assert_eq!(seen["callback_url"], serde_json::Value::Null);
    assert_eq!(seen["note"], "Payment for services");
    assert_eq!(seen["recipient"], BOB.to_string());
}

#[actix_web::test]
async fn codes_of_others_and_codes_of_nobody_look_the_same() {
    let world = World::new();
    let mine = code(&create(&world, &body("nobody")).await.ok());
    let forged = mine.replacen("TRF", "TRG", 1);
    let mut bodies = vec![];
    for code in [
        mine.as_str(),
        forged.as_str(),
        "TRF123456",
        "1",
        "%00",
        "a%2Fb",
    ] {
        let answer = show(&world, code, BOBS).await;
        assert_eq!(answer.refusal(), (404, "transfer.unknown".into()), "{code}");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    show(&world, &mine, ALICES).await.ok();
}

#[actix_web::test]
async fn a_credential_without_a_user_is_refused_before_the_body_is_read() {
    let world = World::new();
    let answer = world.send(Sent::post(INTERNAL, "{").bearer(OPERATOR)).await;
    assert_eq!(answer.refusal(), (403, "user.required".into()));
}
