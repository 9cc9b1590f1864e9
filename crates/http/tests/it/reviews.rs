//! The second operator, to the byte.

use bursar_domain::UserStatus;
use bursar_ports::Permission;

use crate::world::{ALICE, Answer, CANCEL, CONFIRM, DEPOSIT, OPERATOR, Sent, WITHDRAW, World};

/// Makes transfers and confirms them, and approves as well.
const MAKER: &str = "bur_maker";
/// Confirms, and approves as well.
const CONFIRMER: &str = "bur_confirmer";
/// Only approves.
const SECOND: &str = "bur_second";

/// A world with a policy on deposits and withdrawals above 1 btc, and three operators.
async fn world() -> World {
    let world = World::new();
    let both = [
        Permission::BackofficeWrite,
        Permission::BackofficeConfirm,
        Permission::BackofficeApprove,
    ];
    world.put_token(MAKER, "maker", None, &both);
    world.put_token(CONFIRMER, "confirmer", None, &both[1..]);
    world.put_token(SECOND, "second", None, &both[2..]);
    world.fund(ALICE, "btc", "10").await;
    for kind in ["deposit", "withdrawal"] {
        let path = format!("/admin/v1/limits/{kind}/btc");
        let body = r#"{"approval_above":"1"}"#;
        let sent = Sent::put(&path, body).bearer(OPERATOR);
        world.send(sent).await.ok();
    }
    world
}

async fn open(world: &World, path: &str, amount: &str) -> Answer {
    let body = format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":"{amount}"}}"#);
    let sent = Sent::post(path, &body).bearer(MAKER);
    world.send(sent.header("Prefer", "wait")).await.ok()
}

