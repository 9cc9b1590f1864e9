//! What a request claims of its idempotency key (contract §0).

use bursar_domain::{FieldValue, Fingerprint, Operation};
use bursar_testkit::build;

use super::super::*;
use crate::test_support::{ALICE, BOB, Mocks, btc, committed, keyed, operator, plain, usd};

fn open() -> OpenRequest {
    OpenRequest {
        user: ALICE,
        asset: btc().id,
        amount: DecimalAmount::parse("1").unwrap(),
        comment: Some("c".to_owned()),
        callback_url: Some("https://example.com/a".to_owned()),
    }
}

fn finish() -> FinishRequest {
    FinishRequest {
        user: ALICE,
        transfer: Some(build::transfer_id(1)),
        callback_url: Some("https://example.com/a".to_owned()),
        digest: None,
    }
}

fn writer() -> Grant {
    operator(Permission::BackofficeWrite)
}

async fn claim_of_withdrawal(
    grant: &Grant,
    request: OpenRequest,
    options: Options,
) -> Option<IdempotencyClaim> {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(request.user));
    for asset in [btc(), usd()] {
        mocks.has_asset(&asset);
    }
    mocks.directory.expect_find_rate().returning(|_| Ok(None));
    let commits = mocks.commits([committed()]);
    let app = mocks.app();
    app.withdraw(grant, request, options).await.unwrap();
    commits.only().idempotency
}

async fn fingerprint(request: OpenRequest) -> Fingerprint {
    let claim = claim_of_withdrawal(&writer(), request, keyed()).await;
    claim.unwrap().fingerprint
}

/// The claim of confirming or cancelling.
async fn claim_of_finish(operation: Operation, request: FinishRequest) -> IdempotencyClaim {
    let new = build::new_transfer(
        request.transfer.unwrap(),
        &btc(),
        5,
        crate::test_support::NOW,
    );
    let open = build::withdrawal(new, request.user).next;
    let mut mocks = Mocks::new();
    mocks.finds(&open, 1);
    let commits = mocks.commits([committed()]);
    let app = mocks.app();
    if operation == Operation::Confirm {
        let grant = operator(Permission::BackofficeConfirm);
        app.confirm_withdrawal(&grant, request, keyed())
            .await
            .unwrap();
    } else {
        app.cancel_withdrawal(&writer(), request, keyed())
            .await
            .unwrap();
    }
    commits.only().idempotency.unwrap()
}

fn named(fields: &[(&str, &str)]) -> Vec<FieldValue> {
    fields
        .iter()
        .map(|(name, value)| FieldValue {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect()
}

#[tokio::test]
async fn without_a_key_nothing_is_claimed() {
    assert_eq!(claim_of_withdrawal(&writer(), open(), plain()).await, None);
}

#[tokio::test]
async fn the_key_and_the_fields_of_a_request_are_kept() {
    let claim = claim_of_withdrawal(&writer(), open(), keyed())
        .await
        .unwrap();
    assert_eq!(claim.key.as_str(), "key-1");
    let user = ALICE.to_string();
    assert_eq!(
        claim.fields,
        named(&[
            ("userId", &user),
            ("assetId", "btc"),
            ("amount", "1"),
            ("comment", "c"),
            ("callbackUrl", "https://example.com/a"),
        ])
    );
    let claim = claim_of_finish(Operation::Confirm, finish()).await;
    assert_eq!(
        claim.fields,
        named(&[
            ("userId", &user),
            ("transferId", "1"),
            ("callbackUrl", "https://example.com/a"),
        ])
    );
}

#[tokio::test]
async fn an_operator_s_keys_are_its_subject_s() {
    let claim = claim_of_withdrawal(&writer(), open(), keyed()).await;
    assert_eq!(claim.unwrap().scope.principal, "credential-1");
}

#[tokio::test]
async fn each_operation_has_keys_of_its_own() {
    let withdraw = claim_of_withdrawal(&writer(), open(), keyed())
        .await
        .unwrap();
    let confirm = claim_of_finish(Operation::Confirm, finish()).await;
    let cancel = claim_of_finish(Operation::Cancel, finish()).await;
    assert_eq!(withdraw.scope.operation, "withdraw");
    assert_eq!(confirm.scope.operation, "withdraw-confirm");
    assert_eq!(cancel.scope.operation, "withdraw-cancel");

    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks.has_asset(&btc());
    mocks.directory.expect_find_rate().returning(|_| Ok(None));
    let commits = mocks.commits([committed()]);
    let _spawned = mocks.one_task();
    let app = mocks.app();
    app.deposit(&writer(), open(), keyed()).await.unwrap();
    let deposit = commits.only().idempotency.unwrap();
    assert_eq!(deposit.scope.operation, "deposit");
    assert_eq!(deposit.fingerprint, withdraw.fingerprint);
}

#[tokio::test]
async fn equal_requests_have_equal_fingerprints_however_the_amount_is_written() {
    let first = fingerprint(open()).await;
    assert_eq!(fingerprint(open()).await, first);
    for text in ["1.0", "1.000000000000000000"] {
        let amount = DecimalAmount::parse(text).unwrap();
        assert_eq!(fingerprint(OpenRequest { amount, ..open() }).await, first);
    }
    for raw in ["1e0", "10e-1"] {
        let amount = DecimalAmount::parse_json_number(raw).unwrap();
        assert_eq!(fingerprint(OpenRequest { amount, ..open() }).await, first);
    }
}

#[tokio::test]
async fn waiting_is_no_part_of_the_request() {
    let waiting = Options {
        wait: true,
        ..keyed()
    };
    let claim = claim_of_withdrawal(&writer(), open(), waiting).await;
    assert_eq!(claim, claim_of_withdrawal(&writer(), open(), keyed()).await);
}

#[tokio::test]
async fn any_other_field_makes_another_fingerprint() {
    let requests = [
        open(),
        OpenRequest {
            user: BOB,
            ..open()
        },
        OpenRequest {
            asset: usd().id,
            ..open()
        },
        OpenRequest {
            amount: DecimalAmount::parse("1.01").unwrap(),
            ..open()
        },
        OpenRequest {
            comment: Some("d".to_owned()),
            ..open()
        },
        OpenRequest {
            comment: None,
            ..open()
        },
        OpenRequest {
            callback_url: Some("https://example.com/b".to_owned()),
            ..open()
        },
        OpenRequest {
            callback_url: None,
            ..open()
        },
        // The same text in another field.
        OpenRequest {
            comment: Some("https://example.com/a".to_owned()),
            callback_url: None,
            ..open()
        },
        // One field cannot spell another one's end.
        OpenRequest {
            comment: Some("ccallbackUrlhttps://example.com/a".to_owned()),
            callback_url: None,
            ..open()
        },
    ];
    let mut seen = std::collections::HashSet::new();
    for request in requests {
        assert!(
            seen.insert(fingerprint(request.clone()).await),
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn any_other_field_of_a_confirm_makes_another_fingerprint() {
    let requests = [
        finish(),
        FinishRequest {
            user: BOB,
            ..finish()
        },
        FinishRequest {
            transfer: Some(build::transfer_id(2)),
            ..finish()
        },
        FinishRequest {
            callback_url: None,
            ..finish()
        },
        FinishRequest {
            callback_url: Some("https://example.com/b".to_owned()),
            ..finish()
        },
    ];
    let mut seen = std::collections::HashSet::new();
    for request in requests {
        let claim = claim_of_finish(Operation::Confirm, request.clone()).await;
        assert!(seen.insert(claim.fingerprint), "{request:?}");
    }
}
