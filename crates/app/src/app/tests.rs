use std::sync::Arc;

use bursar_ports::{MockIdSource, StoreError};
use bursar_testkit::build;

use crate::{
    CallbackUrlPolicy, Error,
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
    let app = Mocks::new().app();
    assert_eq!(app.root_asset(), build::asset_id("usd"));
    assert_eq!(*app.callback_urls(), CallbackUrlPolicy::default());
}

#[test]
fn random_bytes_come_from_the_port() {
    let mut ids = MockIdSource::new();
    ids.expect_random_bytes().times(1).return_const([6; 32]);
    let mut mocks = Mocks::new();
    mocks.ids = Arc::new(ids);
    assert_eq!(mocks.app().random_bytes(), [6; 32]);
}
