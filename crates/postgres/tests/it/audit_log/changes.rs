//! What each change of the directory, of credentials and of callbacks writes.

use std::sync::Arc;

use bursar_domain::{Asset, AuditDraft, Subscriber, User, UserStatus};
use bursar_ports::{
    AccessKey, CallbackLog, CallbackSecrets, CredentialStore, Directory, Expected, Permission,
    PutAsset, PutRate, PutUser, Replay, Replayable, SealedRecord, SealedSecret, SealedSecrets,
    SecretOwner, StoredCallbackSecret, Token, TokenHash,
};
use bursar_postgres::{PgCallbackLog, PgCallbackSecrets, PgCredentials, PgDirectory};
use bursar_testkit::{FixedClock, build};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{all, list, times};
use crate::support::{Fixture, Row, at, insert, user, user_id};

/// What is in the log about a target, oldest first: action, before and after.
async fn about(fixture: &Fixture, target: &str) -> Vec<(String, Value, Value)> {
    let mut rows = list(fixture, all()).await;
    rows.reverse();
    rows.retain(|row| row.target == target);
    let json = |text: Option<String>| {
        text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    };
    rows.into_iter()
        .map(|row| {
            assert_eq!(row.actor, "operator");
            assert_eq!(row.credential, "token:1");
            assert_eq!(row.request_id, "request-1");
            assert_eq!(row.address, "192.0.2.1");
            (row.action, json(row.before), json(row.after))
        })
        .collect()
}

fn told(action: &str, before: &Value, after: &Value) -> (String, Value, Value) {
    (action.to_owned(), before.clone(), after.clone())
}

/// How many rows a schema's table has.
async fn count(fixture: &mut Fixture, schema: &str) -> String {
    let query = format!("SELECT count(*)::text FROM {schema}.audit_log");
    fixture.text(&query).await
}

/// A directory, and the clock that it stamps with.
fn directory(fixture: &Fixture) -> (PgDirectory, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::default());
    let directory = PgDirectory::new(fixture.database.clone(), clock.clone());
    (directory, clock)
}

#[tokio::test]
async fn an_asset_is_told_in_the_book_that_it_lives_in() {
    let mut fixture = Fixture::new().await;
    let (directory, clock) = directory(&fixture);
    let put = async |asset: Asset| {
        clock.advance_ms(1);
        let audit = build::audit("asset.put", "asset:btc");
        directory
            .put_asset(asset, Expected::Anything, audit)
            .await
            .unwrap()
    };
    let open = build::asset("btc", 8);
    assert_eq!(put(open.clone()).await, PutAsset::Written);
    let closed = Asset {
        can_deposit: false,
        ..open
    };
    assert_eq!(put(closed.clone()).await, PutAsset::Written);
    fixture
        .run(
            "INSERT INTO book_main.accounts VALUES \
             (1, 'user', gen_random_uuid(), 'btc', 0, 0, 0, 'Active', now())",
        )
        .await;
    let scaled = Asset {
        scale: build::asset("x", 2).scale,
        ..closed
    };
    assert_eq!(put(scaled).await, PutAsset::ScaleInUse);
    let shown = |can_deposit: bool| {
        json!({
            "name": "BTC", "scale": 8, "can_deposit": can_deposit, "can_withdraw": true,
            "can_transfer": true,
        })
    };
    let expected = [
        told("asset.put", &Value::Null, &shown(true)),
        told("asset.put", &shown(true), &shown(false)),
    ];
    assert_eq!(about(&fixture, "asset:btc").await, expected);
    assert_eq!(count(&mut fixture, "book_main").await, "2");
    assert_eq!(count(&mut fixture, "directory").await, "0");
    let written = [2, 1].map(|ms| FixedClock::START.plus_micros(ms * 1_000));
    assert_eq!(times(&fixture).await, written);
}

#[tokio::test]
async fn a_user_is_told_as_people_see_it() {
    let fixture = Fixture::new().await;
    let (directory, clock) = directory(&fixture);
    let put = async |user: User| {
        clock.advance_ms(1);
        let audit = build::audit("user.put", "user:1");
        directory.put_user(user, audit).await.unwrap()
    };
    let anna = user(1, "anna");
    let frozen = User {
        status: UserStatus::Frozen,
        ..anna.clone()
    };
    assert_eq!(put(anna).await, PutUser::Written);
    assert_eq!(put(frozen).await, PutUser::Written);
    assert_eq!(put(user(2, "Anna")).await, PutUser::UsernameTaken);
    let shown = |status: &str| {
        json!({
            "username": "anna", "email": "anna@example.com", "roles": ["trader", "vip"],
            "status": status,
        })
    };
    let expected = [
        told("user.put", &Value::Null, &shown("Active")),
        told("user.put", &shown("Active"), &shown("Frozen")),
    ];
    assert_eq!(about(&fixture, "user:1").await, expected);
}

