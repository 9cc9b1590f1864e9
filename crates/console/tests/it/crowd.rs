//! A world in which there is something of everything, written by hostile hands.

use bursar_domain::{AccountKey, Entry, Kind, Operation, Status, Timestamp};
use bursar_ports::{
    AssetIntegrity, AssetSums, AuditRecord, CallbackAttempt, CallbackRecord, CallbackState,
    HostHealth, Volume, Volumes, Waiting,
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
    *locked(&world.figures.hosts) = vec![HostHealth {
        host: HOSTILE.to_owned(),
        pending: 3,
        dead: 1,
        oldest_pending: Some(NOW.plus_micros(-60_000_000)),
        last_success: None,
        last_failure: Some(NOW),
        last_failure_outcome: Some("timeout".to_owned()),
    }];
    world.signed_in("carla", HOSTILE).await;
    *locked(&world.integrity.books) = vec![AssetIntegrity {
        sums: AssetSums {
            asset: build::asset_id("btc"),
            sum: Some(-1),
            holds: Some(0),
            entries: 1_234_567,
        },
        accounts: 1,
    }];
    world
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
