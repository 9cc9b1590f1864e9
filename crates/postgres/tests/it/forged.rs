//! What somebody without the key has written is taken up by nobody: it would be sealed on its next
//! step, as if Bursar had written it.

use std::{collections::BTreeSet, sync::Arc};

use bursar_domain::{
    ActorId, Change, Command, Commit, PayoutRoute, Timestamp, Transfer, TransferId,
};
use bursar_ports::{
    CommitOutcome, LaneShare, Outbox as _, PayoutSchedule as _, StoreError, TransferStore as _,
};
use bursar_postgres::{
    EngineConfig, OpenSeals, PgOutbox, PgPayouts, PgStore, SealKeys, reseal_open,
};
use bursar_testkit::{FixedClock, SequentialIds, build};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};

use crate::{
    roles::as_application,
    support::{Fixture, patient, patient_engine, run},
};

const KEY: [u8; 32] = [7; 32];
const OTHER_KEY: [u8; 32] = [8; 32];
const HOUR_MS: i64 = 3_600_000;

/// An exchange whose books are sealed, and somebody with the application's password.
struct Scene {
    fixture: Fixture,
    url: String,
    intruder: AsyncPgConnection,
    ids: SequentialIds,
}

impl Scene {
    async fn set() -> Self {
        let fixture = Fixture::with_usd().await;
        let url = as_application(fixture.test()).await;
        Self {
            intruder: AsyncPgConnection::establish(&url).await.unwrap(),
            fixture,
            url,
            ids: SequentialIds::default(),
        }
    }

    fn store(&self, keys: &[[u8; 32]]) -> PgStore {
        let clock = FixedClock::default();
        clock.advance_ms(HOUR_MS);
        let config = EngineConfig {
            seals: SealKeys::new(keys.iter().copied()),
            ..patient_engine()
        };
        let pool = patient(&self.url);
        let database = self.fixture.database.clone();
        PgStore::start(&pool, database, &config, Arc::new(clock)).0
    }

    fn deposit(&self) -> Change {
        let usd = build::asset("usd", 2);
        let new = build::new_transfer(self.ids.transfer(), &usd, 1_000, FixedClock::START);
        build::deposit(new, self.ids.user())
    }

    /// A deposit that has ended, with a callback that tells of it.
    fn ended_and_told_of(&self) -> Change {
        let usd = build::asset("usd", 2);
        let mut new = build::new_transfer(self.ids.transfer(), &usd, 100, FixedClock::START);
        new.callback_url = Some("https://hook.example/".to_owned());
        build::deposit(new, self.ids.user()).settled_at_once()
    }

    async fn intrude(&mut self, statement: &str) {
        run(&mut self.intruder, statement).await;
    }

    /// Copies a row of `transfers`, with these columns changed.
    async fn copy(&mut self, of: TransferId, columns: &[(&str, &str)]) {
        let all = "SELECT attname::text FROM pg_attribute \
                   WHERE attrelid = 'book_main.transfers'::regclass AND attnum > 0 \
                   AND NOT attisdropped AND attgenerated = '' ORDER BY attnum";
        let all = self.fixture.texts(all).await;
        let value = |column: &String| {
            let changed = columns.iter().find(|(name, _)| name == column);
            changed.map_or_else(|| column.clone(), |(_, value)| (*value).to_owned())
        };
        let values: Vec<String> = all.iter().map(value).collect();
        let copy = format!(
            "INSERT INTO book_main.transfers ({}) SELECT {} FROM book_main.transfers WHERE id = {of}",
            all.join(", "),
            values.join(", "),
        );
        self.intrude(&copy).await;
    }
}

async fn commit(store: &PgStore, change: Change) -> Transfer {
    let mut outcomes = store.commit(vec![Commit::new(change)]).await.unwrap();
    match outcomes.pop() {
        Some(CommitOutcome::Committed(transfer)) => *transfer,
        other => panic!("{other:?}"),
    }
}

fn is_inconsistent<T: std::fmt::Debug>(told: &Result<T, StoreError>, why: &str) -> bool {
    matches!(told, Err(StoreError::Inconsistent { detail, .. }) if detail.contains(why))
}

