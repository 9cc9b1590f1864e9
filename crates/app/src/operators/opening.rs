//! What every way of signing in has in common: how often, how a session begins, and what the audit
//! log keeps.

use bursar_domain::{ActorId, AuditDraft};
use bursar_ports::{OpenSession, Operator, OperatorSession, Quota, SignInProof, StoreError};

use super::{Caller, operator_target};
use crate::{
    App, Origin,
    callback_secret::time_ordered_id,
    credential_tries::network_of,
    keyring::{hash_token, random_text},
    limits::MINUTE_MS,
};

/// How many tries there are a minute from one address, on each replica.
const TRIES_PER_MINUTE: u32 = 20;
/// The longest that is kept of what a browser calls itself, in characters.
const USER_AGENT_MAX: usize = 200;

/// A session that was just opened.
#[derive(Debug)]
pub struct OpenedSession {
    /// Its token: given to the browser now, and kept only as a hash.
    pub token: String,
    /// What is kept.
    pub session: OperatorSession,
}

/// Why a try is not looked at.
#[derive(Debug, thiserror::Error)]
pub(super) enum TooMany {
    #[error("there were too many tries from this address")]
    Tries { retry_after_s: u32 },
    #[error(transparent)]
    Trouble(#[from] StoreError),
}

impl App {
    /// Counts a try of whoever is at this address.
    pub(super) async fn take_sign_in_try(&self, caller: &Caller) -> Result<(), TooMany> {
        let Some(network) = caller.address.map(network_of) else {
            return Ok(());
        };
        let quota = Quota {
            units: TRIES_PER_MINUTE,
            window_ms: MINUTE_MS,
        };
        let key = format!("sign_in:{network}");
        let taken = self.ports.local_limiter.take(key, 1, quota).await?;
        if taken.allowed {
            return Ok(());
        }
        count("limited");
        Err(TooMany::Tries {
            retry_after_s: taken.retry_after_ms.div_ceil(1_000).max(1),
        })
    }

    /// Opens a session for an operator as it was found; none when it has changed meanwhile, or the
    /// proof is good no more.
    pub(super) async fn open_session(
        &self,
        operator: &Operator,
        proof: SignInProof,
        user_agent: String,
        caller: &Caller,
    ) -> Result<Option<OpenedSession>, StoreError> {
        let now = self.now();
        let token = random_text(self.ports.ids.random_bytes());
        let id = time_ordered_id(now, &*self.ports.ids);
        let origin = Origin::with(format!("session:{id}")).of(caller);
        let session = OperatorSession {
            id,
            token: hash_token(&token),
            operator: operator.name.clone(),
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus_micros(self.settings.sessions.absolute_us),
            ended_at: None,
            address: origin.address.clone(),
            user_agent: plain_line(&user_agent),
        };
        let actor = ActorId::new(operator.name.clone());
        let audit = draft(actor, origin, "operator.sign_in", &operator.name);
        let opening = OpenSession {
            session: session.clone(),
            revision: operator.revision,
            proof,
        };
        let opened = self.ports.operators.open_session(opening, audit).await?;
        if opened {
            count("opened");
            // Whoever signs in beside somebody who makes sessions up is not taken for that one.
            self.know_credential(caller.address, token.as_bytes());
        }
        Ok(opened.then_some(OpenedSession { token, session }))
    }
}

/// Counts what came of a try.
pub(super) fn count(outcome: &'static str) {
    metrics::counter!("bursar_console_sign_ins_total", "outcome" => outcome).increment(1);
}

/// What the audit log keeps of a failure, by what was shown. Who it was is not known.
pub(super) fn failure(
    operator: &Operator,
    credential: &'static str,
    caller: &Caller,
) -> AuditDraft {
    let origin = Origin::with(credential.to_owned()).of(caller);
    let nobody = ActorId::new("not signed in");
    draft(nobody, origin, "operator.sign_in_failed", &operator.name)
}

pub(super) fn draft(
    actor: ActorId,
    origin: Origin,
    action: &'static str,
    operator: &str,
) -> AuditDraft {
    AuditDraft {
        actor,
        credential: origin.credential,
        request_id: origin.request_id,
        address: origin.address,
        action,
        target: operator_target(operator),
        before: None,
        after: None,
    }
}

/// A stranger's text as one short line.
fn plain_line(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(USER_AGENT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_s_name_is_one_short_line() {
        assert_eq!(plain_line("Mozilla/5.0\r\nX"), "Mozilla/5.0X");
        assert_eq!(plain_line(&"é".repeat(300)).chars().count(), 200);
    }
}
