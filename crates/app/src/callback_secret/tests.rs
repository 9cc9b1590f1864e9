use bursar_domain::ActorId;
use bursar_ports::{MockCallbackSecrets, SealedSecret};
use bursar_testkit::{InMemoryCallbackSecrets, SequentialIds};

use super::*;
use crate::test_support::{NOW, keyring, unavailable};

fn subscriber() -> Subscriber {
    Subscriber::Client(ActorId::new("backoffice"))
}

async fn signing(secrets: &dyn CallbackSecrets) -> Result<Vec<CallbackSecret>, StoreError> {
    let ids = SequentialIds::default();
    signing_secrets(secrets, &keyring(), &ids, &subscriber(), NOW).await
}

fn kept(secret: u8) -> StoredCallbackSecret {
    let ids = SequentialIds::starting_at(secret.into());
    let secret = CallbackSecret([secret; 32]);
    let kept = keyring().keep_callback_secret(&secret, subscriber(), NOW, &ids);
    kept.unwrap()
}

/// One whose master key is not configured.
fn unreadable(secret: u8) -> StoredCallbackSecret {
    let secret = kept(secret);
    let key_id = "gone".to_owned();
    StoredCallbackSecret {
        secret: SealedSecret {
            key_id,
            ..secret.secret
        },
        ..secret
    }
}

#[test]
fn the_text_is_that_of_standard_webhooks() {
    let secret = CallbackSecret([0xfb; 32]);
    let text = callback_secret_text(&secret);
    assert_eq!(text, "whsec_+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=");
    assert_eq!(read_callback_secret(&text), Some(secret));
}

#[test]
fn what_is_no_secret_is_none() {
    let genuine = callback_secret_text(&CallbackSecret([1; 32]));
    let short = format!("{PREFIX}{}", BASE64.encode(&[1; 31]));
    let bare = genuine.trim_start_matches(PREFIX);
    let padded = format!("{genuine} ");
    for text in ["", "whsec_", "whsec_%", &short, bare, &padded] {
        assert_eq!(read_callback_secret(text), None, "{text}");
    }
}

#[test]
fn a_secret_opens_only_under_its_own_id() {
    let kept = kept(3);
    let opened = keyring().open_callback_secret(&kept);
    assert_eq!(opened, Ok(CallbackSecret([3; 32])));
    let moved = StoredCallbackSecret {
        id: Uuid::nil(),
        ..kept
    };
    let refused = keyring().open_callback_secret(&moved);
    assert_eq!(refused, Err(SealError::Failed));
}

#[tokio::test]
async fn whoever_has_no_secret_gets_one_and_keeps_it() {
    let secrets = InMemoryCallbackSecrets::default();
    let first = signing(&secrets).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(signing(&secrets).await.unwrap(), first);
    assert_eq!(secrets.all().len(), 1);
}

#[tokio::test]
async fn who_loses_the_race_signs_with_the_winner_s() {
    let mut secrets = MockCallbackSecrets::new();
    secrets
        .expect_find_active()
        .times(1)
        .returning(|_, _| Ok(vec![]));
    secrets
        .expect_add_first()
        .times(1)
        .returning(|_| Ok(vec![kept(9)]));
    let signing = signing(&secrets).await.unwrap();
    assert_eq!(signing, [CallbackSecret([9; 32])]);
}

#[tokio::test]
async fn what_cannot_be_opened_is_left_out() {
    for (stored, expected) in [
        (
            vec![kept(2), kept(1)],
            vec![CallbackSecret([2; 32]), CallbackSecret([1; 32])],
        ),
        (vec![unreadable(2), kept(1)], vec![CallbackSecret([1; 32])]),
        (vec![unreadable(2)], vec![]),
    ] {
        let mut secrets = MockCallbackSecrets::new();
        // No secret takes the place of one that is there: it will be readable with its key.
        secrets
            .expect_find_active()
            .return_once(move |_, _| Ok(stored));
        assert_eq!(signing(&secrets).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn trouble_is_told() {
    let mut secrets = MockCallbackSecrets::new();
    secrets
        .expect_find_active()
        .returning(|_, _| Err(unavailable()));
    assert!(signing(&secrets).await.is_err());
    let mut secrets = MockCallbackSecrets::new();
    secrets.expect_find_active().returning(|_, _| Ok(vec![]));
    secrets.expect_add_first().returning(|_| Err(unavailable()));
    assert!(signing(&secrets).await.is_err());
}
