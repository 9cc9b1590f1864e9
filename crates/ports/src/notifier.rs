//! Carrying a callback to its receiver.

use std::fmt;

use async_trait::async_trait;
use bursar_domain::Timestamp;

/// A secret that signs callbacks (Standard Webhooks): 32 random bytes, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackSecret(pub [u8; 32]);

impl fmt::Debug for CallbackSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackSecret(..)")
    }
}

/// One POST to a customer's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Where it goes.
    pub url: String,
    /// The id that stays the same over retries.
    pub webhook_id: String,
    /// The time of this attempt.
    pub at: Timestamp,
    /// The JSON body, to the byte.
    pub body: String,
    /// What signs it: during a rotation the new secret and the old one.
    pub secrets: Vec<CallbackSecret>,
}

/// The receiver took it: a 2xx answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The status.
    pub http_status: u16,
}

/// The receiver did not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// It answered with something other than 2xx.
    #[error("the receiver answered {http_status}")]
    Answered {
        /// The status.
        http_status: u16,
        /// What `Retry-After` asked for, in milliseconds from now.
        retry_after_ms: Option<i64>,
    },
    /// It was connected, and did not answer in time.
    #[error("the receiver did not answer in time")]
    Timeout,
    /// The name of the host is unknown, or nobody could tell its addresses in time.
    #[error("the receiver's name has no address")]
    Dns,
    /// The name of the host leads to an address that callbacks may not go to.
    #[error("the receiver's address is not allowed")]
    Denied,
    /// No connection could be made: refused, unreachable or not in time.
    #[error("no connection to the receiver")]
    Connect,
    /// No certificate that verifies, or no TLS that is good enough.
    #[error("the receiver could not prove who it is")]
    Tls,
    /// The connection broke off or spoke no HTTP.
    #[error("the receiver broke off")]
    Broken,
    /// The head of the answer has no end within its bounds.
    #[error("the receiver's answer is too large")]
    TooLarge,
    /// The form of the URL is none that may be called.
    #[error("the URL is not allowed")]
    Forbidden,
    /// It was not sent: no secret could be had to sign it with.
    #[error("there is no secret to sign it with")]
    Unsigned,
}

impl Undelivered {
    /// One fixed word for the attempt log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Denied => "denied",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
            Self::Forbidden => "forbidden",
            Self::Unsigned => "unsigned",
        }
    }

    /// The receiver's status, if it answered.
    pub const fn http_status(self) -> Option<u16> {
        if let Self::Answered { http_status, .. } = self {
            Some(http_status)
        } else {
            None
        }
    }

    /// How long the receiver asked to be left alone, in milliseconds.
    pub const fn retry_after_ms(self) -> Option<i64> {
        if let Self::Answered { retry_after_ms, .. } = self {
            retry_after_ms
        } else {
            None
        }
    }
}

/// Carries callbacks.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Tries once, within its own time limit. Never follows a redirect.
    ///
    /// # Errors
    /// [`Undelivered`] says why it was not taken.
    async fn notify(&self, notification: Notification) -> Result<Delivered, Undelivered>;
}
