//! A callback on demand, so that a receiver can be tried before any money moves.

use bursar_domain::Subscriber;
use bursar_ports::{Permission, Quota, Undelivered};
use uuid::Uuid;

use crate::{
    App, Error, Grant, Limit, RateLimited,
    callback_secret::time_ordered_id,
    carry::{Signer, in_a_word},
    dispatch::ms_between,
};

/// How many test callbacks a subscriber may ask for.
const TESTS: Quota = Quota {
    units: 10,
    window_ms: 60_000,
};
/// No transfer has such a body, so no receiver takes it for one.
const BODY: &str = r#"{"test":true}"#;

/// What came of a test callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackTest {
    /// Its `webhook-id`.
    pub id: Uuid,
    /// One fixed word for what happened, as in the log of attempts.
    pub outcome: &'static str,
    /// The receiver's HTTP status, if it answered.
    pub http_status: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
}

impl CallbackTest {
    /// Which names lead to addresses of ours is nobody else's business: such a name is as good as
    /// unknown, and how long it took does not tell either.
    fn without_inner_names(self) -> Self {
        let (dns, denied) = (Undelivered::Dns.word(), Undelivered::Denied.word());
        if [dns, denied].contains(&self.outcome) {
            Self {
                outcome: dns,
                duration_ms: 0,
                ..self
            }
        } else {
            self
        }
    }
}

impl App {
    /// POSTs a signed test callback to a user's receiver, once and now, and tells what came of it.
    ///
    /// # Errors
    /// [`Error::RateLimited`] after ten in a minute; see [`Error`] for the rest. What the receiver
    /// does is no error.
    pub async fn test_own_callback(
        &self,
        grant: &Grant,
        url: String,
    ) -> Result<CallbackTest, Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        let tested = self.test(Subscriber::User(user), url).await?;
        Ok(tested.without_inner_names())
    }

    /// The same for any subscriber.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is a user that does not exist; see
    /// [`App::test_own_callback`] for the rest.
    pub async fn test_callback(
        &self,
        grant: &Grant,
        subscriber: Subscriber,
        url: String,
    ) -> Result<CallbackTest, Error> {
        grant.require(Permission::Admin)?;
        if let Subscriber::User(user) = &subscriber {
            self.require_user_exists(Some(*user)).await?;
        }
        self.test(subscriber, url).await
    }

    async fn test(&self, subscriber: Subscriber, url: String) -> Result<CallbackTest, Error> {
        let key = format!("callback_tests:{subscriber}");
        let taken = self.ports.limiter.take(key, 1, TESTS).await?;
        if !taken.allowed {
            let limit = RateLimited::new(Limit::CallbackTests, taken.retry_after_ms);
            return Err(limit.into());
        }
        let at = self.now();
        let signer = Signer {
            secrets: &*self.ports.callback_secrets,
            keyring: &self.keyring,
            ids: &*self.ports.ids,
        };
        let id = time_ordered_id(at, signer.ids);
        let signed = signer.sign(&subscriber, url, id, at, BODY.to_owned());
        let outcome = match signed.await? {
            Ok(notification) => self.ports.notifier.notify(notification).await,
            Err(unsigned) => Err(unsigned),
        };
        let (http_status, outcome) = in_a_word(outcome);
        Ok(CallbackTest {
            id,
            outcome,
            http_status,
            duration_ms: ms_between(at, self.now()),
        })
    }
}

#[cfg(test)]
mod tests;