async fn finish(world: &World, path: &str, id: i64, token: &str) -> Answer {
    let body = format!(r#"{{"userId":"{ALICE}","transferId":{id}}}"#);
    let sent = Sent::post(path, &body).bearer(token);
    world.send(sent.header("Prefer", "wait")).await
}

async fn review(world: &World, id: i64, word: &str, token: &str, body: &str) -> Answer {
    let path = format!("/admin/v1/transfers/{id}/{word}");
    world.send(Sent::post(&path, body).bearer(token)).await
}

async fn story(world: &World, id: i64) -> Answer {
    let path = format!("/admin/v1/transfers/{id}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await.ok()
}

/// A withdrawal of 2 btc that somebody confirmed.
async fn confirmed(world: &World) -> i64 {
    let made = open(world, WITHDRAW, "2").await;
    let id = made.member("id").as_i64().expect("an id is a number");
    let answer = finish(world, CONFIRM, id, CONFIRMER).await.ok();
    assert_eq!(answer.text("status"), "AwaitingConfirmation");
    assert_eq!(answer.header("preference-applied"), None);
    id
}

#[actix_web::test]
async fn a_deposit_above_the_policy_waits_whoever_waits_for_it() {
    let world = world().await;
    let held = open(&world, DEPOSIT, "2").await;
    assert_eq!(held.text("status"), "Pending");
    assert_eq!(held.header("preference-applied"), None);
    world.tasks.run().await;
    assert_eq!(world.balance(ALICE, "btc"), (1_000_000_000, 0));
    let at_the_policy = open(&world, DEPOSIT, "1").await;
    assert_eq!(at_the_policy.text("status"), "Completed");
    assert_eq!(at_the_policy.header("preference-applied"), Some("wait"));
    let approved = review(&world, 2, "approve", SECOND, "{}").await.ok();
    assert_eq!(approved.text("status"), "Completed");
    assert_eq!(approved.text("reviewed_by"), "second");
    assert_eq!(world.balance(ALICE, "btc"), (1_300_000_000, 0));
    let story = story(&world, 2).await.json();
    assert_eq!(story["timeline"][1]["by"], "second");
}

#[actix_web::test]
async fn neither_the_maker_nor_the_confirmer_is_the_second_operator() {
    let world = world().await;
    let id = confirmed(&world).await;
    for token in [MAKER, CONFIRMER] {
        for word in ["approve", "reject"] {
            let answer = review(&world, id, word, token, "{}").await;
            assert_eq!(answer.refusal(), (403, "approval.same_operator".into()));
        }
    }
    assert_eq!(world.balance(ALICE, "btc"), (800_000_000, 200_000_000));
    for _ in 0..2 {
        let answer = review(&world, id, "approve", SECOND, "{}").await.ok();
        assert_eq!(answer.text("status"), "Completed");
        assert_eq!(answer.text("confirmed_by"), "confirmer");
        assert_eq!(answer.text("reviewed_by"), "second");
        assert!(answer.member("stage").is_null(), "{}", answer.body);
    }
    assert_eq!(world.balance(ALICE, "btc"), (800_000_000, 0));
    let rejected = review(&world, id, "reject", SECOND, "{}").await;
    assert_eq!(
        rejected.refusal(),
        (409, "transfer.already_completed".into())
    );
}

#[actix_web::test]
async fn a_rejection_gives_the_hold_back() {
    let world = world().await;
    let id = confirmed(&world).await;
    for _ in 0..2 {
        let answer = review(&world, id, "reject", SECOND, "").await.ok();
        assert_eq!(answer.text("status"), "Failed");
        assert_eq!(answer.text("reason_code"), "approval.rejected");
    }
    assert_eq!(world.balance(ALICE, "btc"), (1_000_000_000, 0));
    let approved = review(&world, id, "approve", SECOND, "{}").await;
    assert_eq!(approved.refusal(), (409, "transfer.already_failed".into()));
    let confirmed = finish(&world, CONFIRM, id, CONFIRMER).await;
    assert_eq!(confirmed.refusal(), (409, "transfer.already_failed".into()));
    let story = story(&world, id).await.json();
    assert_eq!(story["timeline"][1]["by"], "second");
}

#[actix_web::test]
async fn a_digest_holds_for_exactly_what_was_shown() {
    let world = world().await;
    let made = open(&world, WITHDRAW, "2").await;
    let id = made.member("id").as_i64().expect("an id is a number");
    let unconfirmed = story(&world, id).await;
    assert!(unconfirmed.member("approval_digest").is_null());
    finish(&world, CONFIRM, id, CONFIRMER).await.ok();
    let shown = story(&world, id).await;
    assert_eq!(shown.text("stage"), "approval");
    let digest = shown.text("approval_digest");
    let other = format!(r#"{{"digest":"{}"}}"#, "0".repeat(64));
    for word in ["approve", "reject"] {
        let answer = review(&world, id, word, SECOND, &other).await;
        assert_eq!(answer.refusal(), (409, "approval.digest_mismatch".into()));
    }
    let body = format!(r#"{{"digest":"{}"}}"#, digest.to_uppercase());
    let answer = review(&world, id, "approve", SECOND, &body).await.ok();
    assert_eq!(answer.text("status"), "Completed");
}

#[actix_web::test]
async fn only_what_waits_for_it_is_approved() {
    let world = world().await;
    let made = open(&world, WITHDRAW, "2").await;
    let id = made.member("id").as_i64().expect("an id is a number");
    for word in ["approve", "reject"] {
        let answer = review(&world, id, word, SECOND, "{}").await;
        assert_eq!(
            answer.refusal(),
            (409, "transfer.not_awaiting_approval".into())
        );
    }
    finish(&world, CANCEL, id, MAKER).await.ok();
    let answer = review(&world, id, "approve", SECOND, "{}").await;
    assert_eq!(answer.refusal(), (409, "transfer.already_canceled".into()));
    for id in [999, i64::MAX] {
        let answer = review(&world, id, "approve", SECOND, "{}").await;
        assert_eq!(answer.refusal(), (404, "transfer.unknown".into()));
    }
    // What went through without a second operator was not approved by anybody.
    let answer = review(&world, 1, "approve", SECOND, "{}").await;
    assert_eq!(answer.refusal(), (409, "transfer.already_completed".into()));
}

#[actix_web::test]
async fn everything_wrong_with_a_review_is_told() {
    let world = world().await;
    let id = confirmed(&world).await;
    let long = format!(r#"{{"digest":"{}"}}"#, "0".repeat(65));
    for (body, code) in [
        (r#"{"digest":"x"}"#, "digest.invalid"),
        (r#"{"digest":"00"}"#, "digest.invalid"),
        (r#"{"digest":1}"#, "digest.invalid"),
        (long.as_str(), "digest.too_long"),
        (r#"{"comment":"x"}"#, "field.unknown"),
        ("[]", "json.object_required"),
    ] {
        for word in ["approve", "reject"] {
            let answer = review(&world, id, word, SECOND, body).await;
            assert_eq!(answer.refusal(), (400, code.to_owned()), "{word} {body}");
        }
    }
    let sent = Sent::post("/admin/v1/transfers/x/approve", "{}").bearer(SECOND);
    let answer = world.send(sent).await;
    assert_eq!(answer.refusal(), (400, "id.invalid".into()));
}

#[actix_web::test]
async fn an_approval_with_a_key_is_replayed() {
    let world = world().await;
    let id = confirmed(&world).await;
    let path = format!("/admin/v1/transfers/{id}/approve");
    let approve = || {
        let sent = Sent::post(&path, "{}").bearer(SECOND);
        world.send(sent.header("Idempotency-Key", "a"))
    };
    let first = approve().await.ok();
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = approve().await.ok();
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    // The key belongs to this approval.
    let other = confirmed(&world).await;
    let path = format!("/admin/v1/transfers/{other}/approve");
    let sent = Sent::post(&path, "{}").bearer(SECOND);
    let other = world.send(sent.header("Idempotency-Key", "a")).await;
    assert_eq!(other.refusal(), (422, "idempotency.key_reused".into()));
}

#[actix_web::test]
async fn an_owner_who_is_frozen_between_confirm_and_approval_is_not_paid() {
    let world = world().await;
    let id = confirmed(&world).await;
    open(&world, DEPOSIT, "2").await;
    world.put_user(ALICE, "alice", UserStatus::Frozen);
    let answer = review(&world, id, "approve", SECOND, "{}").await;
    assert_eq!(answer.refusal(), (422, "account.frozen".into()));
    assert_eq!(world.balance(ALICE, "btc"), (800_000_000, 200_000_000));
    // A deposit fails for it, as it does without a second operator.
    let failed = review(&world, id + 1, "approve", SECOND, "{}").await.ok();
    assert_eq!(failed.text("status"), "Failed");
    assert_eq!(failed.text("reason_code"), "account.frozen");
    let rejected = review(&world, id, "reject", SECOND, "{}").await.ok();
    assert_eq!(rejected.text("status"), "Failed");
    assert_eq!(world.balance(ALICE, "btc"), (1_000_000_000, 0));
}
