//! Operators in memory, passwords that are hashed at once, and what every store of operators must
//! do.

pub mod contract;

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::{
    Identity, OpenSession, Operator, OperatorChange, OperatorSession, Operators, Password,
    PasswordHash, PasswordHasher, SignInProof, StoreError, TokenHash,
};
use uuid::Uuid;

/// Keeps everything in memory.
#[derive(Debug, Default)]
pub struct InMemoryOperators(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    operators: Vec<Operator>,
    sessions: Vec<OperatorSession>,
    audited: Vec<AuditDraft>,
}

impl InMemoryOperators {
    /// What the audit log keeps of the changes so far.
    pub fn audited(&self) -> Vec<AuditDraft> {
        self.kept().audited.clone()
    }

    /// Every session that was ever opened.
    pub fn sessions(&self) -> Vec<OperatorSession> {
        self.kept().sessions.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no holder of the lock panics")
    }
}

impl Kept {
    fn operator(&mut self, name: &str) -> Option<&mut Operator> {
        self.operators.iter_mut().find(|one| one.name == name)
    }

    fn has_identity(&self, identity: &Identity) -> Option<&Operator> {
        let is_theirs = |one: &&Operator| one.identity.as_ref() == Some(identity);
        self.operators.iter().find(is_theirs)
    }

    fn end_all(&mut self, operator: &str, at: Timestamp) {
        let theirs = self.sessions.iter_mut();
        for session in theirs.filter(|session| session.operator == operator) {
            session.ended_at = session.ended_at.or(Some(at));
        }
    }
}

#[async_trait]
impl Operators for InMemoryOperators {
    async fn find(&self, name: String) -> Result<Option<Operator>, StoreError> {
        Ok(self.kept().operator(&name).cloned())
    }

    async fn find_by_identity(&self, identity: Identity) -> Result<Option<Operator>, StoreError> {
        Ok(self.kept().has_identity(&identity).cloned())
    }

    async fn list(&self, after: Option<String>, limit: u32) -> Result<Vec<Operator>, StoreError> {
        let mut all = self.kept().operators.clone();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all.retain(|one| after.as_ref().is_none_or(|after| one.name > *after));
        all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(all)
    }

    async fn add(&self, operator: Operator, audit: AuditDraft) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let identity = operator.identity.as_ref();
        let has_it = identity.and_then(|identity| kept.has_identity(identity));
        if has_it.is_some() || kept.operator(&operator.name).is_some() {
            return Ok(false);
        }
        kept.operators.push(operator);
        kept.audited.push(audit);
        Ok(true)
    }

    async fn change(
        &self,
        name: String,
        change: OperatorChange,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        if let OperatorChange::Link(identity) = &change {
            let owner = kept.has_identity(identity).map(|one| one.name.clone());
            let has = kept.operator(&name).and_then(|one| one.identity.clone());
            let has_another = has.is_some_and(|has| has != *identity);
            if has_another || owner.is_some_and(|owner| owner != name) {
                return Ok(false);
            }
        }
        let Some(operator) = kept.operator(&name) else {
            return Ok(false);
        };
        let before = operator.clone();
        let ends = apply(operator, change);
        if *operator == before {
            return Ok(true);
        }
        operator.revision = operator.revision.saturating_add(1);
        if ends {
            kept.end_all(&name, at);
        }
        kept.audited.push(audit);
        Ok(true)
    }

    async fn count_try(
        &self,
        name: String,
        seen: u32,
        next_try_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let found = kept.operator(&name).filter(|one| one.failures == seen);
        Ok(found.is_some_and(|operator| {
            operator.failures = seen.saturating_add(1);
            operator.next_try_at = Some(next_try_at);
            true
        }))
    }

    async fn note_failure(&self, _: Timestamp, audit: AuditDraft) -> Result<(), StoreError> {
        self.kept().audited.push(audit);
        Ok(())
    }

    async fn open_session(
        &self,
        opening: OpenSession,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let is_shown = |one: &Operator| match &opening.proof {
            SignInProof::Code(step) => one.totp_step.is_none_or(|last| last < *step),
            SignInProof::Identity(identity) => one.identity.as_ref() == Some(identity),
        };
        let Some(operator) = kept
            .operator(&opening.session.operator)
            .filter(|one| one.is_active && one.revision == opening.revision && is_shown(one))
        else {
            return Ok(false);
        };
        if let SignInProof::Code(step) = opening.proof {
            operator.totp_step = Some(step);
            operator.failures = 0;
            operator.next_try_at = None;
        }
        kept.sessions.push(opening.session);
        kept.audited.push(audit);
        Ok(true)
    }

    async fn find_session(
        &self,
        token: TokenHash,
    ) -> Result<Option<(OperatorSession, Operator)>, StoreError> {
        let mut kept = self.kept();
        let found = kept.sessions.iter().find(|one| one.token == token).cloned();
        Ok(found.and_then(|session| {
            let operator = kept.operator(&session.operator).cloned()?;
            Some((session, operator))
        }))
    }

    async fn touch_session(&self, id: Uuid, at: Timestamp) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if let Some(session) = kept.sessions.iter_mut().find(|one| one.id == id) {
            session.last_seen_at = session.last_seen_at.max(at);
        }
        Ok(())
    }

    async fn list_sessions(
        &self,
        operator: String,
        at: Timestamp,
    ) -> Result<Vec<OperatorSession>, StoreError> {
        let mut listed = self.sessions();
        listed.retain(|session| {
            session.operator == operator && session.ended_at.is_none() && session.expires_at > at
        });
        listed.sort_by_key(|session| std::cmp::Reverse(session.id));
        Ok(listed)
    }

    async fn end_session(
        &self,
        operator: String,
        id: Uuid,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let mut theirs = kept.sessions.iter_mut();
        let found = theirs.find(|session| session.id == id && session.operator == operator);
        let Some(session) = found else {
            return Ok(false);
        };
        if session.ended_at.is_none() {
            session.ended_at = Some(at);
            kept.audited.push(audit);
        }
        Ok(true)
    }
}

/// Makes a change, and tells whether it ends the sessions.
fn apply(operator: &mut Operator, change: OperatorChange) -> bool {
    match change {
        OperatorChange::Password(hash) => {
            operator.password = hash;
            true
        }
        OperatorChange::Totp(sealed) => {
            operator.totp = sealed;
            operator.totp_step = None;
            true
        }
        OperatorChange::Link(identity) => {
            operator.identity = Some(identity);
            true
        }
        OperatorChange::Unlink => {
            operator.identity = None;
            true
        }
        OperatorChange::Permissions(permissions) => {
            operator.permissions = permissions;
            false
        }
        OperatorChange::Disable => {
            operator.is_active = false;
            true
        }
        OperatorChange::Enable => {
            operator.is_active = true;
            operator.failures = 0;
            operator.next_try_at = None;
            false
        }
    }
}

/// Hashes a password by writing `plain:` before it, at once.
#[derive(Debug, Default)]
pub struct PlainPasswords;

#[async_trait]
impl PasswordHasher for PlainPasswords {
    async fn hash(&self, password: Password) -> Result<PasswordHash, StoreError> {
        Ok(PasswordHash(format!("plain:{}", password.0)))
    }

    async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<bool, StoreError> {
        Ok(hash.is_some_and(|hash| hash.0 == format!("plain:{}", password.0)))
    }
}
