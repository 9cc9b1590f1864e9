//! What the provider says about itself.

use std::{sync::Arc, time::Duration};

use bursar_oidc::OidcProvider;
use bursar_ports::StoreError;
use bursar_testkit::FixedClock;
use serde_json::{Value, json};

use crate::world::{World, config};

/// Whether a provider with this document is ever gone by.
async fn is_gone_by(document: Value, allow_http: bool) -> bool {
    let world = World::unknown(
        |config| config.allow_http = allow_http,
        |server| server.conduct(|conduct| conduct.document = document),
    )
    .await;
    for _ in 0..100 {
        if world.begin().await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test]
async fn a_document_that_is_not_the_issuer_s_or_leads_astray_is_not_gone_by() {
    assert!(is_gone_by(json!({}), true).await);
    for document in [
        json!({"issuer": "https://evil.example"}),
        json!({"issuer": null}),
        json!({"authorization_endpoint": null}),
        json!({"token_endpoint": "http://id.example/token"}),
        json!({"token_endpoint": "/token"}),
        json!({"jwks_uri": "http://192.0.2.1/jwks"}),
        json!({"jwks_uri": "https://user@id.example/jwks"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"authorization_endpoint": "https://id.example/#part"}),
        json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
    ] {
        assert!(!is_gone_by(document.clone(), true).await, "{document}");
    }
    assert!(!is_gone_by(json!({}), false).await, "plain http");
}

#[tokio::test]
async fn the_issuer_is_the_same_to_the_byte() {
    let world = World::unknown(|config| config.issuer.push('/'), |_| {}).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let told = world.begin().await;
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
}

#[tokio::test]
async fn a_provider_that_takes_the_secret_in_the_form_alone_gets_it_there() {
    let post = json!({"token_endpoint_auth_methods_supported": ["none", "client_secret_post"]});
    let world = World::unknown(
        |_| {},
        |server| server.conduct(|conduct| conduct.document = post),
    )
    .await;
    world.is_known().await;
    assert_eq!(world.sign_in().await.unwrap(), world.identity("subject-7"));
    assert_eq!(world.server.redeemed(), ["client_secret_post"]);
}

#[tokio::test]
async fn a_provider_that_comes_later_is_found() {
    let world = World::unknown(
        |_| {},
        |server| server.conduct(|conduct| conduct.document = json!({"issuer": "x"})),
    )
    .await;
    let told = world.begin().await;
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(world.begin().await.is_err());
    world.server.conduct(|conduct| conduct.document = json!({}));
    world.is_known().await;
    assert_eq!(world.sign_in().await.unwrap(), world.identity("subject-7"));
}

#[tokio::test]
async fn until_its_refresh_runs_nobody_knows_a_provider() {
    let clock = Arc::new(FixedClock::default());
    let (provider, _refresh) = OidcProvider::try_new(config("https://id.example"), clock).unwrap();
    let begin = bursar_ports::BeginIdentification {
        state: String::new(),
        nonce: String::new(),
        challenge: String::new(),
    };
    let told = bursar_ports::IdentityProvider::begin(&provider, begin).await;
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
}
