use bursar_domain::Timestamp;
use bursar_ports::{AuditPlace, Permission, StoreError};
use mockall::predicate::eq;
use uuid::Uuid;

use super::*;
use crate::test_support::{Mocks, NOW, operator, other_grants, unavailable};

fn filter() -> AuditFilter {
    AuditFilter {
        actor: Some("credential-1".to_owned()),
        from: Some(Timestamp::EPOCH),
        after: Some(AuditPlace {
            at: NOW,
            id: Uuid::from_u128(2),
        }),
        limit: 7,
        ..AuditFilter::default()
    }
}

fn record() -> AuditRecord {
    AuditRecord {
        id: Uuid::from_u128(1),
        at: NOW,
        actor: "credential-1".to_owned(),
        credential: "token:1".to_owned(),
        request_id: "request-1".to_owned(),
        address: "192.0.2.1".to_owned(),
        action: "asset.put".to_owned(),
        target: "asset:btc".to_owned(),
        before: None,
        after: Some("{}".to_owned()),
    }
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&READERS) {
        let listed = Mocks::new().app().list_audit(&grant, filter()).await;
        assert!(matches!(listed, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn whoever_may_read_is_told_what_the_log_has() {
    for permission in READERS {
        let mut mocks = Mocks::new();
        let asked = mocks.audit_log.expect_list().with(eq(filter()));
        asked.times(1).return_once(|_| Ok(vec![record()]));
        let app = mocks.app();
        let listed = app.list_audit(&operator(permission), filter()).await;
        assert_eq!(listed.unwrap(), [record()]);
    }
}

#[tokio::test]
async fn trouble_of_the_store_is_told() {
    let mut mocks = Mocks::new();
    let asked = mocks.audit_log.expect_list();
    asked.return_once(|_| Err(unavailable()));
    let app = mocks.app();
    let listed = app.list_audit(&operator(Permission::Admin), filter()).await;
    assert!(matches!(
        listed,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}
