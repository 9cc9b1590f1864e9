//! Tokens and access keys.

use std::time::{Duration, Instant};

use bursar_ports::{
    AccessKey, CredentialStore, Permission, SealedRecord, SealedSecret, SealedSecrets, SecretOwner,
    Token, TokenHash,
};
use bursar_postgres::PgCredentials;
use uuid::Uuid;

use crate::support::{Fixture, at, draft, user_id};

pub(crate) fn token(number: u128) -> Token {
    Token {
        id: Uuid::from_u128(number),
        hash: TokenHash([u8::try_from(number).unwrap(); 32]),
        subject: format!("subject {number}"),
        user: number.is_multiple_of(2).then(|| user_id(number)),
        permissions: Permission::ALL.to_vec(),
        created_at: at(1),
        expires_at: at(2),
        revoked_at: None,
    }
}

pub(crate) fn access_key(number: u128) -> AccessKey {
    AccessKey {
        access_key: format!("BAK{number}"),
        user: user_id(number),
        permissions: vec![Permission::AllowTransfer],
        secret: SealedSecret {
            key_id: "k1".to_owned(),
            bytes: vec![0, 1, 255],
        },
        allowed_ips: vec![
            "203.0.113.0/24".parse().unwrap(),
            "::1/128".parse().unwrap(),
        ],
        requests_per_minute: Some(7),
        created_at: at(1),
        revoked_at: None,
    }
}