#[tokio::test]
async fn a_rate_is_told_in_its_shortest_form() {
    let fixture = Fixture::new().await;
    let (directory, clock) = directory(&fixture);
    for rate in ["65000.10", "1e3"] {
        clock.advance_ms(1);
        let audit = build::audit("rate.put", "rate:btc");
        let rate = rate.parse().unwrap();
        let (btc, feed) = (build::asset_id("btc"), "feed".to_owned());
        let put = directory.put_rate(btc, rate, feed, Expected::Anything, audit);
        let put = put.await.unwrap();
        assert!(matches!(put, PutRate::Written(_)), "{put:?}");
    }
    let (first, second) = (
        json!({"rate": "65000.1", "source": "feed"}),
        json!({"rate": "1000", "source": "feed"}),
    );
    let expected = [
        told("rate.put", &Value::Null, &first),
        told("rate.put", &first, &second),
    ];
    assert_eq!(about(&fixture, "rate:btc").await, expected);
}

/// Everything in a row of the log but the secrets, which must not be there.
async fn assert_silent_about(fixture: &mut Fixture, secrets: &[&str]) {
    let rows = fixture
        .texts("SELECT l::text FROM directory.audit_log AS l")
        .await;
    assert!(!rows.is_empty());
    for secret in secrets {
        assert!(!rows.iter().any(|row| row.contains(secret)), "{secret}");
    }
}

#[tokio::test]
async fn a_token_is_told_without_its_hash_and_revoked_once() {
    let mut fixture = Fixture::new().await;
    let credentials = PgCredentials::new(fixture.database.clone());
    let token = Token {
        id: Uuid::from_u128(1),
        hash: TokenHash([0xab; 32]),
        subject: "robot".to_owned(),
        user: None,
        permissions: vec![Permission::Admin],
        created_at: at(1),
        expires_at: at(9),
        revoked_at: None,
    };
    let target = format!("token:{}", token.id);
    let audit = |action| build::audit(action, &target);
    let added = credentials.add_token(token.clone(), audit("token.issue"));
    added.await.unwrap();
    for second in [2, 3] {
        let audit = audit("token.revoke");
        let found = credentials.revoke_token(token.id, at(second), audit).await;
        assert!(found.unwrap());
    }
    let unknown = credentials.revoke_token(Uuid::nil(), at(4), audit("token.revoke"));
    assert!(!unknown.await.unwrap());
    let shown = |revoked_at: Value| {
        json!({
            "id": token.id.to_string(), "subject": "robot", "user_id": null,
            "permissions": ["admin"], "created_at": at(1).to_micros_text(),
            "expires_at": at(9).to_micros_text(), "revoked_at": revoked_at,
        })
    };
    let revoked = shown(at(2).to_micros_text().into());
    let expected = [
        told("token.issue", &Value::Null, &shown(Value::Null)),
        told("token.revoke", &shown(Value::Null), &revoked),
    ];
    assert_eq!(about(&fixture, &target).await, expected);
    assert_eq!(times(&fixture).await, [at(2), at(1)]);
    assert_silent_about(&mut fixture, &["abab"]).await;
}

fn sealed(byte: u8, key_id: &str) -> SealedSecret {
    SealedSecret {
        key_id: key_id.to_owned(),
        bytes: vec![byte; 72],
    }
}

#[tokio::test]
async fn an_access_key_is_told_without_its_secret_resealed_and_revoked_once() {
    let mut fixture = Fixture::new().await;
    let credentials = PgCredentials::new(fixture.database.clone());
    let key = AccessKey {
        access_key: "BAK1".to_owned(),
        user: user_id(7),
        permissions: vec![Permission::AllowTransfer],
        secret: sealed(0xab, "old"),
        allowed_ips: vec!["192.0.2.0/24".parse().unwrap()],
        requests_per_minute: Some(30),
        created_at: at(1),
        revoked_at: None,
    };
    let audit = |action| build::audit(action, "access_key:BAK1");
    let added = credentials.add_access_key(key.clone(), audit("access_key.issue"));
    added.await.unwrap();
    let old = SealedRecord {
        belongs_to: SecretOwner::AccessKey("BAK1".to_owned()),
        secret: key.secret,
    };
    for (expected, second) in [(true, 2), (false, 3)] {
        let (old, new) = (old.clone(), sealed(0xcd, "new"));
        let replaced = credentials.replace_sealed(old, new, at(second), audit("secret.reseal"));
        assert_eq!(replaced.await.unwrap(), expected);
    }
    for (name, found, second) in [("BAK1", true, 4), ("BAK1", true, 5), ("BAK2", false, 6)] {
        let audit = audit("access_key.revoke");
        let revoked = credentials.revoke_access_key(name.to_owned(), at(second), audit);
        assert_eq!(revoked.await.unwrap(), found);
    }
    let shown = |revoked_at: Value| {
        json!({
            "access_key": "BAK1", "user_id": user_id(7).to_string(),
            "permissions": ["allow_transfer"], "allowed_ips": ["192.0.2.0/24"],
            "requests_per_minute": 30, "created_at": at(1).to_micros_text(),
            "revoked_at": revoked_at,
        })
    };
    let under = |key: &str| json!({"master_key": key});
    let revoked = shown(at(4).to_micros_text().into());
    let expected = [
        told("access_key.issue", &Value::Null, &shown(Value::Null)),
        told("secret.reseal", &under("old"), &under("new")),
        told("access_key.revoke", &shown(Value::Null), &revoked),
    ];
    assert_eq!(about(&fixture, "access_key:BAK1").await, expected);
    assert_eq!(times(&fixture).await, [at(4), at(2), at(1)]);
    assert_silent_about(&mut fixture, &["abab", "cdcd"]).await;
}

