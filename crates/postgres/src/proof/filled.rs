//! A small book with transfers of every kind in every state, for tests.

use std::sync::Arc;

use bursar_domain::{
    ActorId, Asset, AuditDraft, Change, CodeSalt, Command, Commit, Kind, Limits, NewTransfer,
    PayoutRoute, Reason, Recipient, ReversalTerms, RootRate, Stage, Timestamp, Transfer,
    TransferId, Unit, User, UserId, UserStatus,
};
use bursar_ports::{
    Clock as _, CommitOutcome, Directory as _, Expected, PutRule, RuleBook as _, TransferStore as _,
};
use bursar_testkit::{FixedClock, SequentialIds, build};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};

use crate::{
    Database, EngineConfig, EngineTasks, PgDirectory, PgRuleBook, PgStore, PoolConfig, SealKeys,
    testing::TestDatabase,
};

pub(crate) const ALICE: UserId = build::user_id(1);
pub(crate) const BOB: UserId = build::user_id(2);
const CAROL: UserId = build::user_id(3);
const DAVE: UserId = build::user_id(4);

/// A database with a store on it.
pub(crate) struct Book {
    pub(crate) keys: SealKeys,
    pub(crate) database: Database,
    clock: Arc<FixedClock>,
    ids: SequentialIds,
    store: PgStore,
    directory: PgDirectory,
    _tasks: EngineTasks,
    test: TestDatabase,
}

impl Book {
    /// With users and assets, and nothing else.
    pub(crate) async fn empty() -> Self {
        Self::sealed_by(SealKeys::new([[7; 32]])).await
    }

    pub(crate) async fn sealed_by(keys: SealKeys) -> Self {
        let test = TestDatabase::create().await;
        let pool = PoolConfig::new(test.url());
        let database = Database::connect(pool.clone()).await.unwrap();
        let clock = Arc::new(FixedClock::default());
        let config = EngineConfig {
            seals: keys.clone(),
            ..EngineConfig::default()
        };
        let (store, tasks) = PgStore::start(&pool, database.clone(), &config, clock.clone());
        let directory = PgDirectory::new(database.clone(), clock.clone());
        for asset in ["btc", "eth"] {
            let _written = directory
                .put_asset(asset_of(asset), Expected::Anything, by_hand())
                .await
                .unwrap();
        }
        for user in [ALICE, BOB, CAROL, DAVE] {
            let _written = directory
                .put_user(build::user(user), by_hand())
                .await
                .unwrap();
        }
        Self {
            keys,
            database,
            clock,
            ids: SequentialIds::default(),
            store,
            directory,
            _tasks: tasks,
            test,
        }
    }

    /// The clock that everything is stamped with.
    pub(crate) fn clock(&self) -> &FixedClock {
        &self.clock
    }

    /// With everything that can happen to a transfer.
    pub(crate) async fn filled() -> Self {
        let book = Self::empty().await;
        for asset in ["btc", "eth"] {
            for user in [ALICE, BOB] {
                book.deposit(user, asset, 1_000_000).await;
            }
            book.open(build::deposit(book.draft(asset, 500), CAROL))
                .await;
            for end in [build::confirm(), build::cancel(), refused()] {
                let open = book.withdraw(ALICE, asset, 700).await;
                book.step(&open, &end).await;
            }
            book.withdraw(ALICE, asset, 900).await;
            book.withdraw(BOB, asset, 901).await;
            for (from, to) in [(ALICE, BOB), (BOB, CAROL), (CAROL, ALICE)] {
                let to = Recipient::Alias {
                    typed: "somebody".to_owned(),
                    user: to,
                };
                let salt = CodeSalt::new([9; 10]);
                let sent = Some("mine".to_owned());
                let paid = Transfer::internal(book.draft(asset, 1_234), from, to, salt, sent);
                let paid = book.open(paid.unwrap()).await;
                book.step(&paid, &Command::Settle).await;
            }
            book.open(build::internal(book.draft(asset, 5), BOB, ALICE))
                .await;
            // Carol cannot afford it.
            let poor = build::internal(book.draft(asset, 100_000_000), CAROL, BOB);
            let poor = book.open(poor).await;
            book.step(&poor, &Command::Settle).await;
        }
        let failed = build::deposit(book.draft("btc", 77), CAROL);
        let failed = book.open(failed).await;
        book.freeze(CAROL).await;
        book.step(&failed, &Command::Settle).await;
        book.oversee().await;
        book
    }

    /// With what operators decide: approvals, payouts by a gateway, and what is taken back.
    async fn oversee(&self) {
        let credit = build::deposit(self.draft("eth", 1_000_000), DAVE);
        let credit = self.open(credit.settled_at_once()).await;
        self.limit_unapproved(5_000).await;
        let large = build::deposit(self.draft("eth", 6_000), DAVE).settled_at_once();
        let waiting = self.open(large).await;
        assert_eq!(waiting.stage(), Some(Stage::Approval));
        let by = ActorId::new("reviewer");
        let digest = [5; 32];
        let approve = Command::Approve {
            by: by.clone(),
            digest,
            route: PayoutRoute::Manual,
        };
        let mut approved = None;
        for end in [None, Some(Command::Reject { by, digest }), Some(approve)] {
            let open = self.withdraw(DAVE, "eth", 7_000).await;
            let waiting = self.step(&open, &confirmed(PayoutRoute::Manual)).await;
            assert_eq!(waiting.stage(), Some(Stage::Approval));
            if let Some(end) = end {
                approved = Some(self.step(&waiting, &end).await);
            }
        }
        for end in [None, Some(Command::PaidOut), Some(refused())] {
            let open = self.withdraw(DAVE, "eth", 800).await;
            let paying = self.step(&open, &confirmed(PayoutRoute::Gateway)).await;
            assert_eq!(paying.stage(), Some(Stage::Payout));
            if let Some(end) = end {
                self.step(&paying, &end).await;
            }
        }
        let paid = build::internal(self.draft("eth", 1_000), DAVE, BOB);
        let paid = self.open(paid.settled_at_once()).await;
        let taken_back = [(&credit, Some(500)), (&credit, Some(70)), (&paid, None)];
        let approved = approved.unwrap();
        for (original, units) in taken_back.into_iter().chain([(&approved, None)]) {
            self.reverse(original.id(), units).await;
        }
    }

