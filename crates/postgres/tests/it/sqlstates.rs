//! What PostgreSQL may say, where it may say it, and what the engine makes of it.
//!
//! | said | what it proves | once | every time |
//! |---|---|---|---|
//! | where a connection begins | nothing was executed | the next one is asked | not executed |
//! | to a statement before COMMIT, whatever it says | nothing is committed | it is executed again | not executed |
//! | to COMMIT, whatever it says, or nothing | nothing | it is executed again under the same ids: done or found done | the outcome is unknown |
//!
//! The driver tells only some SQLSTATEs from others, so the engine goes by the place. Of those it
//! tells, 40001 and lost connections are worth three repetitions, everything else one.

use bursar_domain::Commit;
use bursar_ports::{CommitOutcome, StoreError, TransferStore as _};
use bursar_postgres::{EngineKind, testing::WireFault};
use bursar_testkit::build;

use crate::{lost_answers::Stage, support::PATIENCE};

/// Serialization failure, deadlock, lock timeout, cancelled, read-only, out of memory, too many
/// connections, a key that is there, a check, and what nobody expects.
const BEFORE_COMMIT: [&str; 10] = [
    "40001", "40P01", "55P03", "57014", "25006", "53200", "53300", "23505", "23514", "XX000",
];
/// The connection is lost in five ways, the outcome is unknown by the server's own words, cancelled
/// while it waits for a standby, and what cannot be.
const AT_COMMIT: [&str; 9] = [
    "08006", "08003", "08007", "57P01", "57P02", "40003", "57014", "40001", "XX000",
];
/// Too many connections, starting up, shutting down, and a password that is wrong by now.
const AT_CONNECT: [&str; 4] = ["53300", "57P03", "57P01", "28P01"];

/// Where a batch is at work: its keys are claimed first and its transfers written last.
const TABLES: [&str; 2] = ["idempotency_keys", "transfers"];

/// Makes the server raise; `tried` counts, and is not taken back with the transaction.
const TROUBLE: &str = "
    CREATE SEQUENCE public.tried;
    CREATE FUNCTION public.trouble() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('public.tried') <= TG_ARGV[1]::bigint THEN
            IF TG_ARGV[0] = 'killed' THEN
                PERFORM pg_terminate_backend(pg_backend_pid());
            ELSE
                RAISE EXCEPTION 'told to' USING ERRCODE = TG_ARGV[0];
            END IF;
        END IF;
        RETURN NEW;
    END $$;
    GRANT USAGE ON SEQUENCE public.tried TO PUBLIC";

impl Stage {
    async fn run(&self, sql: &str) {
        self.admin.batch_execute(sql).await.unwrap();
    }

    /// The server raises this the next so many times that a row is written there.
    async fn raise(&self, table: &str, state: &str, times: i64) {
        self.run(&format!(
            "ALTER SEQUENCE public.tried RESTART;
             CREATE TRIGGER a_trouble BEFORE INSERT ON book_main.{table} FOR EACH ROW
             EXECUTE FUNCTION public.trouble('{state}', '{times}')"
        ))
        .await;
    }

    async fn calm(&self, table: &str) {
        self.run(&format!("DROP TRIGGER a_trouble ON book_main.{table}"))
            .await;
    }

    /// A payment of one unit under a key.
    fn keyed(&self, cell: &str) -> Commit {
        build::keyed(
            self.payment(1),
            build::claim("sender", "pay", &key(cell), &[]),
        )
    }

    async fn pay(&self, cell: &str) -> Result<CommitOutcome, StoreError> {
        let mut outcomes = self.store.commit(vec![self.keyed(cell)]).await?;
        Ok(outcomes.pop().unwrap())
    }

    /// The same by who holds the book: what strikes a single writer's hold on it costs it the book for
    /// a moment, in which nothing is paid.
    async fn pay_with_the_book(&self, cell: &str) -> Result<CommitOutcome, StoreError> {
        let paying = async {
            loop {
                match self.pay(cell).await {
                    Err(error) if is_without_the_book(&error) => {
                        tokio::task::yield_now().await;
                    }
                    outcome => return outcome,
                }
            }
        };
        tokio::time::timeout(PATIENCE, paying)
            .await
            .expect("the book is held again")
    }

    /// The payment is made, and `paid` counts it.
    async fn assert_paid(&self, paid: &mut i64, cell: &str) {
        let outcome = self.pay_with_the_book(cell).await;
        assert!(
            matches!(outcome, Ok(CommitOutcome::Committed(_))),
            "{cell}: {outcome:?}"
        );
        *paid += 1;
        self.assert_only(*paid, cell).await;
    }

    /// The payment is refused, and nothing of it is there.
    async fn assert_not_executed(&self, paid: i64, cell: &str) {
        let outcome = self.pay(cell).await;
        assert!(
            matches!(
                outcome,
                Err(StoreError::Unavailable(_) | StoreError::Standby)
            ),
            "{cell}: {outcome:?}"
        );
        self.assert_only(paid, cell).await;
        assert!(!self.is_bound(cell).await, "{cell}: the key is bound");
    }

    async fn is_bound(&self, cell: &str) -> bool {
        let claim = build::claim("sender", "pay", &key(cell), &[]);
        let stored = self.store.find_key(claim.scope, claim.key).await;
        stored.unwrap().is_some()
    }

