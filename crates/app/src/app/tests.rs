use std::{collections::HashSet, sync::Arc};

use bursar_domain::{Terms, Timestamp};
use bursar_ports::{MockIdSource, StoreError};
use bursar_testkit::build;

use crate::{
    Error, Missing, TransferSettings,
    test_support::{Mocks, unavailable},
};

#[tokio::test]
async fn it_is_ready_when_its_store_is() {
    let mut mocks = Mocks::new();
    mocks.store.expect_ready().times(1).return_once(|| Ok(()));
    assert!(mocks.app().ready().await.is_ok());

    let mut mocks = Mocks::new();
    mocks
        .store
        .expect_ready()
        .times(1)
        .return_once(|| Err(unavailable()));
    let answer = mocks.app().ready().await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}

#[test]
fn its_settings_are_the_ones_it_was_given() {
    let mut mocks = Mocks::new();
    mocks.callback_urls.extra_ports = vec![9_000];
    let app = mocks.app();
    assert_eq!(app.root_asset(), build::asset_id("usd"));
    assert_eq!(app.callback_urls().extra_ports, [9_000]);
}

#[test]
fn a_transfer_is_made_on_the_terms_of_its_settings() {
    let settings = TransferSettings {
        fee_free_roles: vec!["maker".to_owned(), "staff".to_owned()],
        withdrawal_lifetime_ms: Some(2),
        approval_lifetime_ms: Some(3),
        ..TransferSettings::default()
    };
    let now = Timestamp::from_micros(1_000_000);
    let of_roles = |roles: &[&str]| {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        settings.terms(&roles, now)
    };
    let terms = Terms {
        pays_fee: true,
        expires_at: Some(Timestamp::from_micros(1_002_000)),
        approval_expires_at: Some(Timestamp::from_micros(1_003_000)),
    };
    assert_eq!(of_roles(&["trader"]), terms);
    let free = Terms {
        pays_fee: false,
        ..terms
    };
    assert_eq!(of_roles(&["trader", "staff"]), free);

    let forever = TransferSettings::default().terms(&[], now);
    assert_eq!(forever.expires_at, None);
    assert_eq!(forever.approval_expires_at, None);
}

#[test]
fn random_bytes_come_from_the_port() {
    let mut ids = MockIdSource::new();
    ids.expect_random_bytes().times(1).return_const([6; 32]);
    let mut mocks = Mocks::new();
    mocks.ids = Arc::new(ids);
    assert_eq!(mocks.app().random_bytes(), [6; 32]);
}

#[test]
fn whatever_may_be_missing_has_a_code_and_a_noun_of_its_own() {
    let mut nouns = HashSet::new();
    for missing in Missing::ALL {
        assert_eq!(Missing::from_code(missing.code()), Some(missing));
        assert!(missing.noun().starts_with("The "), "{missing:?}");
        assert!(nouns.insert(missing.noun()), "{missing:?}");
    }
}
