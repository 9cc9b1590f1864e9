//! A world in which there is something of everything, written by hostile hands.

use bursar_domain::{
    AccountKey, ActorId, Entry, FeeSchedule, Kind, Limits, Operation, Owner, Percent, Rules,
    Status, Timestamp,
};
use bursar_ports::{
    AccessKey, AccountBalance, AssetIntegrity, AssetRate, AssetSums, AuditRecord, CallbackAttempt,
    CallbackRecord, CallbackState, HostHealth, Permission, RuleBook, SealedSecret, Stop, StopScope,
    Token, TokenHash, Volume, Volumes, Waiting,
};
use bursar_testkit::{build, fakes::locked};
use uuid::Uuid;

use crate::world::{ALICE, BOB, NOW, World};

/// What hostile users and operators would write.
const HOSTILE: &str = "<script>alert(1)</script>\"' onx=1 & =1+1";

/// A world in which there is something of everything, written by hostile hands.
pub(crate) async fn crowded() -> World {
    let world = World::new();
    for (id, name) in [(ALICE, "alice"), (BOB, HOSTILE)] {
        world.put_user(id, name);
    }
    world.fund(ALICE, "btc", "1000000").await;
    world.fund(BOB, "eth", "1234567.123456789012345678").await;
    world.second_operator_above(Kind::Withdrawal, "btc", 300_000_000);
    let mut transfers = vec![];
    for number in 1..=60 {
        let amount = format!("{number}.12345678");
        let (user, asset) = if number % 2 == 0 {
            (ALICE, "btc")
        } else {
            (BOB, "eth")
        };
        let id = world
            .withdrawal_noted(user, asset, &amount, Some(HOSTILE))
            .await;
        if number % 4 == 0 {
            world.confirm("carla", id).await;
        }
        transfers.push(world.transfer(id).await);
    }
    let many: Vec<_> = transfers.iter().cycle().take(200).cloned().collect();
    world.listed(many);
    let shown = transfers.get(3).expect("there are sixty").clone();
    let line = |held: i128, after| Entry {
        account: AccountKey::user(ALICE, build::asset_id("btc")),
        seq: 2,
        transfer: shown.id(),
        available_delta: -held,
        held_delta: held,
        available_after: after,
        held_after: held,
        at: NOW,
    };
    *locked(&world.query.entries) = vec![line(412_345_678, 99_999_587_654_322)];
    *locked(&world.callback_log.callbacks) = callbacks(50);
    *locked(&world.audit_log.records) = audits(50);
    *locked(&world.figures.volumes) = volumes();
    locked(&world.figures.waiting).withdrawals = Waiting {
        count: 10_000,
        oldest: Some(NOW.plus_micros(-11_520_000_000)),
    };
    *locked(&world.figures.hosts) = hosts(500);
    list_assets(&world);
    rule(&world).await;
    world.signed_in("carla", HOSTILE).await;
    issue_credentials(&world);
    world
}

fn hosts(count: u32) -> Vec<HostHealth> {
    let one = |number| HostHealth {
        host: format!("{HOSTILE}{number}"),
        pending: 3,
        dead: 1,
        oldest_pending: Some(NOW.plus_micros(-60_000_000)),
        last_success: None,
        last_failure: Some(NOW),
        last_failure_outcome: Some("timeout".to_owned()),
    };
    (1..=count).map(one).collect()
}

/// The ids of the assets of a large exchange.
fn asset_ids() -> Vec<String> {
    (3..200).map(|number| format!("asset-{number}")).collect()
}

/// Many assets, of each of which somebody has something and whose books are wrong.
fn list_assets(world: &World) {
    let (mut books, mut of_user, mut of_system) = (vec![], vec![], vec![]);
    for id in asset_ids().iter().map(String::as_str).chain(["btc", "eth"]) {
        let asset = build::asset_id(id);
        let known = locked(&world.directory.assets).contains_key(&asset);
        if !known {
            let mut made = build::asset(id, 8);
            HOSTILE.clone_into(&mut made.name);
            locked(&world.directory.assets).insert(asset, made);
        }
        let rate = AssetRate {
            rate: 50_000.into(),
            source: HOSTILE.to_owned(),
            rated_at: NOW,
        };
        locked(&world.directory.rates).insert(asset, rate);
        books.push(AssetIntegrity {
            sums: AssetSums {
                asset,
                sum: Some(-1),
                holds: Some(0),
                entries: 1_234_567,
            },
            accounts: 1,
        });
        let holds = |account| AccountBalance {
            account,
            available: 123_456_789_012,
            held: 25_000_000,
            updated_at: NOW,
        };
        of_user.push(holds(AccountKey::user(BOB, asset)));
        for owner in [Owner::Fees, Owner::World] {
            of_system.push(holds(AccountKey { owner, asset }));
        }
    }
    *locked(&world.integrity.books) = books;
    *locked(&world.query.user_balances) = of_user;
    *locked(&world.query.system_balances) = of_system;
}

