//! Callback secrets in memory, and what every store of them must do.

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bursar_domain::{ActorId, AuditDraft, Subscriber, Timestamp};
use bursar_ports::{CallbackSecrets, SealedSecret, StoreError, StoredCallbackSecret};
use uuid::Uuid;

use crate::build;

/// Keeps everything in memory.
#[derive(Debug, Default)]
pub struct InMemoryCallbackSecrets {
    kept: Mutex<Vec<StoredCallbackSecret>>,
    audited: Mutex<Vec<AuditDraft>>,
}

impl InMemoryCallbackSecrets {
    /// Everything that is kept, in order of ids.
    pub fn all(&self) -> Vec<StoredCallbackSecret> {
        let mut all = self.kept().clone();
        all.sort_by_key(|secret| secret.id);
        all
    }

    fn kept(&self) -> MutexGuard<'_, Vec<StoredCallbackSecret>> {
        self.kept.lock().expect("no holder of the lock panics")
    }

    /// What the audit log keeps of the changes so far.
    pub fn audited(&self) -> Vec<AuditDraft> {
        self.drafts().clone()
    }

    fn drafts(&self) -> MutexGuard<'_, Vec<AuditDraft>> {
        self.audited.lock().expect("no holder of the lock panics")
    }
}

/// What signs at this time, the current one first, then the newest.
fn active(
    kept: &[StoredCallbackSecret],
    subscriber: &Subscriber,
    at: Timestamp,
) -> Vec<StoredCallbackSecret> {
    let signs =
        |secret: &&StoredCallbackSecret| secret.subscriber == *subscriber && secret.is_active(at);
    let mut active: Vec<_> = kept.iter().filter(signs).cloned().collect();
    active.sort_by_key(|secret| (secret.is_current(), secret.id));
    active.reverse();
    active
}

