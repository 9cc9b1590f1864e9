//! Rows of operators and sessions.

use bursar_domain::Timestamp;
use bursar_ports::{
    Identity, Operator, OperatorSession, PasswordHash, SealedSecret, SignInProof, StoreError,
    TokenHash,
};
use diesel::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    credentials::{permission_names, read_permissions},
    error::inconsistent,
    schema::{operator_sessions, operators},
    value::At,
};

/// The status of who may sign in.
pub(crate) const ACTIVE: &str = "active";
const DISABLED: &str = "disabled";

#[derive(Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = operators)]
#[diesel(treat_none_as_null = true)]
pub(super) struct OperatorRow {
    pub(super) password_hash: String,
    pub(super) totp_key_id: String,
    pub(super) totp_secret: Vec<u8>,
    pub(super) totp_step: Option<i64>,
    pub(super) permissions: Vec<String>,
    pub(super) status: String,
    pub(super) revision: i64,
    pub(super) failures: i32,
    pub(super) next_try_at: Option<At>,
}

impl OperatorRow {
    /// As the audit log tells it: neither password nor secret.
    pub(super) fn told(&self, name: &str) -> Value {
        json!({
            "name": name,
            "permissions": self.permissions,
            "status": self.status,
            "failures": self.failures,
            "next_try_at": self.next_try_at.map(|at| at.0.to_micros_text()),
        })
    }

    pub(super) fn is_active(&self) -> bool {
        self.status == ACTIVE
    }

    pub(super) fn set_active(&mut self, is_active: bool) {
        status(is_active).clone_into(&mut self.status);
    }

    /// The same with whom the identity provider means by it.
    pub(super) fn told_with(&self, name: &str, identity: Option<&Identity>) -> Value {
        let mut told = self.told(name);
        if let (Some(identity), Value::Object(fields)) = (identity, &mut told) {
            fields.insert("identity".to_owned(), told_identity(identity));
        }
        told
    }

    /// The operator whose row it is.
    pub(super) fn read(
        self,
        name: String,
        created_at: At,
        identity: Option<Identity>,
    ) -> Result<Operator, StoreError> {
        let fault = |column| inconsistent("operators", format!("name {name}: {column}"));
        Ok(Operator {
            is_active: self.is_active(),
            permissions: read_permissions(&self.permissions).ok_or_else(|| fault("permissions"))?,
            failures: u32::try_from(self.failures).map_err(|_| fault("failures"))?,
            password: PasswordHash(self.password_hash),
            totp: SealedSecret {
                key_id: self.totp_key_id,
                bytes: self.totp_secret,
            },
            totp_step: self.totp_step,
            identity,
            revision: self.revision,
            next_try_at: self.next_try_at.map(Timestamp::from),
            created_at: created_at.0,
            name,
        })
    }
}

fn told_identity(identity: &Identity) -> Value {
    json!({"issuer": identity.issuer, "subject": identity.subject})
}

const fn status(is_active: bool) -> &'static str {
    if is_active { ACTIVE } else { DISABLED }
}

impl From<&Operator> for OperatorRow {
    fn from(operator: &Operator) -> Self {
        Self {
            password_hash: operator.password.0.clone(),
            totp_key_id: operator.totp.key_id.clone(),
            totp_secret: operator.totp.bytes.clone(),
            totp_step: operator.totp_step,
            permissions: permission_names(&operator.permissions),
            status: status(operator.is_active).to_owned(),
            revision: operator.revision,
            failures: i32::try_from(operator.failures).unwrap_or(i32::MAX),
            next_try_at: operator.next_try_at.map(At),
        }
    }
}

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = operator_sessions)]
pub(super) struct SessionRow {
    pub(super) id: Uuid,
    token_hash: Vec<u8>,
    pub(super) operator: String,
    created_at: At,
    last_seen_at: At,
    expires_at: At,
    pub(super) ended_at: Option<At>,
    address: String,
    user_agent: String,
}

impl SessionRow {
    /// As the audit log tells it: without the token's hash.
    pub(super) fn told(&self) -> Value {
        json!({
            "session": self.id.to_string(),
            "created_at": self.created_at.0.to_micros_text(),
            "expires_at": self.expires_at.0.to_micros_text(),
            "ended_at": self.ended_at.map(|at| at.0.to_micros_text()),
            "address": self.address,
            "user_agent": self.user_agent,
        })
    }
}

/// A session that is opened, and by what.
pub(super) fn told_opening(row: &SessionRow, proof: &SignInProof) -> Value {
    let mut told = row.told();
    if let (SignInProof::Identity(identity), Value::Object(fields)) = (proof, &mut told) {
        fields.insert("identity".to_owned(), told_identity(identity));
    }
    told
}

impl From<OperatorSession> for SessionRow {
    fn from(session: OperatorSession) -> Self {
        Self {
            id: session.id,
            token_hash: session.token.0.to_vec(),
            operator: session.operator,
            created_at: At(session.created_at),
            last_seen_at: At(session.last_seen_at),
            expires_at: At(session.expires_at),
            ended_at: session.ended_at.map(At),
            address: session.address,
            user_agent: session.user_agent,
        }
    }
}

impl TryFrom<SessionRow> for OperatorSession {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let fault = || inconsistent("operator_sessions", format!("id {}: token_hash", row.id));
        let token = row.token_hash.as_slice().try_into().map_err(|_| fault())?;
        Ok(Self {
            id: row.id,
            token: TokenHash(token),
            operator: row.operator,
            created_at: row.created_at.0,
            last_seen_at: row.last_seen_at.0,
            expires_at: row.expires_at.0,
            ended_at: row.ended_at.map(Timestamp::from),
            address: row.address,
            user_agent: row.user_agent,
        })
    }
}
