//! Signing in.
//!
//! Nothing about a refusal tells which of name, password and code was wrong, or that an operator has
//! to wait: the answer is one, and a password is hashed whatever was found. What an unknown name was
//! is kept nowhere: people type passwords there.

use bursar_domain::Timestamp;
use bursar_ports::{Operator, Password, SecretOwner, SignInProof, StoreError};

use super::{
    Caller, OpenedSession, TotpSecret,
    accounts::{PASSWORD_BYTES_MAX, is_name},
    opening::{TooMany, count, failure},
};
use crate::App;

/// How many tries in a row may fail before one has to wait.
const FREE_TRIES: u32 = 4;
/// The first wait, in microseconds; each is twice as long as the one before.
const WAIT_FIRST_US: i64 = 30_000_000;
/// The longest wait: whoever makes others fail keeps nobody out for longer.
const WAIT_MAX_US: i64 = 900_000_000;
/// How often a try is counted anew because another one was faster.
const COUNTS_MAX: u32 = 5;

/// What somebody signs in with.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The name, in whatever case.
    pub name: String,
    /// The password.
    pub password: Password,
    /// The six digits, with or without blanks.
    pub code: String,
    /// What the browser calls itself.
    pub user_agent: String,
    /// The request.
    pub caller: Caller,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The name, the password or the code is wrong, or the operator is disabled or has to wait.
    #[error("the sign-in was not accepted")]
    Refused,
    /// Too many have tried from this address.
    #[error("there were too many tries from this address")]
    TooManyTries {
        /// When another try is worth it, in seconds from now.
        retry_after_s: u32,
    },
    /// It could not be found out.
    #[error(transparent)]
    Trouble(#[from] StoreError),
}

impl From<TooMany> for SignInError {
    fn from(many: TooMany) -> Self {
        match many {
            TooMany::Tries { retry_after_s } => Self::TooManyTries { retry_after_s },
            TooMany::Trouble(error) => Self::Trouble(error),
        }
    }
}

impl App {
    /// Opens a session for whoever has a name, its password and a code that nobody has used.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in(&self, given: SignIn) -> Result<OpenedSession, SignInError> {
        self.take_sign_in_try(&given.caller).await?;
        let name = given.name.trim().to_ascii_lowercase();
        let now = self.now();
        let found = if is_name(&name) {
            self.ports.operators.find(name).await?
        } else {
            None
        };
        // Before the try is counted: whoever is sent away because too many passwords are being hashed
        // has failed at nothing. What came of it is told to nobody whose try does not count.
        let known = self.password_fits(found.as_ref(), given.password).await?;
        let counted = self.count_try(found.as_ref(), now).await?;
        let step = self.step_of(found.as_ref(), &given.code, now);
        let Some(operator) = found else {
            tracing::info!("a sign-in with a name that nobody has was refused");
            return Err(refused());
        };
        if !counted {
            tracing::info!(
                operator = operator.name,
                "a sign-in of an operator who is disabled or has to wait was refused"
            );
            return Err(refused());
        }
        if let (true, Some(step)) = (known, step)
            && let Some(opened) = self
                .open_session(
                    &operator,
                    SignInProof::Code(step),
                    given.user_agent,
                    &given.caller,
                )
                .await?
        {
            return Ok(opened);
        }
        let audit = failure(&operator, "password", &given.caller);
        self.ports.operators.note_failure(now, audit).await?;
        Err(refused())
    }

    /// Counts a try; `false` when it does not count: whoever is disabled or has to wait has none. What
    /// has changed of the operator since it was found, a session is not opened by.
    async fn count_try(
        &self,
        found: Option<&Operator>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let operators = &self.ports.operators;
        let mut found = found.cloned();
        for _ in 0..COUNTS_MAX {
            let Some(operator) = found else {
                return Ok(false);
            };
            let waits = operator.next_try_at.is_some_and(|next| next > now);
            if waits || !operator.is_active {
                return Ok(false);
            }
            let next = now.plus_micros(wait_us(operator.failures.saturating_add(1)));
            let (name, seen) = (operator.name, operator.failures);
            if operators.count_try(name.clone(), seen, next).await? {
                return Ok(true);
            }
            found = operators.find(name).await?;
        }
        Ok(false)
    }

    async fn password_fits(
        &self,
        operator: Option<&Operator>,
        password: Password,
    ) -> Result<bool, StoreError> {
        // Nobody's is longer, and a hash takes the longer the more there is.
        let password = if password.0.len() > PASSWORD_BYTES_MAX {
            Password(String::new())
        } else {
            password
        };
        let hash = operator.map(|operator| operator.password.clone());
        self.ports.passwords.verify(password, hash).await
    }

    fn step_of(&self, operator: Option<&Operator>, code: &str, now: Timestamp) -> Option<i64> {
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let secret = operator.and_then(|operator| {
            let owner = SecretOwner::OperatorTotp(operator.name.clone()).to_string();
            match self.keyring.open(&operator.totp, &owner) {
                Ok(bytes) => TotpSecret::from_bytes(&bytes),
                Err(error) => {
                    let key = &operator.totp.key_id;
                    tracing::error!(%error, operator = operator.name, key, "an operator's secret for codes cannot be decrypted");
                    None
                }
            }
        });
        let is_known = secret.is_some();
        let secret = secret.unwrap_or_else(|| TotpSecret::from_random([0; 32]));
        secret.step_of(&digits, now).filter(|_| is_known)
    }
}

fn refused() -> SignInError {
    count("refused");
    SignInError::Refused
}

/// How long nobody may try after so many failures.
fn wait_us(failures: u32) -> i64 {
    match failures.checked_sub(FREE_TRIES.saturating_add(1)) {
        None => 0,
        Some(doublings) => 1_i64
            .checked_shl(doublings.min(32))
            .and_then(|times| WAIT_FIRST_US.checked_mul(times))
            .map_or(WAIT_MAX_US, |wait| wait.min(WAIT_MAX_US)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_until_the_longest() {
        let seconds = |failures| wait_us(failures) / 1_000_000;
        for (failures, wait) in [
            (0, 0),
            (1, 0),
            (4, 0),
            (5, 30),
            (6, 60),
            (7, 120),
            (8, 240),
            (9, 480),
            (10, 900),
            (40, 900),
            (u32::MAX, 900),
        ] {
            assert_eq!(seconds(failures), wait, "{failures}");
        }
    }
}