#[async_trait]
impl CallbackSecrets for InMemoryCallbackSecrets {
    async fn find_active(
        &self,
        subscriber: Subscriber,
        at: Timestamp,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError> {
        Ok(active(&self.kept(), &subscriber, at))
    }

    async fn add_first(
        &self,
        secret: StoredCallbackSecret,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError> {
        let (subscriber, at) = (secret.subscriber.clone(), secret.created_at);
        let mut kept = self.kept();
        let mut of_theirs = kept.iter().filter(|one| one.subscriber == subscriber);
        if !of_theirs.any(StoredCallbackSecret::is_current) {
            kept.push(secret);
        }
        Ok(active(&kept, &subscriber, at))
    }

    async fn rotate(
        &self,
        secret: StoredCallbackSecret,
        overlap_until: Timestamp,
        audit: AuditDraft,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let of_theirs = kept
            .iter_mut()
            .filter(|one| one.subscriber == secret.subscriber);
        for one in of_theirs {
            if one.is_current() {
                one.expires_at = Some(overlap_until);
            } else if one.is_active(secret.created_at) {
                one.revoked_at = Some(secret.created_at);
            }
        }
        kept.push(secret);
        self.drafts().push(audit);
        Ok(())
    }

    async fn list(
        &self,
        subscriber: Option<Subscriber>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError> {
        let wanted = |secret: &StoredCallbackSecret| {
            let theirs = subscriber
                .as_ref()
                .is_none_or(|one| *one == secret.subscriber);
            theirs && after.is_none_or(|after| secret.id > after)
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let all = self.all().into_iter().filter(wanted);
        Ok(all.take(limit).collect())
    }

    async fn revoke(&self, id: Uuid, at: Timestamp, audit: AuditDraft) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let Some(found) = kept.iter_mut().find(|secret| secret.id == id) else {
            return Ok(false);
        };
        if found.revoked_at.is_none() {
            found.revoked_at = Some(at);
            self.drafts().push(audit);
        }
        Ok(true)
    }
}

const HOUR_US: i64 = 3_600_000_000;

fn at(hour: i64) -> Timestamp {
    let start = Timestamp::parse("2026-01-01T00:00:00Z").expect("it is a time");
    start.plus_micros(hour * HOUR_US)
}

fn client(name: &str) -> Subscriber {
    Subscriber::Client(ActorId::new(name))
}

fn secret(number: u8, subscriber: &Subscriber, hour: i64) -> StoredCallbackSecret {
    StoredCallbackSecret {
        id: Uuid::from_u128(number.into()),
        subscriber: subscriber.clone(),
        secret: SealedSecret {
            key_id: "k".to_owned(),
            bytes: vec![number; 72],
        },
        created_at: at(hour),
        expires_at: None,
        revoked_at: None,
    }
}

fn issued() -> AuditDraft {
    build::audit("callback_secret.issue", "callback_secret:1")
}

fn revoked() -> AuditDraft {
    build::audit("callback_secret.revoke", "callback_secret:1")
}

async fn signing(secrets: &dyn CallbackSecrets, whose: &Subscriber, hour: i64) -> Vec<u128> {
    let active = secrets.find_active(whose.clone(), at(hour)).await;
    let active = active.expect("the store answers").into_iter();
    active.map(|secret| secret.id.as_u128()).collect()
}

/// Of several callers who add a first secret at once one wins, and all learn which.
pub async fn of_several_first_secrets_one_is_kept(secrets: &dyn CallbackSecrets) {
    let office = client("office");
    assert_eq!(signing(secrets, &office, 0).await, [0_u128; 0]);
    let add = async |number| secrets.add_first(secret(number, &office, 0)).await;
    let (a, b, c) = tokio::join!(add(1), add(2), add(3));
    let [a, b, c] = [a, b, c].map(|told| told.expect("the store answers"));
    assert_eq!((&a, &a), (&b, &c));
    assert_eq!(a.len(), 1);
    let listed = secrets.list(Some(office.clone()), None, 9).await;
    assert_eq!(listed.expect("the store answers"), a);
    // Somebody else has one of his own.
    let other = client("other");
    let added = secrets.add_first(secret(4, &other, 0)).await;
    assert_eq!(added.expect("the store answers"), [secret(4, &other, 0)]);
    assert_eq!(signing(secrets, &other, 0).await, [4]);
}

/// After a rotation two sign until the older one's end, never three.
pub async fn a_rotation_leaves_two_until_the_end_of_the_older(secrets: &dyn CallbackSecrets) {
    let user = Subscriber::User(build::user_id(7));
    let rotate = async |number, hour| {
        let rotated = secrets
            .rotate(secret(number, &user, hour), at(hour + 24), issued())
            .await;
        rotated.expect("the store answers");
    };
    rotate(1, 0).await;
    assert_eq!(signing(secrets, &user, 0).await, [1]);
    rotate(2, 1).await;
    assert_eq!(signing(secrets, &user, 1).await, [2, 1]);
    assert_eq!(signing(secrets, &user, 24).await, [2, 1]);
    assert_eq!(signing(secrets, &user, 25).await, [2]);
    rotate(3, 2).await;
    assert_eq!(signing(secrets, &user, 2).await, [3, 2]);
    let expected = [
        StoredCallbackSecret {
            expires_at: Some(at(25)),
            revoked_at: Some(at(2)),
            ..secret(1, &user, 0)
        },
        StoredCallbackSecret {
            expires_at: Some(at(26)),
            ..secret(2, &user, 1)
        },
        secret(3, &user, 2),
    ];
    let listed = secrets.list(Some(user.clone()), None, 9).await;
    assert_eq!(listed.expect("the store answers"), expected);
    // What is long over stays as it is.
    rotate(4, 90).await;
    let listed = secrets.list(Some(user), None, 2).await;
    assert_eq!(listed.expect("the store answers"), expected[..2]);
}

/// However many rotate at once, each is done, and two sign afterwards.
pub async fn rotations_at_once_leave_two(secrets: &dyn CallbackSecrets) {
    // Whether they meet where it matters is a matter of chance.
    for round in 0..10_u8 {
        let office = client(&format!("office{round}"));
        let rotate = async |number: u8| {
            let secret = secret(10 * round + number, &office, 0);
            let rotated = secrets.rotate(secret, at(24), issued()).await;
            rotated.expect("the store answers");
        };
        tokio::join!(
            rotate(1),
            rotate(2),
            rotate(3),
            rotate(4),
            rotate(5),
            rotate(6)
        );
        assert_eq!(signing(secrets, &office, 1).await.len(), 2);
        let listed = secrets.list(Some(office), None, 9).await;
        let listed = listed.expect("the store answers");
        assert_eq!(listed.len(), 6);
        let current = listed.iter().filter(|secret| secret.is_current()).count();
        assert_eq!(current, 1);
    }
}

/// A secret that is ended signs no more, and the next first one takes its place.
pub async fn a_revoked_secret_signs_no_more(secrets: &dyn CallbackSecrets) {
    let office = client("office");
    let first = secrets.add_first(secret(1, &office, 0)).await;
    assert_eq!(first.expect("the store answers").len(), 1);
    let id = Uuid::from_u128(1);
    for hour in [1, 2] {
        let found = secrets.revoke(id, at(hour), revoked()).await;
        assert!(found.expect("the store answers"));
    }
    assert_eq!(signing(secrets, &office, 3).await, [0_u128; 0]);
    let listed = secrets.list(None, None, 9).await;
    let listed = listed.expect("the store answers");
    assert_eq!(
        listed.first().and_then(|secret| secret.revoked_at),
        Some(at(1))
    );
    let next = secrets.add_first(secret(2, &office, 3)).await;
    assert_eq!(next.expect("the store answers"), [secret(2, &office, 3)]);
    let found = secrets.revoke(Uuid::from_u128(9), at(4), revoked()).await;
    assert!(!found.expect("the store answers"));
}

/// While the older of two still signs, a first secret comes beside it once the current one is
/// ended.
pub async fn a_first_secret_comes_beside_one_that_is_ending(secrets: &dyn CallbackSecrets) {
    let office = client("office");
    for (number, hour) in [(1, 0), (2, 1)] {
        let rotated = secrets
            .rotate(secret(number, &office, hour), at(hour + 24), issued())
            .await;
        rotated.expect("the store answers");
    }
    let found = secrets.revoke(Uuid::from_u128(2), at(2), revoked()).await;
    assert!(found.expect("the store answers"));
    assert_eq!(signing(secrets, &office, 2).await, [1]);
    let added = secrets.add_first(secret(3, &office, 2)).await;
    assert_eq!(added.expect("the store answers").len(), 2);
    assert_eq!(signing(secrets, &office, 3).await, [3, 1]);
}

/// Lists go by id, page after page, of everybody or of one.
pub async fn secrets_are_listed_by_id(secrets: &dyn CallbackSecrets) {
    let (one, other) = (client("one"), client("other"));
    for (number, whose) in [(3, &one), (1, &one), (2, &other)] {
        let rotated = secrets
            .rotate(secret(number, whose, 0), at(24), issued())
            .await;
        rotated.expect("the store answers");
    }
    let list = async |whose, after: Option<u128>, limit| {
        let page = secrets.list(whose, after.map(Uuid::from_u128), limit).await;
        let page = page.expect("the store answers").into_iter();
        page.map(|secret| secret.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 2).await, [1, 2]);
    assert_eq!(list(None, Some(2), 2).await, [3]);
    assert_eq!(list(Some(one.clone()), None, 9).await, [1, 3]);
    assert_eq!(list(Some(one), Some(1), 9).await, [3]);
    assert_eq!(list(Some(client("nobody")), None, 9).await, [0_u128; 0]);
}

/// Stamps one test per case of the contract of [`CallbackSecrets`]; the argument makes a fresh
/// store and may await.
#[macro_export]
macro_rules! callback_secrets_contract {
    ($store:expr) => {
        $crate::callback_secrets_contract! { @stamp ($store)
            of_several_first_secrets_one_is_kept
            a_rotation_leaves_two_until_the_end_of_the_older
            rotations_at_once_leave_two
            a_revoked_secret_signs_no_more
            a_first_secret_comes_beside_one_that_is_ending
            secrets_are_listed_by_id
        }
    };
    (@stamp ($store:expr) $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let store = $store;
                $crate::callback_secrets::$case(&*store).await;
            }
        )+
    };
}
