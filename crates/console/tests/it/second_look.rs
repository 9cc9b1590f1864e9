//! What is looked at twice although it may be little.

use bursar_domain::{BigDecimal, Commit, NewTransfer, RootRate, Status, TransferId};
use bursar_ports::{CommitOutcome, TransferStore as _};
use bursar_testkit::build;

use crate::{
    browser::Browser,
    world::{ALICE, NOW, OLGA, World, operator},
};

/// Makes a withdrawal of 0.25 BTC, each of which was worth so much of an asset that was the root asset.
async fn withdrawal_worth(world: &World, number: i64, rate: i64, asset: &str) -> TransferId {
    let root = build::asset(asset, 2);
    let id = build::transfer_id(number);
    let new = NewTransfer {
        root_rate: Some(RootRate {
            asset: root.id,
            scale: root.scale,
            rate: BigDecimal::from(rate),
            source: None,
            rated_at: None,
        }),
        ..build::new_transfer(id, &build::asset("btc", 8), 25_000_000, NOW)
    };
    let made = Commit::new(build::withdrawal(new, ALICE));
    let made = world.store.commit(vec![made]).await;
    let is_made = matches!(made.as_deref(), Ok([CommitOutcome::Committed(_)]));
    assert!(is_made, "{made:?}");
    id
}

/// A figure of the old root asset is none of the new one, in which it is said what is much.
#[actix_web::test]
async fn what_was_worth_something_in_another_root_asset_is_looked_at_twice() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let of_now = withdrawal_worth(&world, 901, 50_000, "usd").await;
    let of_before = withdrawal_worth(&world, 902, 50_000, "eur").await;
    let browser = Browser::of(&world, operator(OLGA));
    let seen = browser.get("/console/queue").await.ok();
    let path = |id| format!("/console/transfers/{id}/confirm");
    let done = browser.press(&seen, &path(of_now), &[]).await;
    assert_eq!(done.leads(), format!("/console/queue#t{of_now}"));

    let to = browser.press(&seen, &path(of_before), &[]).await.leads();
    let second_look = format!("/console/transfers/{of_before}/second-look?");
    assert!(to.starts_with(&second_look), "{to}");
    let status = world.transfer(of_before).await.status();
    assert_eq!(status, Status::AwaitingConfirmation);
    let second = browser.get(&to).await.ok();
    let why = "Its worth was told in EUR, and the root asset is USD by now";
    assert!(second.text().contains(why), "{}", second.text());
    let done = browser.press(&second, &path(of_before), &[]).await;
    assert_eq!(done.leads(), format!("/console/queue#t{of_before}"));
    assert_eq!(world.transfer(of_before).await.status(), Status::Completed);
}
