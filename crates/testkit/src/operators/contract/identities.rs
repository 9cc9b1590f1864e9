//! Operators whom an identity provider knows.

use bursar_ports::{Identity, Operator, OperatorChange, Operators, SignInProof};

use super::{anna, at, audit, change, open, open_by, opened, operator, with_anna};

fn identity(issuer: &str, subject: &str) -> Identity {
    Identity {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    }
}

async fn named(store: &dyn Operators, identity: Identity) -> Option<String> {
    let found = store.find_by_identity(identity).await;
    found.expect("the store answers").map(|one| one.name)
}

async fn add(store: &dyn Operators, name: &str, identity: Option<Identity>) -> bool {
    let new = Operator {
        identity,
        ..operator(name)
    };
    let added = store.add(new, audit()).await;
    added.expect("the store answers")
}

/// An identity belongs to one operator, who has no other; issuer and subject count to the byte.
pub async fn an_identity_belongs_to_one(store: &dyn Operators) {
    with_anna(store).await;
    let one = || identity("https://id.example", "7");
    assert!(add(store, "bert", Some(one())).await);
    let found = store.find("bert".to_owned()).await;
    let found = found.expect("the store answers").expect("he is there");
    assert_eq!(found.identity, Some(one()));
    let listed = store.list(None, 9).await.expect("the store answers");
    let identities: Vec<_> = listed.into_iter().map(|one| one.identity).collect();
    assert_eq!(identities, [None, Some(one())]);
    assert_eq!(named(store, one()).await.as_deref(), Some("bert"));
    for other in [
        identity("https://id.example/", "7"),
        identity("https://ID.example", "7"),
        identity("https://id.example", "07"),
        identity("https://id.example", "7 "),
        identity("https://id.example", "bert"),
    ] {
        assert_eq!(named(store, other).await, None);
    }
    // What is somebody's is given to nobody else, neither to a new one nor to one who is there.
    assert!(!add(store, "carl", Some(one())).await);
    let carl = store.find("carl".to_owned()).await;
    assert_eq!(carl.expect("the store answers"), None);
    assert!(!change(store, OperatorChange::Link(one())).await);
    assert_eq!(anna(store).await, operator("anna"));
    let two = || identity("https://id.example", "8");
    assert!(change(store, OperatorChange::Link(two())).await);
    assert!(
        !change(
            store,
            OperatorChange::Link(identity("https://id.example", "9"))
        )
        .await
    );
    assert_eq!(anna(store).await.identity, Some(two()));
    let nobody = OperatorChange::Link(identity("https://id.example", "9"));
    let changed = store
        .change("nobody".to_owned(), nobody, at(5), audit())
        .await;
    assert!(!changed.expect("the store answers"));
    // Once it is nobody's it can be another's.
    assert!(change(store, OperatorChange::Unlink).await);
    assert_eq!(named(store, two()).await, None);
    assert!(add(store, "dora", Some(two())).await);
}

/// Linking and unlinking move the revision on and end the sessions; a repetition does neither.
pub async fn another_identity_ends_the_sessions(store: &dyn Operators) {
    with_anna(store).await;
    let link = || OperatorChange::Link(identity("https://id.example", "7"));
    assert!(open(store, 1, 1, 70).await);
    assert!(change(store, OperatorChange::Unlink).await);
    assert_eq!(
        (anna(store).await.revision, opened(store).await.len()),
        (1, 1)
    );
    assert!(change(store, link()).await);
    assert_eq!(
        (anna(store).await.revision, opened(store).await.len()),
        (2, 0)
    );
    assert!(open(store, 2, 2, 71).await);
    assert!(change(store, link()).await);
    assert_eq!(
        (anna(store).await.revision, opened(store).await.len()),
        (2, 1)
    );
    assert!(change(store, OperatorChange::Unlink).await);
    assert_eq!(
        (anna(store).await.revision, opened(store).await.len()),
        (3, 0)
    );
}

/// The provider's word needs no code and says nothing of the failures, and is good for the operator
/// who has that identity now.
pub async fn an_identity_opens_sessions_without_codes(store: &dyn Operators) {
    with_anna(store).await;
    let one = identity("https://id.example", "7");
    let by = |subject| SignInProof::Identity(identity("https://id.example", subject));
    assert!(!open_by(store, 1, 1, by("7")).await, "it is nobody's");
    assert!(change(store, OperatorChange::Link(one.clone())).await);
    let counted = store.count_try("anna".to_owned(), 0, at(900)).await;
    assert!(counted.expect("the store answers"));
    assert!(!open_by(store, 1, 2, by("8")).await, "it is another one");
    assert!(open_by(store, 1, 2, by("7")).await && open_by(store, 2, 2, by("7")).await);
    let found = anna(store).await;
    assert_eq!((found.totp_step, found.revision), (None, 2));
    assert_eq!((found.failures, found.next_try_at), (1, Some(at(900))));
    assert!(change(store, OperatorChange::Disable).await);
    assert!(!open_by(store, 3, 3, by("7")).await, "she is disabled");
    assert!(change(store, OperatorChange::Enable).await);
    assert!(!open_by(store, 3, 3, by("7")).await, "it was judged before");
    assert!(open_by(store, 3, 4, by("7")).await);
    assert!(change(store, OperatorChange::Unlink).await);
    assert!(!open_by(store, 4, 5, by("7")).await, "it is hers no more");
    assert_eq!(opened(store).await, []);
}
