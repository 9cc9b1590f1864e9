//! A JWKS (RFC 7517) as a set of keys, each bound to the one algorithm it is good for.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use crate::JwksAlgorithm;

/// Issuers have a handful; more would only be work.
const KEYS_MAX: usize = 64;
/// 2,048 to 8,192 bits.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
const COORDINATE_BYTES: usize = 32;

/// The members of a key that matter here (RFC 7517, RFC 7518, RFC 8037).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

struct PublicKey {
    kid: Option<String>,
    algorithm: JwksAlgorithm,
    key: DecodingKey,
}

/// The keys of an issuer.
pub(crate) struct KeySet(Vec<PublicKey>);

impl KeySet {
    /// The usable keys for these algorithms in a JWKS. What is not usable is left out: an issuer
    /// may publish keys for other purposes and of kinds that nobody here has heard of. None when
    /// it is no JWKS or nothing in it can be used.
    pub(crate) fn parse(json: &[u8], algorithms: &[JwksAlgorithm]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Jwks {
            keys: Vec<Value>,
        }
        let set: Jwks = serde_json::from_slice(json).ok()?;
        let keys: Vec<PublicKey> = set
            .keys
            .into_iter()
            .filter_map(|key| PublicKey::read(serde_json::from_value(key).ok()?))
            .filter(|key| algorithms.contains(&key.algorithm))
            .take(KEYS_MAX)
            .collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The key that a header names. Without a name there must be no choice.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: JwksAlgorithm) -> Option<&DecodingKey> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
        match kid {
            Some(kid) => fitting.find(|key| key.kid.as_deref() == Some(kid)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
        .map(|found| &found.key)
    }
}

impl PublicKey {
    /// A key for signatures of a kind that is known here. `oct`, a secret, is never one: a secret
    /// in a public document is none.
    fn read(jwk: Jwk) -> Option<Self> {
        let signs = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = jwk
            .key_ops
            .is_none_or(|operations| operations.iter().any(|one| one == "verify"));
        let algorithm = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => JwksAlgorithm::Rs256,
            ("EC", Some("P-256")) => JwksAlgorithm::Es256,
            ("OKP", Some("Ed25519")) => JwksAlgorithm::EdDsa,
            _ => return None,
        };
        let meant_for_it = jwk.alg.is_none_or(|alg| alg == algorithm.as_str());
        if !(signs && verifies && meant_for_it) {
            return None;
        }
        let coordinate = |text: Option<String>| {
            bytes(&text?).filter(|bytes: &Vec<u8>| bytes.len() == COORDINATE_BYTES)
        };
        let key = match algorithm {
            JwksAlgorithm::Rs256 => {
                let modulus = bytes(&jwk.n?)?;
                let length = modulus.iter().skip_while(|byte| **byte == 0).count();
                if !RSA_MODULUS_BYTES.contains(&length) {
                    return None;
                }
                DecodingKey::from_rsa_raw_components(&modulus, &bytes(&jwk.e?)?)
            }
            JwksAlgorithm::Es256 => {
                let point = [vec![0x04], coordinate(jwk.x)?, coordinate(jwk.y)?].concat();
                DecodingKey::from_ec_der(&point)
            }
            JwksAlgorithm::EdDsa => DecodingKey::from_ed_der(&coordinate(jwk.x)?),
        };
        Some(Self {
            kid: jwk.kid,
            algorithm,
            key,
        })
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let unpadded = text.trim_end_matches('=');
    BASE64URL_NOPAD.decode(unpadded.as_bytes()).ok()
}
