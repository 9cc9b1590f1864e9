//! From credentials to a principal (contract §0).

use std::net::IpAddr;

use bursar_ports::TokenVerifier;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};

use crate::{
    App, Error, Origin, Principal,
    keyring::{TOKEN_PREFIX, equal, hash_token, hmac_sha256},
};

/// How far a signed request's timestamp may be from now, in milliseconds.
const TIMESTAMP_WINDOW_MS: i64 = 5_000;
/// How long a signature is remembered, in milliseconds. A timestamp may lie ahead by the window, so
/// one is accepted for twice the window; the rest is for replicas whose clocks differ.
const REMEMBERED_MS: u32 = 20_000;

/// What an access-key request consists of.
#[derive(Clone, Debug)]
pub struct SignedRequest {
    /// `X-Access-Key`.
    pub access_key: Option<String>,
    /// `X-Timestamp`.
    pub timestamp: Option<String>,
    /// `X-Signature`.
    pub signature: Option<String>,
    /// The path without its query.
    pub path: String,
    /// The path with its query.
    pub path_and_query: String,
    /// The raw body; empty for GET.
    pub body: Vec<u8>,
    /// Whether the request changes something, so that its signature counts once.
    pub changes: bool,
    /// Where it comes from, when that is known.
    pub client: Option<IpAddr>,
}

/// Why credentials are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No credentials at all.
    #[error("credentials are required")]
    Missing,
    /// A token that is unknown, expired or revoked, or a JWT that does not verify: one answer for
    /// all.
    #[error("the token is not valid")]
    TokenInvalid,
    /// `X-Access-Key` is missing.
    #[error("X-Access-Key is missing")]
    AccessKeyMissed,
    /// `X-Timestamp` is missing.
    #[error("X-Timestamp is missing")]
    TimestampMissed,
    /// `X-Signature` is missing.
    #[error("X-Signature is missing")]
    SignatureMissed,
    /// The access key is unknown or revoked.
    #[error("the access key is not valid")]
    AccessKeyUnknown,
    /// The timestamp is not a number of milliseconds.
    #[error("X-Timestamp must be milliseconds since the epoch")]
    TimestampInvalid,
    /// The timestamp is too far from now.
    #[error("X-Timestamp must be within 5 seconds of now")]
    TimestampExpired,
    /// The signature does not fit the request.
    #[error("the signature does not fit the request")]
    SignatureInvalid,
    /// The signature was used before.
    #[error("the signature was used before; sign a retry anew")]
    SignatureReplayed,
    /// The key may not be used from this address.
    #[error("the access key may not be used from this address")]
    IpNotAllowed,
}

impl AuthError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "credentials.missing",
            Self::TokenInvalid => "token.invalid",
            Self::AccessKeyMissed => "access_key.missed",
            Self::TimestampMissed => "timestamp.missed",
            Self::SignatureMissed => "signature.missed",
            Self::AccessKeyUnknown => "access_key.unknown",
            Self::TimestampInvalid => "timestamp.invalid",
            Self::TimestampExpired => "timestamp.expired",
            Self::SignatureInvalid => "signature.invalid",
            Self::SignatureReplayed => "signature.replayed",
            Self::IpNotAllowed => "ip.not_allowed",
        }
    }
}

impl App {
    /// Who a bearer token stands for: one of ours, which its prefix tells, or a JWT where those
    /// are accepted.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token is not accepted, [`Error::NoUser`] when it is a
    /// JWT that names a user who is unknown here, [`Error::Store`] when that cannot be found out.
    pub async fn authenticate_bearer(&self, token: &str) -> Result<Principal, Error> {
        match &self.ports.token_verifier {
            Some(verifier) if !token.starts_with(TOKEN_PREFIX) => {
                self.authenticate_jwt(verifier.as_ref(), token).await
            }
            Some(_) | None => self.authenticate_opaque(token).await,
        }
    }

    async fn authenticate_jwt(
        &self,
        verifier: &dyn TokenVerifier,
        token: &str,
    ) -> Result<Principal, Error> {
        let verified = verifier.verify(token.to_owned()).await?;
        let token = verified.ok_or(Error::Unauthenticated(AuthError::TokenInvalid))?;
        if let Some(user) = token.user {
            // The issuer may know people that have no account here. Such a token is nobody's: it
            // must not be taken for an operator's, which is what has no user.
            let known = self.ports.directory.find_user(user).await?;
            known.ok_or(Error::NoUser)?;
        }
        Ok(Principal {
            subject: token.subject,
            user: token.user,
            permissions: token.permissions,
            requests_per_minute: None,
            origin: Origin::with(match token.id {
                Some(id) => format!("jwt:{id}"),
                None => "jwt".to_owned(),
            }),
        })
    }

