use std::sync::{Arc, LazyLock, Mutex};

use bursar_ports::{MockIdentityProvider, OperatorChange, Operators as _, Password, Permission};
use bursar_testkit::{InMemoryOperators, PlainPasswords};

use super::*;
use crate::{
    Error, Grant, NewLinkedOperator, NewOperator,
    test_support::{Mocks, operator, other_grants},
};

const ISSUER: &str = "https://id.example";
static ADMIN: LazyLock<Grant> = LazyLock::new(|| operator(Permission::Admin));

/// What ended at a provider, and what had begun there.
type Asked = Arc<Mutex<Vec<(EndIdentification, Option<BeginIdentification>)>>>;

/// An application with a provider that answers what a test says.
struct Scene {
    app: App,
    store: Arc<InMemoryOperators>,
    /// What the provider was asked.
    asked: Asked,
}

type Told = Result<OpenedSession, ProviderSignInError>;

impl Scene {
    fn new(answer: impl Fn() -> Result<Identified, StoreError> + Send + Sync + 'static) -> Self {
        let store = Arc::new(InMemoryOperators::default());
        let asked = Asked::default();
        let begun: Arc<Mutex<Option<BeginIdentification>>> = Arc::default();
        let mut provider = MockIdentityProvider::new();
        provider.expect_issuer().returning(|| ISSUER.to_owned());
        let begins = Arc::clone(&begun);
        provider.expect_begin().returning(move |begin| {
            let location = format!("https://id.example/authorize?state={}", begin.state);
            *begins.lock().unwrap() = Some(begin);
            Ok(location)
        });
        let ends = Arc::clone(&asked);
        provider.expect_end().returning(move |end| {
            ends.lock()
                .unwrap()
                .push((end, begun.lock().unwrap().clone()));
            answer()
        });
        let mut mocks = Mocks::new();
        mocks.operators = store.clone();
        mocks.passwords = Arc::new(PlainPasswords);
        mocks.identity_provider = Some(Arc::new(provider));
        Self {
            app: mocks.app(),
            store,
            asked,
        }
    }

    /// Whose provider means Anna.
    async fn with_anna() -> Self {
        let scene = Self::new(|| Ok(Identified::As(identity("7"))));
        scene.link("anna", "7").await;
        scene
    }

    async fn link(&self, name: &str, subject: &str) {
        let new = linked(name, subject);
        self.app.create_linked_operator(&ADMIN, new).await.unwrap();
    }

    async fn begin(&self) -> ProviderSignIn {
        let begun = self.app.begin_provider_sign_in().await.unwrap();
        let (_, state) = begun.location.split_once("state=").unwrap();
        let answer = ProviderAnswer::Code {
            code: "code-1".to_owned(),
            issuer: Some(ISSUER.to_owned()),
        };
        ProviderSignIn {
            seed: Some(begun.seed),
            state: state.to_owned(),
            answer,
            user_agent: "a browser".to_owned(),
            caller: Caller {
                request_id: "request-7".to_owned(),
                address: Some("192.0.2.1".parse().unwrap()),
            },
        }
    }

    async fn sign_in(&self) -> Told {
        let given = self.begin().await;
        self.app.end_provider_sign_in(given).await
    }

    fn told(&self) -> Vec<&'static str> {
        let audited = self.store.audited();
        audited.iter().map(|draft| draft.action).collect()
    }

    fn was_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn identity(subject: &str) -> Identity {
    Identity {
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
    }
}

