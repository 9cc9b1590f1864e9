//! The answer to COMMIT gets lost: the engine finds out what is true by trying again.

use std::sync::Arc;

use bursar_domain::{
    Asset, Bulk, BulkClaim, BulkMode, Change, Commit, ItemResult, NewTransfer, Reason, Status,
    Transfer, TransferId, UserId,
};
use bursar_ports::{
    AddressBook as _, AddressBookEntry, BulkOutcome, CommitOutcome, IdSource as _, StoreError,
    TransferStore,
};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, PgAddressBook, PgIds, PgStore,
    testing::{TestDatabase, WireFault, WireProxy},
};
use bursar_testkit::{FixedClock, SequentialIds, build};

use crate::support::{at, client, patient, patient_engine, until_ready, user_id, with_usd};

/// How many payments lose the answer to their COMMIT, unless `BURSAR_LOST_ROUNDS` says how many; every
/// third of them loses two.
const ROUNDS: i64 = 110;
/// What the one who pays has at first.
const FUNDS: i128 = 100_000;

fn rounds() -> i64 {
    std::env::var("BURSAR_LOST_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap())
}

/// A store behind the proxy, and two users, the first of whom has money.
pub(crate) struct Stage {
    pub(crate) store: PgStore,
    pub(crate) proxy: WireProxy,
    pub(crate) admin: tokio_postgres::Client,
    asset: Asset,
    ids: SequentialIds,
    sender: UserId,
    recipient: UserId,
    // Last: nothing may use it when it is dropped.
    pub(crate) database: TestDatabase,
}

impl Stage {
    pub(crate) async fn set(kind: EngineKind) -> Self {
        let database = TestDatabase::create().await;
        let proxy = WireProxy::start(database.url()).await;
        let admin = with_usd(&database).await;
        let asset = build::asset("usd", 2);

        let clock = Arc::new(FixedClock::default());
        let ids = SequentialIds::default();
        let direct = Database::connect(patient(database.url())).await.unwrap();
        // One batcher, connected by the first deposit: what is eaten is the answer to money's
        // COMMIT.
        let config = EngineConfig {
            kind,
            batchers: 1,
            ..patient_engine()
        };
        let pool = patient(&proxy.url(database.url()));
        let (store, _tasks) = PgStore::start(&pool, direct, &config, clock);
        until_ready(&store).await;
        let (sender, recipient) = (ids.user(), ids.user());
        let stage = Self {
            store,
            proxy,
            admin,
            asset,
            ids,
            sender,
            recipient,
            database,
        };
        let fund = build::deposit(stage.transfer(FUNDS), sender).settled_at_once();
        committed(&stage.store, Commit::new(fund)).await;
        // Both have an account before anything is eaten.
        committed(&stage.store, Commit::new(stage.payment(1))).await;
        stage
    }

    fn transfer(&self, units: i128) -> NewTransfer {
        let id = self.ids.transfer();
        build::new_transfer(id, &self.asset, units, FixedClock::START)
    }

    pub(crate) fn payment(&self, units: i128) -> Change {
        build::internal(self.transfer(units), self.sender, self.recipient).settled_at_once()
    }

    /// Eats the answers to the next commits; asserts afterwards that it did.
    async fn eating<T>(&self, answers: usize, work: impl Future<Output = T>) -> T {
        let eaten = self.proxy.struck();
        self.proxy.arm(WireFault::LoseAnswer, answers);
        let done = work.await;
        let eaten = self.proxy.struck() - eaten;
        assert_eq!(eaten, answers, "answers that were lost");
        done
    }

    /// What the recipient has, the number of its entries, and of all transfers.
    pub(crate) async fn outcome(&self) -> (String, i64, i64) {
        let row = self
            .admin
            .query_one(
                "SELECT a.available::text, a.seq, (SELECT count(*) FROM book_main.transfers) \
                 FROM book_main.accounts a WHERE a.owner = $1::text::uuid",
                &[&self.recipient.to_string()],
            )
            .await
            .unwrap();
        (row.get(0), row.get(1), row.get(2))
    }
}

async fn what_was_committed_without_an_answer_is_found_out_and_not_done_twice(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    let rounds = rounds();
    for round in 0..rounds {
        let payment = stage.payment(1);
        let commit = if round % 2 == 0 {
            Commit::new(payment)
        } else {
            let claim = build::claim("sender", "pay", &format!("key-{round}"), &[]);
            build::keyed(payment, claim)
        };
        // Sometimes an answer to the second try gets lost as well.
        let lost = committed(&stage.store, commit);
        stage.eating(usize::from(round % 3 == 2) + 1, lost).await;
    }
    assert_eq!(
        stage.outcome().await,
        ((rounds + 1).to_string(), rounds + 1, rounds + 2)
    );
    println!("{kind:?}: {} answers to COMMIT lost", stage.proxy.struck());
}

/// Each way a bulk can come out, with its answer lost and nothing done twice.
async fn a_bulk_without_an_answer_is_found_out_and_not_done_twice(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    let mut paid = 1;
    for round in 0..12 {
        let mode = if round % 2 == 0 {
            BulkMode::Independent
        } else {
            BulkMode::Atomic
        };
        let changes: Vec<Change> = (0..5).map(|_| stage.payment(2)).collect();
        let has_key = round % 4 < 2;
        let idempotency = has_key.then(|| claim_on(&format!("key-{round}"), &changes));
        let bulk = Bulk {
            changes,
            mode,
            unable_max: None,
            idempotency,
        };
        let ids: Vec<TransferId> = bulk.changes.iter().map(|change| change.next.id()).collect();
        let lost = stage.store.commit_bulk(bulk);
        let outcome = stage.eating(1 + round % 3 / 2, lost).await;
        let Ok(BulkOutcome::Committed(transfers)) = outcome else {
            panic!("round {round}: {outcome:?}");
        };
        let made: Vec<TransferId> = transfers.iter().map(Transfer::id).collect();
        assert_eq!(made, ids);
        assert!(transfers.iter().all(|t| t.status() == Status::Success));
        paid += 10;
    }
    // The refusal of an atomic bulk is committed with its key, and its answer lost too.
    let changes = vec![stage.payment(1), stage.payment(FUNDS)];
    let bulk = Bulk {
        idempotency: Some(claim_on("refused", &changes)),
        changes,
        mode: BulkMode::Atomic,
        unable_max: None,
    };
    let refused = stage.eating(1, stage.store.commit_bulk(bulk)).await;
    let told = BulkOutcome::Refused {
        reasons: vec![None, Some(Reason::BalanceInsufficient)],
        recipients_unable: 0,
    };
    assert_eq!(refused.unwrap(), told);
    assert_eq!(stage.outcome().await, (paid.to_string(), 61, 62));
}

/// Nothing like the engine tries a change of the directory again: whoever asked for it has to look.
#[tokio::test]
async fn a_change_whose_commit_fails_is_in_doubt_and_what_only_prepares_one_is_not() {
    let database = TestDatabase::create().await;
    let proxy = WireProxy::start(database.url()).await;
    let admin = client(database.url()).await;
    // A pool of its own for each, which holds no connection that has been ended before.
    let through = async || {
        let pool = patient(&proxy.url(database.url()));
        Database::connect(pool).await.unwrap()
    };
    let entry = |code: &str| AddressBookEntry {
        user: user_id(1),
        code: code.to_owned(),
        recipient: "bob@example.com".to_owned(),
        label: None,
        created_at: at(1),
    };
    // What was said, and whether the entry is there.
    let add = async |code: &str, fault: Option<WireFault>| {
        let book = PgAddressBook::new(through().await);
        if let Some(fault) = fault {
            proxy.arm(fault, 1);
        }
        let said = book.add(entry(code), 10).await;
        let find = "SELECT FROM directory.address_book WHERE code = $1";
        let found = admin.query(find, &[&code]).await.unwrap();
        (said, !found.is_empty())
    };
    for (code, fault, happens) in [
        ("a", WireFault::LoseAnswer, true),
        ("b", WireFault::LoseCommit, false),
        ("c", WireFault::AnswerCommit("57P01"), true),
        ("d", WireFault::RefuseCommit("XX000"), false),
    ] {
        let (said, there) = add(code, Some(fault)).await;
        let in_doubt = matches!(said, Err(StoreError::OutcomeUnknown(_)));
        assert!(in_doubt, "{fault:?}: {said:?}");
        assert_eq!(there, happens, "{fault:?}");
    }
    let book = PgAddressBook::new(through().await);
    proxy.arm(WireFault::LoseAnswer, 1);
    let removed = book.remove(user_id(1), "a".to_owned()).await;
    let in_doubt = matches!(removed, Err(StoreError::OutcomeUnknown(_)));
    assert!(in_doubt, "{removed:?}");
    assert_eq!(proxy.struck(), 5);

    let ids = PgIds::new(through().await);
    proxy.arm(WireFault::LoseAnswer, 1);
    let id = ids.next_transfer_id().await;
    assert!(matches!(id, Err(StoreError::Unavailable(_))), "{id:?}");
    assert_eq!(proxy.struck(), 6);

    // Before COMMIT nothing is in doubt.
    admin
        .batch_execute("ALTER TABLE directory.address_book ADD CHECK (code <> 'never')")
        .await
        .unwrap();
    let (said, there) = add("never", None).await;
    assert!(matches!(said, Err(StoreError::Unavailable(_))), "{said:?}");
    assert!(!there);
}

fn claim_on(key: &str, changes: &[Change]) -> BulkClaim {
    let made = changes.iter().map(|change| change.next.id());
    BulkClaim {
        claim: build::claim("sender", "bulk", key, &[]),
        results: made.map(ItemResult::Made).collect(),
    }
}

async fn committed(store: &PgStore, commit: Commit) {
    let id = commit.change.next.id();
    let outcome = store.commit(vec![commit]).await.unwrap().pop().unwrap();
    let CommitOutcome::Committed(transfer) = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(transfer.id(), id);
    assert!(matches!(
        transfer.status(),
        Status::Success | Status::Completed
    ));
}

crate::support::with_both_engines!(
    "multi_thread" what_was_committed_without_an_answer_is_found_out_and_not_done_twice,
    "multi_thread" a_bulk_without_an_answer_is_found_out_and_not_done_twice,
);
