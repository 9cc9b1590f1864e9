//! What the claims must be, and what they say.

use bursar_domain::UserId;
use bursar_jwt::KeyConfig;
use bursar_ports::{Permission, VerifiedToken};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::issuer::{ALICE, ISSUER, SECRET, Verifier, claims_with, config, now, secret};

async fn read(verifier: &Verifier, changes: &Value) -> Option<VerifiedToken> {
    let token = secret().token(&secret().header("any"), &claims_with(changes));
    verifier.verify(&token).await
}

async fn good(changes: Value) -> bool {
    read(&Verifier::with_secret(), &changes).await.is_some()
}

#[tokio::test]
async fn issuer_audience_expiry_and_subject_are_required() {
    for name in ["iss", "aud", "exp", "sub"] {
        assert!(!good(json!({name: null})).await, "{name} missing");
        for wrong in [json!(""), json!({}), json!([]), json!(true), json!(-1)] {
            assert!(!good(json!({name: wrong})).await, "{name}: {wrong}");
        }
    }
}

#[tokio::test]
async fn the_issuer_is_the_configured_one_to_the_byte() {
    assert!(good(json!({"iss": ISSUER})).await);
    for other in [
        "https://id.example.com",
        "https://id.example.com//",
        "https://ID.example.com/",
        "http://id.example.com/",
    ] {
        assert!(!good(json!({"iss": other})).await, "{other}");
    }
    assert!(!good(json!({"iss": [ISSUER]})).await, "a list is no issuer");
}

#[tokio::test]
async fn one_of_the_audiences_is_one_of_ours() {
    for (audience, ours) in [
        (json!("bursar"), true),
        (json!("other-name"), true),
        (json!(["bursar"]), true),
        (json!(["somebody", "bursar", "else"]), true),
        (json!("Bursar"), false),
        (json!("bursar "), false),
        (json!(["somebody", "else"]), false),
        (json!([["bursar"]]), false),
        (json!([]), false),
    ] {
        assert_eq!(good(json!({"aud": audience})).await, ours, "{audience}");
    }
}

#[tokio::test]
async fn expiry_and_beginning_have_five_seconds_of_leeway() {
    for (claim, at, good) in [
        ("exp", now() - 4, true),
        ("exp", now() - 5, false),
        ("exp", now() - 6, false),
        ("nbf", now() + 5, true),
        ("nbf", now() + 6, false),
        ("nbf", now() - 1, true),
        ("nbf", 0, true),
        ("exp", i64::MAX / 1_000_000, true),
        ("exp", i64::MAX, false),
        ("exp", 0, false),
        // In microseconds, which some take NumericDate for.
        ("exp", now() * 1_000_000, false),
    ] {
        let answer = read(&Verifier::with_secret(), &json!({claim: at})).await;
        assert_eq!(answer.is_some(), good, "{claim} {}", at - now());
    }
    for (at, good) in [
        (decimal(now(), "9"), true),
        (decimal(now() - 5, "5"), false),
        (json!(1e300), false),
        (json!(-1e300), false),
        (json!(now().to_string()), false),
    ] {
        let answer = read(&Verifier::with_secret(), &json!({"exp": at})).await;
        assert_eq!(answer.is_some(), good, "{at}");
    }
    assert!(!self::good(json!({"nbf": "soon"})).await);
}

/// A NumericDate with a fraction.
fn decimal(seconds: i64, fraction: &str) -> Value {
    serde_json::from_str(&format!("{seconds}.{fraction}")).unwrap()
}

#[tokio::test]
async fn a_token_is_good_until_its_very_last_microsecond() {
    let verifier = Verifier::with_secret();
    let token = secret().token(&secret().header("any"), &claims_with(&json!({})));
    assert!(verifier.accepts(&token).await);
    verifier.clock.advance_ms(64_999);
    assert!(verifier.accepts(&token).await);
    verifier.clock.advance_ms(1);
    assert!(!verifier.accepts(&token).await, "remembered beyond its end");
}

