use std::sync::Arc;

use bursar_domain::ActorId;
use bursar_testkit::{InMemoryCallbackSecrets, build};

use super::*;
use crate::{
    read_callback_secret,
    test_support::{ALICE, Mocks, NOW, audited, keyring, operator, other_grants},
};

fn admin() -> Grant {
    operator(Permission::Admin)
}

fn client() -> Subscriber {
    Subscriber::Client(ActorId::new("backoffice"))
}

fn random(subscriber: Subscriber) -> NewCallbackSecret {
    NewCallbackSecret {
        subscriber,
        secret: None,
    }
}

/// An application, and the secrets behind it.
fn app(mut mocks: Mocks) -> (App, Arc<InMemoryCallbackSecrets>) {
    let secrets = Arc::new(InMemoryCallbackSecrets::default());
    mocks.callback_secrets = secrets.clone();
    (mocks.app(), secrets)
}

#[tokio::test]
async fn nobody_but_an_admin_has_to_do_with_callback_secrets() {
    for grant in other_grants(&[Permission::Admin]) {
        let (app, _) = app(Mocks::new());
        let id = Uuid::from_u128(1);
        for error in [
            app.issue_callback_secret(&grant, random(client()))
                .await
                .unwrap_err(),
            app.list_callback_secrets(&grant, None, None, 10)
                .await
                .unwrap_err(),
            app.revoke_callback_secret(&grant, id).await.unwrap_err(),
        ] {
            assert!(matches!(error, Error::Forbidden(Permission::Admin)));
        }
    }
}

#[tokio::test]
async fn what_is_shown_is_what_is_kept_and_it_is_kept_encrypted() {
    let (app, secrets) = app(Mocks::new());
    let issued = app.issue_callback_secret(&admin(), random(client())).await;
    let issued = issued.unwrap();
    let kept = secrets.all();
    assert_eq!(kept, [issued.stored]);
    let opened = keyring().open_callback_secret(&kept[0]).unwrap();
    assert_eq!(read_callback_secret(&issued.text), Some(opened.clone()));
    let sealed = &kept[0].secret.bytes;
    assert!(!sealed.windows(32).any(|window| window == opened.0));
    assert_eq!(kept[0].id.get_version_num(), 7);
    assert_eq!(kept[0].created_at, NOW);
    assert!(kept[0].is_current());
}

#[tokio::test]
async fn a_secret_that_is_given_is_taken() {
    let (app, _) = app(Mocks::new());
    let new = NewCallbackSecret {
        secret: Some(CallbackSecret([7; 32])),
        ..random(client())
    };
    let issued = app.issue_callback_secret(&admin(), new).await.unwrap();
    let read = read_callback_secret(&issued.text);
    assert_eq!(read, Some(CallbackSecret([7; 32])));
}

#[tokio::test]
async fn a_second_one_rotates_and_a_third_ends_the_first_at_once() {
    let (app, secrets) = app(Mocks::new());
    for _ in 0..3 {
        let issued = app.issue_callback_secret(&admin(), random(client())).await;
        issued.unwrap();
    }
    let ends: Vec<_> = secrets
        .all()
        .into_iter()
        .map(|secret| (secret.expires_at, secret.revoked_at))
        .collect();
    let tomorrow = NOW.plus_micros(24 * 3_600_000_000);
    let expected = [
        (Some(tomorrow), Some(NOW)),
        (Some(tomorrow), None),
        (None, None),
    ];
    assert_eq!(ends, expected);
}

#[tokio::test]
async fn a_users_secret_needs_the_user() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    let (known, secrets) = app(mocks);
    let new = random(Subscriber::User(ALICE));
    let issued = known.issue_callback_secret(&admin(), new.clone()).await;
    assert!(issued.is_ok());
    let of_alice = Some(Subscriber::User(ALICE));
    let list = async |whose| known.list_callback_secrets(&admin(), whose, None, 9).await;
    assert_eq!(list(of_alice).await.unwrap(), secrets.all());
    assert_eq!(list(Some(client())).await.unwrap(), []);

    let mut mocks = Mocks::new();
    mocks.directory.expect_find_user().returning(|_| Ok(None));
    let (unknown, secrets) = app(mocks);
    let refused = unknown.issue_callback_secret(&admin(), new).await;
    assert!(matches!(refused, Err(Error::NotFound(Missing::User))));
    assert_eq!(secrets.all(), []);
}

#[tokio::test]
async fn a_secret_is_ended_once_and_an_unknown_one_is_not_found() {
    let (app, secrets) = app(Mocks::new());
    let issued = app.issue_callback_secret(&admin(), random(client())).await;
    let id = issued.unwrap().stored.id;
    for _ in 0..2 {
        app.revoke_callback_secret(&admin(), id).await.unwrap();
        assert_eq!(secrets.all()[0].revoked_at, Some(NOW));
    }
    let target = format!("callback_secret:{id}");
    let expected = ["callback_secret.issue", "callback_secret.revoke"];
    assert_eq!(
        secrets.audited(),
        expected.map(|action| audited(action, &target))
    );
    let unknown = app.revoke_callback_secret(&admin(), Uuid::nil()).await;
    let missing = Missing::CallbackSecret;
    assert!(matches!(unknown, Err(Error::NotFound(found)) if found == missing));
}

#[tokio::test]
async fn a_secret_is_not_shown_by_accident() {
    let (app, _) = app(Mocks::new());
    let issued = app.issue_callback_secret(&admin(), random(client())).await;
    let issued = issued.unwrap();
    let shown = format!("{issued:?}");
    assert!(shown.starts_with("IssuedCallbackSecret"), "{shown}");
    assert!(!shown.contains(&issued.text), "{shown}");
}
