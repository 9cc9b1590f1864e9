use std::sync::Mutex;

use bursar_ports::{MockSealedSecrets, SealedSecret};
use bursar_testkit::{FixedClock, SequentialIds};
use mockall::predicate::{always, eq};

use super::*;
use crate::test_support::{NOW, audited, operator, other_grants, unavailable};

/// The new key first, then the old one.
fn keyring() -> Keyring {
    let keys = [("new", 2), ("old", 1)].map(|(name, key)| (name.to_owned(), [key; 32]));
    Keyring::try_new([7; 32], keys.to_vec()).unwrap()
}

fn owner(access_key: &str) -> SecretOwner {
    SecretOwner::AccessKey(access_key.to_owned())
}

fn under(key: &str, number: u8, belongs_to: &str) -> SealedRecord {
    let keyring = Keyring::try_new([7; 32], vec![(key.to_owned(), [number; 32])]).unwrap();
    let secret = keyring.seal(belongs_to.as_bytes(), belongs_to, [9; 32]);
    SealedRecord {
        belongs_to: owner(belongs_to),
        secret: secret.unwrap(),
    }
}

fn pass(secrets: MockSealedSecrets) -> ResealPass {
    ResealPass {
        secrets: Arc::new(secrets),
        keyring: Arc::new(keyring()),
        ids: Arc::new(SequentialIds::default()),
        clock: Arc::new(FixedClock::default()),
    }
}

fn admin() -> Grant {
    operator(Permission::Admin)
}

/// Answers these, and then that there are no more.
fn listing(records: Vec<SealedRecord>) -> MockSealedSecrets {
    let mut secrets = MockSealedSecrets::new();
    let last = records.last().map(|record| record.belongs_to.clone());
    secrets
        .expect_list_sealed()
        .with(eq("new".to_owned()), eq(None), eq(BATCH))
        .times(1)
        .return_once(|_, _, _| Ok(records));
    secrets
        .expect_list_sealed()
        .with(eq("new".to_owned()), eq(last), eq(BATCH))
        .times(1)
        .returning(|_, _, _| Ok(vec![]));
    secrets
}

#[tokio::test]
async fn every_secret_is_readable_under_the_first_key_alone_afterwards() {
    let mut secrets = listing(vec![under("old", 1, "a"), under("old", 1, "b")]);
    let replaced = Arc::new(Mutex::new(Vec::<(SealedRecord, SealedSecret)>::new()));
    let seen = Arc::clone(&replaced);
    secrets
        .expect_replace_sealed()
        .times(2)
        .returning(move |old, new, at, audit| {
            let target = format!("access_key:{}", old.belongs_to);
            assert_eq!(audit, audited("secret.reseal", &target));
            assert_eq!(at, NOW);
            seen.lock().unwrap().push((old, new));
            Ok(true)
        });
    let done = pass(secrets).run(&admin()).await.unwrap();
    assert_eq!(done.resealed, 2);
    assert_eq!(done.unreadable, []);
    let only_new = Keyring::try_new([7; 32], vec![("new".to_owned(), [2; 32])]).unwrap();
    for (old, new) in replaced.lock().unwrap().iter() {
        assert_eq!(new.key_id, "new");
        let belongs_to = old.belongs_to.to_string();
        let secret = only_new.open(new, &belongs_to).unwrap();
        assert_eq!(secret, belongs_to.as_bytes());
    }
}

#[tokio::test]
async fn nobody_but_an_admin_encrypts_anew() {
    for grant in other_grants(&[Permission::Admin]) {
        let refused = pass(MockSealedSecrets::new()).run(&grant).await;
        assert!(matches!(refused, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[test]
fn a_secret_is_named_in_the_audit_log_as_what_it_belongs_to() {
    assert_eq!(target_of(&owner("BAK1")), "access_key:BAK1");
    let id = uuid::Uuid::from_u128(1);
    let expected = format!("callback_secret:{id}");
    assert_eq!(target_of(&SecretOwner::CallbackSecret(id)), expected);
}

#[tokio::test]
async fn what_changed_meanwhile_and_what_cannot_be_read_is_counted_and_left() {
    let moved = SealedRecord {
        belongs_to: owner("c"),
        ..under("old", 1, "b")
    };
    let records = vec![under("old", 1, "a"), moved, under("gone", 3, "d")];
    let mut secrets = listing(records);
    secrets
        .expect_replace_sealed()
        .times(1)
        .returning(|_, _, _, _| Ok(false));
    let done = pass(secrets).run(&admin()).await.unwrap();
    let expected = Resealed {
        resealed: 0,
        changed_meanwhile: 1,
        unreadable: vec![owner("c"), owner("d")],
    };
    assert_eq!(done, expected);
}

#[tokio::test]
async fn trouble_ends_the_pass() {
    let mut secrets = MockSealedSecrets::new();
    secrets
        .expect_list_sealed()
        .with(always(), always(), always())
        .return_once(|_, _, _| Err(unavailable()));
    assert!(pass(secrets).run(&admin()).await.is_err());
    let mut secrets = MockSealedSecrets::new();
    let records = vec![under("old", 1, "a"), under("old", 1, "b")];
    secrets
        .expect_list_sealed()
        .return_once(|_, _, _| Ok(records));
    secrets
        .expect_replace_sealed()
        .times(1)
        .returning(|_, _, _, _| Err(unavailable()));
    assert!(pass(secrets).run(&admin()).await.is_err());
}

#[tokio::test]
async fn keys_that_are_needed_and_not_configured_are_named() {
    let counting = |counts: Vec<(String, u64)>| {
        let mut secrets = MockSealedSecrets::new();
        secrets
            .expect_count_sealed()
            .returning(move || Ok(counts.clone()));
        pass(secrets)
    };
    let named = |name: &str, count| (name.to_owned(), count);
    let all = counting(vec![named("gone", 3), named("old", 1)]);
    assert_eq!(all.missing_keys().await.unwrap(), [named("gone", 3)]);
    let expected = [named("gone", 3), named("old", 1), named("new", 0)];
    assert_eq!(all.count().await.unwrap(), expected);
    let known = counting(vec![named("new", 1)]);
    assert_eq!(known.missing_keys().await.unwrap(), []);
}