#[tokio::test]
async fn a_transfer_that_bursar_did_not_write_is_not_taken_up() {
    let mut scene = Scene::set().await;
    let store = scene.store(&[KEY]);
    let open = commit(&store, scene.deposit()).await;
    let (copied, unsealed, unknown) = (1_001, 1_002, 1_003);
    scene.copy(open.id(), &[("id", "1001")]).await;
    scene
        .copy(open.id(), &[("id", "1002"), ("seal", "NULL")])
        .await;
    let nobodys = "substring(sha256('nobody') FROM 1 FOR 20)";
    scene
        .copy(open.id(), &[("id", "1003"), ("seal", nobodys)])
        .await;
    for (forged, why) in [
        (copied, "does not fit"),
        (unsealed, "no seal"),
        (unknown, "not configured"),
    ] {
        let id = TransferId::try_new(forged).unwrap();
        let found = store.find(id).await;
        assert!(is_inconsistent(&found, why), "{found:?}");
        let found = store.find_many(vec![open.id(), id]).await;
        assert!(is_inconsistent(&found, why), "{found:?}");
    }
    // What is no number of ours can still be read, and told from the others.
    let beyond = "9e38::numeric";
    let no_rate = [
        ("root_asset", "'usd'"),
        ("root_scale", "2"),
        ("root_rate", "'NaN'"),
    ];
    scene
        .copy(open.id(), &[("id", "1004"), ("amount", beyond)])
        .await;
    scene
        .copy(open.id(), &[&[("id", "1005")], no_rate.as_slice()].concat())
        .await;
    for (forged, why) in [(1_004, "amount"), (1_005, "root_rate")] {
        let found = store.find(TransferId::try_new(forged).unwrap()).await;
        assert!(is_inconsistent(&found, why), "{found:?}");
    }
    // It keeps no other from its end.
    assert_eq!(
        store.list_unsettled(-1, 10).await.unwrap(),
        std::slice::from_ref(&open)
    );
    let settled = commit(
        &store,
        build::step(&open, &Command::Settle, FixedClock::START),
    )
    .await;
    assert_eq!(store.find(open.id()).await.unwrap(), Some(settled));
}

#[tokio::test]
async fn one_that_somebody_has_changed_is_not_taken_up() {
    let mut scene = Scene::set().await;
    let store = scene.store(&[KEY]);
    for change in [
        "stage = 'approval'",
        "updated_at = updated_at + interval '1 microsecond'",
        "expires_at = now()",
        "confirmed_by = 'nobody'",
        "version = version + 1",
        "entry_refs = '{1,1}'",
    ] {
        let open = commit(&store, scene.deposit()).await;
        let id = open.id();
        scene
            .intrude(&format!(
                "UPDATE book_main.transfers SET {change} WHERE id = {id}"
            ))
            .await;
        let found = store.find(id).await;
        assert!(
            is_inconsistent(&found, "does not fit"),
            "{change}: {found:?}"
        );
        assert_eq!(store.list_unsettled(-1, 10).await.unwrap(), []);
        assert_eq!(store.list_expired(10).await.unwrap(), []);
    }
}

/// The oldest come first in the passes that settle and expire, which take so many at once.
#[tokio::test]
async fn those_that_are_not_taken_up_do_not_hold_up_the_others() {
    let mut scene = Scene::set().await;
    let store = scene.store(&[KEY]);
    for number in 0..3 {
        let forged = commit(&store, scene.deposit()).await.id();
        let by = format!("confirmed_by = 'nobody {number}'");
        let forge = format!("UPDATE book_main.transfers SET {by} WHERE id = {forged}");
        scene.intrude(&forge).await;
    }
    let open = commit(&store, scene.deposit()).await;
    assert_eq!(store.list_unsettled(-1, 2).await.unwrap(), []);
    assert_eq!(store.list_unsettled(-1, 2).await.unwrap(), [open]);
}

/// What Bursar wrote itself is genuine for ever, and must not come back.
#[tokio::test]
async fn no_transfer_goes_back_to_what_it_was() {
    let mut scene = Scene::set().await;
    let store = scene.store(&[KEY]);
    let open = commit(&store, scene.deposit()).await;
    let id = open.id();
    scene
        .fixture
        .run(&format!(
            "CREATE TABLE public.was AS SELECT * FROM book_main.transfers WHERE id = {id}; \
             GRANT SELECT ON public.was TO PUBLIC"
        ))
        .await;
    commit(
        &store,
        build::step(&open, &Command::Settle, FixedClock::START),
    )
    .await;
    let back = format!(
        "UPDATE book_main.transfers t SET version = w.version, state = w.state, \
         updated_at = w.updated_at, entry_refs = w.entry_refs, seal = w.seal \
         FROM public.was w WHERE t.id = {id} AND w.id = {id}"
    );
    let refused = scene.intruder.batch_execute(&back).await.unwrap_err();
    assert!(refused.to_string().contains("earlier version"), "{refused}");
    assert_eq!(store.list_unsettled(-1, 10).await.unwrap(), []);
}

