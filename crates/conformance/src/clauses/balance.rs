//! §2, a user's own balances.

use crate::{
    answer::{SECONDS, keys, raw_rows, shape, text},
    clause::clauses,
    scene::{CANCEL, CONFIRM, Scene, finish},
};

clauses! { "2.5 Balances",
    "Decision: ours": balances_are_a_bare_array_of_four_keys
        = "`GET /balance` is a bare array of objects with exactly `currency`, `available`, `frozen`, `updated_at`.",
    "Decision: zero ones included": balances_name_every_asset
        = "Every asset is there, also those that the user never had.",
    "Decision: under both paths": balances_are_there_under_two_paths
        = "`/api/v1/balance` answers the same bytes.",
    "Decision: as in internal transfers": balances_have_at_least_eight_decimals
        = "Balances have as many decimals as the asset has, at least eight; times are whole seconds, null where there never was anything; currencies are upper case.",
    "Decision: held is not available": balances_tell_what_is_held
        = "What open withdrawals hold is `frozen`, until they end.",
    "Decision: one's own": balances_are_ones_own
        = "Another user's money is not in the list.",
}

async fn balances_are_a_bare_array_of_four_keys(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let answer = user.own.get("/balance").await.ok();
    let rows = raw_rows(&answer.text);
    assert!(rows.len() >= 4);
    for row in rows {
        assert_eq!(
            keys(&row),
            ["currency", "available", "frozen", "updated_at"]
        );
    }
}

async fn balances_name_every_asset(scene: Scene) {
    let user = scene.user().await;
    let rows = user.own.get("/balance").await.ok().rows();
    for currency in ["BTC", "ETH", "USD", "USDT"] {
        let row = rows.iter().find(|row| row["currency"] == currency);
        let row = row.unwrap_or_else(|| panic!("no {currency} in {rows:?}"));
        assert_eq!(text(row, "available").trim_matches(['0', '.']), "");
    }
}

async fn balances_are_there_under_two_paths(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let bare = user.own.get("/balance").await.ok().rows();
    let aliased = user.own.get("/api/v1/balance").await.ok().rows();
    // Somebody may add an asset in between.
    assert!(!bare.is_empty());
    for row in bare {
        assert!(aliased.contains(&row), "{row} is not in {aliased:?}");
    }
}

async fn balances_have_at_least_eight_decimals(scene: Scene) {
    let user = scene.user().await;
    for (asset, available) in [
        ("btc", "1.50000000"),
        ("usd", "1.50000000"),
        ("usdt", "1.50000000"),
        ("eth", "1.500000000000000000"),
    ] {
        scene.fund(&user, asset, "1.5").await;
        assert_eq!(
            scene.balance(&user, &asset.to_uppercase()).await.0,
            available
        );
    }
    for row in user.own.get("/balance").await.ok().rows() {
        let currency = text(&row, "currency");
        assert_eq!(currency, currency.to_uppercase());
        let updated_at = row["updated_at"].as_str().map(shape);
        let touched = ["BTC", "USD", "USDT", "ETH"].contains(&currency.as_str());
        assert_eq!(
            updated_at.as_deref(),
            touched.then_some(SECONDS),
            "{currency}"
        );
    }
}

async fn balances_tell_what_is_held(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let has = async |available: &str, frozen: &str| {
        let expected = (
            format!("{available}.00000000"),
            format!("{frozen}.00000000"),
        );
        assert_eq!(scene.balance(&user, "BTC").await, expected);
    };
    let first = scene.withdrawal(&user, "btc", "1").await.id();
    let second = scene.withdrawal(&user, "btc", "2").await.id();
    has("2", "3").await;
    scene
        .office()
        .post(CONFIRM, finish(&user, first))
        .await
        .ok();
    has("2", "2").await;
    scene
        .office()
        .post(CANCEL, finish(&user, second))
        .await
        .ok();
    has("4", "0").await;
}

async fn balances_are_ones_own(scene: Scene) {
    let (user, other) = (scene.rich("btc", "5").await, scene.user().await);
    assert_eq!(scene.balance(&user, "BTC").await.0, "5.00000000");
    assert_eq!(scene.balance(&other, "BTC").await.0, "0.00000000");
}
