//! What a session is good for, and its end.

use bursar_domain::{ActorId, Timestamp};
use bursar_ports::{Operator, OperatorSession, Permission};
use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use super::{Caller, OPERATORS_PERMISSIONS, opening::draft, operator_target};
use crate::{
    App, AuthError, Error, Grant, Missing, Origin, Principal,
    keyring::{hash_token, hmac_sha256},
};

/// How old what is known of a session's last use may become before it is written anew.
const TOUCH_US: i64 = 60_000_000;
/// How long a session's token is, in characters: 32 bytes in base64url.
const TOKEN_CHARS: usize = 43;
/// What the tokens of forms are derived from, together with a session's.
const CSRF_CONTEXT: &[u8] = b"bursar console form 1";

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// How long one may be left alone, in microseconds.
    pub idle_us: i64,
    /// How long one lasts whatever is done with it, in microseconds.
    pub absolute_us: i64,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            idle_us: 1_800_000_000,
            absolute_us: 43_200_000_000,
        }
    }
}

/// An operator who has signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// What the operator acts as.
    pub principal: Principal,
    /// The session.
    pub session: OperatorSession,
    /// What every form of this session must carry.
    pub csrf: String,
}

/// What a form carries to show that it is from a page that was made for whoever holds this token. It
/// says nothing about the token.
pub fn csrf_token(token: &str) -> String {
    BASE64URL_NOPAD.encode(&hmac_sha256(token.as_bytes(), &[CSRF_CONTEXT]))
}

/// Whether a text has the form of a session's token. Nobody's has another, so there is nothing to look
/// up.
fn is_token(text: &str) -> bool {
    text.len() == TOKEN_CHARS && BASE64URL_NOPAD.decode(text.as_bytes()).is_ok()
}

impl App {
    /// Who a session's token stands for right now; none when it has ended or is none. `is_used` says
    /// whether somebody sits there: what a page does by itself keeps no session alive.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when too many credentials from this address were none, unless this token
    /// was good a little while ago; [`Error::Store`] when it cannot be found out.
    pub async fn session(
        &self,
        token: &str,
        caller: &Caller,
        is_used: bool,
    ) -> Result<Option<SignedIn>, Error> {
        if !is_token(token) {
            return Ok(None);
        }
        let begun = self
            .begin_credentials(caller.address, token.as_bytes())
            .await?;
        let operators = &self.ports.operators;
        let Some((session, operator)) = operators.find_session(hash_token(token)).await? else {
            let made_up = Err(Error::Unauthenticated(AuthError::TokenInvalid));
            self.end_credentials(begun, &made_up).await;
            return Ok(None);
        };
        let now = self.now();
        // One that has ended was somebody's, and a page may ask with it for hours: that is no guess.
        if !operator.is_active || !self.is_open(&session, now) {
            return Ok(None);
        }
        let unseen = now
            .as_micros()
            .saturating_sub(session.last_seen_at.as_micros());
        if is_used && unseen >= TOUCH_US {
            operators.touch_session(session.id, now).await?;
        }
        let found = Ok(Principal {
            subject: operator.name,
            user: None,
            permissions: operator.permissions,
            requests_per_minute: None,
            origin: Origin::with(format!("session:{}", session.id)).of(caller),
        });
        self.end_credentials(begun, &found).await;
        let csrf = csrf_token(token);
        Ok(Some(SignedIn {
            principal: found?,
            session,
            csrf,
        }))
    }

    fn is_open(&self, session: &OperatorSession, now: Timestamp) -> bool {
        let idle_end = session
            .last_seen_at
            .plus_micros(self.settings.sessions.idle_us);
        session.ended_at.is_none() && session.expires_at > now && idle_end > now
    }

    /// Ends the session of whoever holds its token; repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot be ended.
    pub async fn sign_out(&self, token: &str, caller: &Caller) -> Result<(), Error> {
        if !is_token(token) {
            return Ok(());
        }
        let operators = &self.ports.operators;
        let Some((session, operator)) = operators.find_session(hash_token(token)).await? else {
            return Ok(());
        };
        let origin = Origin::with(format!("session:{}", session.id)).of(caller);
        let actor = ActorId::new(operator.name.clone());
        let audit = draft(actor, origin, "operator.sign_out", &operator.name);
        let now = self.now();
        operators
            .end_session(operator.name, session.id, now, audit)
            .await?;
        Ok(())
    }

    /// The open sessions of whoever asks, the newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn own_sessions(&self, grant: &Grant) -> Result<Vec<OperatorSession>, Error> {
        grant.require_any(&OPERATORS_PERMISSIONS)?;
        self.open_sessions(grant.principal().subject.clone()).await
    }

    /// Ends a session of whoever asks; `false` when they have none with this id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn end_own_session(&self, grant: &Grant, id: Uuid) -> Result<bool, Error> {
        grant.require_any(&OPERATORS_PERMISSIONS)?;
        self.end_session(grant, grant.principal().subject.clone(), id)
            .await
    }

    /// Operators behind `after` in order of names, at most `limit`, each with its open sessions, the
    /// newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_signed_in(
        &self,
        grant: &Grant,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<(Operator, Vec<OperatorSession>)>, Error> {
        let operators = self.list_operators(grant, after, limit).await?;
        let mut signed_in = Vec::with_capacity(operators.len());
        for operator in operators {
            let sessions = self.open_sessions(operator.name.clone()).await?;
            signed_in.push((operator, sessions));
        }
        Ok(signed_in)
    }

    /// The open sessions of an operator, the newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such operator.
    pub async fn operator_sessions(
        &self,
        grant: &Grant,
        operator: String,
    ) -> Result<Vec<OperatorSession>, Error> {
        grant.require(Permission::Admin)?;
        let operators = &self.ports.operators;
        if operators.find(operator.clone()).await?.is_none() {
            return Err(Error::NotFound(Missing::Operator));
        }
        self.open_sessions(operator).await
    }

    /// Ends a session of an operator; repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the operator has none with this id.
    pub async fn end_operator_session(
        &self,
        grant: &Grant,
        operator: String,
        id: Uuid,
    ) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        if self.end_session(grant, operator, id).await? {
            Ok(())
        } else {
            Err(Error::NotFound(Missing::OperatorSession))
        }
    }

    async fn open_sessions(&self, operator: String) -> Result<Vec<OperatorSession>, Error> {
        let now = self.now();
        let mut listed = self.ports.operators.list_sessions(operator, now).await?;
        listed.retain(|session| self.is_open(session, now));
        Ok(listed)
    }

    async fn end_session(&self, grant: &Grant, operator: String, id: Uuid) -> Result<bool, Error> {
        let audit = grant.audit("operator.end_session", operator_target(&operator));
        let operators = &self.ports.operators;
        let now = self.now();
        Ok(operators.end_session(operator, id, now, audit).await?)
    }
}
