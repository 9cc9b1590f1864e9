//! From the claims of an ID token whose signature fits to whom it is about (OpenID Connect Core,
//! 3.1.3.7).

use bursar_domain::Timestamp;
use bursar_jwt::{Claims, numeric_date};
use bursar_ports::{Identified, Identity};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use crate::OidcConfig;

/// How far the provider's clock may be from ours.
const LEEWAY_US: i64 = 60_000_000;

/// Why a token is not accepted, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is from another issuer")]
    Issuer,
    #[error("it is for another client")]
    Audience,
    #[error("it has expired, or never does")]
    Expired,
    #[error("it was issued in the future, or at no time")]
    Issued,
    #[error("it is of another sign-in")]
    Nonce,
    #[error("its subject is missing or unusable")]
    Subject,
}

/// Holds the claims against the configuration and the sign-in's nonce.
pub(crate) fn check(
    claims: &Claims,
    config: &OidcConfig,
    nonce: &str,
    now: Timestamp,
) -> Result<Identified, Refusal> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let time = |name: &str| claims.get(name).and_then(numeric_date);
    if text("iss") != Some(config.issuer.as_str()) {
        return Err(Refusal::Issuer);
    }
    if !is_for_us(claims, &config.client_id) {
        return Err(Refusal::Audience);
    }
    let until = time("exp").map(|expires| expires.plus_micros(LEEWAY_US));
    if until.is_none_or(|until| until <= now) {
        return Err(Refusal::Expired);
    }
    let latest = now.plus_micros(LEEWAY_US);
    let begins = match claims.get("nbf") {
        None | Some(Value::Null) => true,
        Some(begins) => numeric_date(begins).is_some_and(|begins| begins <= latest),
    };
    if !begins || time("iat").is_none_or(|issued| issued > latest) {
        return Err(Refusal::Issued);
    }
    let fits = text("nonce").is_some_and(|told| told.as_bytes().ct_eq(nonce.as_bytes()).into());
    if !fits {
        return Err(Refusal::Nonce);
    }
    let subject = text("sub").filter(|subject| Identity::is_subject(subject));
    let identity = Identity {
        issuer: config.issuer.clone(),
        subject: subject.ok_or(Refusal::Subject)?.to_owned(),
    };
    let is_enough = config
        .acr
        .as_deref()
        .is_none_or(|acr| text("acr") == Some(acr));
    Ok(if is_enough {
        Identified::As(identity)
    } else {
        Identified::TooWeak(identity)
    })
}

/// We are among those it is for, and where there are several, the one that it was given to. Where that
/// is told it is us anyway.
fn is_for_us(claims: &Claims, client_id: &str) -> bool {
    let us = |value: &Value| value.as_str() == Some(client_id);
    let party = claims.get("azp").filter(|party| !party.is_null());
    match claims.get("aud") {
        Some(Value::Array(several)) if several.len() > 1 => {
            several.iter().any(us) && party.is_some_and(us)
        }
        Some(Value::Array(one)) => one.iter().any(us) && party.is_none_or(us),
        Some(one) => us(one) && party.is_none_or(us),
        None => false,
    }
}
