use std::{net::IpAddr, sync::Arc};

use bursar_ports::{MockIdSource, StoreError};
use bursar_testkit::build;
use data_encoding::HEXLOWER;
use mockall::{Sequence, predicate::eq};

use super::*;
use crate::{
    SignedRequest,
    keyring::hmac_sha256,
    test_support::{ALICE, Mocks, NOW, audited, keyring, operator, other_grants, unavailable},
};

fn admin() -> Grant {
    operator(Permission::Admin)
}

fn new_token(user: Option<UserId>) -> NewToken {
    NewToken {
        subject: "back office".to_owned(),
        user,
        permissions: vec![Permission::AllowBalance],
        ttl_seconds: 60,
    }
}

fn new_key() -> NewAccessKey {
    NewAccessKey {
        user: ALICE,
        permissions: vec![Permission::AllowTransfer, Permission::AllowBalance],
        allowed_ips: vec!["203.0.113.0/24".parse().unwrap()],
        requests_per_minute: Some(30),
    }
}

/// Random bytes that are all 1, then all 2, and so on, this often.
fn draws(mocks: &mut Mocks, times: u8) {
    let mut ids = MockIdSource::new();
    let mut order = Sequence::new();
    for byte in 1..=times {
        ids.expect_random_bytes()
            .times(1)
            .in_sequence(&mut order)
            .return_const([byte; 32]);
    }
    mocks.ids = Arc::new(ids);
}

async fn issued_token(new: NewToken) -> IssuedToken {
    let mut mocks = Mocks::new();
    if let Some(user) = new.user {
        mocks.has_user(build::user(user));
    }
    draws(&mut mocks, 2);
    let (keep, kept) = std::sync::mpsc::channel();
    mocks
        .credentials
        .expect_add_token()
        .times(1)
        .return_once(move |token, audit| {
            let target = format!("token:{}", token.id);
            assert_eq!(audit, audited("token.issue", &target));
            keep.send(token).unwrap();
            Ok(())
        });
    let issued = mocks.app().issue_token(&admin(), new).await.unwrap();
    assert_eq!(kept.recv().unwrap(), issued.token);
    issued
}

async fn issued_key(new: NewAccessKey) -> IssuedAccessKey {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(new.user));
    draws(&mut mocks, 3);
    let (keep, kept) = std::sync::mpsc::channel();
    mocks
        .credentials
        .expect_add_access_key()
        .times(1)
        .return_once(move |key, audit| {
            let target = format!("access_key:{}", key.access_key);
            assert_eq!(audit, audited("access_key.issue", &target));
            keep.send(key).unwrap();
            Ok(())
        });
    let issued = mocks.app().issue_access_key(&admin(), new).await.unwrap();
    assert_eq!(kept.recv().unwrap(), issued.key);
    issued
}

#[tokio::test]
async fn nobody_but_an_admin_has_to_do_with_credentials() {
    for grant in other_grants(&[Permission::Admin]) {
        let app = Mocks::new().app();
        let id = Uuid::from_u128(1);
        let key = "BAK1".to_owned();
        for error in [
            app.issue_token(&grant, new_token(None)).await.unwrap_err(),
            app.list_tokens(&grant, None, None, 10).await.unwrap_err(),
            app.revoke_token(&grant, id).await.unwrap_err(),
            app.issue_access_key(&grant, new_key()).await.unwrap_err(),
            app.list_access_keys(&grant, None, None, 10)
                .await
                .unwrap_err(),
            app.revoke_access_key(&grant, key).await.unwrap_err(),
        ] {
            assert!(matches!(error, Error::Forbidden(Permission::Admin)));
        }
    }
}

#[tokio::test]
async fn of_a_token_only_the_hash_is_kept() {
    for user in [None, Some(ALICE)] {
        let issued = issued_token(new_token(user)).await;
        assert!(issued.secret.starts_with("bur_"));
        assert_eq!(issued.secret.len(), 4 + 43, "256 random bits");
        let token = issued.token;
        assert_eq!(token.hash, hash_token(&issued.secret));
        assert_eq!(token.subject, "back office");
        assert_eq!(token.user, user);
        assert_eq!(token.permissions, [Permission::AllowBalance]);
        assert_eq!(token.created_at, NOW);
        assert_eq!(token.expires_at, NOW.plus_micros(60_000_000));
        assert_eq!(token.revoked_at, None);
    }
}

#[tokio::test]
async fn token_ids_grow_with_time_and_tell_nothing_of_the_token() {
    let issued = issued_token(new_token(None)).await;
    assert_eq!(issued.token.id.get_version_num(), 7);
    let (seconds, nanos) = issued.token.id.get_timestamp().unwrap().to_unix();
    assert_eq!(
        i64::try_from(seconds).unwrap() * 1_000_000 + i64::from(nanos) / 1_000,
        NOW.as_micros()
    );
    // The token is drawn first, the id from bytes of its own.
    assert_eq!(issued.secret, format!("bur_{}", random_text([1; 32])));
    assert_eq!(issued.token.id.as_bytes()[15], 2);
}

