use std::sync::{Arc, LazyLock};

use bursar_domain::Timestamp;
use bursar_ports::{
    MockOperators, OperatorSession, Operators as _, Password, PasswordHash, StoreError,
};
use bursar_testkit::{FixedClock, InMemoryOperators, PlainPasswords};
use mockall::predicate::eq;

use super::*;
use crate::{
    App, Error, Grant, Keyring, Missing,
    test_support::{Mocks, NOW, operator, other_grants},
};

const PASSWORD: &str = "correct horse battery";
const MINUTE_US: i64 = 60_000_000;

/// An application with an operator, and what is looked at behind its back.
struct Scene {
    app: App,
    store: Arc<InMemoryOperators>,
    clock: Arc<FixedClock>,
    totp: TotpSecret,
}

impl Scene {
    async fn new() -> Self {
        let store = Arc::new(InMemoryOperators::default());
        let mut mocks = Mocks::new();
        mocks.operators = store.clone();
        mocks.passwords = Arc::new(PlainPasswords);
        let clock = mocks.clock.clone();
        let app = mocks.app();
        let made = app.create_operator(&ADMIN, anna()).await.unwrap();
        Self {
            app,
            store,
            clock,
            totp: made.totp,
        }
    }

    fn now(&self) -> Timestamp {
        self.app.now()
    }

    /// What is shown now.
    fn code(&self) -> String {
        self.totp.code_at(self.now())
    }

    async fn try_with(&self, name: &str, password: &str, code: &str) -> Told {
        self.try_from("192.0.2.1", name, password, code).await
    }

    async fn try_from(&self, address: &str, name: &str, password: &str, code: &str) -> Told {
        let given = SignIn {
            name: name.to_owned(),
            password: Password(password.to_owned()),
            code: code.to_owned(),
            user_agent: "a browser".to_owned(),
            caller: caller(address),
        };
        self.app.sign_in(given).await
    }

    async fn sign_in(&self) -> OpenedSession {
        let told = self.try_with("anna", PASSWORD, &self.code()).await;
        told.unwrap()
    }

    /// Signs in some time later, with a code that nobody has used.
    async fn sign_in_again(&self) -> OpenedSession {
        self.clock.advance_ms(60_000);
        self.sign_in().await
    }

    async fn find(&self, opened: &OpenedSession, address: &str) -> Option<SignedIn> {
        let caller = caller(address);
        let found = self.app.session(&opened.token, &caller, true).await;
        found.unwrap()
    }

    async fn is_open(&self, opened: &OpenedSession) -> bool {
        self.find(opened, "192.0.2.1").await.is_some()
    }

    /// The actions of the audit log so far.
    fn told(&self) -> Vec<&'static str> {
        let audited = self.store.audited();
        audited.iter().map(|draft| draft.action).collect()
    }
}

type Told = Result<OpenedSession, SignInError>;

static ADMIN: LazyLock<Grant> = LazyLock::new(|| operator(Permission::Admin));

fn anna() -> NewOperator {
    NewOperator {
        name: "anna".to_owned(),
        permissions: vec![Permission::BackofficeRead, Permission::BackofficeConfirm],
        password: Password(PASSWORD.to_owned()),
    }
}

fn caller(address: &str) -> Caller {
    Caller {
        request_id: "request-7".to_owned(),
        address: Some(address.parse().unwrap()),
    }
}

fn assert_refused(told: &Told) {
    assert!(matches!(told, Err(SignInError::Refused)), "{told:?}");
}

