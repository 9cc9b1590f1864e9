//! Tokens that were found good lately, and what verifying costs.

use std::time::Instant;

use bursar_jwt::JwksAlgorithm;

use crate::{
    issuer::{Verifier, claims_with, ec, ed, jwks, now, rsa, secret},
    jwks_server::JwksServer,
};

#[tokio::test]
async fn what_is_remembered_is_the_very_token() {
    let verifier = Verifier::with_secret();
    let first = secret().good("any");
    assert!(verifier.accepts(&first).await);
    assert!(verifier.accepts(&first).await);
    // Same header and claims, other signature.
    let (message, _) = first.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", "A".repeat(43));
    assert!(!verifier.accepts(&forged).await);
    let claims = claims_with(&serde_json::json!({"sub": "other", "exp": now() + 1}));
    let other = secret().token(&secret().header("any"), &claims);
    assert_eq!(verifier.verify(&other).await.unwrap().subject, "other");
    assert_eq!(verifier.verify(&first).await.unwrap().subject, "settlement");
}

/// Not a test of speed, which a busy machine would fail: it prints what `--nocapture` shows.
#[tokio::test]
async fn the_cost_of_a_token_is_known() {
    const ROUNDS: u32 = 200;
    let (ec, ed) = (ec(), ed());
    let server = JwksServer::start(&jwks(&[rsa().jwk("k"), ec.jwk("k"), ed.jwk("k")])).await;
    let issuer = Verifier::with_url(&server.url);
    let shared = Verifier::with_secret();
    assert_eq!(JwksAlgorithm::ALL.len(), 3);
    for (verifier, signer) in [
        (&issuer, rsa()),
        (&issuer, &ec),
        (&issuer, &ed),
        (&shared, &secret()),
    ] {
        let tokens: Vec<String> = (0..ROUNDS)
            .map(|number| {
                let claims = claims_with(&serde_json::json!({"sub": format!("s{number}")}));
                signer.token(&signer.header("k"), &claims)
            })
            .collect();
        for known in ["anew", "again"] {
            let started = Instant::now();
            for token in &tokens {
                assert!(verifier.accepts(token).await);
            }
            let each = started.elapsed() / ROUNDS;
            println!("{} {known}: {each:?}", signer.algorithm());
        }
    }
}
