//! Passwords of operators: Argon2id, on threads of its own.

use std::sync::{Arc, LazyLock};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc},
};
use async_trait::async_trait;
use bursar_ports::{Password, PasswordHash, PasswordHasher, StoreError};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// What OWASP asks for at least: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many are hashed at once. It takes memory and processors from whoever moves money.
const AT_ONCE: usize = 2;
/// How many may wait for that.
const WAITING_MAX: usize = 64;

/// A hash that no password has: what is hashed for names that nobody has is compared with it.
static NOBODYS: LazyLock<Option<String>> = LazyLock::new(|| hash(&rand::random::<[u8; 32]>()).ok());

/// Hashes with Argon2id, a few at once.
#[derive(Clone, Debug)]
pub struct Argon2Passwords {
    places: Arc<Semaphore>,
    line: Arc<Semaphore>,
}

impl Default for Argon2Passwords {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            line: Arc::new(Semaphore::new(WAITING_MAX)),
        }
    }
}

impl Argon2Passwords {
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _in_line = self
            .line
            .try_acquire()
            .map_err(|_| StoreError::Overloaded)?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|error| StoreError::Unavailable(error.into()))?;
        // The place is held by the work, which goes on when nobody waits for it any more.
        let done = spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await
            .map_err(|error| StoreError::Unavailable(error.into()))?
    }
}

#[async_trait]
impl PasswordHasher for Argon2Passwords {
    async fn hash(&self, password: Password) -> Result<PasswordHash, StoreError> {
        self.apart(move || hash(password.0.as_bytes()).map(PasswordHash))
            .await
    }

    async fn verify(
        &self,
        password: Password,
        expected: Option<PasswordHash>,
    ) -> Result<bool, StoreError> {
        self.apart(move || {
            let is_known = expected.is_some();
            let text = expected
                .map(|hash| hash.0)
                .or_else(|| NOBODYS.clone())
                .unwrap_or_default();
            let fits = fits(password.0.as_bytes(), &text)?;
            Ok(fits && is_known)
        })
        .await
    }
}

fn hash(password: &[u8]) -> Result<String, StoreError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(trouble)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password(password).map_err(trouble)?;
    Ok(hash.to_string())
}

/// Whether a password has this hash. What it cost is in the hash, so that another cost may be chosen
/// without locking anybody out.
fn fits(password: &[u8], text: &str) -> Result<bool, StoreError> {
    let hash = phc::PasswordHash::new(text).map_err(|_| StoreError::Inconsistent {
        table: "operators",
        detail: "a password hash that is none".to_owned(),
    })?;
    Ok(Argon2::default().verify_password(password, &hash).is_ok())
}

fn trouble(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("a password cannot be hashed: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_its_hash_tells_what_it_cost() {
        let passwords = Argon2Passwords::default();
        let one = passwords.hash(password("correct horse")).await.unwrap();
        let other = passwords.hash(password("correct horse")).await.unwrap();
        assert!(one != other, "every hash has a salt of its own");
        assert!(
            one.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            one.0
        );
        for hash in [one, other] {
            let verify =
                |text| passwords.verify(password(text), Some(PasswordHash(hash.0.clone())));
            assert!(verify("correct horse").await.unwrap());
            assert!(!verify("correct horse ").await.unwrap());
        }
        assert!(!passwords.verify(password(""), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_still_counts_and_rubbish_is_told() {
        let params = Params::new(16, 2, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let cheap = argon2.hash_password(b"x").unwrap().to_string();
        let other = argon2.hash_password(b"y").unwrap().to_string();
        let passwords = Argon2Passwords::default();
        let verify = async |hash: &str| {
            let hash = Some(PasswordHash(hash.to_owned()));
            passwords.verify(password("x"), hash).await
        };
        assert!(matches!(
            verify("nonsense").await,
            Err(StoreError::Inconsistent { .. })
        ));
        assert!(verify(&cheap).await.unwrap() && !verify(&other).await.unwrap());
    }

    #[tokio::test]
    async fn more_than_may_wait_are_sent_away() {
        let passwords = Argon2Passwords::default();
        let _places = passwords.places.acquire_many(2).await.unwrap();
        let waiting: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.hash(password("x")).await })
            })
            .collect();
        while passwords.line.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let sent_away = passwords.hash(password("x")).await;
        assert!(matches!(sent_away, Err(StoreError::Overloaded)));
        for one in waiting {
            one.abort();
        }
    }
}
