//! Which signatures are accepted, and above all which are not.

use bursar_jwt::{JwksAlgorithm, JwksSource};
use serde_json::{Value, json};

use crate::issuer::{SECRET, Signer, Verifier, base64, claims, ec, ed, jwks, rsa, secret};

/// A verifier for a file with these keys.
fn with_file(keys: &[Value], algorithms: &[JwksAlgorithm]) -> (Verifier, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), jwks(keys)).unwrap();
    let source = JwksSource::File(file.path().to_owned());
    (Verifier::with_jwks(source, algorithms), file)
}

#[tokio::test]
async fn every_algorithm_is_accepted_with_its_own_key() {
    let (ec, ed) = (ec(), ed());
    let keys = [rsa().jwk("r"), ec.jwk("e"), ed.jwk("d")];
    let (verifier, _file) = with_file(&keys, &JwksAlgorithm::ALL);
    for (signer, kid) in [(rsa(), "r"), (&ec, "e"), (&ed, "d")] {
        let found = verifier.verify(&signer.good(kid)).await.unwrap();
        assert_eq!(found.subject, "settlement", "{}", signer.algorithm());
        // Under another key's name it is nothing.
        for other in ["r", "e", "d", "x"] {
            let accepted = verifier.accepts(&signer.good(other)).await;
            assert_eq!(accepted, other == kid, "{} as {other}", signer.algorithm());
        }
    }
    let shared = Verifier::with_secret();
    assert!(shared.accepts(&secret().good("any")).await);
}

#[tokio::test]
async fn without_a_name_there_must_be_one_fitting_key() {
    let (one, two, ed) = (ec(), ec(), ed());
    let nameless = |signer: &Signer| signer.token(&json!({"alg": signer.algorithm()}), &claims());
    let (verifier, _file) = with_file(&[one.jwk("1"), ed.jwk("3")], &JwksAlgorithm::ALL);
    assert!(verifier.accepts(&nameless(&one)).await);
    assert!(verifier.accepts(&nameless(&ed)).await);
    let (verifier, _file) = with_file(&[one.jwk("1"), two.jwk("2")], &JwksAlgorithm::ALL);
    assert!(!verifier.accepts(&nameless(&one)).await);
    assert!(!verifier.accepts(&nameless(&two)).await);
}

#[tokio::test]
async fn only_configured_algorithms_count() {
    let (ec, ed) = (ec(), ed());
    let keys = [rsa().jwk("r"), ec.jwk("e"), ed.jwk("d")];
    let (verifier, _file) = with_file(&keys, &[JwksAlgorithm::Es256]);
    assert!(verifier.accepts(&ec.good("e")).await);
    assert!(!verifier.accepts(&rsa().good("r")).await);
    assert!(!verifier.accepts(&ed.good("d")).await);
}

#[tokio::test]
async fn no_signature_at_all_is_never_accepted() {
    let ec = ec();
    let (verifier, _file) = with_file(&[ec.jwk("e")], &JwksAlgorithm::ALL);
    let payload = base64(claims().to_string().as_bytes());
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let header = base64(json!({"alg": algorithm, "kid": "e"}).to_string().as_bytes());
        for signature in ["", "AA"] {
            let token = format!("{header}.{payload}.{signature}");
            assert!(!verifier.accepts(&token).await, "{algorithm}");
            assert!(
                !Verifier::with_secret().accepts(&token).await,
                "{algorithm}"
            );
        }
    }
    let signed = ec.good("e");
    let unsigned = &signed[..=signed.rfind('.').unwrap()];
    assert!(!verifier.accepts(unsigned).await);
}

/// The classic: a public key is no secret, so it must never serve as one.
#[tokio::test]
async fn a_public_key_is_no_secret() {
    let ec = ec();
    let keys = [rsa().jwk("r"), ec.jwk("e")];
    let (verifier, _file) = with_file(&keys, &JwksAlgorithm::ALL);
    let published = jwks(&keys).into_bytes();
    let texts = keys.iter().flat_map(|key| {
        let members = ["n", "e", "x", "y"];
        let texts = members.into_iter().filter_map(|name| key[name].as_str());
        texts
            .map(|text| text.as_bytes().to_vec())
            .collect::<Vec<_>>()
    });
    for guess in texts.chain([published, vec![]]) {
        let forged = Signer::Secret(guess);
        for kid in ["r", "e", "x"] {
            assert!(!verifier.accepts(&forged.good(kid)).await);
        }
    }
}

#[tokio::test]
async fn a_secret_in_a_jwks_is_not_believed() {
    let ec = ec();
    let (verifier, _file) = with_file(&[secret().jwk("s"), ec.jwk("e")], &JwksAlgorithm::ALL);
    assert!(!verifier.accepts(&secret().good("s")).await);
    assert!(verifier.accepts(&ec.good("e")).await);
}

