//! `/admin/v1/audit`: the list, to the byte, and who is told to have done what.

use bursar_domain::{ActorId, AuditDraft, Timestamp};
use bursar_ports::{AuditFilter, AuditPlace, AuditRecord, CallbackState};
use bursar_testkit::build;
use uuid::Uuid;

use crate::{
    callbacks,
    fakes::locked,
    world::{ALICE, ALICES, Answer, BOB, CANCEL, CONFIRM, INTERNAL, NOW, OPERATOR, Sent, World},
};

const LIST: &str = "/admin/v1/audit";
const STAMP: &str = "2021-04-09T10:50:40.116485Z";
/// From where the tests' operator asks.
const ADDRESS: &str = "192.0.2.7";

pub(crate) fn record(number: u128) -> AuditRecord {
    AuditRecord {
        id: Uuid::from_u128(number),
        at: NOW,
        actor: "operator".to_owned(),
        credential: "token:1".to_owned(),
        request_id: "req-1".to_owned(),
        address: ADDRESS.to_owned(),
        action: "rate.put".to_owned(),
        target: "rate:btc".to_owned(),
        before: None,
        after: Some(r#"{"rate":"1"}"#.to_owned()),
    }
}

fn body(number: u128) -> String {
    let id = Uuid::from_u128(number);
    format!(
        r#"{{"id":"{id}","at":"{STAMP}","actor":"operator","credential":"token:1","request_id":"req-1","address":"{ADDRESS}","action":"rate.put","target":"rate:btc","before":null,"after":{{"rate":"1"}}}}"#
    )
}

async fn get(world: &World, query: &str) -> Answer {
    let path = format!("{LIST}?{query}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await
}

#[actix_web::test]
async fn rows_are_listed_to_the_byte_and_page_by_page() {
    let world = World::new();
    *locked(&world.audit_log.records) = vec![record(3), record(2)];
    let whole = get(&world, "").await.ok().body;
    let rows = format!("{},{}", body(3), body(2));
    assert_eq!(whole, format!(r#"{{"data":[{rows}],"next_cursor":null}}"#));
    let first = get(&world, "limit=1").await.ok().json();
    assert_eq!(first["data"].as_array().map(Vec::len), Some(1));
    let cursor = first["next_cursor"].as_str().expect("there is more");
    get(&world, &format!("limit=2&cursor={cursor}")).await.ok();
    let expected = AuditFilter {
        after: Some(AuditPlace {
            at: NOW,
            id: Uuid::from_u128(3),
        }),
        limit: 3,
        ..AuditFilter::default()
    };
    assert_eq!(*locked(&world.audit_log.asked), Some(expected));
}

#[actix_web::test]
async fn rows_are_looked_for_as_asked() {
    let world = World::new();
    let filters = "actor=settlement%20robot&action=asset.put&target=asset:btc&from=2021-04-09&\
                   to=2021-04-10";
    get(&world, filters).await.ok();
    let expected = AuditFilter {
        actor: Some("settlement robot".to_owned()),
        action: Some("asset.put".to_owned()),
        target: Some("asset:btc".to_owned()),
        from: Timestamp::parse("2021-04-09").ok(),
        to: Timestamp::parse("2021-04-10").ok(),
        after: None,
        limit: 101,
    };
    assert_eq!(*locked(&world.audit_log.asked), Some(expected));
}

#[actix_web::test]
async fn each_wrong_parameter_is_told() {
    let world = World::new();
    *locked(&world.audit_log.records) = vec![record(2), record(1)];
    let long = "x".repeat(513);
    let cursor = get(&world, "limit=1&actor=operator").await.ok().json();
    let cursor = cursor["next_cursor"].as_str().expect("there is more");
    for (query, code) in [
        (format!("actor={long}"), "actor.too_long"),
        (format!("action={long}"), "action.too_long"),
        (format!("target={long}"), "target.too_long"),
        ("actor=a%00".to_owned(), "actor.invalid"),
        ("from=yesterday".to_owned(), "from.invalid"),
        ("to=2021".to_owned(), "to.invalid"),
        ("limit=201".to_owned(), "limit.out_of_range"),
        ("limit=x".to_owned(), "limit.invalid"),
        ("cursor=x".to_owned(), "cursor.invalid"),
        (format!("cursor={cursor}"), "cursor.invalid"),
        ("who=operator".to_owned(), "parameter.unknown"),
        ("actor=a&actor=b".to_owned(), "parameter.duplicate"),
    ] {
        let answer = get(&world, &query).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{query}");
    }
}

#[actix_web::test]
async fn what_is_no_json_is_an_error_and_not_an_answer() {
    let world = World::new();
    let broken = AuditRecord {
        before: Some("{".to_owned()),
        ..record(1)
    };
    *locked(&world.audit_log.records) = vec![broken];
    let answer = get(&world, "").await;
    assert_eq!(answer.refusal(), (500, "internal".to_owned()));
}

/// What the log is to keep of what the tests' operator does.
fn draft(world: &World, action: &'static str, target: &str) -> AuditDraft {
    let tokens = locked(&world.credentials.tokens);
    let id = tokens.iter().find(|token| token.subject == "operator");
    AuditDraft {
        actor: ActorId::new("operator"),
        credential: format!("token:{}", id.expect("the operator has a token").id),
        request_id: "req-1".to_owned(),
        address: ADDRESS.to_owned(),
        ..build::audit(action, target)
    }
}

async fn operate(world: &World, sent: Sent) -> Answer {
    let sent = sent.bearer(OPERATOR).from("192.0.2.7:4711");
    world.send(sent).await
}

#[actix_web::test]
async fn every_change_of_the_directory_tells_who_asked_for_it_and_from_where() {
    let world = World::new();
    let asset = r#"{"name":"Bitcoin","scale":8,"can_deposit":true,"can_withdraw":true,"can_transfer":true}"#;
    let user = r#"{"username":"alice","email":"","roles":[],"status":"Frozen"}"#;
    let user_path = format!("/admin/v1/users/{ALICE}");
    for (path, body) in [
        ("/admin/v1/assets/btc", asset),
        (&*user_path, user),
        ("/admin/v1/rates/btc", r#"{"rate":"2"}"#),
    ] {
        operate(&world, Sent::put(path, body)).await.ok();
    }
    let expected = [
        draft(&world, "asset.put", "asset:btc"),
        draft(&world, "user.put", &format!("user:{ALICE}")),
        draft(&world, "rate.put", "rate:btc"),
    ];
    assert_eq!(*locked(&world.directory.audited), expected);
}

#[actix_web::test]
async fn every_change_of_credentials_tells_who_asked_for_it_and_from_where() {
    let world = World::new();
    let token = r#"{"subject":"x","permissions":["admin"],"ttl_seconds":60}"#;
    let token = operate(&world, Sent::post("/admin/v1/tokens", token)).await;
    let token = token.ok().json()["id"].as_str().expect("an id").to_owned();
    let key = format!(r#"{{"user_id":"{ALICE}","permissions":["allow_balance"]}}"#);
    let key = operate(&world, Sent::post("/admin/v1/access-keys", &key)).await;
    let key = key.ok().json()["access_key"].clone();
    let key = key.as_str().expect("a key").to_owned();
    let secrets = "/admin/v1/callback-secrets";
    let secret = operate(&world, Sent::post(secrets, r#"{"subject":"x"}"#)).await;
    let secret = secret.ok().json()["id"].as_str().expect("an id").to_owned();
    for path in [
        format!("/admin/v1/tokens/{token}"),
        format!("/admin/v1/access-keys/{key}"),
        format!("{secrets}/{secret}"),
    ] {
        let ended = operate(&world, Sent::delete(&path)).await;
        assert_eq!(ended.status, 204, "{path}");
    }
    let (token, key) = (format!("token:{token}"), format!("access_key:{key}"));
    let expected = [
        draft(&world, "token.issue", &token),
        draft(&world, "access_key.issue", &key),
        draft(&world, "token.revoke", &token),
        draft(&world, "access_key.revoke", &key),
    ];
    assert_eq!(*locked(&world.credentials.audited), expected);
    let secret = format!("callback_secret:{secret}");
    let expected = [
        draft(&world, "callback_secret.issue", &secret),
        draft(&world, "callback_secret.revoke", &secret),
    ];
    assert_eq!(world.callback_secrets.audited(), expected);
}

#[actix_web::test]
async fn every_replay_tells_who_asked_for_it_and_from_where() {
    let world = World::new();
    *locked(&world.callback_log.callbacks) = vec![callbacks::callback(2, CallbackState::Dead)];
    let id = Uuid::from_u128(2);
    let one = format!("/admin/v1/callbacks/{id}/replay");
    operate(&world, Sent::post(&one, "")).await.ok();
    let all = r#"{"since":"2021-04-09T00:00:00Z","state":"dead"}"#;
    operate(&world, Sent::post("/admin/v1/callbacks/replay", all))
        .await
        .ok();
    let expected = [
        draft(&world, "callback.replay", &format!("callback:{id}")),
        draft(
            &world,
            "callbacks.replay",
            "callbacks:dead:2021-04-09T00:00:00.000000Z",
        ),
    ];
    assert_eq!(*locked(&world.callback_log.audited), expected);
}

#[actix_web::test]
async fn what_operators_do_with_money_is_in_the_log_and_what_users_do_is_not() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    for path in [CONFIRM, CANCEL] {
        let id = world.withdrawal(ALICE, "btc", "1").await;
        let body = format!(r#"{{"userId":"{ALICE}","transferId":{id}}}"#);
        for _ in 0..2 {
            operate(&world, Sent::post(path, &body)).await.ok();
        }
        // The other one is refused, and changes nothing.
        let other = if path == CONFIRM { CANCEL } else { CONFIRM };
        let refused = operate(&world, Sent::post(other, &body)).await;
        assert_eq!(refused.status, 409);
    }
    let body = format!(r#"{{"currency_code":"btc","amount":"1","recipient":"{BOB}"}}"#);
    let paid = Sent::post(INTERNAL, &body).bearer(ALICES);
    world.send(paid.header("Prefer", "wait")).await.ok();

    let log = world.store.audit();
    let told: Vec<(&str, &str)> = log
        .iter()
        .map(|row| (row.action.as_str(), row.target.as_str()))
        .collect();
    let expected = [
        ("deposit.create", "transfer:1"),
        ("withdrawal.create", "transfer:2"),
        ("withdrawal.confirm", "transfer:2"),
        ("withdrawal.create", "transfer:3"),
        ("withdrawal.cancel", "transfer:3"),
    ];
    assert_eq!(told, expected);
    let confirmed = draft(&world, "withdrawal.confirm", "transfer:2");
    let row = &log[2];
    assert_eq!(row.actor, confirmed.actor.as_str());
    assert_eq!(row.credential, confirmed.credential);
    assert_eq!(row.request_id, confirmed.request_id);
    assert_eq!(row.address, confirmed.address);
    let before = r#"{"status":"AwaitingConfirmation","version":1}"#;
    assert_eq!(row.before.as_deref(), Some(before));
}
