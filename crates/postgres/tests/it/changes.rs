//! What another replica writes is heard of here.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use bursar_domain::{RecipientName, User, UserStatus};
use bursar_ports::{CredentialStore, Directory, PutUser, StoreError};
use bursar_postgres::{Database, PgChanges, PgCredentials, PgDirectory};
use bursar_testkit::FixedClock;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    credentials::{access_key, token},
    support::{Fixture, PATIENCE, at, draft, patient, user, user_id},
};

/// Less than anything is kept without listening.
const AT_ONCE: Duration = Duration::from_secs(4);

/// One of several replicas on a database.
struct Replica {
    directory: PgDirectory,
    credentials: PgCredentials,
}

impl Replica {
    async fn of(fixture: &Fixture) -> Self {
        let database = Database::connect(patient(fixture.url())).await.unwrap();
        let clock = Arc::new(FixedClock::default());
        Self {
            directory: PgDirectory::new(database.clone(), clock),
            credentials: PgCredentials::new(database),
        }
    }

    /// Listens in a task, and has begun to.
    async fn listen(&self) -> JoinHandle<Result<Infallible, StoreError>> {
        let changes = PgChanges::new(&self.directory, &self.credentials);
        let (begin, began) = oneshot::channel();
        let listening =
            tokio::spawn(async move { changes.listen(|| begin.send(()).unwrap()).await });
        began.await.unwrap();
        listening
    }
}

/// Asks until it is so; an error when it might have been so by then without listening.
async fn at_once(what: &'static str, is_so: impl AsyncFn() -> bool) -> Result<(), &'static str> {
    let asked = Instant::now();
    while !is_so().await {
        assert!(asked.elapsed() < PATIENCE, "{what} is never known");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if asked.elapsed() < AT_ONCE {
        Ok(())
    } else {
        Err(what)
    }
}

#[tokio::test]
async fn what_another_replica_writes_is_known_at_once() {
    let fixture = Fixture::new().await;
    let (here, elsewhere) = (Replica::of(&fixture).await, Replica::of(&fixture).await);
    let mut unheard = vec![];
    // Where the machine stands still for seconds, which may end the listening too, others are tried.
    for number in 1..10 {
        let listening = here.listen().await;
        let heard = is_heard_of(&here, &elsewhere, number).await;
        listening.abort();
        drop(listening.await);
        match heard {
            Ok(()) => return,
            Err(what) => unheard.push(what),
        }
    }
    panic!("not heard of: {unheard:?}");
}

/// Whether everything is known here at once that is written of a token, a key and a user elsewhere,
/// of this number; or what was not.
async fn is_heard_of(
    here: &Replica,
    elsewhere: &Replica,
    number: u128,
) -> Result<(), &'static str> {
    let (token, key) = (token(number), access_key(number));
    let stranger = user(number, &format!("dora{number}"));
    let id = user_id(number);
    let find_token = || here.credentials.find_token(token.hash);
    let find_key = || here.credentials.find_access_key(key.access_key.clone());
    // That there are none is known here.
    assert_eq!(find_token().await.unwrap(), None);
    assert_eq!(find_key().await.unwrap(), None);
    let find_user = async || {
        let found = here.directory.find_recipients(vec![RecipientName::Id(id)]);
        found.await.unwrap().remove(0)
    };
    assert_eq!(find_user().await, None);

    let added = elsewhere.credentials.add_token(token.clone(), draft());
    added.await.unwrap();
    at_once("a new token", async || {
        find_token().await.unwrap().is_some()
    })
    .await?;
    let added = elsewhere.credentials.add_access_key(key.clone(), draft());
    added.await.unwrap();
    at_once("a new access key", async || {
        find_key().await.unwrap().is_some()
    })
    .await?;
    let put = async |user: User| {
        let written = elsewhere.directory.put_user(user, draft()).await;
        assert_eq!(written.unwrap(), PutUser::Written);
    };
    put(stranger.clone()).await;
    at_once("a new user", async || find_user().await.is_some()).await?;

    let revoked = elsewhere.credentials.revoke_token(token.id, at(5), draft());
    assert!(revoked.await.unwrap());
    let is_revoked = async || find_token().await.unwrap().unwrap().revoked_at.is_some();
    at_once("a revoked token", is_revoked).await?;
    let name = key.access_key.clone();
    let revoked = elsewhere
        .credentials
        .revoke_access_key(name, at(5), draft());
    assert!(revoked.await.unwrap());
    let is_revoked = async || find_key().await.unwrap().unwrap().revoked_at.is_some();
    at_once("a revoked access key", is_revoked).await?;
    let frozen = UserStatus::Frozen;
    put(User {
        status: frozen,
        ..stranger
    })
    .await;
    at_once("a freeze", async || {
        find_user().await.unwrap().status == frozen
    })
    .await
}

#[tokio::test]
async fn whoever_cannot_listen_any_more_is_told_so() {
    let mut fixture = Fixture::new().await;
    let here = Replica::of(&fixture).await;
    let listening = here.listen().await;
    fixture
        .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE (query LIKE 'LISTEN%' OR query LIKE '%pg_listening_channels%') AND pid <> pg_backend_pid() AND datname = current_database()")
        .await;
    let lost = tokio::time::timeout(PATIENCE, listening).await;
    let lost = lost.expect("it goes on").unwrap();
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    // And begins again.
    here.listen().await.abort();
}