/// An old key may have left by the time somebody looks; nobody goes on from it.
#[tokio::test]
async fn what_has_ended_is_read_without_its_key() {
    let scene = Scene::set().await;
    let store = scene.store(&[KEY]);
    let open = commit(&store, scene.deposit()).await;
    let ended = commit(&store, scene.deposit().settled_at_once()).await;
    let later = scene.store(&[OTHER_KEY]);
    let proven = later.find_proven(ended.id()).await;
    assert!(is_inconsistent(&proven, "not configured"), "{proven:?}");
    assert_eq!(
        store.find_proven(ended.id()).await.unwrap().as_ref(),
        Some(&ended)
    );
    assert_eq!(later.find(ended.id()).await.unwrap(), Some(ended));
    let found = later.find(open.id()).await;
    assert!(is_inconsistent(&found, "not configured"), "{found:?}");
}

#[tokio::test]
async fn a_payout_that_bursar_did_not_begin_is_not_paid() {
    let mut scene = Scene::set().await;
    let store = scene.store(&[KEY]);
    let funded = commit(&store, scene.deposit().settled_at_once()).await;
    let mut opened = vec![];
    for _ in 0..2 {
        let usd = build::asset("usd", 2);
        let new = build::new_transfer(scene.ids.transfer(), &usd, 100, FixedClock::START);
        opened.push(commit(&store, build::withdrawal(new, funded.owner())).await);
    }
    let begin = Command::Confirm {
        by: ActorId::new("operator"),
        callback_url: None,
        route: PayoutRoute::Gateway,
        approval_expires_at: None,
    };
    let begun = build::step(&opened[0], &begin, FixedClock::START);
    let begun = commit(&store, begun).await;
    let forged = opened[1].id();
    scene
        .intrude(&format!(
            "UPDATE book_main.transfers SET stage = 'payout', \
             confirmed_by = 'operator', version = version + 1 WHERE id = {forged}; \
             INSERT INTO book_main.payouts SELECT (jsonb_populate_record(p, \
             jsonb_build_object('transfer_id', {forged}))).* FROM book_main.payouts p"
        ))
        .await;
    let schedule = PgPayouts::new(scene.fixture.database.clone(), SealKeys::new([KEY]));
    let claimed = schedule.claim_due(60_000, 10).await.unwrap();
    let claimed: Vec<_> = claimed
        .into_iter()
        .map(|claimed| claimed.transfer)
        .collect();
    assert_eq!(claimed, [begun]);
}

/// Receivers believe what is signed.
#[tokio::test]
async fn nobody_is_told_of_what_bursar_did_not_write() {
    let mut scene = Scene::set().await;
    let store = scene.store(&[KEY]);
    let mut told = vec![];
    for _ in 0..4 {
        told.push(commit(&store, scene.ended_and_told_of()).await);
    }
    let [changed, unsealed, untrue] = [1, 2, 3].map(|place: usize| told[place].id());
    scene
        .intrude(&format!(
            "UPDATE book_main.transfers SET updated_at = created_at - interval '1 s' \
             WHERE id = {changed}; \
             UPDATE book_main.transfers SET seal = NULL WHERE id = {unsealed}; \
             UPDATE book_main.callbacks SET status = 'Canceled' WHERE transfer_id = {untrue}"
        ))
        .await;
    assert_eq!(told_of(&scene, KEY).await, [told[0].clone()]);
}

/// Of which transfers somebody with this key tells receivers.
async fn told_of(scene: &Scene, key: [u8; 32]) -> Vec<Transfer> {
    let outbox = PgOutbox::new(scene.fixture.database.clone(), SealKeys::new([key]));
    let now = Timestamp::from_micros(FixedClock::START.as_micros() + 2 * HOUR_MS * 1_000);
    outbox.enqueue_due(now, 100).await.unwrap();
    let due = outbox.due_lanes(now, None, vec![]).await.unwrap();
    let share = |lane| LaneShare { lane, places: 10 };
    let shares = due.lanes.into_iter().map(|due| share(due.lane)).collect();
    let claims = outbox.claim_due(now, 60_000, shares).await.unwrap();
    claims.into_iter().map(|claim| claim.transfer).collect()
}

