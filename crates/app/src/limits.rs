//! How often a caller may make each call of the internal-transfer API (contract §2).

use bursar_ports::{Allowance, Permission, Quota};

use crate::{App, Error, Grant, Principal};

/// The window of every limit on requests, in milliseconds.
pub(crate) const MINUTE_MS: u32 = 60_000;

/// How often things may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units in any 60 seconds, for each principal and each call of the internal-transfer API.
    pub internal_per_minute: u32,
    /// Failed tries in any 60 seconds from one client address, on each replica; 0 = no limit.
    pub failed_credentials_per_minute: u32,
}

/// What the contract says.
impl Default for Limits {
    fn default() -> Self {
        Self {
            internal_per_minute: 600,
            failed_credentials_per_minute: 600,
        }
    }
}

/// A call of the internal-transfer API; each is limited by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalCall {
    /// Making transfers, one by one or in bulk: a unit for each.
    Create,
    /// Listing transfers.
    List,
    /// Looking at one transfer.
    Get,
}

impl InternalCall {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::List => "list",
            Self::Get => "get",
        }
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Requests of the internal-transfer API.
    Requests,
    /// The same, and one request alone is more than fits into any minute.
    RequestTooLarge,
    /// Recipients that could not be paid.
    FailedRecipients,
    /// Credentials that were not accepted.
    FailedCredentials,
    /// Test callbacks.
    CallbackTests,
    /// Exports at once.
    Exports,
}

impl Limit {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Requests => "rate_limit.exceeded",
            Self::RequestTooLarge => "rate_limit.request_too_large",
            Self::FailedRecipients => "rate_limit.failed_recipients",
            Self::FailedCredentials => "rate_limit.failed_credentials",
            Self::CallbackTests => "rate_limit.callback_tests",
            Self::Exports => "rate_limit.exports",
        }
    }

    /// The sentence for people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Requests => "There were too many requests of this kind in the last 60 seconds.",
            Self::RequestTooLarge => {
                "The request asks for more than is ever let through in 60 seconds: split it."
            }
            Self::FailedRecipients => {
                "Too many transfers to recipients that cannot receive them in the last hour."
            }
            Self::FailedCredentials => {
                "There were too many failed credentials from this address in the last 60 seconds."
            }
            Self::CallbackTests => "There were too many test callbacks in the last 60 seconds.",
            Self::Exports => "As many exports are under way as may run at once.",
        }
    }
}

/// Something happened too often; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .limit.message())]
pub struct RateLimited {
    /// What is limited.
    pub limit: Limit,
    /// When it is worth another try, in seconds from now; at least 1.
    pub retry_after_s: u32,
}

impl RateLimited {
    pub(crate) fn new(limit: Limit, retry_after_ms: u32) -> Self {
        Self {
            limit,
            retry_after_s: retry_after_ms.div_ceil(1_000).max(1),
        }
    }
}

/// How a caller stands with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Units that fit into any 60 seconds.
    pub quota: u32,
    /// Units that still fit now.
    pub remaining: u32,
    /// Seconds until more fit, rounded up; 0 when all are there.
    pub reset_s: u32,
}

/// Whether a request may go on, and how its caller stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Admission {
    /// How the caller stands, this request included.
    pub standing: Standing,
    refusal: Option<RateLimited>,
}

impl Admission {
    /// Goes on only with what is admitted.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when it is not.
    pub fn require(self) -> Result<(), Error> {
        self.refusal.map_or(Ok(()), |refused| Err(refused.into()))
    }
}

impl App {
    /// Takes a request's units: one, or one for each item of a bulk. All of them are taken, or the
    /// request is refused as a whole. A user who failed to name recipients too often is refused
    /// every [`InternalCall::Create`].
    ///
    /// # Errors
    /// [`Error::Forbidden`] and [`Error::NoUser`]; [`Error::Store`] when the limits cannot be
    /// reached. A request that is too much is no error here: see [`Admission::require`].
    pub async fn admit(
        &self,
        grant: &Grant,
        call: InternalCall,
        units: u32,
    ) -> Result<Admission, Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        let (key, quota) = self.limit_of(grant.principal(), call);
        let taken = self.ports.limiter.take(key, units, quota).await?;
        let refusal = if taken.allowed {
            match call {
                InternalCall::Create => self.recipient_tries(user).await?.err(),
                InternalCall::List | InternalCall::Get => None,
            }
        } else {
            let limit = if units > quota.units {
                Limit::RequestTooLarge
            } else {
                Limit::Requests
            };
            Some(RateLimited::new(limit, taken.retry_after_ms))
        };
        Ok(Admission {
            standing: standing(quota, taken),
            refusal,
        })
    }

    /// How a caller stands with a call, also one that may not make it.
    ///
    /// # Errors
    /// [`Error::Store`] when the limits cannot be reached.
    pub async fn standing(
        &self,
        principal: &Principal,
        call: InternalCall,
    ) -> Result<Standing, Error> {
        let (key, quota) = self.limit_of(principal, call);
        let peeked = self.ports.limiter.peek(key, 1, quota).await?;
        Ok(standing(quota, peeked))
    }

    /// A key with a limit of its own counts by itself; any other credential counts for its user.
    fn limit_of(&self, principal: &Principal, call: InternalCall) -> (String, Quota) {
        let own = principal.requests_per_minute;
        let name = match (own, principal.user) {
            (None, Some(user)) => format!("user:{user}"),
            (Some(_), _) | (None, None) => format!("credential:{}", principal.subject),
        };
        let quota = Quota {
            units: own.unwrap_or(self.settings.limits.internal_per_minute),
            window_ms: MINUTE_MS,
        };
        (format!("internal.{}:{name}", call.as_str()), quota)
    }
}

const fn standing(quota: Quota, allowance: Allowance) -> Standing {
    Standing {
        quota: quota.units,
        remaining: allowance.remaining,
        reset_s: allowance.reset_ms.div_ceil(1_000),
    }
}

#[cfg(test)]
mod tests;
