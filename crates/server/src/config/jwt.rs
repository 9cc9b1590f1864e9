//! Settings of JWT access tokens: all of them or none.

use std::{path::PathBuf, time::Duration};

use bursar_jwt::{JwksAlgorithm, JwksConfig, JwksSource, JwtConfig, KeyConfig};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    Profile, parse,
    reader::{Parsed, Reader},
    setting::{Setting, jwt as setting},
};

/// As many as HS256 has bits.
const SECRET_BYTES_MIN: usize = 32;

/// One of the algorithms that can be configured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Hs256,
    Jwks(JwksAlgorithm),
}

/// What is given, each value well-formed by itself.
struct Given {
    issuer: Option<String>,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    url: Option<Url>,
    file: Option<PathBuf>,
    secret: Option<SecretString>,
}

/// The settings; `Some(None)` when JWTs are not to be accepted, `None` = wrong.
#[expect(
    clippy::option_option,
    reason = "wrong, missing and given are three things"
)]
pub(super) fn load(read: &mut Reader<'_>, profile: Option<Profile>) -> Option<Option<JwtConfig>> {
    let issuer = read.optional(&setting::ISSUER, text);
    let audiences = read.list(&setting::AUDIENCE, text);
    let algorithms = read.list(&setting::ALGORITHMS, algorithm);
    let url = read.optional(&setting::JWKS_URL, jwks_url(profile));
    let file = read.optional(&setting::JWKS_FILE, |text| Ok(PathBuf::from(text)));
    let secret = read.optional(&setting::SECRET, secret);
    let leeway = read.value(&setting::LEEWAY, parse::seconds(0, 30));
    let user_claim = read.value(&setting::USER_CLAIM, text);
    let refresh = read.value(&setting::REFRESH, parse::seconds(30, 86_400));
    let given = Given {
        issuer: issuer?,
        audiences: audiences?,
        algorithms: algorithms?,
        url: url?,
        file: file?,
        secret: secret?,
    };
    if given.is_nothing() {
        let how = [&setting::LEEWAY, &setting::USER_CLAIM, &setting::REFRESH];
        read.idle(&how, "JWTs are not accepted without jwt.issuer");
        return Some(None);
    }
    if given.secret.is_some() {
        read.idle(&[&setting::REFRESH], "with jwt.secret no keys are fetched");
    }
    let keys = given.keys(read, refresh?);
    let issuer = given.required(read)?;
    Some(Some(JwtConfig {
        issuer,
        audiences: given.audiences,
        leeway: leeway?,
        user_claim: user_claim?,
        keys: keys?,
    }))
}

impl Given {
    const fn is_nothing(&self) -> bool {
        self.issuer.is_none()
            && self.audiences.is_empty()
            && self.algorithms.is_empty()
            && self.url.is_none()
            && self.file.is_none()
            && self.secret.is_none()
    }

    /// Says all that is missing beside the keys.
    fn required(&self, read: &mut Reader<'_>) -> Option<String> {
        let missing = [
            (&setting::ISSUER, self.issuer.is_none()),
            (&setting::AUDIENCE, self.audiences.is_empty()),
            (&setting::ALGORITHMS, self.algorithms.is_empty()),
        ];
        for (setting, missing) in missing {
            if missing {
                read.refuse(setting, "is required where JWTs are accepted");
            }
        }
        let complete = missing.iter().all(|(_, missing)| !missing);
        self.issuer.clone().filter(|_| complete)
    }

    /// What signatures are verified with: one source, with algorithms that fit it.
    fn keys(&self, read: &mut Reader<'_>, refresh: Duration) -> Option<KeyConfig> {
        let sources: [(&Setting, Option<KeySource<'_>>); 3] = [
            (&setting::JWKS_URL, self.url.as_ref().map(KeySource::Url)),
            (&setting::JWKS_FILE, self.file.as_ref().map(KeySource::File)),
            (
                &setting::SECRET,
                self.secret.as_ref().map(KeySource::Secret),
            ),
        ];
        let mut given = sources.into_iter().filter_map(|(at, key)| Some((at, key?)));
        let Some((at, key)) = given.next() else {
            let detail = "or jwt.jwks_file or jwt.secret is required where JWTs are accepted";
            read.refuse(&setting::JWKS_URL, detail);
            return None;
        };
        let mut alone = true;
        for (another, _) in given {
            alone = false;
            read.refuse(
                another,
                &format!("cannot be given together with {}", at.key),
            );
        }
        let shared = matches!(key, KeySource::Secret(_));
        let fits = |one: &Algorithm| (*one == Algorithm::Hs256) == shared;
        if !self.algorithms.iter().all(fits) {
            let detail = format!("has an algorithm that does not go with {}", at.key);
            read.refuse(&setting::ALGORITHMS, &detail);
            return None;
        }
        let algorithms = self.algorithms.iter().filter_map(|one| match one {
            Algorithm::Hs256 => None,
            Algorithm::Jwks(one) => Some(*one),
        });
        let jwks = |source| {
            KeyConfig::Jwks(JwksConfig {
                source,
                algorithms: algorithms.collect(),
                refresh,
            })
        };
        alone.then(|| match key {
            KeySource::Url(url) => jwks(JwksSource::Url(url.clone())),
            KeySource::File(path) => jwks(JwksSource::File(path.clone())),
            KeySource::Secret(secret) => {
                KeyConfig::Secret(secret.expose_secret().as_bytes().to_vec())
            }
        })
    }
}

enum KeySource<'a> {
    Url(&'a Url),
    File(&'a PathBuf),
    Secret(&'a SecretString),
}

pub(super) fn text(text: &str) -> Parsed<String> {
    let plain = !text.trim().is_empty() && text.len() <= 1_024;
    if plain && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("is not a text of 1 to 1,024 bytes".to_owned())
    }
}

fn algorithm(text: &str) -> Parsed<Algorithm> {
    if text == "HS256" {
        return Ok(Algorithm::Hs256);
    }
    let known = JwksAlgorithm::ALL.into_iter();
    known
        .map(Algorithm::Jwks)
        .find(|one| matches!(one, Algorithm::Jwks(name) if name.as_str() == text))
        .ok_or_else(|| "is none of RS256, ES256, EdDSA and HS256".to_owned())
}

fn secret(text: &str) -> Parsed<SecretString> {
    if text.len() < SECRET_BYTES_MIN {
        return Err("is shorter than 32 bytes".to_owned());
    }
    Ok(SecretString::from(text))
}

/// Who can change the answer can issue tokens.
fn jwks_url(profile: Option<Profile>) -> impl Fn(&str) -> Parsed<Url> {
    move |text| parse::private_url(text, profile)
}

#[cfg(test)]
mod tests;
