//! The secrets that sign callbacks: the suite that every store of them passes, and what only a
//! database shows.

use std::ops::Deref;

use bursar_domain::{ActorId, Subscriber};
use bursar_ports::{
    CallbackSecrets, SealedRecord, SealedSecret, SealedSecrets, SecretOwner, StoredCallbackSecret,
};
use bursar_postgres::{PgCallbackSecrets, PgCredentials};
use bursar_testkit::callback_secrets_contract;
use uuid::Uuid;

use crate::support::{Fixture, at, draft};

/// A store, and the database that must outlive it.
struct Kept {
    secrets: PgCallbackSecrets,
    _fixture: Fixture,
}

impl Kept {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        Self {
            secrets: PgCallbackSecrets::new(fixture.database.clone()),
            _fixture: fixture,
        }
    }
}

impl Deref for Kept {
    type Target = PgCallbackSecrets;

    fn deref(&self) -> &PgCallbackSecrets {
        &self.secrets
    }
}

callback_secrets_contract!(Kept::new().await);

fn secret(number: u8) -> StoredCallbackSecret {
    StoredCallbackSecret {
        id: Uuid::from_u128(number.into()),
        subscriber: Subscriber::Client(ActorId::new("office")),
        secret: SealedSecret {
            key_id: "k1".to_owned(),
            bytes: vec![number],
        },
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
    }
}

#[tokio::test]
async fn what_signs_is_kept_in_memory_and_own_writes_show_at_once() {
    let mut fixture = Fixture::new().await;
    let here = PgCallbackSecrets::new(fixture.database.clone());
    let subscriber = secret(1).subscriber;
    let active = async |store: &PgCallbackSecrets, second| {
        let found = store.find_active(subscriber.clone(), at(second)).await;
        let ids = found.unwrap().into_iter().map(|one| one.id.as_u128());
        ids.collect::<Vec<_>>()
    };
    here.rotate(secret(1), at(10), draft()).await.unwrap();
    assert_eq!(active(&here, 1).await, [1]);
    here.rotate(secret(2), at(10), draft()).await.unwrap();
    assert_eq!(active(&here, 1).await, [2, 1]);
    fixture
        .run("ALTER TABLE directory.callback_secrets RENAME TO hidden")
        .await;
    // Out of memory, and still not beyond its end.
    assert_eq!(active(&here, 9).await, [2, 1]);
    assert_eq!(active(&here, 10).await, [2]);
    let elsewhere = PgCallbackSecrets::new(fixture.database.clone());
    let found = elsewhere.find_active(subscriber.clone(), at(1)).await;
    assert!(found.is_err());
    fixture
        .run("ALTER TABLE directory.hidden RENAME TO callback_secrets")
        .await;
    assert!(here.revoke(secret(2).id, at(3), draft()).await.unwrap());
    assert_eq!(active(&here, 4).await, [1]);
}

#[tokio::test]
async fn callback_secrets_in_use_follow_the_access_keys_when_the_key_changes() {
    let mut fixture = Fixture::new().await;
    let store = PgCallbackSecrets::new(fixture.database.clone());
    let sealed = PgCredentials::new(fixture.database.clone());
    for number in 1..=4 {
        let subscriber = Subscriber::Client(ActorId::new(number.to_string()));
        let one = StoredCallbackSecret {
            subscriber,
            ..secret(number)
        };
        store.add_first(one).await.unwrap();
    }
    store.revoke(secret(3).id, at(5), draft()).await.unwrap();
    fixture
        .run(
            "UPDATE directory.callback_secrets SET expires_at = now() - interval '1 second' \
             WHERE subscriber = 'client:4';
             INSERT INTO directory.access_keys VALUES ('BAK1', \
             '00000000-0000-0000-0000-000000000001', '{}', 'k1', '\\x01', '{}', NULL, now(), NULL)",
        )
        .await;
    let record = |number: u8| SealedRecord {
        belongs_to: SecretOwner::CallbackSecret(secret(number).id),
        secret: secret(number).secret,
    };
    let access_key = SecretOwner::AccessKey("BAK1".to_owned());
    let list = async |after, limit| {
        let listed = sealed.list_sealed("k2".to_owned(), after, limit).await;
        listed.unwrap()
    };
    let first = list(None, 9).await;
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].belongs_to, access_key);
    assert_eq!(list(Some(access_key), 1).await, [record(1)]);
    let after = Some(record(1).belongs_to);
    assert_eq!(list(after, 9).await, [record(2)]);
    assert_eq!(list(Some(record(2).belongs_to), 9).await, []);
    assert_eq!(sealed.count_sealed().await.unwrap(), [("k1".to_owned(), 3)]);

    let new = SealedSecret {
        key_id: "k2".to_owned(),
        bytes: vec![9],
    };
    let replaced = sealed
        .replace_sealed(record(1), new.clone(), at(9), draft())
        .await;
    assert!(replaced.unwrap());
    let again = sealed
        .replace_sealed(record(1), new.clone(), at(9), draft())
        .await;
    assert!(!again.unwrap(), "it is not the old one any more");
    let kept = store.list(None, None, 1).await.unwrap();
    assert_eq!(kept[0].secret, new);
    let counted = sealed.count_sealed().await.unwrap();
    assert_eq!(counted, [("k1".to_owned(), 2), ("k2".to_owned(), 1)]);
}

#[tokio::test]
async fn a_subscriber_that_is_nobody_is_an_error() {
    let mut fixture = Fixture::new().await;
    let store = PgCallbackSecrets::new(fixture.database.clone());
    store.add_first(secret(1)).await.unwrap();
    fixture
        .run("UPDATE directory.callback_secrets SET subscriber = 'user:nobody'")
        .await;
    assert!(store.list(None, None, 9).await.is_err());
}
