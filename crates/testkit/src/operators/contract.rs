//! What every store of operators must do.

mod identities;

use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::{
    OpenSession, Operator, OperatorChange, OperatorSession, Operators, PasswordHash, Permission,
    SealedSecret, SignInProof, TokenHash,
};
use uuid::Uuid;

pub use self::identities::{
    an_identity_belongs_to_one, an_identity_opens_sessions_without_codes,
    another_identity_ends_the_sessions,
};
use crate::{FixedClock, build};

/// A time so many seconds after the beginning.
fn at(second: i64) -> Timestamp {
    FixedClock::START.plus_micros(second * 1_000_000)
}

fn operator(name: &str) -> Operator {
    Operator {
        name: name.to_owned(),
        password: PasswordHash("hash".to_owned()),
        totp: SealedSecret {
            key_id: "k".to_owned(),
            bytes: vec![1, 2, 3],
        },
        totp_step: None,
        identity: None,
        permissions: vec![Permission::BackofficeRead, Permission::Admin],
        is_active: true,
        revision: 1,
        failures: 0,
        next_try_at: None,
        created_at: at(0),
    }
}

fn session(number: u8, operator: &str) -> OperatorSession {
    OperatorSession {
        id: Uuid::from_u128(number.into()),
        token: TokenHash([number; 32]),
        operator: operator.to_owned(),
        created_at: at(1),
        last_seen_at: at(1),
        expires_at: at(1_000),
        ended_at: None,
        address: "192.0.2.1".to_owned(),
        user_agent: "a browser".to_owned(),
    }
}

fn audit() -> AuditDraft {
    build::audit("operator.create", "operator:anna")
}

async fn with_anna(store: &dyn Operators) -> Operator {
    let anna = operator("anna");
    let added = store.add(anna.clone(), audit()).await;
    assert!(added.expect("the store answers"));
    anna
}

async fn anna(store: &dyn Operators) -> Operator {
    let found = store.find("anna".to_owned()).await;
    found.expect("the store answers").expect("she is there")
}

async fn open(store: &dyn Operators, number: u8, revision: i64, totp_step: i64) -> bool {
    open_by(store, number, revision, SignInProof::Code(totp_step)).await
}

async fn open_by(store: &dyn Operators, number: u8, revision: i64, proof: SignInProof) -> bool {
    let opening = OpenSession {
        session: session(number, "anna"),
        revision,
        proof,
    };
    let opened = store.open_session(opening, audit()).await;
    opened.expect("the store answers")
}

async fn change(store: &dyn Operators, change: OperatorChange) -> bool {
    let changed = store
        .change("anna".to_owned(), change, at(5), audit())
        .await;
    changed.expect("the store answers")
}

/// The public ids of the sessions that are open.
async fn opened(store: &dyn Operators) -> Vec<u128> {
    let listed = store.list_sessions("anna".to_owned(), at(10)).await;
    let listed = listed.expect("the store answers").into_iter();
    listed.map(|session| session.id.as_u128()).collect()
}

/// A name belongs to one, and operators are found and listed by it.
pub async fn a_name_belongs_to_one(store: &dyn Operators) {
    let anna_as_added = with_anna(store).await;
    let again = store.add(operator("anna"), audit()).await;
    assert!(!again.expect("the store answers"));
    assert_eq!(anna(store).await, anna_as_added);
    let other = store.add(operator("bert"), audit()).await;
    assert!(other.expect("the store answers"));
    let list = async |after: Option<&str>, limit| {
        let listed = store.list(after.map(str::to_owned), limit).await;
        let listed = listed.expect("the store answers").into_iter();
        listed.map(|one| one.name).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 9).await, ["anna", "bert"]);
    assert_eq!(list(None, 1).await, ["anna"]);
    assert_eq!(list(Some("anna"), 9).await, ["bert"]);
    let nobody = store.find("nobody".to_owned()).await;
    assert_eq!(nobody.expect("the store answers"), None);
}

/// Of several tries that were judged by the same failures one is counted.
pub async fn tries_are_counted_one_by_one(store: &dyn Operators) {
    with_anna(store).await;
    let count = async |seen, next| {
        let counted = store.count_try("anna".to_owned(), seen, at(next)).await;
        counted.expect("the store answers")
    };
    let (a, b, c) = tokio::join!(count(0, 7), count(0, 7), count(0, 7));
    assert_eq!([a, b, c].into_iter().filter(|counted| *counted).count(), 1);
    let found = anna(store).await;
    assert_eq!((found.failures, found.next_try_at), (1, Some(at(7))));
    assert!(!count(0, 9).await && count(1, 9).await);
    let nobody = store.count_try("nobody".to_owned(), 0, at(9)).await;
    assert!(!nobody.expect("the store answers"));
}

/// A session opens once for a code, and forgets the failures.
pub async fn no_code_opens_two_sessions(store: &dyn Operators) {
    with_anna(store).await;
    let counted = store.count_try("anna".to_owned(), 0, at(9)).await;
    assert!(counted.expect("the store answers"));
    let (a, b) = tokio::join!(open(store, 1, 1, 70), open(store, 2, 1, 70));
    assert!(a != b, "one of the two");
    let found = anna(store).await;
    assert_eq!((found.failures, found.next_try_at), (0, None));
    assert_eq!((found.totp_step, found.revision), (Some(70), 1));
    assert!(!open(store, 3, 1, 70).await && !open(store, 4, 1, 69).await);
    assert!(open(store, 5, 1, 71).await);
    assert_eq!(opened(store).await.len(), 2);
}

