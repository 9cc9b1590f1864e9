//! ID tokens, put together by hand, so that nothing stands in the way of wrong ones.

use std::sync::OnceLock;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents},
};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::changed;

/// The name of the provider's key.
const KEY_ID: &str = "key-1";

/// By what an ID token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The provider's key, RS256.
    Own,
    /// Another key under the same name.
    AnotherKey,
    /// HS256, with what everybody knows of the provider's key as the secret.
    PublicKeyAsSecret,
    /// HS256, with the client's secret.
    ClientSecret,
    /// Nothing, and `none` says so.
    None,
}

impl Signature {
    pub(super) fn token(self, header: &Value, claims: &Value) -> String {
        let algorithm = match self {
            Self::Own | Self::AnotherKey => "RS256",
            Self::PublicKeyAsSecret | Self::ClientSecret => "HS256",
            Self::None => "none",
        };
        let good = json!({"alg": algorithm, "typ": "JWT", "kid": KEY_ID});
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(&changed(good, header)), part(claims));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn sign(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Own => rs256(own_key(), message),
            Self::AnotherKey => rs256(another_key(), message),
            Self::PublicKeyAsSecret => hs256(own_key().public_key().as_ref(), message),
            Self::ClientSecret => hs256(super::CLIENT_SECRET.as_bytes(), message),
            Self::None => vec![],
        }
    }
}

/// What the provider publishes.
pub(super) fn jwks() -> Value {
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(own_key().public_key());
    let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    json!({"keys": [{
        "kty": "RSA", "kid": KEY_ID, "use": "sig", "alg": "RS256",
        "n": text(&public.n), "e": text(&public.e),
    }]})
}

fn own_key() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(made)
}

fn another_key() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(made)
}

fn made() -> RsaKeyPair {
    RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made")
}

fn rs256(key: &RsaKeyPair, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message,
        &mut signature,
    )
    .expect("it signs");
    signature
}

fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length will do");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}
