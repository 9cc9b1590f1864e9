//! Who may sign in to the console, and who has.

use std::fmt;

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Timestamp};
use uuid::Uuid;

use crate::{Permission, SealedSecret, StoreError, TokenHash};

/// A password as it was typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A password's slow hash, with its salt and cost, in PHC's format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Hashes passwords, slowly. It must not hold up whoever else is served.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// The hash under which a password is kept.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when too many passwords are being hashed.
    async fn hash(&self, password: Password) -> Result<PasswordHash, StoreError>;

    /// Whether a password is the one that was hashed. Without a hash the same work is done, and the
    /// answer is no.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when too many passwords are being hashed;
    /// [`StoreError::Inconsistent`] when the hash is none.
    async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<bool, StoreError>;
}

/// Somebody as an identity provider knows them. Both parts together never mean anybody else; names
/// and emails, which their owners can change, are no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider (`iss`).
    pub issuer: String,
    /// What the provider calls them (`sub`).
    pub subject: String,
}

impl Identity {
    /// The longest subject, in characters (OpenID Connect Core, 2).
    const SUBJECT_CHARS_MAX: usize = 255;

    /// Whether a provider may call somebody that: something to see, and no control characters.
    pub fn is_subject(text: &str) -> bool {
        (1..=Self::SUBJECT_CHARS_MAX).contains(&text.chars().count())
            && !text.trim().is_empty()
            && !text.chars().any(char::is_control)
    }
}

/// Somebody who may sign in to the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Whom other operators and the audit log know.
    pub name: String,
    /// The hash of the password.
    pub password: PasswordHash,
    /// The secret that codes are made from, encrypted.
    pub totp: SealedSecret,
    /// The step of the last code that was accepted.
    pub totp_step: Option<i64>,
    /// Whom the identity provider means when it means the operator.
    pub identity: Option<Identity>,
    /// What sessions of the operator allow.
    pub permissions: Vec<Permission>,
    /// Whether the operator may sign in, and sessions count.
    pub is_active: bool,
    /// Moves on with every change of password, secret, identity, permissions or status.
    pub revision: i64,
    /// Tries since the last sign-in.
    pub failures: u32,
    /// No try counts before this.
    pub next_try_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// What is changed of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorChange {
    /// Another password; ends the sessions.
    Password(PasswordHash),
    /// Another secret for codes; ends the sessions.
    Totp(SealedSecret),
    /// An identity, for an operator who has none; ends the sessions.
    Link(Identity),
    /// No identity any more; ends the sessions.
    Unlink,
    /// Other permissions, which hold for open sessions too.
    Permissions(Vec<Permission>),
    /// No sign-in any more; ends the sessions.
    Disable,
    /// Sign-in again, and no wait for failures.
    Enable,
}

/// A session of an operator, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSession {
    /// Its public id.
    pub id: Uuid,
    /// The hash of its token.
    pub token: TokenHash,
    /// The operator's name.
    pub operator: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub last_seen_at: Timestamp,
    /// When it ends, whatever is done with it.
    pub expires_at: Timestamp,
    /// When it was ended before that.
    pub ended_at: Option<Timestamp>,
    /// The address that it was opened from.
    pub address: String,
    /// What the browser called itself.
    pub user_agent: String,
}

/// What shows that somebody is the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInProof {
    /// The password, and a code of this step.
    Code(i64),
    /// The identity provider's word that it is this one.
    Identity(Identity),
}

/// A session that may be opened, and what that was judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The session.
    pub session: OperatorSession,
    /// The operator's revision by which the sign-in was judged.
    pub revision: i64,
    /// What showed that it is the operator.
    pub proof: SignInProof,
}

/// Operators and their sessions. What is changed has its row of the audit log, written with it; what
/// changes nothing has none.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Operators: Send + Sync {
    /// The operator with this name.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find(&self, name: String) -> Result<Option<Operator>, StoreError>;

    /// The operator who has this identity.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find_by_identity(&self, identity: Identity) -> Result<Option<Operator>, StoreError>;

    /// Operators behind `after` in order of names, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list(&self, after: Option<String>, limit: u32) -> Result<Vec<Operator>, StoreError>;

    /// Keeps a new operator; `false` when the name or the identity is taken, and then nothing happens.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn add(&self, operator: Operator, audit: AuditDraft) -> Result<bool, StoreError>;

    /// Changes an operator; `false` when there is none with this name, or when an identity cannot be
    /// given, because another operator has it or this one has another. Who is disabled or enabled
    /// already, has this identity or has none, stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn change(
        &self,
        name: String,
        change: OperatorChange,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError>;

    /// Counts a try to sign in before anything comes of it: one more failure than `seen`, and no other
    /// try before `next_try_at`. `false` when somebody else was faster, and then nothing happens.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn count_try(
        &self,
        name: String,
        seen: u32,
        next_try_at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Writes that a try failed.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn note_failure(&self, at: Timestamp, audit: AuditDraft) -> Result<(), StoreError>;

    /// Opens a session; `false` when the operator has changed or was disabled meanwhile, when a code
    /// of this step or of a later one was accepted already, or when the identity is not the
    /// operator's. By a code the failures are forgotten, by an identity they stay: they say nothing of
    /// it. What ended long before, of the same operator, may be forgotten with it.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn open_session(
        &self,
        opening: OpenSession,
        audit: AuditDraft,
    ) -> Result<bool, StoreError>;

    /// The session with this token, also when it has ended, and its operator as it is now.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find_session(
        &self,
        token: TokenHash,
    ) -> Result<Option<(OperatorSession, Operator)>, StoreError>;

    /// Writes when a session was last used.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn touch_session(&self, id: Uuid, at: Timestamp) -> Result<(), StoreError>;

    /// The sessions of an operator that have not ended by this time, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_sessions(
        &self,
        operator: String,
        at: Timestamp,
    ) -> Result<Vec<OperatorSession>, StoreError>;

    /// Ends a session of an operator; `false` when the operator has none with this id. Repeating it
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn end_session(
        &self,
        operator: String,
        id: Uuid,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError>;
}