#[tokio::test]
async fn the_longest_life_of_a_token_ends_too() {
    let new = NewToken {
        ttl_seconds: u32::MAX,
        ..new_token(None)
    };
    let lifetime = i64::from(u32::MAX) * 1_000_000;
    assert_eq!(
        issued_token(new).await.token.expires_at,
        NOW.plus_micros(lifetime)
    );
}

#[tokio::test]
async fn an_issued_token_is_accepted_until_it_expires() {
    let issued = issued_token(new_token(Some(ALICE))).await;
    let mut mocks = Mocks::new();
    let clock = Arc::clone(&mocks.clock);
    let token = issued.token.clone();
    mocks
        .credentials
        .expect_find_token()
        .with(eq(issued.token.hash))
        .times(2)
        .returning(move |_| Ok(Some(token.clone())));
    let app = mocks.app();
    clock.advance_ms(59_999);
    let principal = app.authenticate_bearer(&issued.secret).await.unwrap();
    assert_eq!(principal.user, Some(ALICE));
    clock.advance_ms(1);
    assert!(app.authenticate_bearer(&issued.secret).await.is_err());
}

#[tokio::test]
async fn a_credential_for_an_unknown_user_is_not_issued() {
    let nobody = || {
        let mut mocks = Mocks::new();
        mocks.knows_no_user(ALICE);
        mocks.app()
    };
    let token = nobody().issue_token(&admin(), new_token(Some(ALICE))).await;
    assert!(matches!(token, Err(Error::NotFound(Missing::User))));
    let key = nobody().issue_access_key(&admin(), new_key()).await;
    assert!(matches!(key, Err(Error::NotFound(Missing::User))));
}

#[tokio::test]
async fn an_access_key_keeps_what_was_asked_and_its_secret_sealed() {
    let issued = issued_key(new_key()).await;
    let key = &issued.key;
    assert_eq!(key.user, ALICE);
    assert_eq!(key.permissions, new_key().permissions);
    assert_eq!(key.allowed_ips, new_key().allowed_ips);
    assert_eq!(key.requests_per_minute, Some(30));
    assert_eq!((key.created_at, key.revoked_at), (NOW, None));
    assert!(key.access_key.starts_with("BAK"));
    assert_eq!(key.access_key.len(), 3 + 24, "120 random bits");
    assert_eq!(issued.secret.len(), 43, "256 random bits");
    let opened = keyring().open(&key.secret, &key.access_key).unwrap();
    assert_eq!(opened, issued.secret.as_bytes());
    assert!(keyring().open(&key.secret, "BAK2").is_err());
}

#[tokio::test]
async fn name_secret_and_nonce_are_random_each_for_itself() {
    let issued = issued_key(new_key()).await;
    let name = BASE32_NOPAD.encode(&[1; 15]);
    assert_eq!(issued.key.access_key, format!("BAK{name}"));
    assert_eq!(issued.secret, random_text([2; 32]));
    assert!(issued.key.secret.bytes.starts_with(&[3; 24]));
}

#[tokio::test]
async fn an_issued_access_key_verifies_what_its_secret_signs() {
    let issued = issued_key(new_key()).await;
    let access_key = issued.key.access_key.clone();
    let timestamp = (NOW.as_micros() / 1_000).to_string();
    let parts: [&[u8]; 4] = [
        access_key.as_bytes(),
        b"/balance",
        timestamp.as_bytes(),
        b"",
    ];
    let signature = HEXLOWER.encode(&hmac_sha256(issued.secret.as_bytes(), &parts));
    let request = SignedRequest {
        access_key: Some(access_key.clone()),
        timestamp: Some(timestamp),
        signature: Some(signature),
        path: "/balance".to_owned(),
        path_and_query: "/balance".to_owned(),
        body: vec![],
        changes: false,
        client: Some(IpAddr::from([203, 0, 113, 7])),
    };
    let mut mocks = Mocks::new();
    let key = issued.key;
    mocks
        .credentials
        .expect_find_access_key()
        .with(eq(access_key))
        .times(1)
        .return_once(|_| Ok(Some(key)));
    let principal = mocks.app().authenticate_signed(request).await.unwrap();
    assert_eq!(principal.user, Some(ALICE));
    assert_eq!(principal.permissions, new_key().permissions);
}

#[tokio::test]
async fn a_credential_that_cannot_be_kept_is_not_issued() {
    let mut mocks = Mocks::new();
    mocks
        .credentials
        .expect_add_token()
        .times(1)
        .return_once(|_, _| Err(unavailable()));
    let token = mocks.app().issue_token(&admin(), new_token(None)).await;
    assert!(matches!(
        token,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));

    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks
        .credentials
        .expect_add_access_key()
        .times(1)
        .return_once(|_, _| Err(unavailable()));
    let key = mocks.app().issue_access_key(&admin(), new_key()).await;
    assert!(matches!(key, Err(Error::Store(StoreError::Unavailable(_)))));

    for token in [true, false] {
        let mut mocks = Mocks::new();
        mocks
            .directory
            .expect_find_user()
            .times(1)
            .return_once(|_| Err(unavailable()));
        let app = mocks.app();
        let error = if token {
            app.issue_token(&admin(), new_token(Some(ALICE)))
                .await
                .unwrap_err()
        } else {
            app.issue_access_key(&admin(), new_key()).await.unwrap_err()
        };
        assert!(matches!(error, Error::Store(StoreError::Unavailable(_))));
    }
}

