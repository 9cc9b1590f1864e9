use std::sync::Arc;

use bursar_domain::{Kind, Limits, PayoutRoute, Rules};
use bursar_ports::Permission;
use bursar_testkit::build;

use super::READERS;
use crate::{
    Error, TransferSettings,
    test_support::{
        ALICE, Mocks, NOW, assert_unavailable, btc, operator, other_grants, unavailable,
    },
};

#[tokio::test]
async fn only_an_admin_or_a_reader_asks() {
    for grant in other_grants(&READERS) {
        let error = Mocks::new().app().forecast(&grant).await;
        assert!(matches!(error, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn the_rules_in_force_and_the_way_out_decide() {
    let limits = Limits {
        approval_above: Some(build::amount(10)),
        ..Limits::default()
    };
    let mut rules = Rules::default();
    rules
        .limits
        .insert((Kind::Withdrawal, Some(btc().id)), limits);
    let mut mocks = Mocks::new();
    mocks.transfers = TransferSettings {
        payout: PayoutRoute::Gateway,
        ..TransferSettings::default()
    };
    let rule_book = &mut mocks.rule_book;
    rule_book.expect_rules().return_once(|| Ok(Arc::new(rules)));
    let forecast = mocks
        .app()
        .forecast(&operator(Permission::Admin))
        .await
        .unwrap();
    assert_eq!(forecast.route(), PayoutRoute::Gateway);
    assert_eq!(forecast.rules().limits.len(), 1);
    for (units, asks) in [(10, false), (11, true)] {
        let new = build::new_transfer(build::transfer_id(1), &btc(), units, NOW);
        let transfer = build::withdrawal(new, ALICE).next;
        assert_eq!(forecast.asks_second(&transfer), asks, "{units}");
    }
}

#[tokio::test]
async fn a_rule_book_that_cannot_answer_is_an_outage() {
    let mut mocks = Mocks::new();
    let rule_book = &mut mocks.rule_book;
    rule_book.expect_rules().return_once(|| Err(unavailable()));
    assert_unavailable(&mocks.app().forecast(&operator(Permission::Admin)).await);
}