    /// So many payments were made, each of one unit.
    async fn assert_only(&self, paid: i64, cell: &str) {
        let wanted = (paid.to_string(), paid, paid + 1);
        assert_eq!(self.outcome().await, wanted, "{cell}");
    }
}

/// Whether a single writer did nothing because it does not hold the book, or not again yet.
fn is_without_the_book(error: &StoreError) -> bool {
    match error {
        StoreError::Standby => true,
        StoreError::Unavailable(cause) => cause.to_string().contains("the book is not held yet"),
        StoreError::Overloaded
        | StoreError::OutcomeUnknown(_)
        | StoreError::Inconsistent { .. } => false,
    }
}

/// A key that tells of a cell.
fn key(cell: &str) -> String {
    cell.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

async fn what_is_said_before_commit_means_that_nothing_happened(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    stage.run(TROUBLE).await;
    let mut paid = 1;
    for table in TABLES {
        for state in BEFORE_COMMIT.into_iter().chain(["killed"]) {
            stage.raise(table, state, 1).await;
            stage
                .assert_paid(&mut paid, &format!("{table} {state} once"))
                .await;
            stage.calm(table).await;
            stage.raise(table, state, 1_000).await;
            let cell = format!("{table} {state} always");
            stage.assert_not_executed(paid, &cell).await;
            stage.calm(table).await;
        }
    }
}

async fn what_is_said_to_commit_says_nothing(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    let mut paid = 1;
    for state in AT_COMMIT {
        for fault in [
            WireFault::AnswerCommit(state),
            WireFault::RefuseCommit(state),
        ] {
            let struck = stage.proxy.struck();
            stage.proxy.arm(fault, 1);
            stage.assert_paid(&mut paid, &format!("{fault:?}")).await;
            assert_eq!(stage.proxy.struck(), struck + 1, "{fault:?}");
        }
    }
    for round in 0..10 {
        stage.proxy.arm(WireFault::LoseCommit, 1);
        stage.assert_paid(&mut paid, &format!("lost {round}")).await;
    }
}

/// It happened, it is said to have been ended, and then there is no database any more: whoever says
/// that nothing happened is wrong.
async fn what_cannot_be_found_out_is_unknown(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    stage
        .proxy
        .point_to("postgres://nobody@127.0.0.1:1/nothing");
    stage.proxy.arm(WireFault::AnswerCommit("57P01"), 1);
    let outcome = stage.pay("gone").await;
    assert!(
        matches!(outcome, Err(StoreError::OutcomeUnknown(_))),
        "{outcome:?}"
    );
    // Asked again, it tells of the first.
    stage.proxy.point_to(stage.database.url());
    let outcome = stage.pay_with_the_book("gone").await;
    assert!(
        matches!(outcome, Ok(CommitOutcome::Replayed { .. })),
        "{outcome:?}"
    );
    stage.assert_only(2, "gone").await;
}

async fn a_commit_that_never_arrives_is_unknown(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    stage.proxy.arm(WireFault::LoseCommit, usize::MAX);
    let outcome = stage.pay("lost").await;
    assert!(
        matches!(outcome, Err(StoreError::OutcomeUnknown(_))),
        "{outcome:?}"
    );
    stage.proxy.disarm();
    let mut paid = 1;
    stage.assert_paid(&mut paid, "lost").await;
}

async fn a_connection_that_is_refused_means_that_nothing_happened(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    let mut paid = 1;
    for state in AT_CONNECT {
        let fault = WireFault::RefuseConnection(state);
        stage.proxy.arm(fault, usize::MAX);
        stage.proxy.hang_up();
        let refused = format!("{state} refused");
        stage.assert_not_executed(paid, &refused).await;
        stage.proxy.disarm();
        stage
            .assert_paid(&mut paid, &format!("{state} again"))
            .await;
    }
}

/// A batch whose connection is refused asks for the next one.
async fn a_connection_that_is_refused_once_costs_nobody_anything(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    let mut paid = 1;
    for state in AT_CONNECT {
        stage.proxy.arm(WireFault::RefuseConnection(state), 1);
        stage.proxy.hang_up();
        stage.assert_paid(&mut paid, &format!("{state} once")).await;
    }
    assert_eq!(stage.proxy.struck(), AT_CONNECT.len());
}

/// The connection ends within every message of the server's answers to a payment, at one byte of a
/// few, wherever the first is.
async fn a_connection_may_end_at_any_byte(kind: EngineKind) {
    /// More than is said of one payment.
    const ANSWERS: u64 = 1_600;
    const STRIDE: u64 = 11;
    let stage = Stage::set(kind).await;
    let mut paid = 1;
    let mut cut = rand::random_range(0..STRIDE);
    while cut < ANSWERS {
        stage.proxy.cut_after(cut);
        stage
            .assert_paid(&mut paid, &format!("cut after {cut} bytes"))
            .await;
        cut += STRIDE;
    }
    assert!(stage.proxy.struck() > 20, "hardly any connection was cut");
}

crate::support::with_both_engines!(
    "multi_thread" what_is_said_before_commit_means_that_nothing_happened,
    "multi_thread" what_is_said_to_commit_says_nothing,
    "multi_thread" what_cannot_be_found_out_is_unknown,
    "multi_thread" a_commit_that_never_arrives_is_unknown,
    "multi_thread" a_connection_that_is_refused_means_that_nothing_happened,
    "multi_thread" a_connection_that_is_refused_once_costs_nobody_anything,
    "multi_thread" a_connection_may_end_at_any_byte,
);