#[tokio::test]
async fn a_callback_secret_is_told_with_the_one_whose_place_it_takes() {
    let mut fixture = Fixture::new().await;
    let secrets = PgCallbackSecrets::new(fixture.database.clone());
    let secret = |number: u8| StoredCallbackSecret {
        id: Uuid::from_u128(number.into()),
        subscriber: Subscriber::User(user_id(7)),
        secret: sealed(0xab, "key"),
        created_at: at(number.into()),
        expires_at: None,
        revoked_at: None,
    };
    let audit = |action| build::audit(action, "callback_secret:x");
    for number in [1, 2] {
        let rotated = secrets.rotate(secret(number), at(90), audit("callback_secret.issue"));
        rotated.await.unwrap();
    }
    for (number, found, second) in [(2, true, 3), (2, true, 4), (9, false, 5)] {
        let audit = audit("callback_secret.revoke");
        let revoked = secrets.revoke(Uuid::from_u128(number), at(second), audit);
        assert_eq!(revoked.await.unwrap(), found);
    }
    let shown = |number: u8, revoked_at: Value| {
        let secret = secret(number);
        json!({
            "id": secret.id.to_string(), "subscriber": format!("user:{}", user_id(7)),
            "created_at": secret.created_at.to_micros_text(), "expires_at": null,
            "revoked_at": revoked_at,
        })
    };
    let (first, second) = (shown(1, Value::Null), shown(2, Value::Null));
    let revoked = shown(2, at(3).to_micros_text().into());
    let expected = [
        told("callback_secret.issue", &Value::Null, &first),
        told("callback_secret.issue", &first, &second),
        told("callback_secret.revoke", &second, &revoked),
    ];
    assert_eq!(about(&fixture, "callback_secret:x").await, expected);
    assert_silent_about(&mut fixture, &["abab"]).await;
}

#[tokio::test]
async fn a_replay_is_told_in_the_book_if_there_was_anything_to_replay() {
    let mut fixture = Fixture::new().await;
    insert(&mut fixture, &[Row::deposit(1, 7, 0)]).await;
    for (number, state) in [(1_u128, "dead"), (2, "dead"), (3, "skipped")] {
        let id = Uuid::from_u128(number);
        let statement = format!(
            "INSERT INTO book_main.callbacks (id, transfer_id, operation, url, url_digest, \
             status, state, attempts, created_at) VALUES ('{id}', 1, 'settle', \
             'https://example.com/{number}', '\\x0{number}', 'Completed', '{state}', 4, '{}')",
            at(1)
        );
        fixture.run(&statement).await;
    }
    let log = PgCallbackLog::new(fixture.database.clone());
    let audit = |action: &'static str, target: &str| -> AuditDraft { build::audit(action, target) };
    for (number, second) in [(1_u128, 2), (1, 3), (3, 4), (9, 5)] {
        let audit = audit("callback.replay", "callback:x");
        let answer = log.replay(Uuid::from_u128(number), at(second), audit).await;
        let due = matches!(answer.unwrap(), Replay::Due(_));
        assert_eq!(due, number == 1, "{number}");
    }
    for expected in [1, 0] {
        let audit = audit("callbacks.replay", "callbacks:dead");
        let replayed = log.replay_since(Replayable::Dead, at(0), at(6), 10, audit);
        assert_eq!(replayed.await.unwrap(), expected);
    }
    let state = |state: &str| json!({"state": state, "attempts": 4});
    let one = told("callback.replay", &state("dead"), &state("pending"));
    assert_eq!(about(&fixture, "callback:x").await, [one]);
    let many = told("callbacks.replay", &Value::Null, &json!({"replayed": 1}));
    assert_eq!(about(&fixture, "callbacks:dead").await, [many]);
    assert_eq!(count(&mut fixture, "book_main").await, "2");
}

/// When the row cannot be written, nothing is changed.
#[tokio::test]
async fn a_change_that_cannot_be_told_is_not_made() {
    let mut fixture = Fixture::new().await;
    fixture
        .run("ALTER TABLE directory.audit_log ADD CONSTRAINT audit_log_full_ck CHECK (false)")
        .await;
    let audit = build::audit("rate.put", "rate:btc");
    let (directory, _clock) = directory(&fixture);
    let rate = directory.put_rate(
        build::asset_id("btc"),
        2.into(),
        String::new(),
        Expected::Anything,
        audit,
    );
    assert!(rate.await.is_err());
    let rates = fixture.text("SELECT count(*)::text FROM directory.asset_rates");
    assert_eq!(rates.await, "0");
}
