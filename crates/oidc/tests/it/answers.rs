//! Beginnings, codes and what the provider answers them with.

use std::sync::Arc;

use bursar_ports::{EndIdentification, Identified, IdentityProvider as _, StoreError};
use serde_json::json;
use url::Url;

use crate::world::{CALLBACK, NONCE, World};

fn refusal(told: Result<Identified, StoreError>) -> String {
    match told {
        Ok(Identified::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_browser_is_sent_with_all_that_the_flow_needs() {
    let world = World::new().await;
    let location = Url::parse(&world.begin().await.unwrap()).unwrap();
    let expected = format!("{}/authorize", world.server.issuer());
    assert!(location.as_str().starts_with(&expected), "{location}");
    let pairs: Vec<(String, String)> = location.query_pairs().into_owned().collect();
    let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "state",
            "nonce",
            "code_challenge",
            "code_challenge_method"
        ]
    );
    let of = |wanted: &str| {
        let found = pairs.iter().find(|(name, _)| name == wanted);
        found.unwrap().1.as_str()
    };
    assert_eq!((of("redirect_uri"), of("nonce")), (CALLBACK, NONCE));
    assert_eq!(
        (of("scope"), of("code_challenge_method")),
        ("openid profile", "S256")
    );
}

#[tokio::test]
async fn a_code_is_good_once_and_with_its_verifier_alone() {
    let world = World::new().await;
    let end = world.comes_back().await;
    let again = end.clone();
    assert_eq!(
        world.provider.end(end).await.unwrap(),
        world.identity("subject-7")
    );
    assert_eq!(
        refusal(world.provider.end(again).await),
        "the provider does not accept the code"
    );
    let stolen = EndIdentification {
        verifier: "the-verifier-of-whoever-stole-the-code-and-began".to_owned(),
        ..world.comes_back().await
    };
    assert_eq!(
        refusal(world.provider.end(stolen).await),
        "the provider does not accept the code"
    );
    let other = EndIdentification {
        nonce: "of-another-sign-in".to_owned(),
        ..world.comes_back().await
    };
    assert_eq!(
        refusal(world.provider.end(other).await),
        "the ID token: it is of another sign-in"
    );
    for code in [String::new(), "x".repeat(4_097)] {
        let end = EndIdentification {
            code,
            ..world.comes_back().await
        };
        let told = refusal(world.provider.end(end).await);
        assert!(told.starts_with("there is no code"), "{told}");
    }
}

#[tokio::test]
async fn another_provider_s_answer_is_not_asked_about() {
    let world = World::new().await;
    for issuer in [Some("https://evil.example"), Some(""), None] {
        world
            .server
            .conduct(|conduct| conduct.told_issuer = issuer.map(str::to_owned));
        let told = world.refused().await;
        assert_eq!(told, "it is another provider's answer", "{issuer:?}");
    }
    assert_eq!(world.server.redeemed(), [""; 0]);
}

#[tokio::test]
async fn a_provider_that_does_not_say_who_it_is_need_not() {
    let says_nothing = json!({"authorization_response_iss_parameter_supported": null});
    let world = World::unknown(
        |_| {},
        |server| {
            server.conduct(|conduct| {
                conduct.document = says_nothing;
                conduct.told_issuer = None;
            });
        },
    )
    .await;
    world.is_known().await;
    assert_eq!(world.sign_in().await.unwrap(), world.identity("subject-7"));
    let evil = "https://evil.example".to_owned();
    world
        .server
        .conduct(|conduct| conduct.told_issuer = Some(evil));
    assert_eq!(world.refused().await, "it is another provider's answer");
}

#[tokio::test]
async fn what_is_no_word_about_the_code_is_trouble() {
    let world = World::new().await;
    for (status, body) in [
        (500, String::new()),
        (503, "{}".to_owned()),
        (401, r#"{"error": "invalid_client"}"#.to_owned()),
        (400, r#"{"error": "invalid_request"}"#.to_owned()),
        (400, "no json".to_owned()),
        (302, String::new()),
        (
            200,
            format!("{{\"id_token\": \"{}\"}}", "x".repeat(300_000)),
        ),
    ] {
        world
            .server
            .conduct(|conduct| conduct.token_answer = Some((status, body.clone())));
        let told = world.sign_in().await;
        assert!(
            matches!(told, Err(StoreError::Unavailable(_))),
            "{status}: {told:?}"
        );
    }
    for (status, body, why) in [
        (200, "no json", "the provider gives no ID token"),
        (200, "{}", "the provider gives no ID token"),
        (
            200,
            r#"{"id_token": "x.y.z"}"#,
            "the ID token: it is no JWT",
        ),
        (
            400,
            r#"{"error": "invalid_grant"}"#,
            "the provider does not accept the code",
        ),
    ] {
        world
            .server
            .conduct(|conduct| conduct.token_answer = Some((status, body.to_owned())));
        let told = world.refused().await;
        assert!(told.starts_with(why), "{told}");
    }
}

#[tokio::test]
async fn many_codes_at_once_are_sent_away_and_the_next_one_is_not() {
    let world = World::new().await;
    let end = world.comes_back().await;
    let asked = (0..64).map(|_| {
        let (provider, end) = (Arc::clone(&world.provider), end.clone());
        async move { provider.end(end).await }
    });
    let mut asked: Vec<_> = asked.map(Box::pin).collect();
    let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
    // Each is begun before any ends.
    let overloaded = asked
        .iter_mut()
        .filter_map(|one| match one.as_mut().poll(&mut nobody) {
            std::task::Poll::Ready(told) => Some(told),
            std::task::Poll::Pending => None,
        })
        .filter(|told| matches!(told, Err(StoreError::Overloaded)))
        .count();
    assert_eq!(overloaded, 48);
    drop(asked);
    assert_eq!(world.sign_in().await.unwrap(), world.identity("subject-7"));
}