    /// Larger deposits and withdrawals of eth need a second operator from now on.
    async fn limit_unapproved(&self, units: i128) {
        let limits = Limits {
            approval_above: Some(build::amount(units)),
            ..Limits::default()
        };
        for kind in [Kind::Deposit, Kind::Withdrawal] {
            self.limit(kind, Some("eth"), limits).await;
        }
    }

    /// Limits transfers of an asset, or of all of them.
    pub(crate) async fn limit(&self, kind: Kind, asset: Option<&str>, limits: Limits) {
        let rule_book = PgRuleBook::new(self.database.clone(), self.clock.clone());
        let asset = asset.map(asset_of);
        let unit = asset.as_ref().map_or_else(root, Asset::unit);
        let asset = asset.map(|asset| asset.id);
        let put = rule_book.put_limits(kind, asset, limits, unit, Expected::Anything, by_hand());
        assert_eq!(put.await.unwrap(), PutRule::Written);
    }

    /// Sends a payment that is not settled yet.
    pub(crate) async fn pay_later(
        &self,
        from: UserId,
        to: UserId,
        asset: &str,
        units: i128,
    ) -> Transfer {
        self.open(build::internal(self.draft(asset, units), from, to))
            .await
    }

    /// Sends a payment that is settled at once.
    pub(crate) async fn pay(&self, from: UserId, to: UserId, asset: &str, units: i128) {
        let payment = build::internal(self.draft(asset, units), from, to);
        self.open(payment.settled_at_once()).await;
    }

    /// Takes a transfer back as it is now, and returns the fee too.
    async fn reverse(&self, id: TransferId, units: Option<i128>) {
        let original = self.store.find(id).await.unwrap().unwrap();
        let terms = ReversalTerms {
            covers: units.map(build::amount),
            returns_fee: true,
            salt: CodeSalt::new([8; 10]),
        };
        let change = original.reversal(self.draft("eth", 1), terms).unwrap();
        self.open(change).await;
    }

    pub(crate) fn url(&self) -> &str {
        self.test.url()
    }

    /// A connection past the store, as a superuser whom no trigger stops.
    pub(crate) async fn sabotage(&self, statements: &str) {
        let mut connection = AsyncPgConnection::establish(self.url()).await.unwrap();
        let unhindered = format!("SET session_replication_role = replica; {statements}");
        if let Err(error) = connection.batch_execute(&unhindered).await {
            panic!("{error}: {statements}");
        }
    }

    pub(crate) async fn deposit(&self, user: UserId, asset: &str, units: i128) {
        let pending = self
            .open(build::deposit(self.draft(asset, units), user))
            .await;
        self.step(&pending, &Command::Settle).await;
    }

    pub(crate) async fn withdraw(&self, user: UserId, asset: &str, units: i128) -> Transfer {
        self.open(build::withdrawal(self.draft(asset, units), user))
            .await
    }

    pub(crate) async fn step(&self, transfer: &Transfer, command: &Command) -> Transfer {
        self.clock.advance_ms(7);
        let change = build::step(transfer, command, self.clock.now());
        self.open(change).await
    }

    async fn freeze(&self, user: UserId) {
        let frozen = User {
            status: UserStatus::Frozen,
            ..build::user(user)
        };
        let _written = self.directory.put_user(frozen, by_hand()).await.unwrap();
    }

    fn draft(&self, asset: &str, units: i128) -> NewTransfer {
        let (asset, root) = (asset_of(asset), root());
        NewTransfer {
            fee: build::amount(3),
            note: Some("a note".to_owned()),
            callback_url: Some("https://example.com/".to_owned()),
            root_rate: Some(RootRate {
                asset: root.asset,
                scale: root.scale,
                rate: "1.25".parse().unwrap(),
                source: Some("desk".to_owned()),
                rated_at: Some(self.clock.now()),
            }),
            ..build::new_transfer(self.ids.transfer(), &asset, units, self.clock.now())
        }
    }

    async fn open(&self, change: Change) -> Transfer {
        self.clock.advance_ms(11);
        let outcomes = self.store.commit(vec![Commit::new(change)]).await.unwrap();
        let [CommitOutcome::Committed(transfer)] = &outcomes[..] else {
            panic!("{outcomes:?}");
        };
        (**transfer).clone()
    }
}

fn asset_of(id: &str) -> Asset {
    build::asset(id, if id == "btc" { 8 } else { 18 })
}

/// In which values are told.
fn root() -> Unit {
    build::asset("usd", 2).unit()
}

fn by_hand() -> AuditDraft {
    build::audit("book.fill", "book")
}

fn confirmed(route: PayoutRoute) -> Command {
    Command::Confirm {
        by: ActorId::new("confirmer"),
        callback_url: Some("https://example.com/confirmed".to_owned()),
        route,
        approval_expires_at: Some(Timestamp::from_micros(4_000_000_000_000_000)),
    }
}

fn refused() -> Command {
    build::fail(Reason::PayoutRefused)
}