#[tokio::test]
async fn the_subject_can_be_kept_and_shown() {
    for (subject, usable) in [
        ("a".to_owned(), true),
        ("auth0|5f7c8ec7c33c6c004bbafe82".to_owned(), true),
        ("é".repeat(255), true),
        ("é".repeat(256), false),
        (" ".to_owned(), false),
        ("a\nb".to_owned(), false),
        ("a\0".to_owned(), false),
        // Under these Bursar acts by itself.
        ("integrity".to_owned(), false),
        (" Integrity".to_owned(), false),
        ("bursar".to_owned(), false),
        ("integrity-team".to_owned(), true),
    ] {
        assert_eq!(good(json!({"sub": subject})).await, usable, "{subject:?}");
    }
}

#[tokio::test]
async fn permissions_are_a_list_or_else_a_scope() {
    use Permission::{AllowTransfer, BackofficeRead, BackofficeWrite};
    for (changes, expected) in [
        (json!({}), vec![BackofficeRead]),
        (json!({"scope": null}), vec![]),
        (json!({"scope": ""}), vec![]),
        (
            json!({"scope": "backoffice_write  backoffice_read root"}),
            vec![BackofficeRead, BackofficeWrite],
        ),
        (json!({"scope": "Backoffice_Read,backoffice_read"}), vec![]),
        (json!({"scope": ["backoffice_read"]}), vec![]),
        // Where there is a list, it alone counts, also an empty one.
        (json!({"permissions": []}), vec![]),
        (
            json!({"permissions": ["allow_transfer", "unknown", 7]}),
            vec![AllowTransfer],
        ),
        (json!({"permissions": "allow_transfer"}), vec![]),
        (
            json!({"permissions": ["allow_transfer backoffice_read"]}),
            vec![],
        ),
    ] {
        let found = read(&Verifier::with_secret(), &changes).await.unwrap();
        assert_eq!(found.permissions, expected, "{changes}");
    }
}

#[tokio::test]
async fn a_claim_of_its_own_names_the_user() {
    let alice = UserId::new(Uuid::parse_str(ALICE).unwrap());
    let verifier = Verifier::with_secret();
    let user = async |changes: Value| read(&verifier, &changes).await.map(|token| token.user);
    assert_eq!(user(json!({})).await, Some(None));
    assert_eq!(user(json!({"user_id": ALICE})).await, Some(Some(alice)));
    let upper = ALICE.to_ascii_uppercase();
    assert_eq!(user(json!({"user_id": upper})).await, Some(Some(alice)));
    // A GUID in `sub` names nobody unless the configuration says so.
    assert_eq!(user(json!({"sub": ALICE})).await, Some(None));
    // What should name a user and does not must not pass for an operator.
    for wrong in [json!("alice"), json!(""), json!(7), json!([ALICE])] {
        assert_eq!(user(json!({"user_id": wrong})).await, None, "{wrong}");
    }
}

#[tokio::test]
async fn a_token_is_told_by_its_id_or_else_by_its_key() {
    let long = "x".repeat(256);
    for (jti, id) in [
        (json!("id-1"), "id-1"),
        (json!("x".repeat(255)), &long[1..]),
        (Value::Null, "any"),
        (json!(""), "any"),
        (json!("a\nb"), "any"),
        (json!(long), "any"),
        (json!(7), "any"),
    ] {
        let token = read(&Verifier::with_secret(), &json!({"jti": jti})).await;
        assert_eq!(token.unwrap().id.as_deref(), Some(id), "{jti}");
    }
    let nameless = json!({"alg": "HS256"});
    let token = secret().token(&nameless, &claims_with(&json!({})));
    let token = Verifier::with_secret().verify(&token).await;
    assert_eq!(token.unwrap().id, None);
}

#[tokio::test]
async fn the_subject_can_name_the_user() {
    let alice = UserId::new(Uuid::parse_str(ALICE).unwrap());
    let mut config = config(KeyConfig::Secret(SECRET.to_vec()));
    config.user_claim = "sub".to_owned();
    let verifier = Verifier::new(config);
    let user = async |changes: Value| read(&verifier, &changes).await.unwrap().user;
    assert_eq!(user(json!({"sub": ALICE})).await, Some(alice));
    assert_eq!(user(json!({"sub": "settlement"})).await, None);
    assert_eq!(user(json!({"user_id": ALICE})).await, None);
}
