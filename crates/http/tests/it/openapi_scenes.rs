//! What must have happened before the examples of the document can be answers.

use bursar_domain::{AccountKey, Command, Entry, Kind, Operation, Status};
use bursar_ports::{AccountBalance, CallbackAttempt, CallbackRecord, CallbackState};
use bursar_testkit::build;
use uuid::Uuid;

use crate::{
    fakes::locked,
    world::{ALICE, ALICES, BOB, INTERNAL, NOW, OPERATOR, Sent, World},
};

/// Brings about what the examples speak of.
pub(crate) async fn prepare(world: &World, operation: &str) {
    match operation {
        "withdraw" => world.fund(ALICE, "btc", "3").await,
        "confirmWithdrawal" | "cancelWithdrawal" => {
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
        "listCallbacks" | "showCallback" | "replayCallback" => give_up(world),
        "showTransfer" => tell(world).await,
        _ => {}
    }
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

/// A withdrawal that is being paid out.
async fn under_way(world: &World) {
    world.fund(ALICE, "btc", "3").await;
    world.payout(ALICE, "btc", "1").await;
}