/// A sign-in that was judged by what was there before opens nothing.
pub async fn what_has_changed_meanwhile_opens_nothing(store: &dyn Operators) {
    with_anna(store).await;
    let other = OperatorChange::Password(PasswordHash("another".to_owned()));
    assert!(change(store, other).await);
    assert!(!open(store, 1, 1, 70).await && open(store, 1, 2, 70).await);
    assert!(change(store, OperatorChange::Disable).await);
    assert!(!open(store, 2, 3, 71).await);
    assert!(change(store, OperatorChange::Enable).await);
    assert!(open(store, 2, 4, 71).await);
    let nobody = OpenSession {
        session: session(9, "nobody"),
        revision: 1,
        proof: SignInProof::Code(1),
    };
    let opened = store.open_session(nobody, audit()).await;
    assert!(!opened.expect("the store answers"));
}

/// Another password, another secret and disabling end the sessions; other permissions do not.
pub async fn changes_end_the_sessions_they_must(store: &dyn Operators) {
    with_anna(store).await;
    let sealed = SealedSecret {
        key_id: "k2".to_owned(),
        bytes: vec![9],
    };
    let changes = [
        (
            OperatorChange::Permissions(vec![Permission::BackofficeApprove]),
            false,
        ),
        (OperatorChange::Password(PasswordHash("b".to_owned())), true),
        (OperatorChange::Totp(sealed.clone()), true),
        (OperatorChange::Disable, true),
    ];
    for (number, (one, ends)) in (1..).zip(changes) {
        let revision = i64::from(number);
        assert!(open(store, number, revision, 70 + revision).await);
        assert!(change(store, one).await);
        assert_eq!(opened(store).await.is_empty(), ends);
        let found = anna(store).await;
        assert_eq!(found.revision, revision + 1);
        // Only codes of the new secret have not been used.
        assert_eq!(
            found.totp_step.is_none(),
            found.totp == sealed && number == 3
        );
    }
    let found = anna(store).await;
    assert_eq!(found.totp, sealed);
    assert_eq!(found.permissions, [Permission::BackofficeApprove]);
    assert!(!found.is_active);
    // A repetition changes nothing.
    assert!(change(store, OperatorChange::Disable).await);
    assert_eq!(anna(store).await.revision, 5);
    let changed = store
        .change("nobody".to_owned(), OperatorChange::Enable, at(5), audit())
        .await;
    assert!(!changed.expect("the store answers"));
}

/// Enabling forgets the failures, also of somebody who was not disabled.
pub async fn enabling_forgets_the_failures(store: &dyn Operators) {
    with_anna(store).await;
    let counted = store.count_try("anna".to_owned(), 0, at(900)).await;
    assert!(counted.expect("the store answers"));
    assert!(change(store, OperatorChange::Enable).await);
    let found = anna(store).await;
    assert_eq!((found.failures, found.next_try_at), (0, None));
}

/// A session is found by its token until it is ended, and after.
pub async fn a_session_is_found_and_ended(store: &dyn Operators) {
    let anna = with_anna(store).await;
    assert!(open(store, 1, 1, 70).await && open(store, 2, 1, 71).await);
    let find = async |number: u8| {
        let found = store.find_session(TokenHash([number; 32])).await;
        found.expect("the store answers")
    };
    let (found, operator) = find(1).await.expect("it is there");
    assert_eq!(found, session(1, "anna"));
    assert_eq!(
        (operator.name, operator.password),
        (anna.name, anna.password)
    );
    assert_eq!(find(9).await, None);
    let id = Uuid::from_u128(1);
    for second in [7, 6] {
        let touched = store.touch_session(id, at(second)).await;
        touched.expect("the store answers");
    }
    let (found, _) = find(1).await.expect("it is there");
    assert_eq!(found.last_seen_at, at(7));
    assert_eq!(opened(store).await, [2, 1]);
    let end = async |operator: &str, number, second| {
        let id = Uuid::from_u128(number);
        let ended = store
            .end_session(operator.to_owned(), id, at(second), audit())
            .await;
        ended.expect("the store answers")
    };
    assert!(!end("bert", 1, 8).await && !end("anna", 9, 8).await);
    assert!(end("anna", 1, 8).await && end("anna", 1, 9).await);
    let (found, _) = find(1).await.expect("it is there");
    assert_eq!(found.ended_at, Some(at(8)));
    assert_eq!(opened(store).await, [2]);
    let later = store.list_sessions("anna".to_owned(), at(1_000)).await;
    assert_eq!(later.expect("the store answers"), []);
}

/// Stamps one test per case of the contract of [`Operators`]; the argument makes a fresh store and
/// may await.
#[macro_export]
macro_rules! operators_contract {
    ($store:expr) => {
        $crate::operators_contract! { @stamp ($store)
            a_name_belongs_to_one
            tries_are_counted_one_by_one
            no_code_opens_two_sessions
            what_has_changed_meanwhile_opens_nothing
            changes_end_the_sessions_they_must
            enabling_forgets_the_failures
            a_session_is_found_and_ended
            an_identity_belongs_to_one
            another_identity_ends_the_sessions
            an_identity_opens_sessions_without_codes
        }
    };
    (@stamp ($store:expr) $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let store = $store;
                $crate::operators::contract::$case(&*store).await;
            }
        )+
    };
}
