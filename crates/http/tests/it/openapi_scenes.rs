//! What must have happened before the examples of the document can be answers.

use bursar_app::OpenBreaker;
use bursar_domain::{AccountKey, Command, Entry, Kind, Operation, Status, Timestamp, Version};
use bursar_ports::{
    AccountBalance, AssetIntegrity, AssetSums, AuditRecord, CallbackAttempt, CallbackLag,
    CallbackRecord, CallbackState, Event, Happening, Holding, HostHealth, LedgerRecord, Permission,
    Statement, StatementAccount, Step, Volume, Volumes, Waiting, WaitingWork,
};
use bursar_testkit::build;
use uuid::Uuid;

use crate::{
    fakes::locked,
    operators::sign_in,
    world::{ALICE, ALICES, BOB, DEPOSIT, INTERNAL, NOW, OPERATOR, Sent, World},
};

/// Limits on withdrawals of btc.
const LIMITS: &str = r#"{"min_amount":"0.001","max_amount":"5","daily":"10","approval_above":"1"}"#;

/// Brings about what the examples speak of.
#[expect(
    clippy::too_many_lines,
    reason = "an arm for each operation that needs something"
)]
pub(crate) async fn prepare(world: &World, operation: &str) {
    match operation {
        "withdraw" | "reverseTransfer" => world.fund(ALICE, "btc", "3").await,
        "confirmWithdrawal" | "cancelWithdrawal" | "listQueue" | "takeTransfer"
        | "letTransferGo" => {
            world.fund(ALICE, "btc", "3").await;
            world.withdrawal(ALICE, "btc", "1").await;
        }
        "tellPayoutResult" => under_way(world).await,
        "listAccountHistory" | "listTransfers" => {
            let id = build::transfer_id(10_123);
            let new = build::new_transfer(id, &build::asset("usd", 2), 1_000_000, NOW);
            let new = bursar_domain::NewTransfer {
                note: Some("deposit 10.1 for copycat from Dad".to_owned()),
                root_rate: Some(bursar_domain::RootRate {
                    asset: build::asset_id("usd"),
                    scale: build::asset("usd", 2).scale,
                    rate: 1.into(),
                    source: None,
                    rated_at: None,
                }),
                ..new
            };
            let pending = World::listed(build::deposit(new, ALICE));
            let done = build::step(&pending, &Command::Settle, NOW);
            *locked(&world.query.transfers) = vec![World::listed(done)];
        }
        "listInternalTransfers" => {
            let id = build::transfer_id(1);
            let new = build::new_transfer(id, &build::asset("btc", 8), 1_000_000, NOW);
            let pending = World::listed(build::internal(new, ALICE, BOB));
            let done = build::step(&pending, &Command::Settle, NOW.plus_micros(5_000_000));
            *locked(&world.query.transfers) = vec![World::listed(done)];
        }
        "showInternalTransfer" => {
            world.fund(ALICE, "btc", "1").await;
            let body = format!(
                r#"{{"currency_code":"btc","amount":"0.01","recipient":"{BOB}","note":"Payment for services"}}"#
            );
            let sent = Sent::post(INTERNAL, &body).bearer(ALICES);
            world.send(sent.header("Prefer", "wait")).await.ok();
        }
        "listOwnBalances" | "listBalances" => {
            *locked(&world.query.user_balances) = vec![AccountBalance {
                account: AccountKey::user(ALICE, build::asset_id("btc")),
                available: 150_000_000,
                held: 50_000_000,
                updated_at: NOW,
            }];
        }
        "showStatement" => *locked(&world.query.statement) = statement(),
        "showIntegrity" => balance(world),
        "showOverview" => count(world),
        "listCallbackHosts" => fail_callbacks(world),
        "listAddressBook" | "removeAddress" => {
            let body = r#"{"code":"bob","recipient":"bob@example.com","label":"Rent"}"#;
            let sent = Sent::post("/address-book", body).bearer(ALICES);
            world.send(sent).await.ok();
        }
        "listCallbackSecrets" | "revokeCallbackSecret" => {
            let body = r#"{"subject":"settlement-robot"}"#;
            let sent = Sent::post("/admin/v1/callback-secrets", body).bearer(OPERATOR);
            world.send(sent).await.ok();
        }
        "searchTransfers" => {
            world.fund(ALICE, "btc", "1.5").await;
            let made = world.transfer(1).await.expect("it was just made");
            *locked(&world.query.transfers) = vec![made];
        }
        "listOperators" | "listOperatorSessions" | "endOperatorSession" => {
            sign_in(world, "anna").await;
        }
        "listEvents" => happen(world).await,
        "listCallbacks" | "showCallback" | "replayCallback" => give_up(world),
        "listAudit" => note(world),
        "showFees" => {
            let fees = r#"{"percent":"0.25","min":"0.0001"}"#;
            put(world, "/fees/withdrawal/btc", fees).await;
        }
        "showAssetLimits" => put(world, "/limits/withdrawal/btc", LIMITS).await,
        "showLimits" => {
            let limits = r#"{"daily":"100000","monthly":"1000000"}"#;
            put(world, "/limits/withdrawal", limits).await;
        }
        "showHeadroom" | "listOwnLimits" => {
            world.fund(ALICE, "btc", "3").await;
            world.withdrawal(ALICE, "btc", "1.5").await;
            put(world, "/limits/withdrawal/btc", LIMITS).await;
        }
        "listStops" | "resumeOutgoing" => {
            let why = r#"{"reason":"The hot wallet is being moved."}"#;
            put(world, "/stops/outgoing/btc", why).await;
        }
        "resumeEverything" => {
            put(world, "/stops/read-only", r#"{"reason":"A test."}"#).await;
        }
        "approveTransfer" | "rejectTransfer" => {
            put(world, "/limits/deposit/btc", r#"{"approval_above":"1"}"#).await;
            let write = [Permission::BackofficeWrite];
            world.put_token("bur_maker", "maker", None, &write);
            let body = format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":"3"}}"#);
            let sent = Sent::post(DEPOSIT, &body).bearer("bur_maker");
            world.send(sent).await.ok();
        }
        "showTransfer" => tell(world).await,
        _ => {}
    }
}

/// Books that are right.
fn balance(world: &World) {
    *locked(&world.integrity.books) = vec![AssetIntegrity {
        sums: AssetSums {
            asset: build::asset_id("btc"),
            sum: Some(0),
            holds: Some(0),
            entries: 4_211,
        },
        accounts: 0,
    }];
}

/// A day on which something happened.
fn count(world: &World) {
    let waiting = |count| Waiting {
        count,
        oldest: (count > 0).then_some(NOW),
    };
    *locked(&world.figures.waiting) = WaitingWork {
        withdrawals: waiting(3),
        approvals: waiting(1),
        dead_callbacks: waiting(0),
    };
    let today = Timestamp::parse("2021-04-09T00:00:00Z").expect("it is a time");
    *locked(&world.figures.volumes) = Volumes {
        rows: vec![Volume {
            asset: build::asset_id("btc"),
            kind: Kind::Deposit,
            start: today,
            count: 2,
            amount: Some(150_000_000),
        }],
        behind: 0,
    };
    *locked(&world.figures.lag) = CallbackLag {
        pending: 4,
        oldest_due: Some(NOW),
        sample: 480,
        p50_ms: Some(41),
        p95_ms: Some(310),
    };
}

/// A host that takes nothing.
fn fail_callbacks(world: &World) {
    *locked(&world.figures.hosts) = vec![HostHealth {
        host: "example.com:443".to_owned(),
        pending: 2,
        dead: 1,
        oldest_pending: Some(NOW),
        last_success: None,
        last_failure: Some(NOW),
        last_failure_outcome: Some("timeout".to_owned()),
    }];
    let probe_at = Some(NOW.plus_micros(60_000_000));
    let open = [("example.com:443".to_owned(), OpenBreaker { probe_at })];
    world.breakers_seen.tell(open.into());
}

/// Puts a rule.
async fn put(world: &World, path: &str, body: &str) {
    let path = format!("/admin/v1{path}");
    let answer = world.send(Sent::put(&path, body).bearer(OPERATOR)).await;
    assert!([200, 204].contains(&answer.status), "{}", answer.body);
}

/// A dead letter.
fn give_up(world: &World) {
    *locked(&world.callback_log.callbacks) = vec![CallbackRecord {
        id: Uuid::from_u128(0x019d_4e1c_7f00_7000_8000_0000_0000_0001),
        transfer: build::transfer_id(1),
        kind: Kind::Deposit,
        operation: Operation::Settle,
        url: "https://example.com/callbacks".to_owned(),
        status: Status::Completed,
        state: CallbackState::Dead,
        created_at: NOW,
        next_attempt_at: None,
        attempts: vec![CallbackAttempt {
            at: NOW.plus_micros(4_000),
            duration_ms: 41,
            http_status: Some(410),
            outcome: "answered".to_owned(),
        }],
    }];
}

/// A rate that was set for the first time.
fn note(world: &World) {
    *locked(&world.audit_log.records) = vec![AuditRecord {
        id: Uuid::from_u128(0x019d_4e1c_7f00_7000_8000_0000_0000_0003),
        at: NOW,
        actor: "settlement-robot".to_owned(),
        credential: "token:019d4e1c-7f00-7000-8000-000000000002".to_owned(),
        request_id: "4f1c2b7e9a6d4c0f8b3e5d7a1c9f2e60".to_owned(),
        address: "203.0.113.7".to_owned(),
        action: "rate.put".to_owned(),
        target: "rate:btc".to_owned(),
        before: None,
        after: Some(r#"{"rate":"50000"}"#.to_owned()),
    }];
}

/// A deposit, accepted and then settled.
async fn happen(world: &World) {
    world.fund(ALICE, "btc", "1.5").await;
    let transfer = world.transfer(1).await.expect("it was just made");
    let steps = [Status::Pending, Status::Completed].into_iter().zip(1..);
    let event = |(status, number)| Event {
        number,
        at: NOW,
        what: Happening::Step(Step {
            transfer: transfer.clone(),
            version: Version::FIRST,
            status,
            reversed: false,
        }),
    };
    *locked(&world.events.events) = steps.map(event).collect();
}

/// A deposit with its two ledger lines.
async fn tell(world: &World) {
    world.fund(ALICE, "btc", "1.5").await;
    let btc = build::asset_id("btc");
    let line = |account, units| Entry {
        account,
        seq: 1,
        transfer: build::transfer_id(1),
        available_delta: units,
        held_delta: 0,
        available_after: units,
        held_after: 0,
        at: NOW,
    };
    *locked(&world.query.entries) = vec![
        line(AccountKey::user(ALICE, btc), 150_000_000),
        line(AccountKey::world(btc), -150_000_000),
    ];
}

/// One deposit, and nothing before it.
fn statement() -> Statement {
    let btc = build::asset("btc", 8);
    let after = Holding {
        available: 150_000_000,
        held: 0,
    };
    Statement {
        accounts: vec![StatementAccount {
            asset: btc.id,
            opening: Holding::default(),
            closing: after,
            lines: 1,
        }],
        lines: vec![LedgerRecord {
            line: Entry {
                account: AccountKey::user(ALICE, btc.id),
                seq: 1,
                transfer: build::transfer_id(1),
                available_delta: after.available,
                held_delta: after.held,
                available_after: after.available,
                held_after: after.held,
                at: NOW,
            },
            scale: btc.scale,
            kind: Kind::Deposit,
            salt: None,
        }],
        next: None,
    }
}

/// A withdrawal that is being paid out.
async fn under_way(world: &World) {
    world.fund(ALICE, "btc", "3").await;
    world.payout(ALICE, "btc", "1").await;
}
