//! Which ID tokens are believed.

use bursar_ports::{Identified, IdentityProvider as _};
use bursar_testkit::identity_provider::{CLIENT_ID, Signature};
use serde_json::{Value, json};

use crate::world::{World, now};

#[tokio::test]
async fn whoever_signed_in_is_who_the_provider_says() {
    let world = World::new().await;
    assert_eq!(world.sign_in().await.unwrap(), world.identity("subject-7"));
    world
        .server
        .conduct(|conduct| "another".clone_into(&mut conduct.subject));
    assert_eq!(world.sign_in().await.unwrap(), world.identity("another"));
    assert_eq!(world.server.redeemed(), ["client_secret_basic"; 2]);
    assert_eq!(world.provider.issuer(), world.server.issuer());
}

#[tokio::test]
async fn a_signature_is_the_provider_s_own_by_an_algorithm_of_the_configuration() {
    let world = World::new().await;
    for (signature, why) in [
        (Signature::AnotherKey, "the signature does not fit"),
        (
            Signature::PublicKeyAsSecret,
            "its algorithm is not configured",
        ),
        (Signature::ClientSecret, "its algorithm is not configured"),
        (Signature::None, "it is no JWT"),
    ] {
        world
            .server
            .conduct(|conduct| conduct.signature = signature);
        let told = world.refused().await;
        assert!(told.contains(why), "{signature:?}: {told}");
    }
    world
        .server
        .conduct(|conduct| conduct.signature = Signature::Own);
    for (header, why) in [
        (json!({"alg": "none"}), "it is no JWT"),
        (json!({"alg": "HS256"}), "its algorithm is not configured"),
        (json!({"alg": "ES256"}), "its algorithm is not configured"),
        (json!({"kid": "another"}), "the issuer has no such key"),
        (json!({"typ": "at+jwt"}), "its type is another"),
        (json!({"typ": "logout+jwt"}), "its type is another"),
        (json!({"crit": ["exp"]}), "its header demands something"),
    ] {
        world
            .server
            .conduct(|conduct| conduct.header = header.clone());
        let told = world.refused().await;
        assert!(told.contains(why), "{header}: {told}");
    }
    // Neither a type nor a key's name must be there, where there is one key.
    world
        .server
        .conduct(|conduct| conduct.header = json!({"typ": null, "kid": null}));
    assert_eq!(world.sign_in().await.unwrap(), world.identity("subject-7"));
}

#[tokio::test]
async fn what_a_token_claims_is_held_against_the_sign_in() {
    let world = World::new().await;
    let issuer = world.server.issuer().to_owned();
    let long = "x".repeat(256);
    for (claims, why) in [
        (json!({"iss": "https://evil.example"}), "another issuer"),
        (json!({"iss": format!("{issuer}/")}), "another issuer"),
        (json!({"iss": null}), "another issuer"),
        (json!({"aud": "another"}), "another client"),
        (json!({"aud": ["another"]}), "another client"),
        (json!({"aud": []}), "another client"),
        (json!({"aud": null}), "another client"),
        (json!({"aud": [CLIENT_ID, "another"]}), "another client"),
        (
            json!({"aud": [CLIENT_ID, "another"], "azp": "another"}),
            "another client",
        ),
        (json!({"azp": "another"}), "another client"),
        (json!({"exp": now() - 60}), "expired"),
        (json!({"exp": null}), "expired"),
        (json!({"exp": "soon"}), "expired"),
        (json!({"iat": now() + 61}), "issued in the future"),
        (json!({"iat": null}), "issued in the future"),
        (json!({"nbf": now() + 61}), "issued in the future"),
        (json!({"nonce": "nonce-of-another"}), "another sign-in"),
        (json!({"nonce": ""}), "another sign-in"),
        (json!({"nonce": null}), "another sign-in"),
        (json!({"sub": null}), "subject"),
        (json!({"sub": ""}), "subject"),
        (json!({"sub": " "}), "subject"),
        (json!({"sub": 7}), "subject"),
        (json!({"sub": "a\nb"}), "subject"),
        (json!({"sub": long}), "subject"),
    ] {
        world
            .server
            .conduct(|conduct| conduct.claims = claims.clone());
        let told = world.refused().await;
        assert!(told.contains(why), "{claims}: {told}");
    }
    for claims in [
        json!({"aud": [CLIENT_ID]}),
        json!({"aud": [CLIENT_ID], "azp": CLIENT_ID}),
        json!({"aud": ["another", CLIENT_ID], "azp": CLIENT_ID}),
        json!({"exp": now() - 59}),
        json!({"iat": now() + 60, "nbf": now() + 60}),
    ] {
        world
            .server
            .conduct(|conduct| conduct.claims = claims.clone());
        let told = world.sign_in().await.unwrap();
        assert_eq!(told, world.identity("subject-7"), "{claims}");
    }
}

#[tokio::test]
async fn whoever_showed_less_than_is_asked_for_is_not_let_in() {
    let world = World::with(|config| config.acr = Some("phr".to_owned())).await;
    assert!(world.begin().await.unwrap().contains("&acr_values=phr"));
    assert_eq!(world.sign_in().await.unwrap(), world.identity("subject-7"));
    for acr in [json!("password"), json!(["phr"]), Value::Null] {
        world
            .server
            .conduct(|conduct| conduct.claims = json!({ "acr": acr }));
        let told = world.sign_in().await.unwrap();
        assert!(
            matches!(&told, Identified::TooWeak(who) if who.subject == "subject-7"),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn no_secret_is_in_why_somebody_was_refused() {
    let world = World::new().await;
    world
        .server
        .conduct(|conduct| conduct.claims = json!({"nonce": "x"}));
    let told = world.refused().await;
    assert_eq!(told, "the ID token: it is of another sign-in");
    let shown = format!("{:?}", world.provider);
    assert!(!shown.contains("a secret"), "{shown}");
}
