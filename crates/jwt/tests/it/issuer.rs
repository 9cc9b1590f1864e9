//! An issuer with keys made for the test, and verifiers that know it. Tokens are put together here
//! by hand, so that nothing stands in the way of wrong ones.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair, RsaPublicKeyComponents,
    },
};
use bursar_jwt::{JwksAlgorithm, JwksConfig, JwksSource, JwtConfig, JwtVerifier, KeyConfig};
use bursar_ports::{Clock, TokenVerifier, VerifiedToken};
use bursar_testkit::FixedClock;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::task::JoinHandle;
use url::Url;

pub(crate) const ISSUER: &str = "https://id.example.com/";
pub(crate) const AUDIENCE: &str = "bursar";
/// A secret for tests.
pub(crate) const SECRET: &[u8] = b"test-secret-test-secret-test-secret!";
/// The user of the seeds.
pub(crate) const ALICE: &str = "942fe02b-e9b9-6e9e-7c82-85d74f3234d4";

/// A private key.
pub(crate) enum Signer {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

/// One of each kind, made once.
pub(crate) fn rsa() -> &'static Signer {
    static KEY: OnceLock<Signer> = OnceLock::new();
    KEY.get_or_init(|| Signer::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())))
}

pub(crate) fn ec() -> Signer {
    Signer::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
}

pub(crate) fn ed() -> Signer {
    Signer::Ed(Ed25519KeyPair::generate().unwrap())
}

pub(crate) fn secret() -> Signer {
    Signer::Secret(SECRET.to_vec())
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

impl Signer {
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
            Self::Secret(_) => "HS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }
        }
    }

    /// The public half as the issuer publishes it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
                       "n": base64(&public.n), "e": base64(&public.e)})
            }
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": kid,
                       "x": base64(&point[1..33]), "y": base64(&point[33..])})
            }
            Self::Ed(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64(point)})
            }
            Self::Secret(secret) => json!({"kty": "oct", "kid": kid, "k": base64(secret)}),
        }
    }

    /// A token with this header and these claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", base64(&signature))
    }

    /// A good token, signed under this name.
    pub(crate) fn good(&self, kid: &str) -> String {
        self.token(&self.header(kid), &claims())
    }

    pub(crate) fn header(&self, kid: &str) -> Value {
        json!({"alg": self.algorithm(), "typ": "at+jwt", "kid": kid})
    }
}

/// Now, on the tests' clock, in seconds.
pub(crate) fn now() -> i64 {
    FixedClock::START.as_micros() / 1_000_000
}

/// Claims that are good for a minute.
pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "settlement", "exp": now() + 60,
           "scope": "backoffice_read openid"})
}

/// The good claims with some changed; null takes one away.
pub(crate) fn claims_with(changes: &Value) -> Value {
    let mut claims = claims();
    let all = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    claims
}

pub(crate) fn jwks(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// The configuration of these tests.
pub(crate) fn config(keys: KeyConfig) -> JwtConfig {
    JwtConfig {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned(), "other-name".to_owned()],
        leeway: Duration::from_secs(5),
        user_claim: "user_id".to_owned(),
        keys,
    }
}

/// A verifier with the work that keeps its keys fresh.
pub(crate) struct Verifier {
    pub(crate) jwt: Arc<JwtVerifier>,
    pub(crate) clock: Arc<FixedClock>,
    refresh: Option<JoinHandle<()>>,
}

impl Verifier {
    pub(crate) fn new(config: JwtConfig) -> Self {
        let clock = Arc::new(FixedClock::default());
        let shown: Arc<dyn Clock> = clock.clone();
        let (jwt, refresh) = JwtVerifier::try_new(config, shown).unwrap();
        Self {
            jwt: Arc::new(jwt),
            clock,
            refresh: refresh.map(|refresh| tokio::spawn(refresh.run())),
        }
    }

    pub(crate) fn with_secret() -> Self {
        Self::new(config(KeyConfig::Secret(SECRET.to_vec())))
    }

    pub(crate) fn with_jwks(source: JwksSource, algorithms: &[JwksAlgorithm]) -> Self {
        Self::new(config(KeyConfig::Jwks(JwksConfig {
            source,
            algorithms: algorithms.to_vec(),
            refresh: Duration::from_secs(3_600),
        })))
    }

    pub(crate) fn with_url(url: &str) -> Self {
        let url = Url::parse(url).unwrap();
        Self::with_jwks(JwksSource::Url(url), &JwksAlgorithm::ALL)
    }

    /// What it says of a token; keys are there.
    pub(crate) async fn verify(&self, token: &str) -> Option<VerifiedToken> {
        self.jwt.verify(token.to_owned()).await.unwrap()
    }

    pub(crate) async fn accepts(&self, token: &str) -> bool {
        self.verify(token).await.is_some()
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        if let Some(refresh) = &self.refresh {
            refresh.abort();
        }
    }
}
