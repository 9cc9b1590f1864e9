//! Opaque bearer tokens.

use bursar_domain::{Timestamp, UserId};
use bursar_ports::{StoreError, Token, TokenHash};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl, pooled_connection::deadpool::Pool};
use uuid::Uuid;

use super::{permission_names, read_permissions};
use crate::{
    error::{inconsistent, unavailable},
    pool::checkout,
    schema::tokens,
    value::At,
};

#[derive(Queryable, Selectable)]
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
    pool: &Pool<AsyncPgConnection>,
    hash: TokenHash,
) -> Result<Option<Token>, StoreError> {
    let row = tokens::table
        .filter(tokens::hash.eq(hash.0.as_slice()))
        .select(TokenRow::as_select())
        .get_result(&mut checkout(pool).await?)
        .await
        .optional()
        .map_err(unavailable)?;
    row.map(Token::try_from).transpose()
}

pub(super) async fn add(pool: &Pool<AsyncPgConnection>, token: Token) -> Result<(), StoreError> {
    diesel::insert_into(tokens::table)
        .values((
            tokens::id.eq(token.id),
            tokens::hash.eq(token.hash.0.as_slice()),
            tokens::subject.eq(token.subject),
            tokens::user_id.eq(token.user.map(|user| user.as_uuid())),
            tokens::permissions.eq(permission_names(&token.permissions)),
            tokens::created_at.eq(At(token.created_at)),
            tokens::expires_at.eq(At(token.expires_at)),
            tokens::revoked_at.eq(token.revoked_at.map(At)),
        ))
        .execute(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    Ok(())
}

pub(super) async fn list(
    pool: &Pool<AsyncPgConnection>,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Token>, StoreError> {
    let mut query = tokens::table
        .select(TokenRow::as_select())
        .order(tokens::id)
        .limit(i64::from(limit))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(tokens::id.gt(after));
    }
    let rows: Vec<TokenRow> = query
        .load(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    rows.into_iter().map(Token::try_from).collect()
}

/// The hash of the token that is revoked now, if there is one with this id.
pub(super) async fn revoke(
    pool: &Pool<AsyncPgConnection>,
    id: Uuid,
    at: Timestamp,
) -> Result<Option<TokenHash>, StoreError> {
    let mut connection = checkout(pool).await?;
    // The first revocation is the one that counts.
    diesel::update(tokens::table.find(id).filter(tokens::revoked_at.is_null()))
        .set(tokens::revoked_at.eq(At(at)))
        .execute(&mut connection)
        .await
        .map_err(unavailable)?;
    let hash: Option<Vec<u8>> = tokens::table
        .find(id)
        .select(tokens::hash)
        .get_result(&mut connection)
        .await
        .optional()
        .map_err(unavailable)?;
    hash.map(|hash| {
        read_hash(&hash).ok_or_else(|| inconsistent("tokens", format!("id {id}: hash")))
    })
    .transpose()
}