#[tokio::test]
async fn a_secret_verifies_nothing_but_hs256() {
    let verifier = Verifier::with_secret();
    for signer in [&ec(), &ed(), rsa()] {
        assert!(!verifier.accepts(&signer.good("any")).await);
    }
    // Well signed, but called something else.
    for algorithm in ["HS384", "HS512", "RS256", "ES256", "EdDSA", "none"] {
        let token = secret().token(&json!({"alg": algorithm}), &claims());
        assert!(!verifier.accepts(&token).await, "{algorithm}");
    }
    let other = Signer::Secret(SECRET[1..].to_vec());
    assert!(!verifier.accepts(&other.good("any")).await);
}

#[tokio::test]
async fn every_bit_of_header_and_claims_is_signed() {
    let ed = ed();
    let (verifier, _file) = with_file(&[ed.jwk("d")], &JwksAlgorithm::ALL);
    let good = ed.good("d");
    assert!(verifier.accepts(&good).await);
    let mut changed = 0;
    for at in 0..good.len() {
        for to in [b'A', b'Q', b'.', b'='] {
            let mut bytes = good.clone().into_bytes();
            if bytes[at] != to {
                bytes[at] = to;
                let token = String::from_utf8(bytes).unwrap();
                assert!(!verifier.accepts(&token).await, "{at}: {token}");
                changed += 1;
            }
        }
    }
    assert!(changed > 500, "{changed}");
}

#[tokio::test]
async fn keys_and_addresses_in_the_header_are_not_looked_at() {
    let (ours, theirs) = (ec(), ec());
    let (verifier, _file) = with_file(&[ours.jwk("e")], &JwksAlgorithm::ALL);
    let header = json!({
        "alg": "ES256", "kid": "e", "jwk": theirs.jwk("e"), "jku": "http://127.0.0.1:1/jwks",
        "x5u": "http://127.0.0.1:1/x5u", "x5c": ["AAAA"],
    });
    assert!(!verifier.accepts(&theirs.token(&header, &claims())).await);
    // They make no difference to a token of the issuer's either.
    assert!(verifier.accepts(&ours.token(&header, &claims())).await);
}

#[tokio::test]
async fn the_header_says_what_kind_of_token_it_is() {
    let verifier = Verifier::with_secret();
    for (typ, good) in [
        (json!("JWT"), true),
        (json!("jwt"), true),
        (json!("at+jwt"), true),
        (json!("AT+JWT"), true),
        (json!(null), true),
        (json!("dpop+jwt"), false),
        (json!("logout+jwt"), false),
        (json!(""), false),
        (json!(1), false),
    ] {
        let token = secret().token(&json!({"alg": "HS256", "typ": typ}), &claims());
        assert_eq!(verifier.accepts(&token).await, good, "{typ}");
    }
    for critical in [json!(["exp"]), json!(["b64"]), json!([])] {
        let header = json!({"alg": "HS256", "crit": critical, "b64": true});
        let token = secret().token(&header, &claims());
        assert!(!verifier.accepts(&token).await, "{critical}");
    }
}

#[tokio::test]
async fn what_is_no_jwt_or_too_large_is_refused() {
    let verifier = Verifier::with_secret();
    let good = secret().good("any");
    let parts: Vec<&str> = good.split('.').collect();
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "é.é.é".to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.{}", parts[2]),
        format!(" {good}"),
        good.replace('.', ":"),
    ] {
        assert!(!verifier.accepts(&text).await, "{text}");
    }
    let sized = |pad: usize| {
        let header = json!({"alg": "HS256", "pad": "p".repeat(pad)});
        secret().token(&header, &claims())
    };
    let pad = (5_000..8_192)
        .find(|pad| sized(*pad).len() > 8_192)
        .unwrap();
    assert!(verifier.accepts(&sized(pad - 1)).await);
    assert!(!verifier.accepts(&sized(pad)).await);
}

#[tokio::test]
async fn unusable_keys_of_a_jwks_are_left_out_and_the_others_count() {
    let ec = ec();
    let mut keys = vec![json!(7), json!({"kty": "RSA"}), json!({"kid": "no-type"})];
    for change in [
        json!({"kid": "1", "use": "enc"}),
        json!({"kid": "2", "key_ops": ["sign"]}),
        json!({"kid": "3", "alg": "ES384"}),
        json!({"kid": "4", "crv": "P-384"}),
        json!({"kid": "5", "kty": "OKP"}),
        json!({"kid": "6", "x": "AAAA"}),
        json!({"kid": "7", "y": "!"}),
    ] {
        let mut key = ec.jwk("");
        key.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        keys.push(key);
    }
    // 1,024 bits.
    keys.push(json!({"kty": "RSA", "kid": "8", "n": base64(&[0xff; 128]), "e": "AQAB"}));
    keys.push(ec.jwk("good"));
    let (verifier, _file) = with_file(&keys, &JwksAlgorithm::ALL);
    assert!(verifier.accepts(&ec.good("good")).await);
    for kid in ["1", "2", "3", "4", "5", "6", "7"] {
        assert!(!verifier.accepts(&ec.good(kid)).await, "{kid}");
    }
}