/// Every asset costs something in every way, is limited and stopped.
async fn rule(world: &World) {
    let assets: Vec<_> = asset_ids().iter().map(|id| build::asset_id(id)).collect();
    world.rule_book.put(|rules: &mut Rules| {
        let some = Some(build::amount(1_234_567_890));
        for (kind, asset) in assets
            .iter()
            .flat_map(|asset| Kind::ALL.map(|kind| (kind, *asset)))
        {
            let schedule = FeeSchedule {
                percent: Percent::ZERO,
                min: build::amount(10_000),
                max: some,
                absolute: build::amount(20_000),
            };
            rules.fees.insert((kind, asset), schedule);
            let limits = Limits {
                min_amount: some,
                max_amount: some,
                daily: some.filter(|_| kind != Kind::Deposit),
                monthly: some.filter(|_| kind != Kind::Deposit),
                approval_above: some.filter(|_| kind != Kind::Internal),
            };
            rules.limits.insert((kind, Some(asset)), limits);
        }
    });
    for asset in assets {
        let stop = Stop {
            scope: StopScope::Outgoing(asset),
            reason: HOSTILE.repeat(5),
            stopped_by: ActorId::new(HOSTILE),
            stopped_at: NOW,
        };
        let audit = build::audit("stop.put", "stop:outgoing");
        let stopped = world.rule_book.stop(stop, audit).await;
        stopped.expect("the rule book answers");
    }
}

/// Many keys and tokens of one user, who may do everything.
fn issue_credentials(world: &World) {
    for number in 1..=100_u128 {
        locked(&world.credentials.tokens).push(Token {
            id: Uuid::from_u128(number),
            hash: TokenHash([0; 32]),
            subject: HOSTILE.to_owned(),
            user: Some(BOB),
            permissions: Permission::ALL.to_vec(),
            created_at: NOW,
            expires_at: NOW,
            revoked_at: None,
        });
        locked(&world.credentials.keys).push(AccessKey {
            access_key: format!("BAK{number:029}"),
            secret: SealedSecret {
                key_id: "k1".to_owned(),
                bytes: vec![],
            },
            user: BOB,
            permissions: Permission::ALL.to_vec(),
            allowed_ips: vec![],
            requests_per_minute: None,
            created_at: NOW,
            revoked_at: None,
        });
    }
}

pub(crate) fn callbacks(count: u128) -> Vec<CallbackRecord> {
    let attempt = CallbackAttempt {
        at: NOW,
        duration_ms: 12,
        http_status: Some(500),
        outcome: "answered".to_owned(),
    };
    let one = |number| CallbackRecord {
        id: Uuid::from_u128(number),
        transfer: build::transfer_id(1),
        kind: Kind::Withdrawal,
        operation: Operation::Settle,
        url: format!("https://example.com/{HOSTILE}"),
        status: Status::Completed,
        state: CallbackState::Dead,
        created_at: NOW,
        next_attempt_at: None,
        attempts: vec![attempt.clone(); 8],
    };
    (1..=count).map(one).collect()
}

pub(crate) fn audits(count: u128) -> Vec<AuditRecord> {
    let one = |number| AuditRecord {
        id: Uuid::from_u128(number),
        at: NOW,
        actor: HOSTILE.to_owned(),
        credential: "session:1".to_owned(),
        request_id: HOSTILE.to_owned(),
        address: "192.0.2.1".to_owned(),
        action: "withdrawal.confirm".to_owned(),
        target: "transfer:1".to_owned(),
        before: Some("{\"version\":1}".to_owned()),
        after: None,
    };
    (1..=count).map(one).collect()
}

fn volumes() -> Volumes {
    let mut rows = vec![];
    for asset in ["btc", "eth", "usd"] {
        for kind in Kind::ALL {
            for hour in 0..30 {
                rows.push(Volume {
                    asset: build::asset_id(asset),
                    kind,
                    start: NOW.floor_second().plus_micros(-3_600_000_000 * hour),
                    count: 7,
                    amount: Some(1_000 * i128::from(hour)),
                });
            }
        }
    }
    // Pieces begin at whole hours.
    for row in &mut rows {
        let hour = row.start.as_micros().div_euclid(3_600_000_000) * 3_600_000_000;
        row.start = Timestamp::from_micros(hour);
    }
    Volumes { rows, behind: 5 }
}
