//! From the claims of a token whose signature fits to what it says.

use bursar_domain::{ActorId, Timestamp, UserId};
use bursar_ports::{Permission, VerifiedToken, WATCH};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{JwtConfig, refusal::Refusal};

/// Claims by their names.
pub type Claims = Map<String, Value>;

const NAME_CHARS_MAX: usize = 255;

/// A token that is good, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) token: VerifiedToken,
    /// The first instant at which it is not accepted any more, leeway included.
    pub(crate) until: Timestamp,
}

/// Holds the claims against the configuration. The key's name is the header's.
pub(crate) fn check(
    claims: &Claims,
    kid: Option<&str>,
    config: &JwtConfig,
    now: Timestamp,
) -> Result<Accepted, Refusal> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(config.issuer.as_str()) {
        return Err(Refusal::Issuer);
    }
    if !is_for_us(claims.get("aud"), &config.audiences) {
        return Err(Refusal::Audience);
    }
    let leeway_us = i64::try_from(config.leeway.as_micros()).unwrap_or(0);
    let until = claims
        .get("exp")
        .and_then(numeric_date)
        .map(|expires| expires.plus_micros(leeway_us))
        .filter(|until| now < *until)
        .ok_or(Refusal::Expired)?;
    let begun = match claims.get("nbf") {
        None | Some(Value::Null) => true,
        Some(begins) => numeric_date(begins).is_some_and(|at| at <= now.plus_micros(leeway_us)),
    };
    if !begun {
        return Err(Refusal::NotYet);
    }
    let subject = text("sub")
        .filter(|sub| is_usable_name(sub) && !is_bursars_own(sub))
        .ok_or(Refusal::Subject)?;
    let id = text("jti").filter(|id| is_usable_name(id));
    let id = id.or_else(|| kid.filter(|kid| is_usable_name(kid)));
    let token = VerifiedToken {
        subject: subject.to_owned(),
        id: id.map(str::to_owned),
        user: user(claims, &config.user_claim)?,
        permissions: permissions(claims),
    };
    Ok(Accepted { token, until })
}

/// `aud` is one audience or a list of them (RFC 7519).
fn is_for_us(audience: Option<&Value>, ours: &[String]) -> bool {
    let is_ours = |one: &Value| {
        one.as_str()
            .is_some_and(|one| ours.iter().any(|own| own == one))
    };
    match audience {
        Some(Value::Array(several)) => several.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    }
}

/// A NumericDate: seconds since the epoch, which may have a fraction. None when it is no number,
/// lies before the epoch, or beyond what a timestamp holds.
pub fn numeric_date(value: &Value) -> Option<Timestamp> {
    let seconds = match value.as_i64() {
        Some(seconds) => seconds,
        None => whole_seconds(value.as_f64()?)?,
    };
    let micros = seconds.checked_mul(1_000_000)?;
    (micros >= 0).then(|| Timestamp::from_micros(micros))
}

/// Rounded down. Through text, because there is no conversion that refuses what does not fit.
fn whole_seconds(seconds: f64) -> Option<i64> {
    format!("{:.0}", seconds.floor()).parse().ok()
}

/// It becomes the name of whoever did something, so it must be one that can be kept and shown.
fn is_usable_name(name: &str) -> bool {
    !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control)
}

/// Whether Bursar itself acts under it: what somebody does must not look like its own doing.
fn is_bursars_own(name: &str) -> bool {
    let system = ActorId::system();
    let own = [WATCH, system.as_str()];
    own.iter().any(|own| own.eq_ignore_ascii_case(name.trim()))
}

/// The user that a token acts for. `sub` is in every token, so there a GUID names a user and
/// anything else none; a claim of its own is only there to name one.
fn user(claims: &Claims, claim: &str) -> Result<Option<UserId>, Refusal> {
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let guid = value.as_str().and_then(|text| Uuid::parse_str(text).ok());
            match guid {
                Some(guid) => Ok(Some(UserId::new(guid))),
                None if claim == "sub" => Ok(None),
                None => Err(Refusal::User),
            }
        }
    }
}

/// `permissions`, a list of names, is what an issuer that has such a thing means; `scope`, names
/// with blanks between them (RFC 9068), counts where it is missing. Names that are nobody's here
/// are left out: issuers serve more than one service.
fn permissions(claims: &Claims) -> Vec<Permission> {
    let names: Vec<&str> = match (claims.get("permissions"), claims.get("scope")) {
        (Some(Value::Array(names)), _) => names.iter().filter_map(Value::as_str).collect(),
        (None | Some(Value::Null), Some(Value::String(scope))) => scope.split(' ').collect(),
        _ => vec![],
    };
    let has = |permission: &Permission| names.contains(&permission.as_str());
    Permission::ALL.into_iter().filter(has).collect()
}