    async fn authenticate_opaque(&self, token: &str) -> Result<Principal, Error> {
        let found = self.ports.credentials.find_token(hash_token(token)).await?;
        let valid = found
            .filter(|token| token.revoked_at.is_none() && token.expires_at > self.now())
            .map(|token| Principal {
                subject: token.subject,
                user: token.user,
                permissions: token.permissions,
                requests_per_minute: None,
                origin: Origin::with(format!("token:{}", token.id)),
            });
        valid.ok_or(Error::Unauthenticated(AuthError::TokenInvalid))
    }

    /// Who signed a request with an access key.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the signature is not accepted, [`Error::Store`] when that
    /// cannot be found out.
    pub async fn authenticate_signed(&self, request: SignedRequest) -> Result<Principal, Error> {
        let (access_key, timestamp, signature) =
            headers(&request).map_err(Error::Unauthenticated)?;
        let Some(sent_ms) = parse_millis(timestamp) else {
            return Err(Error::Unauthenticated(AuthError::TimestampInvalid));
        };
        let found = self
            .ports
            .credentials
            .find_access_key(access_key.to_owned())
            .await?;
        let key = found.filter(|key| key.revoked_at.is_none());
        // An unknown key costs the same work as a known one, so that the time tells nothing.
        let secret = match &key {
            Some(key) => self
                .keyring
                .open(&key.secret, &key.access_key)
                .map_err(|error| {
                    tracing::error!(%error, "an access key's secret cannot be opened");
                    Error::Internal("an access key's secret cannot be opened")
                })?,
            None => vec![0; 43],
        };
        let fits = signature_fits(&secret, &request, access_key, timestamp, signature);
        let Some(key) = key else {
            return Err(Error::Unauthenticated(AuthError::AccessKeyUnknown));
        };
        let now = self.now();
        let now_ms = now.as_micros().div_euclid(1_000);
        if sent_ms.saturating_sub(now_ms).saturating_abs() > TIMESTAMP_WINDOW_MS {
            return Err(Error::Unauthenticated(AuthError::TimestampExpired));
        }
        if !fits {
            return Err(Error::Unauthenticated(AuthError::SignatureInvalid));
        }
        let allowed = key.allowed_ips.is_empty()
            || request
                .client
                .is_some_and(|client| key.allowed_ips.iter().any(|range| range.contains(client)));
        if !allowed {
            return Err(Error::Unauthenticated(AuthError::IpNotAllowed));
        }
        if request.changes {
            let used = fingerprint(access_key, timestamp, signature);
            let guard = &self.ports.replay_guard;
            if !guard.first_use(used, REMEMBERED_MS).await? {
                return Err(Error::Unauthenticated(AuthError::SignatureReplayed));
            }
        }
        Ok(Principal {
            origin: Origin::with(format!("access_key:{}", key.access_key)),
            subject: key.access_key,
            user: Some(key.user),
            permissions: key.permissions,
            requests_per_minute: key.requests_per_minute,
        })
    }
}

/// Names a use of a signature, whatever the case of its digits, and gives none of it away.
fn fingerprint(access_key: &str, timestamp: &str, signature: &str) -> String {
    let signature = signature.to_ascii_lowercase();
    let used = format!("{access_key}\n{timestamp}\n{signature}");
    HEXLOWER.encode(&Sha256::digest(used))
}

fn headers(request: &SignedRequest) -> Result<(&str, &str, &str), AuthError> {
    let access_key = request
        .access_key
        .as_deref()
        .ok_or(AuthError::AccessKeyMissed)?;
    let timestamp = request
        .timestamp
        .as_deref()
        .ok_or(AuthError::TimestampMissed)?;
    let signature = request
        .signature
        .as_deref()
        .ok_or(AuthError::SignatureMissed)?;
    Ok((access_key, timestamp, signature))
}

/// Without a leading zero: path and time are signed one right after the other, and a zero at the end
/// of a path could be taken for the beginning of the time.
fn parse_millis(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

/// Whether the signature is over the path without its query, or with it.
fn signature_fits(
    secret: &[u8],
    request: &SignedRequest,
    access_key: &str,
    timestamp: &str,
    signature: &str,
) -> bool {
    let Ok(given) = HEXLOWER_PERMISSIVE.decode(signature.as_bytes()) else {
        return false;
    };
    let expected = |path: &str| {
        let parts = [
            access_key.as_bytes(),
            path.as_bytes(),
            timestamp.as_bytes(),
            &request.body,
        ];
        hmac_sha256(secret, &parts)
    };
    let plain = equal(&expected(&request.path), &given);
    // Without a query they are one, which is no secret. Else both are always computed and compared.
    if request.path == request.path_and_query {
        return plain;
    }
    let with_query = equal(&expected(&request.path_and_query), &given);
    plain | with_query
}

#[cfg(test)]
mod tests;