#[tokio::test]
async fn a_token_is_found_by_its_hash_and_a_revocation_counts_at_once() {
    let fixture = Fixture::new().await;
    let store = PgCredentials::new(fixture.database.clone());
    let kept = token(1);
    assert_eq!(store.find_token(kept.hash).await.unwrap(), None);
    store.add_token(kept.clone(), draft()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(
            store.find_token(kept.hash).await.unwrap(),
            Some(kept.clone())
        );
    }
    assert!(store.revoke_token(kept.id, at(5), draft()).await.unwrap());
    let revoked = store.find_token(kept.hash).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(at(5)));
    assert!(store.revoke_token(kept.id, at(6), draft()).await.unwrap());
    let again = store.find_token(kept.hash).await.unwrap().unwrap();
    assert_eq!(again.revoked_at, Some(at(5)));
    assert!(
        !store
            .revoke_token(Uuid::from_u128(9), at(5), draft())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn tokens_are_listed_by_id() {
    let fixture = Fixture::new().await;
    let store = PgCredentials::new(fixture.database.clone());
    for number in [3, 1, 2] {
        store.add_token(token(number), draft()).await.unwrap();
    }
    assert_eq!(
        store.list_tokens(None, None, 2).await.unwrap(),
        [token(1), token(2)]
    );
    let rest = store
        .list_tokens(None, Some(Uuid::from_u128(2)), 2)
        .await
        .unwrap();
    assert_eq!(rest, [token(3)]);
    // 2 acts for a user, the others for nobody.
    let of_one = store.list_tokens(Some(user_id(2)), None, 9).await;
    assert_eq!(of_one.unwrap(), [token(2)]);
    let of_none = store.list_tokens(Some(user_id(1)), None, 9).await;
    assert_eq!(of_none.unwrap(), []);
}

#[tokio::test]
async fn an_access_key_is_found_and_a_revocation_counts_at_once() {
    let fixture = Fixture::new().await;
    let store = PgCredentials::new(fixture.database.clone());
    let kept = access_key(1);
    let name = kept.access_key.clone();
    store.add_access_key(kept.clone(), draft()).await.unwrap();
    for _ in 0..2 {
        let found = store.find_access_key(name.clone()).await.unwrap();
        assert_eq!(found, Some(kept.clone()));
    }
    assert!(
        store
            .revoke_access_key(name.clone(), at(5), draft())
            .await
            .unwrap()
    );
    assert!(
        store
            .revoke_access_key(name.clone(), at(6), draft())
            .await
            .unwrap()
    );
    let revoked = store.find_access_key(name).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(at(5)));
    for nobodys in ["", "BAK", "B\0K"] {
        assert_eq!(
            store.find_access_key(nobodys.to_owned()).await.unwrap(),
            None
        );
    }
    assert!(
        !store
            .revoke_access_key("BAK9".to_owned(), at(5), draft())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn access_keys_are_listed_by_name() {
    let fixture = Fixture::new().await;
    let store = PgCredentials::new(fixture.database.clone());
    let unlimited = AccessKey {
        allowed_ips: vec![],
        requests_per_minute: None,
        ..access_key(3)
    };
    for key in [unlimited.clone(), access_key(1), access_key(2)] {
        store.add_access_key(key, draft()).await.unwrap();
    }
    let first = store.list_access_keys(None, None, 2).await.unwrap();
    assert_eq!(first, [access_key(1), access_key(2)]);
    let after = Some("BAK2".to_owned());
    let rest = store.list_access_keys(None, after, 2).await.unwrap();
    assert_eq!(rest, [unlimited]);
    let of_one = store.list_access_keys(Some(user_id(2)), None, 9).await;
    assert_eq!(of_one.unwrap(), [access_key(2)]);
}

#[tokio::test]
async fn a_permission_that_nobody_knows_is_an_error() {
    let mut fixture = Fixture::new().await;
    let store = PgCredentials::new(fixture.database.clone());
    store.add_token(token(1), draft()).await.unwrap();
    fixture
        .run("UPDATE directory.tokens SET permissions = '{admin,root}'")
        .await;
    assert!(store.find_token(token(1).hash).await.is_err());
}

#[tokio::test]
async fn that_nobody_has_a_credential_is_remembered_for_some_seconds() {
    const REMEMBERED: Duration = Duration::from_secs(5);
    let fixture = Fixture::new().await;
    let here = PgCredentials::new(fixture.database.clone());
    let elsewhere = PgCredentials::new(fixture.database.clone());
    let find = async |token: &Token, key: &AccessKey| {
        let token = here.find_token(token.hash).await.unwrap();
        let key = here.find_access_key(key.access_key.clone()).await.unwrap();
        (token, key)
    };
    // Where the machine stands still for so long that it could be forgotten, others are tried.
    for number in 1..10 {
        let (token, key) = (token(number), access_key(number));
        let asked = Instant::now();
        assert_eq!(find(&token, &key).await, (None, None));
        let added = elsewhere.add_token(token.clone(), draft()).await;
        added.unwrap();
        let added = elsewhere.add_access_key(key.clone(), draft()).await;
        added.unwrap();
        let found = find(&token, &key).await;
        if asked.elapsed() >= REMEMBERED {
            continue;
        }
        assert_eq!(found, (None, None));
        let both = (Some(token.clone()), Some(key.clone()));
        let wait = async {
            while find(&token, &key).await != both {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let within = tokio::time::timeout(Duration::from_secs(60), wait).await;
        assert!(within.is_ok(), "it was remembered for ever");
        return;
    }
    panic!("the machine is too slow to tell");
}

#[tokio::test]
async fn names_that_nobody_was_ever_given_are_neither_looked_up_nor_kept() {
    let mut fixture = Fixture::new().await;
    let store = PgCredentials::new(fixture.database.clone());
    fixture
        .run("ALTER TABLE directory.access_keys RENAME TO hidden")
        .await;
    for name in ["B".repeat(65), "B".repeat(100_000), "B\0".to_owned()] {
        assert_eq!(store.find_access_key(name).await.unwrap(), None);
    }
    assert!(store.find_access_key("B".repeat(64)).await.is_err());
}

#[tokio::test]
async fn secrets_in_use_are_listed_counted_and_replaced_where_unchanged() {
    let fixture = Fixture::new().await;
    let store = PgCredentials::new(fixture.database.clone());
    for number in 1..=4 {
        store
            .add_access_key(access_key(number), draft())
            .await
            .unwrap();
    }
    let revoked = "BAK4".to_owned();
    store
        .revoke_access_key(revoked, at(5), draft())
        .await
        .unwrap();
    let record = |number: u128| SealedRecord {
        belongs_to: SecretOwner::AccessKey(format!("BAK{number}")),
        secret: access_key(number).secret,
    };
    let list = async |after: Option<&str>, limit| {
        let after = after.map(|key| SecretOwner::AccessKey(key.to_owned()));
        store
            .list_sealed("k2".to_owned(), after, limit)
            .await
            .unwrap()
    };
    assert_eq!(list(None, 2).await, [record(1), record(2)]);
    assert_eq!(list(Some("BAK2"), 2).await, [record(3)]);
    assert_eq!(store.count_sealed().await.unwrap(), [("k1".to_owned(), 3)]);

    let new = SealedSecret {
        key_id: "k2".to_owned(),
        bytes: vec![9],
    };
    // Found before, so that the memory of it has to go.
    let name = "BAK1".to_owned();
    store.find_access_key(name.clone()).await.unwrap();
    assert!(
        store
            .replace_sealed(record(1), new.clone(), at(9), draft())
            .await
            .unwrap()
    );
    let found = store.find_access_key(name).await.unwrap().unwrap();
    assert_eq!(found.secret, new);
    let again = store
        .replace_sealed(record(1), new.clone(), at(9), draft())
        .await
        .unwrap();
    assert!(!again, "it is not the old one any more");
    assert_eq!(list(None, 9).await, [record(2), record(3)]);
    let counted = store.count_sealed().await.unwrap();
    assert_eq!(counted, [("k1".to_owned(), 2), ("k2".to_owned(), 1)]);
}