#[tokio::test]
async fn lists_are_the_store_s() {
    let token = issued_token(new_token(None)).await.token;
    let key = issued_key(new_key()).await.key;
    let after = Uuid::from_u128(1);
    let mut mocks = Mocks::new();
    let (tokens, keys) = (vec![token.clone()], vec![key.clone()]);
    mocks
        .credentials
        .expect_list_tokens()
        .with(eq(Some(ALICE)), eq(Some(after)), eq(10))
        .times(1)
        .return_once(|_, _, _| Ok(tokens));
    mocks
        .credentials
        .expect_list_access_keys()
        .with(eq(Some(ALICE)), eq(Some("BAK1".to_owned())), eq(20))
        .times(1)
        .return_once(|_, _, _| Ok(keys));
    let app = mocks.app();
    let listed = app
        .list_tokens(&admin(), Some(ALICE), Some(after), 10)
        .await
        .unwrap();
    assert_eq!(listed, [token]);
    let after = Some("BAK1".to_owned());
    let listed = app
        .list_access_keys(&admin(), Some(ALICE), after, 20)
        .await
        .unwrap();
    assert_eq!(listed, [key]);

    let mut mocks = Mocks::new();
    mocks
        .credentials
        .expect_list_tokens()
        .times(1)
        .return_once(|_, _, _| Err(unavailable()));
    mocks
        .credentials
        .expect_list_access_keys()
        .times(1)
        .return_once(|_, _, _| Err(unavailable()));
    let app = mocks.app();
    assert!(app.list_tokens(&admin(), None, None, 10).await.is_err());
    assert!(
        app.list_access_keys(&admin(), None, None, 10)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_token_is_revoked_now_or_was_never_there() {
    let id = Uuid::from_u128(1);
    for found in [true, false] {
        let mut mocks = Mocks::new();
        let audit = audited("token.revoke", &format!("token:{id}"));
        mocks
            .credentials
            .expect_revoke_token()
            .with(eq(id), eq(NOW), eq(audit))
            .times(1)
            .return_once(move |_, _, _| Ok(found));
        let answer = mocks.app().revoke_token(&admin(), id).await;
        if found {
            assert!(answer.is_ok());
        } else {
            assert!(matches!(answer, Err(Error::NotFound(Missing::Token))));
        }
    }
}

#[tokio::test]
async fn an_access_key_is_revoked_now_or_was_never_there() {
    let name = || "BAK1".to_owned();
    for found in [true, false] {
        let mut mocks = Mocks::new();
        let audit = audited("access_key.revoke", "access_key:BAK1");
        mocks
            .credentials
            .expect_revoke_access_key()
            .with(eq(name()), eq(NOW), eq(audit))
            .times(1)
            .return_once(move |_, _, _| Ok(found));
        let answer = mocks.app().revoke_access_key(&admin(), name()).await;
        if found {
            assert!(answer.is_ok());
        } else {
            assert!(matches!(answer, Err(Error::NotFound(Missing::AccessKey))));
        }
    }
}

#[tokio::test]
async fn a_revocation_that_cannot_be_made_is_an_error() {
    let mut mocks = Mocks::new();
    mocks
        .credentials
        .expect_revoke_token()
        .times(1)
        .return_once(|_, _, _| Err(unavailable()));
    mocks
        .credentials
        .expect_revoke_access_key()
        .times(1)
        .return_once(|_, _, _| Err(unavailable()));
    let app = mocks.app();
    let token = app.revoke_token(&admin(), Uuid::from_u128(1)).await;
    assert!(matches!(
        token,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
    let key = app.revoke_access_key(&admin(), "BAK1".to_owned()).await;
    assert!(matches!(key, Err(Error::Store(StoreError::Unavailable(_)))));
}

#[tokio::test]
async fn a_users_credential_gets_no_power_over_others() {
    for permission in Permission::ALL {
        let app = Mocks::new().app();
        let permissions = vec![Permission::AllowBalance, permission];
        let token = NewToken {
            permissions: permissions.clone(),
            ..new_token(Some(ALICE))
        };
        let key = NewAccessKey {
            permissions,
            ..new_key()
        };
        if permission.is_for_users() {
            continue;
        }
        for error in [
            app.issue_token(&admin(), token).await.unwrap_err(),
            app.issue_access_key(&admin(), key).await.unwrap_err(),
        ] {
            let Error::Invalid(faults) = error else {
                panic!("{error:?}")
            };
            assert_eq!(faults[0].field, "permissions");
            assert_eq!(faults[0].code, "permissions.invalid");
        }
    }
}
