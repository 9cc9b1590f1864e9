use standardwebhooks::Webhook;

use super::*;

const ID: &str = "0199a1c6-7f00-7000-8000-000000000001";
const BODY: &[u8] = r#"{"Amount":1.0,"ErrorDetails":null,"note":"naïve 💰"}"#.as_bytes();
const AT: i64 = 1_673_793_015;

fn secret(byte: u8) -> CallbackSecret {
    CallbackSecret([byte; 32])
}

fn signed(secrets: &[CallbackSecret]) -> String {
    sign(ID, AT, BODY, secrets).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn check(signature: &str, secrets: &[CallbackSecret], now: i64) -> Result<(), Unverified> {
    let headers = SignatureHeaders {
        id: ID,
        timestamp: &AT.to_string(),
        signature,
    };
    verify(headers, BODY, secrets, at(now), TOLERANCE)
}

#[test]
fn a_signature_is_the_one_that_openssl_makes() {
    // printf %s 'msg_1.1614265330.{"test": 2432232314}' |
    //     openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf '01%.0s' $(seq 32)) -binary | base64
    let signature = sign(
        "msg_1",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
        &[secret(1)],
    );
    assert_eq!(
        signature.as_deref(),
        Some("v1,YUNsouczJ3RNIJXIS6xNtnOnTODDfbH01V6yB8kWgZc=")
    );
}

#[test]
fn each_secret_signs_and_without_one_there_is_no_header() {
    assert_eq!(sign(ID, AT, BODY, &[]), None);
    let both = signed(&[secret(1), secret(2)]);
    let alone = [signed(&[secret(1)]), signed(&[secret(2)])];
    assert_eq!(both, alone.join(" "));
    assert_ne!(alone[0], alone[1]);
}

#[test]
fn either_secret_of_a_rotation_verifies_on_either_side() {
    let both = [secret(1), secret(2)];
    for one in both.clone() {
        let alone = [one];
        assert_eq!(check(&signed(&both), &alone, AT), Ok(()));
        assert_eq!(check(&signed(&alone), &both, AT), Ok(()));
    }
    assert_eq!(
        check(&signed(&both), &[secret(3)], AT),
        Err(Unverified::Signature)
    );
    assert_eq!(check(&signed(&both), &[], AT), Err(Unverified::Signature));
}

#[test]
fn whatever_was_changed_is_noticed() {
    let (secrets, signature) = ([secret(1)], signed(&[secret(1)]));
    let timestamp = AT.to_string();
    let genuine = SignatureHeaders {
        id: ID,
        timestamp: &timestamp,
        signature: &signature,
    };
    let verdict = |headers, body: &[u8]| verify(headers, body, &secrets, at(AT), TOLERANCE);
    assert_eq!(verdict(genuine, BODY), Ok(()));
    let later = (AT + 1).to_string();
    let asymmetric = signature.replace("v1,", "v1a,");
    for headers in [
        SignatureHeaders {
            id: "other",
            ..genuine
        },
        SignatureHeaders {
            timestamp: &later,
            ..genuine
        },
        SignatureHeaders {
            signature: "",
            ..genuine
        },
        SignatureHeaders {
            signature: "v1,",
            ..genuine
        },
        SignatureHeaders {
            signature: "v1,AAAA",
            ..genuine
        },
        SignatureHeaders {
            signature: signature.trim_start_matches("v1,"),
            ..genuine
        },
        SignatureHeaders {
            signature: &asymmetric,
            ..genuine
        },
    ] {
        assert_eq!(
            verdict(headers, BODY),
            Err(Unverified::Signature),
            "{headers:?}"
        );
    }
    for at_byte in 0..BODY.len() {
        let mut body = BODY.to_vec();
        body[at_byte] ^= 1;
        assert_eq!(verdict(genuine, &body), Err(Unverified::Signature));
    }
    // Where one part ends and the next begins is a part of it.
    let moved = SignatureHeaders {
        id: &format!("{ID}.{AT}"),
        timestamp: &timestamp,
        ..genuine
    };
    assert_eq!(verdict(moved, BODY), Err(Unverified::Signature));
}

#[test]
fn what_is_old_or_early_is_not_believed() {
    let signature = signed(&[secret(1)]);
    for (now, verdict) in [
        (AT - 300, Ok(())),
        (AT + 300, Ok(())),
        (AT - 301, Err(Unverified::Expired)),
        (AT + 301, Err(Unverified::Expired)),
    ] {
        assert_eq!(check(&signature, &[secret(1)], now), verdict);
    }
    for timestamp in ["", "soon", "1673793015.0", "99999999999999999999"] {
        let headers = SignatureHeaders {
            id: ID,
            timestamp,
            signature: &signature,
        };
        let verdict = verify(headers, BODY, &[secret(1)], at(AT), TOLERANCE);
        assert_eq!(verdict, Err(Unverified::Timestamp), "{timestamp:?}");
    }
}

/// Others' signatures beside ours do no harm: other schemes, other secrets, rubbish.
#[test]
fn one_good_signature_among_others_is_enough() {
    let good = signed(&[secret(1)]);
    let other = signed(&[secret(9)]);
    let header = format!("v1a,AAAA v2,x {other}  v1,!! {good}");
    assert_eq!(check(&header, &[secret(1)], AT), Ok(()));
}

/// Who writes thousands of them is not listened to for long.
#[test]
fn sixteen_signatures_are_looked_at_and_no_more() {
    let good = signed(&[secret(1)]);
    let other = signed(&[secret(9)]);
    for entry in [other.as_str(), "v1,", "v1,!!", "v2,x", ""] {
        let after = |entries: usize| format!("{entry} ").repeat(entries) + &good;
        assert_eq!(check(&after(15), &[secret(1)], AT), Ok(()), "{entry:?}");
        for entries in [16, 32_000] {
            assert_eq!(
                check(&after(entries), &[secret(1)], AT),
                Err(Unverified::Signature),
                "{entries} of {entry:?}"
            );
        }
    }
    // What follows the good one does no harm, however much it is.
    let before = good.clone() + &" v1,".repeat(32_000);
    assert_eq!(check(&before, &[secret(1)], AT), Ok(()));
}

/// The reference implementation judges by the present time, so this one asks the clock.
#[test]
fn the_reference_implementation_accepts_ours_and_we_accept_its() {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    for byte in 0..=255 {
        let ours = secret(byte);
        let reference = Webhook::from_bytes(ours.0.to_vec()).unwrap();
        let value = sign(ID, now, BODY, &[secret(byte.wrapping_add(1)), ours.clone()]).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert(WEBHOOK_ID, ID.parse().unwrap());
        headers.insert(WEBHOOK_TIMESTAMP, now.to_string().parse().unwrap());
        headers.insert(WEBHOOK_SIGNATURE, value.parse().unwrap());
        reference.verify(BODY, &headers).unwrap();

        let its = reference.sign(ID, now, BODY).unwrap();
        let headers = SignatureHeaders {
            id: ID,
            timestamp: &now.to_string(),
            signature: &its,
        };
        assert_eq!(verify(headers, BODY, &[ours], at(now), TOLERANCE), Ok(()));
    }
}
