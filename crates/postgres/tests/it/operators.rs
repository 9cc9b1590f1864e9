//! Operators and their sessions: the suite that every store of them passes, and what only a database
//! shows.

use std::{ops::Deref, time::Duration};

use bursar_ports::{
    Identity, OpenSession, Operator, OperatorChange, OperatorSession, Operators, PasswordHash,
    Permission, SealedRecord, SealedSecret, SealedSecrets, SecretOwner, SignInProof, TokenHash,
};
use bursar_postgres::{PgCredentials, PgOperators};
use bursar_testkit::operators_contract;
use futures_util::future::join_all;
use uuid::Uuid;

use crate::support::{Fixture, at, draft, run};

/// A store, and the database that must outlive it.
struct Kept {
    operators: PgOperators,
    _fixture: Fixture,
}

impl Kept {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        Self {
            operators: PgOperators::new(fixture.database.clone()),
            _fixture: fixture,
        }
    }
}

impl Deref for Kept {
    type Target = PgOperators;

    fn deref(&self) -> &PgOperators {
        &self.operators
    }
}

operators_contract!(Kept::new().await);

fn operator(name: &str, key_id: &str) -> Operator {
    Operator {
        name: name.to_owned(),
        password: PasswordHash("a-hash-of-a-password".to_owned()),
        totp: SealedSecret {
            key_id: key_id.to_owned(),
            bytes: vec![1, 2],
        },
        totp_step: None,
        identity: None,
        permissions: vec![Permission::BackofficeRead],
        is_active: true,
        revision: 1,
        failures: 0,
        next_try_at: None,
        created_at: at(0),
    }
}