#[tokio::test]
async fn name_password_and_code_open_a_session() {
    let scene = Scene::new().await;
    let opened = scene.sign_in().await;
    let session = &opened.session;
    assert_eq!(
        (session.operator.as_str(), session.created_at),
        ("anna", NOW)
    );
    assert_eq!(session.expires_at, NOW.plus_micros(12 * 60 * MINUTE_US));
    assert_eq!(session.address, "192.0.2.1");
    assert_eq!(session.user_agent, "a browser");
    assert!(!format!("{session:?}").contains(&opened.token));

    let found = scene.find(&opened, "192.0.2.9").await.unwrap();
    assert_eq!(found.principal.subject, "anna");
    assert_eq!(found.principal.user, None);
    assert_eq!(found.principal.permissions, anna().permissions);
    let origin = &found.principal.origin;
    assert_eq!(origin.credential, format!("session:{}", session.id));
    assert_eq!(origin.request_id, "request-7");
    assert_eq!(origin.address, "192.0.2.9");
    assert_eq!(found.csrf, csrf_token(&opened.token));

    let audited = scene.store.audited().pop().unwrap();
    assert_eq!(audited.action, "operator.sign_in");
    assert_eq!(audited.actor.as_str(), "anna");
    assert_eq!(audited.target, "operator:anna");
    assert_eq!(audited.credential, format!("session:{}", session.id));
}

#[tokio::test]
async fn every_session_has_a_token_of_its_own() {
    let scene = Scene::new().await;
    let one = scene.sign_in().await;
    let other = scene.sign_in_again().await;
    assert_ne!(one.token, other.token);
    assert_ne!(csrf_token(&one.token), csrf_token(&other.token));
    assert!(scene.is_open(&one).await && scene.is_open(&other).await);
    for token in ["", "x", &csrf_token(&one.token)] {
        let found = scene.app.session(token, &caller("192.0.2.1"), true).await;
        assert!(found.unwrap().is_none(), "{token}");
    }
}