fn linked(name: &str, subject: &str) -> NewLinkedOperator {
    NewLinkedOperator {
        name: name.to_owned(),
        permissions: vec![Permission::BackofficeRead],
        subject: subject.to_owned(),
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("gone".into())
}

#[tokio::test]
async fn whom_the_provider_means_is_let_in_under_the_operator_s_name() {
    let scene = Scene::with_anna().await;
    let opened = scene.sign_in().await.unwrap();
    assert_eq!(opened.session.operator, "anna");
    let caller = scene.begin().await.caller;
    let found = scene.app.session(&opened.token, &caller, true).await;
    let principal = found.unwrap().unwrap().principal;
    assert_eq!(principal.subject, "anna");
    assert_eq!(principal.permissions, [Permission::BackofficeRead]);
    let audited = scene.store.audited().pop().unwrap();
    assert_eq!(audited.action, "operator.sign_in");
    assert_eq!(audited.actor.as_str(), "anna");
    let session = format!("session:{}", opened.session.id);
    assert_eq!(
        (audited.credential.as_str(), audited.request_id.as_str()),
        (session.as_str(), "request-7")
    );
}

#[tokio::test]
async fn what_ends_a_sign_in_proves_that_it_was_begun_here() {
    let scene = Scene::with_anna().await;
    scene.sign_in().await.unwrap();
    let asked = scene.asked.lock().unwrap();
    let (end, begin) = &asked[0];
    let begin = begin.as_ref().unwrap();
    assert_eq!(
        (end.code.as_str(), end.issuer.as_deref()),
        ("code-1", Some(ISSUER))
    );
    assert_eq!(end.nonce, begin.nonce);
    let hash = data_encoding::BASE64URL_NOPAD.encode(&<sha2::Sha256 as sha2::Digest>::digest(
        end.verifier.as_bytes(),
    ));
    assert_eq!(hash, begin.challenge);
    assert!(begin.state != begin.nonce && begin.challenge != end.verifier);
    let shown = format!("{end:?}");
    assert!(!shown.contains("code-1"), "{shown}");
}

#[tokio::test]
async fn what_another_browser_began_ends_nothing_and_is_no_try() {
    let scene = Scene::with_anna().await;
    let theirs = scene.begin().await;
    for _ in 0..30 {
        let own = scene.begin().await;
        for (seed, state) in [
            (None, own.state.clone()),
            (own.seed.clone(), theirs.state.clone()),
            (own.seed.clone(), String::new()),
            (own.seed.clone(), own.seed.as_ref().unwrap().to_text()),
        ] {
            let forged = ProviderSignIn {
                seed,
                state,
                ..own.clone()
            };
            let told = scene.app.end_provider_sign_in(forged).await;
            assert!(
                matches!(told, Err(ProviderSignInError::NotBegun)),
                "{told:?}"
            );
        }
    }
    assert_eq!((scene.was_asked(), scene.store.sessions().len()), (0, 0));
    scene.sign_in().await.unwrap();
}

#[tokio::test]
async fn an_address_has_so_many_tries_a_minute() {
    let scene = Scene::new(|| Ok(Identified::Refused("no".to_owned())));
    for _ in 0..20 {
        let told = scene.sign_in().await;
        assert!(
            matches!(told, Err(ProviderSignInError::NotAccepted)),
            "{told:?}"
        );
    }
    let told = scene.sign_in().await;
    let is_limited = matches!(told, Err(ProviderSignInError::TooManyTries { retry_after_s }) if retry_after_s > 0);
    assert!(is_limited, "{told:?}");
    assert_eq!(scene.was_asked(), 20);
}

#[tokio::test]
async fn what_the_provider_says_went_wrong_is_told_and_nobody_is_asked() {
    let scene = Scene::with_anna().await;
    for (error, denied) in [
        ("access_denied", true),
        ("server_error", false),
        ("login_required", false),
        ("", false),
        ("x\r\ny", false),
    ] {
        let given = ProviderSignIn {
            answer: ProviderAnswer::Error(error.to_owned()),
            ..scene.begin().await
        };
        let told = scene.app.end_provider_sign_in(given).await;
        let fits = match told {
            Err(ProviderSignInError::Denied) => denied,
            Err(ProviderSignInError::Failed) => !denied,
            Ok(_) | Err(_) => false,
        };
        assert!(fits, "{error}");
    }
    assert_eq!(scene.was_asked(), 0);
}

#[tokio::test]
async fn whom_nobody_linked_is_told_and_not_let_in() {
    let scene = Scene::new(|| Ok(Identified::As(identity("stranger"))));
    scene.link("anna", "7").await;
    // Nor is anybody who has the name that the provider uses.
    scene.link("stranger", "8").await;
    let told = scene.sign_in().await;
    let Err(ProviderSignInError::Unlinked(who)) = told else {
        panic!("{told:?}");
    };
    assert_eq!(who, identity("stranger"));
    assert_eq!(scene.store.sessions(), []);
    assert_eq!(scene.told(), ["operator.create", "operator.create"]);
}

#[tokio::test]
async fn whoever_is_disabled_is_refused_and_that_is_audited() {
    let scene = Scene::with_anna().await;
    let name = "anna".to_owned();
    scene
        .app
        .disable_operator(&ADMIN, name.clone())
        .await
        .unwrap();
    let told = scene.sign_in().await;
    assert!(
        matches!(told, Err(ProviderSignInError::Refused)),
        "{told:?}"
    );
    let failed = scene.store.audited().pop().unwrap();
    assert_eq!(failed.action, "operator.sign_in_failed");
    assert_eq!(failed.actor.as_str(), "not signed in");
    assert_eq!(
        (failed.target.as_str(), failed.credential.as_str()),
        ("operator:anna", "identity_provider")
    );
    scene.app.enable_operator(&ADMIN, name).await.unwrap();
    scene.sign_in().await.unwrap();
}

#[tokio::test]
async fn whoever_showed_too_little_is_refused_and_that_is_audited() {
    let scene = Scene::new(|| Ok(Identified::TooWeak(identity("7"))));
    scene.link("anna", "7").await;
    let told = scene.sign_in().await;
    assert!(
        matches!(told, Err(ProviderSignInError::TooWeak)),
        "{told:?}"
    );
    assert_eq!(scene.told(), ["operator.create", "operator.sign_in_failed"]);
}

#[tokio::test]
async fn guesses_of_a_password_keep_nobody_from_signing_in_at_the_provider() {
    let scene = Scene::with_anna().await;
    let seen = scene.app.now().plus_micros(900_000_000);
    for failures in 0..9 {
        let counted = scene.store.count_try("anna".to_owned(), failures, seen);
        assert!(counted.await.unwrap());
    }
    scene.sign_in().await.unwrap();
    let anna = scene.store.find("anna".to_owned()).await.unwrap().unwrap();
    assert_eq!(anna.failures, 9, "nor does that help whoever guesses");
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_as_such() {
    let scene = Scene::new(|| Err(gone()));
    let told = scene.sign_in().await;
    assert!(
        matches!(told, Err(ProviderSignInError::Away(_))),
        "{told:?}"
    );
    let app = Mocks::new().app();
    let told = app.begin_provider_sign_in().await;
    assert!(
        matches!(told, Err(ProviderSignInError::Away(_))),
        "{told:?}"
    );
}

#[tokio::test]
async fn linking_and_unlinking_end_the_sessions_and_are_audited() {
    let scene = Scene::with_anna().await;
    let opened = scene.sign_in().await.unwrap();
    let caller = scene.begin().await.caller;
    let is_open = async |opened: &OpenedSession| {
        let found = scene.app.session(&opened.token, &caller, true).await;
        found.unwrap().is_some()
    };
    let name = || "anna".to_owned();
    let link = async |subject: &str| {
        let linked = scene.app.link_operator(&ADMIN, name(), subject.to_owned());
        linked.await
    };
    link("7").await.unwrap();
    assert!(is_open(&opened).await, "nothing has changed");
    scene.app.unlink_operator(&ADMIN, name()).await.unwrap();
    assert!(!is_open(&opened).await);
    let told = scene.sign_in().await;
    assert!(
        matches!(told, Err(ProviderSignInError::Unlinked(_))),
        "{told:?}"
    );
    link("7").await.unwrap();
    scene.sign_in().await.unwrap();
    assert_eq!(
        scene.told(),
        [
            "operator.create",
            "operator.sign_in",
            "operator.unlink",
            "operator.link",
            "operator.sign_in"
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_linked_is_told() {
    let scene = Scene::with_anna().await;
    let new = NewOperator {
        name: "bert".to_owned(),
        permissions: vec![Permission::BackofficeRead],
        password: Password("correct horse battery".to_owned()),
    };
    scene.app.create_operator(&ADMIN, new).await.unwrap();
    let code = |told: Result<(), Error>| match told {
        Err(Error::Invalid(mut fields)) => fields.remove(0).code.into_owned(),
        Ok(()) | Err(_) => panic!("{told:?}"),
    };
    for (name, subject, expected) in [
        ("bert", "7", "operator.subject_taken"),
        ("anna", "8", "operator.linked"),
        ("nobody", "8", "operator.unknown"),
        ("bert", "", "operator.subject_invalid"),
        ("bert", "a\nb", "operator.subject_invalid"),
        ("bert", &"x".repeat(256), "operator.subject_invalid"),
    ] {
        let linked = scene
            .app
            .link_operator(&ADMIN, name.to_owned(), subject.to_owned());
        assert_eq!(code(linked.await), expected, "{name} {subject}");
    }
    for (new, expected) in [
        (linked("anna", "9"), "operator.name_taken"),
        (linked("carl", "7"), "operator.subject_taken"),
        (linked("Carl", "9"), "operator.name_invalid"),
        (linked("carl", " "), "operator.subject_invalid"),
    ] {
        let made = scene.app.create_linked_operator(&ADMIN, new).await;
        assert_eq!(code(made.map(|_| ())), expected);
    }
    let mut mocks = Mocks::new();
    mocks.operators = scene.store.clone();
    let without = mocks.app();
    let linked = without.link_operator(&ADMIN, "bert".to_owned(), "9".to_owned());
    assert_eq!(code(linked.await), "operator.no_provider");
}

#[tokio::test]
async fn nobody_knows_the_password_and_the_codes_of_a_linked_operator() {
    let scene = Scene::with_anna().await;
    scene.link("bert", "8").await;
    let find = async |name: &str| scene.store.find(name.to_owned()).await.unwrap().unwrap();
    let (anna, bert) = (find("anna").await, find("bert").await);
    // As long as 32 random bytes, after what the test's hasher writes before it.
    assert_eq!(anna.password.0.len(), "plain:".len() + 43);
    assert_ne!(anna.password, bert.password);
    assert_ne!(anna.totp, bert.totp);
}

#[tokio::test]
async fn nobody_but_an_admin_links() {
    let scene = Scene::with_anna().await;
    let before = scene.told();
    for grant in other_grants(&[Permission::Admin]) {
        let (app, name) = (&scene.app, || "anna".to_owned());
        let told = [
            app.create_linked_operator(&grant, linked("bert", "8"))
                .await
                .err(),
            app.link_operator(&grant, name(), "8".to_owned())
                .await
                .err(),
            app.unlink_operator(&grant, name()).await.err(),
        ];
        for error in told {
            assert!(matches!(error, Some(Error::Forbidden(_))), "{error:?}");
        }
    }
    assert_eq!(scene.told(), before);
}

#[tokio::test]
async fn what_has_changed_meanwhile_opens_nothing() {
    let scene = Scene::with_anna().await;
    let stale = scene.store.find("anna".to_owned()).await.unwrap().unwrap();
    let audit = bursar_testkit::build::audit("operator.unlink", "operator:anna");
    let unlinked = scene.store.change(
        "anna".to_owned(),
        OperatorChange::Unlink,
        scene.app.now(),
        audit,
    );
    assert!(unlinked.await.unwrap());
    let given = scene.begin().await;
    let told = scene
        .app
        .let_in(stale, identity("7"), String::new(), &given.caller)
        .await;
    assert!(
        matches!(told, Err(ProviderSignInError::Refused)),
        "{told:?}"
    );
    assert_eq!(scene.store.sessions(), []);
}

#[test]
fn what_the_browser_brings_back_is_not_shown_by_accident() {
    let answer = ProviderAnswer::Code {
        code: "a-code".to_owned(),
        issuer: None,
    };
    assert_eq!(format!("{answer:?}"), "ProviderAnswer(..)");
}