fn opening(number: u8, second: i64, totp_step: i64) -> OpenSession {
    let session = OperatorSession {
        id: Uuid::from_u128(number.into()),
        token: TokenHash([number; 32]),
        operator: "anna".to_owned(),
        created_at: at(second),
        last_seen_at: at(second),
        expires_at: at(second + 100),
        ended_at: None,
        address: "192.0.2.7".to_owned(),
        user_agent: "a browser".to_owned(),
    };
    OpenSession {
        session,
        revision: 1,
        proof: SignInProof::Code(totp_step),
    }
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_and_no_secret_is() {
    let mut fixture = Fixture::new().await;
    let store = PgOperators::new(fixture.database.clone());
    store.add(operator("anna", "k1"), draft()).await.unwrap();
    store.add(operator("anna", "k1"), draft()).await.unwrap();
    let opened = store.open_session(opening(1, 1, 5), draft()).await;
    assert!(opened.unwrap());
    // A code twice changes nothing.
    let opened = store.open_session(opening(2, 1, 5), draft()).await;
    assert!(!opened.unwrap());
    let name = || "anna".to_owned();
    let id = Uuid::from_u128(1);
    for _ in 0..2 {
        let ended = store.end_session(name(), id, at(2), draft()).await;
        assert!(ended.unwrap());
        let disabled = store
            .change(name(), OperatorChange::Disable, at(3), draft())
            .await;
        assert!(disabled.unwrap());
    }
    store.note_failure(at(4), draft()).await.unwrap();
    let told = fixture
        .texts("SELECT coalesce(after::text, '-') FROM directory.audit_log ORDER BY at, id")
        .await;
    assert_eq!(told.len(), 5, "{told:?}");
    let all = told.join("\n");
    assert!(
        all.contains("192.0.2.7") && all.contains("\"disabled\""),
        "{all}"
    );
    for secret in ["a-hash-of", "password", "totp", "010101"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[tokio::test]
async fn the_audit_log_tells_whose_identity_was_given_and_let_in() {
    let mut fixture = Fixture::new().await;
    let store = PgOperators::new(fixture.database.clone());
    let identity = || Identity {
        issuer: "https://id.example".to_owned(),
        subject: "subject-7".to_owned(),
    };
    let anna = Operator {
        identity: Some(identity()),
        ..operator("anna", "k1")
    };
    assert!(store.add(anna.clone(), draft()).await.unwrap());
    // A name that is taken takes no identity along.
    let again = Operator {
        identity: Some(Identity {
            subject: "subject-8".to_owned(),
            ..identity()
        }),
        ..anna
    };
    assert!(!store.add(again, draft()).await.unwrap());
    let opening = OpenSession {
        proof: SignInProof::Identity(identity()),
        ..opening(1, 1, 5)
    };
    assert!(store.open_session(opening, draft()).await.unwrap());
    let unlinked = store.change("anna".to_owned(), OperatorChange::Unlink, at(2), draft());
    assert!(unlinked.await.unwrap());
    let told = fixture
        .texts(
            "SELECT coalesce(before #>> '{identity,subject}', '-') || ' ' \
             || coalesce(after #>> '{identity,subject}', '-') \
             FROM directory.audit_log ORDER BY at, id",
        )
        .await;
    assert_eq!(told, ["- subject-7", "- subject-7", "subject-7 -"]);
    let left = fixture
        .texts("SELECT subject FROM directory.operator_identities")
        .await;
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn of_two_who_are_given_one_identity_at_once_one_has_it() {
    let fixture = Fixture::new().await;
    let store = PgOperators::new(fixture.database.clone());
    for name in ["anna", "bert"] {
        store.add(operator(name, "k1"), draft()).await.unwrap();
    }
    for round in 0..20 {
        let link = |name: &str| {
            let identity = Identity {
                issuer: "https://id.example".to_owned(),
                subject: format!("subject-{round}"),
            };
            store.change(
                name.to_owned(),
                OperatorChange::Link(identity),
                at(1),
                draft(),
            )
        };
        let (anna, bert) = tokio::join!(link("anna"), link("bert"));
        assert!(anna.unwrap() != bert.unwrap());
        for name in ["anna", "bert"] {
            let unlinked = store.change(name.to_owned(), OperatorChange::Unlink, at(2), draft());
            assert!(unlinked.await.unwrap());
        }
    }
}

#[tokio::test]
async fn sessions_of_long_ago_are_forgotten() {
    const DAY: i64 = 86_400;
    let mut fixture = Fixture::new().await;
    let store = PgOperators::new(fixture.database.clone());
    store.add(operator("anna", "k1"), draft()).await.unwrap();
    for (number, day) in [(1, 0), (2, 89), (3, 91)] {
        let opening = opening(number, day * DAY, day);
        assert!(store.open_session(opening, draft()).await.unwrap());
    }
    let kept = fixture
        .texts("SELECT right(id::text, 1) FROM directory.operator_sessions ORDER BY id")
        .await;
    assert_eq!(kept, ["2", "3"]);
}

/// Made-up sessions come by the thousand, and whoever moves money needs connections too.
#[tokio::test]
async fn a_flood_of_sessions_leaves_connections_to_others() {
    let mut fixture = Fixture::new().await;
    let store = PgOperators::new(fixture.database.clone());
    let mut holder = fixture.connect().await;
    let lock = "BEGIN; LOCK TABLE directory.operator_sessions IN ACCESS EXCLUSIVE MODE";
    run(&mut holder, lock).await;
    let flood = (0..64_u8).map(|number| store.find_session(TokenHash([number; 32])));
    let flood = join_all(flood);
    let meanwhile = async {
        fixture.until_somebody_waits().await;
        let others = store.find("anna".to_owned());
        let others = tokio::time::timeout(Duration::from_secs(30), others).await;
        let others = others.expect("there is no connection for it");
        assert_eq!(others.unwrap(), None);
        run(&mut holder, "COMMIT").await;
    };
    let (found, ()) = tokio::join!(flood, meanwhile);
    for one in found {
        assert_eq!(one.unwrap(), None);
    }
}

#[tokio::test]
async fn a_change_and_a_sign_in_that_meet_leave_no_session_open() {
    let fixture = Fixture::new().await;
    let store = PgOperators::new(fixture.database.clone());
    for round in 0..20 {
        let name = format!("anna{round}");
        store.add(operator(&name, "k1"), draft()).await.unwrap();
        let mut opening = opening(round, 1, 5);
        opening.session.operator.clone_from(&name);
        let (_opened, disabled) = tokio::join!(
            store.open_session(opening, draft()),
            store.change(name.clone(), OperatorChange::Disable, at(2), draft()),
        );
        assert!(disabled.unwrap());
        let open = store.list_sessions(name, at(3)).await.unwrap();
        assert_eq!(open, []);
    }
}

#[tokio::test]
async fn secrets_for_codes_are_encrypted_anew_with_the_others() {
    let fixture = Fixture::new().await;
    let store = PgOperators::new(fixture.database.clone());
    let secrets = PgCredentials::new(fixture.database.clone());
    for name in ["anna", "bert", "carl"] {
        store.add(operator(name, "k1"), draft()).await.unwrap();
    }
    store.add(operator("dora", "k2"), draft()).await.unwrap();
    let carl = "carl".to_owned();
    store
        .change(carl, OperatorChange::Disable, at(1), draft())
        .await
        .unwrap();
    let listed = async |after| {
        let page = secrets.list_sealed("k2".to_owned(), after, 1).await;
        page.unwrap().pop().map(|record| record.belongs_to)
    };
    let owner = |name: &str| SecretOwner::OperatorTotp(name.to_owned());
    assert_eq!(listed(None).await, Some(owner("anna")));
    assert_eq!(listed(Some(owner("anna"))).await, Some(owner("bert")));
    assert_eq!(listed(Some(owner("bert"))).await, None);
    let counted = secrets.count_sealed().await.unwrap();
    assert_eq!(counted, [("k1".to_owned(), 2), ("k2".to_owned(), 1)]);
    let old = SealedRecord {
        belongs_to: owner("anna"),
        secret: operator("anna", "k1").totp,
    };
    let new = SealedSecret {
        key_id: "k2".to_owned(),
        bytes: vec![9],
    };
    for replaced in [true, false] {
        let done = secrets.replace_sealed(old.clone(), new.clone(), at(2), draft());
        assert_eq!(done.await.unwrap(), replaced);
    }
    let anna = store.find("anna".to_owned()).await.unwrap().unwrap();
    assert_eq!((anna.totp, anna.revision), (new, 1));
}
