use std::sync::Arc;

use bursar_domain::ActorId;
use bursar_ports::{Delivered, MockNotifier, Notification};
use bursar_testkit::InMemoryCallbackSecrets;

use super::*;
use crate::{
    Missing,
    test_support::{ALICE, Mocks, NOW, alice, operator, other_grants},
};

const URL: &str = "https://example.com/a";

fn client() -> Subscriber {
    Subscriber::Client(ActorId::new("backoffice"))
}

/// Mocks whose notifier ends every attempt like this, and what it was given.
fn carrying(outcome: Result<Delivered, Undelivered>) -> (Mocks, Sent) {
    let mut mocks = Mocks::new();
    mocks.callback_secrets = Arc::new(InMemoryCallbackSecrets::default());
    let sent = Sent::default();
    let seen = sent.clone();
    let mut notifier = MockNotifier::new();
    notifier.expect_notify().returning(move |notification| {
        seen.lock().unwrap().push(notification);
        outcome
    });
    mocks.notifier = notifier;
    (mocks, sent)
}

type Sent = Arc<std::sync::Mutex<Vec<Notification>>>;

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_sent() {
    let app = Mocks::new().app();
    for grant in other_grants(&[Permission::Admin]) {
        let tested = app.test_callback(&grant, client(), URL.to_owned()).await;
        assert!(matches!(tested, Err(Error::Forbidden(Permission::Admin))));
    }
    for grant in other_grants(&[Permission::AllowTransfer]) {
        let tested = app.test_own_callback(&grant, URL.to_owned()).await;
        assert!(matches!(
            tested,
            Err(Error::Forbidden(Permission::AllowTransfer))
        ));
    }
}

#[tokio::test]
async fn a_test_is_signed_like_every_callback_of_its_subscriber() {
    let (mocks, sent) = carrying(Ok(Delivered { http_status: 204 }));
    let app = mocks.app();
    let grant = alice(Permission::AllowTransfer);
    let first = app.test_own_callback(&grant, URL.to_owned()).await.unwrap();
    assert_eq!((first.outcome, first.http_status), ("delivered", Some(204)));
    let second = app.test_own_callback(&grant, URL.to_owned()).await.unwrap();
    assert_ne!(first.id, second.id, "each is a callback of its own");
    let operator = operator(Permission::Admin);
    let others = app.test_callback(&operator, client(), URL.to_owned()).await;
    others.unwrap();
    let sent = sent.lock().unwrap();
    let ids: Vec<_> = sent.iter().map(|one| one.webhook_id.clone()).collect();
    assert_eq!(ids[..2], [first.id.to_string(), second.id.to_string()]);
    assert_eq!((sent[0].body.as_str(), sent[0].at), (BODY, NOW));
    assert_eq!(sent[0].secrets.len(), 1);
    assert_eq!(sent[0].secrets, sent[1].secrets);
    assert_ne!(sent[0].secrets, sent[2].secrets);
}

#[tokio::test]
async fn what_the_receiver_does_is_told_and_no_error() {
    for (undelivered, word, status) in [
        (Undelivered::Denied, "dns", None),
        (Undelivered::Dns, "dns", None),
        (Undelivered::Tls, "tls", None),
        (
            Undelivered::Answered {
                http_status: 500,
                retry_after_ms: None,
            },
            "answered",
            Some(500),
        ),
    ] {
        let (mocks, _) = carrying(Err(undelivered));
        let grant = alice(Permission::AllowTransfer);
        let tested = mocks.app().test_own_callback(&grant, URL.to_owned()).await;
        let tested = tested.unwrap();
        assert_eq!((tested.outcome, tested.http_status), (word, status));
    }
}

#[tokio::test]
async fn an_operator_is_told_that_an_address_is_denied() {
    let (mocks, _) = carrying(Err(Undelivered::Denied));
    let grant = operator(Permission::Admin);
    let tested = mocks
        .app()
        .test_callback(&grant, client(), URL.to_owned())
        .await;
    assert_eq!(tested.unwrap().outcome, "denied");
}

#[tokio::test]
async fn ten_in_a_minute_are_enough() {
    let (mocks, sent) = carrying(Ok(Delivered { http_status: 200 }));
    let app = mocks.app();
    let grant = alice(Permission::AllowTransfer);
    for _ in 0..10 {
        app.test_own_callback(&grant, URL.to_owned()).await.unwrap();
    }
    let refused = app.test_own_callback(&grant, URL.to_owned()).await;
    let Err(Error::RateLimited(refused)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refused.limit, Limit::CallbackTests);
    assert_eq!(sent.lock().unwrap().len(), 10);
    // Nobody else has to wait.
    let operator = operator(Permission::Admin);
    let others = app.test_callback(&operator, client(), URL.to_owned()).await;
    others.unwrap();
}

#[tokio::test]
async fn a_user_who_does_not_exist_has_no_receiver() {
    let mut mocks = Mocks::new();
    let nobody = mocks.directory.expect_find_user();
    nobody.returning(|_| Ok(None));
    let grant = operator(Permission::Admin);
    let app = mocks.app();
    let tested = app.test_callback(&grant, Subscriber::User(ALICE), URL.to_owned());
    assert!(matches!(tested.await, Err(Error::NotFound(Missing::User))));
}

/// How long it took would tell whoever may not know it that a name leads inside.
#[tokio::test]
async fn a_denied_address_is_told_to_users_like_a_name_that_nobody_has() {
    let denied = || {
        let mut mocks = carrying(Err(Undelivered::Denied)).0;
        let clock = Arc::clone(&mocks.clock);
        let mut notifier = MockNotifier::new();
        notifier.expect_notify().returning(move |_| {
            clock.advance_ms(7);
            Err(Undelivered::Denied)
        });
        mocks.notifier = notifier;
        mocks.app()
    };
    let grant = alice(Permission::AllowTransfer);
    let told = denied().test_own_callback(&grant, URL.to_owned()).await;
    let told = told.unwrap();
    assert_eq!((told.outcome, told.duration_ms), ("dns", 0));
    let grant = operator(Permission::Admin);
    let app = denied();
    let told = app.test_callback(&grant, client(), URL.to_owned());
    let told = told.await.unwrap();
    assert_eq!((told.outcome, told.duration_ms), ("denied", 7));
}
