//! Opaque bearer tokens.

use bursar_domain::{AuditDraft, Timestamp, UserId};
use bursar_ports::{StoreError, Token, TokenHash};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{permission_names, read_permissions};
use crate::{
    audit_log::note_in_directory,
    error::{inconsistent, unavailable},
    pool::Database,
    schema::tokens,
    tx::run_tx,
    value::At,
};

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = tokens)]
struct TokenRow {
    id: Uuid,
    hash: Vec<u8>,
    subject: String,
    user_id: Option<Uuid>,
    permissions: Vec<String>,
    created_at: At,
    expires_at: At,
    revoked_at: Option<At>,
}

impl TokenRow {
    /// As the audit log tells it: neither the token nor its hash.
    fn told(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "subject": self.subject,
            "user_id": self.user_id.map(|user| user.to_string()),
            "permissions": self.permissions,
            "created_at": self.created_at.0.to_micros_text(),
            "expires_at": self.expires_at.0.to_micros_text(),
            "revoked_at": self.revoked_at.map(|at| at.0.to_micros_text()),
        })
    }
}

impl From<Token> for TokenRow {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            hash: token.hash.0.to_vec(),
            subject: token.subject,
            user_id: token.user.map(|user| user.as_uuid()),
            permissions: permission_names(&token.permissions),
            created_at: At(token.created_at),
            expires_at: At(token.expires_at),
            revoked_at: token.revoked_at.map(At),
        }
    }
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let fault = |column| inconsistent("tokens", format!("id {}: {column}", row.id));
        Ok(Self {
            id: row.id,
            hash: read_hash(&row.hash).ok_or_else(|| fault("hash"))?,
            permissions: read_permissions(&row.permissions).ok_or_else(|| fault("permissions"))?,
            subject: row.subject,
            user: row.user_id.map(UserId::new),
            created_at: row.created_at.0,
            expires_at: row.expires_at.0,
            revoked_at: row.revoked_at.map(Timestamp::from),
        })
    }
}

fn read_hash(bytes: &[u8]) -> Option<TokenHash> {
    bytes.try_into().ok().map(TokenHash)
}

pub(super) async fn find(
    database: &Database,
    hash: TokenHash,
) -> Result<Option<Token>, StoreError> {
    let token = tokens::table
        .filter(tokens::hash.eq(hash.0.as_slice()))
        .select(TokenRow::as_select());
    let row = database
        .look_up(async move |connection| {
            let found = token.get_result(connection).await.optional();
            found.map_err(unavailable)
        })
        .await?;
    row.map(Token::try_from).transpose()
}

pub(super) async fn add(
    database: &Database,
    token: Token,
    audit: AuditDraft,
) -> Result<(), StoreError> {
    let row = TokenRow::from(token);
    run_tx(database.pool(), "add token", move |connection| {
        let (row, audit) = (row.clone(), audit.clone());
        async move {
            diesel::insert_into(tokens::table)
                .values(&row)
                .execute(connection)
                .await?;
            let (at, after) = (row.created_at.0, row.told());
            note_in_directory(connection, &audit, at, None, Some(&after)).await
        }
        .boxed()
    })
    .await
}

pub(super) async fn list(
    database: &Database,
    user: Option<UserId>,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Token>, StoreError> {
    let mut query = tokens::table
        .select(TokenRow::as_select())
        .order(tokens::id)
        .limit(i64::from(limit))
        .into_boxed();
    if let Some(user) = user {
        query = query.filter(tokens::user_id.eq(user.as_uuid()));
    }
    if let Some(after) = after {
        query = query.filter(tokens::id.gt(after));
    }
    let rows: Vec<TokenRow> = database
        .run(async |connection| query.load(connection).await)
        .await?;
    rows.into_iter().map(Token::try_from).collect()
}

/// The hash of the token that is revoked now, if there is one with this id.
pub(super) async fn revoke(
    database: &Database,
    id: Uuid,
    at: Timestamp,
    audit: AuditDraft,
) -> Result<Option<TokenHash>, StoreError> {
    let hash = run_tx(database.pool(), "revoke token", move |connection| {
        let audit = audit.clone();
        async move { revoke_once(connection, id, at, &audit).await }.boxed()
    })
    .await?;
    hash.map(|hash| {
        read_hash(&hash).ok_or_else(|| inconsistent("tokens", format!("id {id}: hash")))
    })
    .transpose()
}

/// The first revocation is the one that counts.
async fn revoke_once(
    connection: &mut AsyncPgConnection,
    id: Uuid,
    at: Timestamp,
    audit: &AuditDraft,
) -> QueryResult<Option<Vec<u8>>> {
    let found: Option<TokenRow> = tokens::table
        .find(id)
        .select(TokenRow::as_select())
        .for_no_key_update()
        .get_result(connection)
        .await
        .optional()?;
    let Some(mut row) = found else {
        return Ok(None);
    };
    if row.revoked_at.is_none() {
        let before = row.told();
        row.revoked_at = Some(At(at));
        diesel::update(tokens::table.find(id))
            .set(tokens::revoked_at.eq(row.revoked_at))
            .execute(connection)
            .await?;
        let after = row.told();
        note_in_directory(connection, audit, at, Some(&before), Some(&after)).await?;
    }
    Ok(Some(row.hash))
}