#[tokio::test]
async fn what_has_not_the_form_of_a_token_is_not_looked_up() {
    // Operators who refuse every call.
    let app = Mocks::new().app();
    let good = csrf_token("x");
    let dotted = format!("{}.", &good[1..]);
    for text in ["", "x", &good[1..], &format!("{good}A"), &dotted] {
        let found = app.session(text, &caller("192.0.2.1"), true).await;
        assert!(found.unwrap().is_none(), "{text}");
        app.sign_out(text, &caller("192.0.2.1")).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_makes_sessions_up_costs_few_look_ups_and_nobody_else_theirs() {
    let scene = Scene::new().await;
    let opened = scene.sign_in().await;
    let anna = scene.store.find("anna".to_owned()).await.unwrap().unwrap();
    let found = (opened.session.clone(), anna);
    let mut operators = MockOperators::new();
    operators
        .expect_find_session()
        .with(eq(opened.session.token))
        .times(2)
        .returning(move |_| Ok(Some(found.clone())));
    operators
        .expect_find_session()
        .times(2)
        .returning(|_| Ok(None));
    let mut mocks = Mocks::new();
    mocks.operators = Arc::new(operators);
    mocks.limits.failed_credentials_per_minute = 2;
    let app = mocks.app();
    let here = caller("192.0.2.1");
    let ask = async |token: &str| app.session(token, &here, true).await;
    assert!(ask(&opened.token).await.unwrap().is_some());
    for made_up in ["1", "2"] {
        assert!(ask(&csrf_token(made_up)).await.unwrap().is_none());
    }
    let told = ask(&csrf_token("3")).await;
    assert!(matches!(told, Err(Error::RateLimited(_))), "{told:?}");
    assert!(ask(&opened.token).await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_is_known_from_its_beginning_and_one_that_has_ended_is_no_guess() {
    let scene = Scene::new().await;
    let ended = scene.sign_in().await;
    let out = scene.app.sign_out(&ended.token, &caller("192.0.2.1")).await;
    out.unwrap();
    for _ in 0..600 {
        assert!(!scene.is_open(&ended).await);
    }
    let ask = async |token: &str| {
        let found = scene.app.session(token, &caller("192.0.2.1"), true).await;
        found.map(|found| found.is_some())
    };
    for number in 0..600 {
        let made_up = csrf_token(&number.to_string());
        assert!(!ask(&made_up).await.unwrap());
    }
    let told = ask(&csrf_token("new")).await;
    assert!(matches!(told, Err(Error::RateLimited(_))), "{told:?}");
    // Somebody who signs in from there now has never shown the session.
    let code = scene.totp.code_at(scene.now().plus_micros(30_000_000));
    let told = scene.try_with("anna", PASSWORD, &code).await;
    assert!(scene.is_open(&told.unwrap()).await);
}

#[tokio::test]
async fn a_name_is_taken_in_any_case_and_a_code_with_blanks() {
    let scene = Scene::new().await;
    let code = scene.code();
    let (one, other) = code.split_at(3);
    let told = scene
        .try_with(" Anna ", PASSWORD, &format!("{one} {other}"))
        .await;
    assert!(told.is_ok(), "{told:?}");
}

#[tokio::test]
async fn whatever_is_wrong_the_answer_is_one() {
    let scene = Scene::new().await;
    let good = scene.code();
    let long = "x".repeat(5_000);
    for (name, password, code) in [
        ("anna", "wrong", good.as_str()),
        ("anna", PASSWORD, "000000"),
        ("nobody", PASSWORD, &good),
        ("", PASSWORD, &good),
        ("anna\0", PASSWORD, &good),
        ("ann a", PASSWORD, &good),
        (&long, PASSWORD, &good),
        ("anna", &long, &good),
        ("anna", PASSWORD, ""),
    ] {
        assert_refused(&scene.try_with(name, password, code).await);
        // Only the names that are somebody's count.
        let enabled = scene.app.enable_operator(&ADMIN, "anna".to_owned());
        enabled.await.unwrap();
    }
    assert_eq!(scene.store.sessions(), []);
    let told = scene.told();
    let failed = told.iter().filter(|it| **it == "operator.sign_in_failed");
    assert_eq!(failed.count(), 4, "{told:?}");
    let audited = scene.store.audited();
    let failed = audited.iter().find(|it| it.action.ends_with("failed"));
    let failed = failed.unwrap();
    assert_eq!(failed.actor.as_str(), "not signed in");
    assert_eq!(
        (failed.target.as_str(), failed.credential.as_str()),
        ("operator:anna", "password")
    );
    assert_eq!(
        (failed.request_id.as_str(), failed.address.as_str()),
        ("request-7", "192.0.2.1")
    );
}

#[tokio::test]
async fn a_password_is_hashed_whoever_is_there() {
    let mut mocks = Mocks::new();
    let mut operators = MockOperators::new();
    operators.expect_find().returning(|_| Ok(None));
    mocks.operators = Arc::new(operators);
    let mut passwords = bursar_ports::MockPasswordHasher::new();
    passwords
        .expect_verify()
        .withf(|_, hash| hash.is_none())
        .times(2)
        .returning(|_, _| Ok(false));
    mocks.passwords = Arc::new(passwords);
    let app = mocks.app();
    for name in ["nobody", "no name at all"] {
        let given = SignIn {
            name: name.to_owned(),
            password: Password("x".to_owned()),
            code: String::new(),
            user_agent: String::new(),
            caller: caller("192.0.2.1"),
        };
        assert_refused(&app.sign_in(given).await);
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_for_a_minute_and_a_half() {
    let scene = Scene::new().await;
    let code = scene.code();
    scene.sign_in().await;
    assert_refused(&scene.try_with("anna", PASSWORD, &code).await);
    scene.clock.advance_ms(30_000);
    assert_refused(&scene.try_with("anna", PASSWORD, &code).await);
    // An earlier one that nobody used is not good either any more.
    let later = scene.totp.code_at(scene.now().plus_micros(30_000_000));
    let told = scene.try_with("anna", PASSWORD, &later).await;
    assert!(told.is_ok(), "{told:?}");
    let between = scene.code();
    assert_refused(&scene.try_with("anna", PASSWORD, &between).await);
    scene.clock.advance_ms(60_000);
    assert_refused(&scene.try_with("anna", PASSWORD, &code).await);
}

#[tokio::test]
async fn failures_make_everybody_wait_longer_and_longer() {
    let scene = Scene::new().await;
    for _ in 0..5 {
        assert_refused(&scene.try_with("anna", "wrong", "000000").await);
    }
    // Now what is right is refused too, from everywhere, and nobody is told why.
    let elsewhere = async |code: &str| scene.try_from("198.51.100.7", "anna", PASSWORD, code).await;
    assert_refused(&elsewhere(&scene.code()).await);
    let waited = scene.told().len();
    scene.clock.advance_ms(29_000);
    assert_refused(&elsewhere(&scene.code()).await);
    assert_eq!(scene.told().len(), waited, "nothing was judged");
    scene.clock.advance_ms(1_000);
    assert_refused(&elsewhere("000000").await);
    scene.clock.advance_ms(59_000);
    assert_refused(&elsewhere(&scene.code()).await);
    scene.clock.advance_ms(1_000);
    assert!(elsewhere(&scene.code()).await.is_ok());
    // A success forgets them.
    scene.clock.advance_ms(60_000);
    assert_refused(&elsewhere("000000").await);
    assert!(elsewhere(&scene.code()).await.is_ok());
}

#[tokio::test]
async fn an_administrator_ends_a_wait() {
    let scene = Scene::new().await;
    for _ in 0..5 {
        assert_refused(&scene.try_with("anna", "wrong", "000000").await);
    }
    let name = "anna".to_owned();
    scene.app.enable_operator(&ADMIN, name).await.unwrap();
    scene.sign_in().await;
}

#[tokio::test]
async fn many_tries_at_once_are_not_more_than_one_after_the_other() {
    let scene = Scene::new().await;
    for _ in 0..4 {
        assert_refused(&scene.try_with("anna", "wrong", "000000").await);
    }
    let tries = (0..12).map(|_| scene.try_with("anna", "wrong", "000000"));
    for told in futures_util::future::join_all(tries).await {
        assert_refused(&told);
    }
    let anna = scene.store.find("anna".to_owned()).await.unwrap().unwrap();
    assert_eq!(anna.failures, 5);
}

#[tokio::test]
async fn whoever_is_sent_away_before_the_password_is_looked_at_has_not_failed() {
    let mut scene = Scene::new().await;
    let mut passwords = bursar_ports::MockPasswordHasher::new();
    passwords
        .expect_verify()
        .times(6)
        .returning(|_, _| Err(StoreError::Overloaded));
    let mut mocks = Mocks::new();
    mocks.operators = scene.store.clone();
    mocks.passwords = Arc::new(passwords);
    let idle = std::mem::replace(&mut scene.app, mocks.app());
    for _ in 0..6 {
        let told = scene.try_with("anna", PASSWORD, &scene.code()).await;
        let is_overloaded = matches!(told, Err(SignInError::Trouble(StoreError::Overloaded)));
        assert!(is_overloaded, "{told:?}");
    }
    let anna = scene.store.find("anna".to_owned()).await.unwrap().unwrap();
    assert_eq!((anna.failures, anna.next_try_at), (0, None));
    scene.app = idle;
    scene.sign_in().await;
}

#[tokio::test]
async fn an_address_has_so_many_tries_a_minute() {
    let scene = Scene::new().await;
    for _ in 0..20 {
        assert_refused(&scene.try_with("nobody", "x", "0").await);
    }
    let told = scene.try_with("anna", PASSWORD, &scene.code()).await;
    assert!(
        matches!(told, Err(SignInError::TooManyTries { retry_after_s: 60 })),
        "{told:?}"
    );
    let code = scene.code();
    let elsewhere = scene.try_from("198.51.100.7", "anna", PASSWORD, &code);
    assert!(elsewhere.await.is_ok());
    scene.clock.advance_ms(60_000);
    scene.sign_in().await;
}

#[tokio::test]
async fn a_session_that_is_left_alone_ends() {
    let scene = Scene::new().await;
    let opened = scene.sign_in().await;
    for _ in 0..4 {
        scene.clock.advance_ms(29 * 60_000);
        assert!(scene.is_open(&opened).await);
    }
    scene.clock.advance_ms(30 * 60_000);
    assert!(!scene.is_open(&opened).await);
}

#[tokio::test]
async fn a_page_that_asks_by_itself_keeps_no_session_alive() {
    let scene = Scene::new().await;
    let opened = scene.sign_in().await;
    for open in [true, true, false] {
        scene.clock.advance_ms(14 * 60_000);
        let caller = caller("::1");
        let found = scene.app.session(&opened.token, &caller, false).await;
        assert_eq!(found.unwrap().is_some(), open);
    }
}

#[tokio::test]
async fn a_busy_session_ends_too() {
    let scene = Scene::new().await;
    let opened = scene.sign_in().await;
    for _ in 0..(12 * 3 - 1) {
        scene.clock.advance_ms(20 * 60_000);
        assert!(scene.is_open(&opened).await);
    }
    scene.clock.advance_ms(20 * 60_000);
    assert!(!scene.is_open(&opened).await);
}

#[tokio::test]
async fn when_a_session_was_last_used_is_written_once_a_minute() {
    let scene = Scene::new().await;
    let opened = scene.sign_in().await;
    let seen = || scene.store.sessions()[0].last_seen_at;
    scene.clock.advance_ms(59_000);
    assert!(scene.is_open(&opened).await);
    assert_eq!(seen(), NOW);
    scene.clock.advance_ms(1_000);
    assert!(scene.is_open(&opened).await);
    assert_eq!(seen(), NOW.plus_micros(MINUTE_US));
}

#[tokio::test]
async fn signing_out_ends_the_session_and_no_other() {
    let scene = Scene::new().await;
    let one = scene.sign_in().await;
    let other = scene.sign_in_again().await;
    for _ in 0..2 {
        let out = scene.app.sign_out(&one.token, &caller("192.0.2.1")).await;
        out.unwrap();
    }
    assert!(!scene.is_open(&one).await && scene.is_open(&other).await);
    let out = scene.app.sign_out("none", &caller("192.0.2.1")).await;
    out.unwrap();
    let ended = scene
        .told()
        .into_iter()
        .filter(|it| it.ends_with("sign_out"));
    assert_eq!(ended.count(), 1);
}

#[tokio::test]
async fn an_operator_sees_and_ends_their_own_sessions_alone() {
    let scene = Scene::new().await;
    let one = scene.sign_in().await;
    let other = scene.sign_in_again().await;
    let ids = |listed: Vec<OperatorSession>| -> Vec<_> {
        listed.into_iter().map(|session| session.id).collect()
    };
    let grant = scene.find(&one, "192.0.2.1").await.unwrap().principal;
    let grant = grant.grant(Permission::BackofficeRead).unwrap();
    let own = scene.app.own_sessions(&grant).await.unwrap();
    assert_eq!(ids(own), [other.session.id, one.session.id]);
    // Somebody else has none of them.
    let stranger = operator(Permission::Admin);
    assert_eq!(scene.app.own_sessions(&stranger).await.unwrap(), []);
    let id = other.session.id;
    assert!(!scene.app.end_own_session(&stranger, id).await.unwrap());
    assert!(scene.is_open(&other).await);
    assert!(scene.app.end_own_session(&grant, id).await.unwrap());
    assert!(!scene.is_open(&other).await && scene.is_open(&one).await);
}

#[tokio::test]
async fn a_colleague_sees_who_is_signed_in_and_ends_it() {
    let scene = Scene::new().await;
    let one = scene.sign_in().await;
    let other = scene.sign_in_again().await;
    let app = &scene.app;
    let name = || "anna".to_owned();
    let listed = app.list_signed_in(&ADMIN, None, 9).await.unwrap();
    let [(operator, sessions)] = &listed[..] else {
        panic!("there is one operator: {listed:?}");
    };
    assert_eq!(operator.name, "anna");
    assert_eq!(sessions[..], [other.session.clone(), one.session.clone()]);
    let before = scene.told();
    for _ in 0..2 {
        let ended = app.end_operator_session(&ADMIN, name(), one.session.id);
        ended.await.unwrap();
    }
    assert!(!scene.is_open(&one).await && scene.is_open(&other).await);
    assert_eq!(scene.told()[before.len()..], ["operator.end_session"]);
    let left = app.operator_sessions(&ADMIN, name()).await.unwrap();
    assert_eq!(left, [other.session]);
    // What is nobody's is told as such.
    let ended = app.end_operator_session(&ADMIN, "ben".to_owned(), left[0].id);
    let told = ended.await;
    assert!(matches!(
        told,
        Err(Error::NotFound(Missing::OperatorSession))
    ));
    let told = app.operator_sessions(&ADMIN, "ben".to_owned()).await;
    assert!(matches!(told, Err(Error::NotFound(Missing::Operator))));
}

#[tokio::test]
async fn whoever_is_disabled_is_out_at_once() {
    let scene = Scene::new().await;
    let opened = scene.sign_in().await;
    let name = || "anna".to_owned();
    scene.app.disable_operator(&ADMIN, name()).await.unwrap();
    assert!(!scene.is_open(&opened).await);
    scene.clock.advance_ms(60_000);
    assert_refused(&scene.try_with("anna", PASSWORD, &scene.code()).await);
    scene.app.enable_operator(&ADMIN, name()).await.unwrap();
    // What was ended stays so.
    assert!(!scene.is_open(&opened).await);
    scene.sign_in().await;
}

/// What nobody opens is not encrypted anew, so the key of a disabled operator's secret may have gone.
#[tokio::test]
async fn nobody_is_enabled_whose_secret_cannot_be_decrypted() {
    let mut scene = Scene::new().await;
    let name = || "anna".to_owned();
    scene.app.disable_operator(&ADMIN, name()).await.unwrap();
    let keys = vec![("another".to_owned(), [2; 32])];
    scene.app.keyring = Arc::new(Keyring::try_new([7; 32], keys).unwrap());
    let told = scene.app.enable_operator(&ADMIN, name()).await;
    let Err(Error::Invalid(fields)) = told else {
        panic!("{told:?}");
    };
    assert_eq!(fields[0].code, "operator.totp_unreadable");
    let detail = &fields[0].detail;
    assert!(
        detail.contains("bursar operator reset-totp anna"),
        "{detail}"
    );
    let anna = scene.store.find(name()).await.unwrap().unwrap();
    assert!(!anna.is_active);
    scene.totp = scene.app.reset_operator_totp(&ADMIN, name()).await.unwrap();
    scene.app.enable_operator(&ADMIN, name()).await.unwrap();
    scene.sign_in().await;
}

#[tokio::test]
async fn another_password_or_secret_counts_at_once_and_ends_the_sessions() {
    let mut scene = Scene::new().await;
    let opened = scene.sign_in().await;
    let name = || "anna".to_owned();
    let other = Password("another password".to_owned());
    let set = scene.app.set_operator_password(&ADMIN, name(), other);
    set.await.unwrap();
    assert!(!scene.is_open(&opened).await);
    scene.clock.advance_ms(60_000);
    assert_refused(&scene.try_with("anna", PASSWORD, &scene.code()).await);
    let told = scene
        .try_with("anna", "another password", &scene.code())
        .await;
    let opened = told.unwrap();
    let totp = scene.app.reset_operator_totp(&ADMIN, name()).await.unwrap();
    assert!(!scene.is_open(&opened).await);
    scene.clock.advance_ms(60_000);
    assert_refused(
        &scene
            .try_with("anna", "another password", &scene.code())
            .await,
    );
    scene.totp = totp;
    let told = scene
        .try_with("anna", "another password", &scene.code())
        .await;
    assert!(told.is_ok(), "{told:?}");
}

#[tokio::test]
async fn other_permissions_hold_for_open_sessions() {
    let scene = Scene::new().await;
    let opened = scene.sign_in().await;
    let now = vec![Permission::BackofficeApprove];
    let set = scene
        .app
        .set_operator_permissions(&ADMIN, "anna".to_owned(), now.clone());
    set.await.unwrap();
    let found = scene.find(&opened, "::1").await.unwrap();
    assert_eq!(found.principal.permissions, now);
}

#[tokio::test]
async fn what_an_operator_cannot_be_is_told_field_by_field() {
    let scene = Scene::new().await;
    let wrong = NewOperator {
        name: "Anna Ä".to_owned(),
        permissions: vec![Permission::AllowBalance],
        password: Password("eleven char".to_owned()),
    };
    let codes = |told: Result<IssuedOperator, Error>| match told {
        Err(Error::Invalid(fields)) => fields
            .into_iter()
            .map(|wrong| (wrong.field, wrong.code.into_owned()))
            .collect::<Vec<_>>(),
        Ok(_) | Err(_) => panic!("{told:?}"),
    };
    let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        let own = |text: &str| text.to_owned();
        all.iter()
            .map(|(field, code)| (own(field), own(code)))
            .collect()
    };
    let told = scene.app.create_operator(&ADMIN, wrong).await;
    assert_eq!(
        codes(told),
        pairs(&[
            ("name", "operator.name_invalid"),
            ("permissions", "operator.permissions_invalid"),
            ("password", "operator.password_invalid"),
        ])
    );
    let told = scene.app.create_operator(&ADMIN, anna()).await;
    assert_eq!(codes(told), pairs(&[("name", "operator.name_taken")]));
    let unknown = scene.app.disable_operator(&ADMIN, "nobody".to_owned());
    let unknown = unknown.await.unwrap_err();
    assert!(matches!(unknown, Error::Invalid(_)), "{unknown:?}");
}

#[tokio::test]
async fn nobody_but_an_admin_administers_operators() {
    let scene = Scene::new().await;
    let before = scene.told();
    for grant in other_grants(&[Permission::Admin]) {
        let (app, name) = (&scene.app, || "anna".to_owned());
        let password = Password("another password".to_owned());
        let id = uuid::Uuid::nil();
        let told = [
            app.create_operator(&grant, anna()).await.err(),
            app.list_operators(&grant, None, 9).await.err(),
            app.set_operator_password(&grant, name(), password)
                .await
                .err(),
            app.reset_operator_totp(&grant, name()).await.err(),
            app.set_operator_permissions(&grant, name(), vec![])
                .await
                .err(),
            app.disable_operator(&grant, name()).await.err(),
            app.enable_operator(&grant, name()).await.err(),
            app.list_signed_in(&grant, None, 1).await.err(),
            app.operator_sessions(&grant, name()).await.err(),
            app.end_operator_session(&grant, name(), id).await.err(),
        ];
        for error in told {
            assert!(matches!(error, Some(Error::Forbidden(_))), "{error:?}");
        }
    }
    assert_eq!(scene.told(), before);
    for grant in other_grants(&OPERATORS_PERMISSIONS) {
        let told = scene.app.own_sessions(&grant).await;
        assert!(matches!(told, Err(Error::Forbidden(_))));
        let told = scene.app.end_own_session(&grant, uuid::Uuid::nil()).await;
        assert!(matches!(told, Err(Error::Forbidden(_))));
    }
}

#[tokio::test]
async fn trouble_with_the_store_is_told_as_such() {
    let mut mocks = Mocks::new();
    let mut operators = MockOperators::new();
    let gone = || StoreError::Unavailable("gone".into());
    operators.expect_find().returning(move |_| Err(gone()));
    operators
        .expect_find_session()
        .returning(move |_| Err(gone()));
    mocks.operators = Arc::new(operators);
    let app = mocks.app();
    let given = SignIn {
        name: "anna".to_owned(),
        password: Password(PASSWORD.to_owned()),
        code: "000000".to_owned(),
        user_agent: String::new(),
        caller: caller("192.0.2.1"),
    };
    let told = app.sign_in(given).await;
    assert!(matches!(told, Err(SignInError::Trouble(_))), "{told:?}");
    let token = csrf_token("x");
    let told = app.session(&token, &caller("192.0.2.1"), true).await;
    assert!(matches!(told, Err(Error::Store(_))));
    let told = app.sign_out(&token, &caller("192.0.2.1")).await;
    assert!(matches!(told, Err(Error::Store(_))));
}

#[test]
fn what_must_not_be_printed_is_not() {
    let password = Password(PASSWORD.to_owned());
    let hash = PasswordHash("$argon2id$secret".to_owned());
    let totp = TotpSecret::from_random([7; 32]);
    let all = format!("{password:?} {hash:?} {totp:?}");
    assert_eq!(all, "Password(..) PasswordHash(..) TotpSecret(..)");
}