#[tokio::test]
async fn open_transfers_are_sealed_anew_before_a_key_leaves() {
    let mut scene = Scene::set().await;
    let store = scene.store(&[KEY]);
    let mut open = vec![];
    for _ in 0..4 {
        open.push(commit(&store, scene.deposit()).await);
    }
    commit(&store, scene.deposit().settled_at_once()).await;
    let [first, second, unsealed, changed] = [0, 1, 2, 3].map(|place: usize| open[place].id());
    let nothing = TransferId::try_new(9_999).unwrap();
    scene
        .intrude(&format!(
            "UPDATE book_main.transfers SET seal = NULL WHERE id = {unsealed}; \
             UPDATE book_main.transfers SET confirmed_by = 'x' WHERE id = {changed}"
        ))
        .await;
    let both = SealKeys::new([OTHER_KEY, KEY]);
    let url = scene.url.clone();
    let reseal = async |keys: &SealKeys, accepted: &[TransferId]| {
        let accepted = accepted.iter().map(|id| id.get()).collect();
        let audit = build::audit("transfer.reseal", "transfers");
        let done = reseal_open(&url, keys, &accepted, (audit, FixedClock::START));
        done.await.unwrap()
    };
    let expected = OpenSeals {
        resealed: vec![first.get(), second.get()],
        unsealed: vec![unsealed.get()],
        changed: vec![changed.get()],
        ..OpenSeals::default()
    };
    assert_eq!(reseal(&both, &[]).await, expected);
    assert_eq!(expected.left(), 2);
    // Whoever has looked at one of them says what becomes of that one.
    let expected = OpenSeals {
        accepted: vec![unsealed.get()],
        changed: vec![changed.get()],
        ..OpenSeals::default()
    };
    assert_eq!(reseal(&both, &[unsealed, first]).await, expected);
    let missing = reseal(&both, &[nothing]).await.missing;
    assert_eq!(missing, [nothing.get()]);

    let later = scene.store(&[OTHER_KEY]);
    for transfer in open.iter().take(3) {
        let found = later.find(transfer.id()).await.unwrap();
        assert_eq!(found.as_ref(), Some(transfer));
    }
    let found = later.find(changed).await;
    assert!(is_inconsistent(&found, "not configured"), "{found:?}");

    // Of what no configured key has sealed it can say no more.
    let nobodys = SealKeys::new([[9; 32]]);
    assert_eq!(reseal(&nobodys, &[]).await.unknown.len(), 4);
    assert_eq!(reseal(&nobodys, &[changed]).await.accepted, [changed.get()]);
    assert!(scene.store(&[[9; 32]]).find(changed).await.is_ok());
    // One key is enough to tell what was changed.
    let change = "UPDATE book_main.transfers SET confirmed_by = 'y' WHERE id";
    scene.intrude(&format!("{change} = {changed}")).await;
    assert_eq!(reseal(&nobodys, &[]).await.changed, [changed.get()]);
    let told = "SELECT after::text FROM directory.audit_log WHERE action = 'transfer.reseal' \
                ORDER BY after->'accepted'->>0 NULLS FIRST";
    let told = scene.fixture.texts(told).await;
    let expected = [
        format!(r#"{{"accepted":[],"resealed":[{first},{second}]}}"#),
        format!(r#"{{"accepted":[{unsealed}],"resealed":[]}}"#),
        format!(r#"{{"accepted":[{changed}],"resealed":[]}}"#),
    ];
    assert_eq!(told, expected);
}

/// A receiver may be away for days, and its callbacks wait for as long.
#[tokio::test]
async fn what_is_still_to_be_told_of_is_sealed_anew_before_a_key_leaves() {
    let mut scene = Scene::set().await;
    let store = scene.store(&[KEY]);
    let waits = commit(&store, scene.ended_and_told_of()).await;
    let told = commit(&store, scene.ended_and_told_of()).await.id();
    let unsealed = commit(&store, scene.ended_and_told_of()).await.id();
    scene
        .intrude(&format!(
            "UPDATE book_main.callbacks SET state = 'succeeded', next_attempt_at = NULL, \
             queued = false WHERE transfer_id = {told}; \
             UPDATE book_main.transfers SET seal = NULL WHERE id = {unsealed}"
        ))
        .await;
    let both = SealKeys::new([OTHER_KEY, KEY]);
    let audit = build::audit("transfer.reseal", "transfers");
    let nothing = BTreeSet::new();
    let done = reseal_open(&scene.url, &both, &nothing, (audit, FixedClock::START));
    let expected = OpenSeals {
        resealed: vec![waits.id().get()],
        unsealed: vec![unsealed.get()],
        ..OpenSeals::default()
    };
    assert_eq!(done.await.unwrap(), expected);
    assert_eq!(told_of(&scene, OTHER_KEY).await, [waits]);
}
