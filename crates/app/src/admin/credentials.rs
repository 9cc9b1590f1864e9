//! Issuing and revoking credentials. Tokens and secrets are shown once, when they are issued.

use bursar_domain::UserId;
use bursar_ports::{AccessKey, IpRange, Permission, Token};
use data_encoding::BASE32_NOPAD;
use uuid::Uuid;

use crate::{
    App, Error, FieldError, Grant, Missing,
    callback_secret::time_ordered_id,
    keyring::{TOKEN_PREFIX, hash_token, random_text},
};

/// What a new token is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Whom it stands for.
    pub subject: String,
    /// The user it acts for.
    pub user: Option<UserId>,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// How long it lives, in seconds.
    pub ttl_seconds: u32,
}

impl NewToken {
    /// Whether a token may have these permissions: one that acts for a user gets no power over others.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check_permissions(
        user: Option<UserId>,
        permissions: &[Permission],
    ) -> Result<(), FieldError> {
        match user {
            Some(_) => check_user_permissions(permissions),
            None => Ok(()),
        }
    }
}

/// A token that was just issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// What is kept of it.
    pub token: Token,
    /// The token itself: shown now and never again.
    pub secret: String,
}

/// What a new access key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccessKey {
    /// The user it acts for.
    pub user: UserId,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// From where it may be used; empty = from everywhere.
    pub allowed_ips: Vec<IpRange>,
    /// Its own rate limit.
    pub requests_per_minute: Option<u32>,
}

impl NewAccessKey {
    /// Whether an access key may have these permissions: it acts for a user, so it gets no power over
    /// others.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check_permissions(permissions: &[Permission]) -> Result<(), FieldError> {
        check_user_permissions(permissions)
    }
}

/// An access key that was just issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedAccessKey {
    /// What is kept of it.
    pub key: AccessKey,
    /// The secret half: shown now and never again.
    pub secret: String,
}

impl App {
    /// Issues a token.
    ///
    /// # Errors
    /// [`Error::Invalid`] for permissions that it may not have, [`Error::NotFound`] when it is to act
    /// for a user that does not exist.
    pub async fn issue_token(&self, grant: &Grant, new: NewToken) -> Result<IssuedToken, Error> {
        grant.require(Permission::Admin)?;
        NewToken::check_permissions(new.user, &new.permissions)
            .map_err(|wrong| Error::Invalid(vec![wrong]))?;
        self.require_user_exists(new.user).await?;
        let random = random_text(self.ports.ids.random_bytes());
        let secret = format!("{TOKEN_PREFIX}{random}");
        let created_at = self.now();
        let lifetime_us = i64::from(new.ttl_seconds).saturating_mul(1_000_000);
        let token = Token {
            id: time_ordered_id(created_at, &*self.ports.ids),
            hash: hash_token(&secret),
            subject: new.subject,
            user: new.user,
            permissions: new.permissions,
            created_at,
            expires_at: created_at.plus_micros(lifetime_us),
            revoked_at: None,
        };
        let audit = grant.audit("token.issue", format!("token:{}", token.id));
        let credentials = &self.ports.credentials;
        credentials.add_token(token.clone(), audit).await?;
        Ok(IssuedToken { token, secret })
    }

    /// Tokens in order of ids, which grow with time: all of them, or those that act for a user.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_tokens(
        &self,
        grant: &Grant,
        user: Option<UserId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Token>, Error> {
        grant.require(Permission::Admin)?;
        let credentials = &self.ports.credentials;
        Ok(credentials.list_tokens(user, after, limit).await?)
    }

    /// Revokes a token; repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none with this id.
    pub async fn revoke_token(&self, grant: &Grant, id: Uuid) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        let audit = grant.audit("token.revoke", format!("token:{id}"));
        let credentials = &self.ports.credentials;
        let found = credentials.revoke_token(id, self.now(), audit).await?;
        if found {
            Ok(())
        } else {
            Err(Error::NotFound(Missing::Token))
        }
    }

    /// Issues an access key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for permissions that it may not have, [`Error::NotFound`] when its user does
    /// not exist.
    pub async fn issue_access_key(
        &self,
        grant: &Grant,
        new: NewAccessKey,
    ) -> Result<IssuedAccessKey, Error> {
        grant.require(Permission::Admin)?;
        NewAccessKey::check_permissions(&new.permissions)
            .map_err(|wrong| Error::Invalid(vec![wrong]))?;
        self.require_user_exists(Some(new.user)).await?;
        let random = self.ports.ids.random_bytes();
        let (name, _) = random.split_at(15);
        let access_key = format!("BAK{}", BASE32_NOPAD.encode(name));
        let secret = random_text(self.ports.ids.random_bytes());
        let sealed = self
            .keyring
            .seal(
                secret.as_bytes(),
                &access_key,
                self.ports.ids.random_bytes(),
            )
            .map_err(|_| Error::Internal("a secret cannot be encrypted"))?;
        let key = AccessKey {
            access_key,
            user: new.user,
            permissions: new.permissions,
            secret: sealed,
            allowed_ips: new.allowed_ips,
            requests_per_minute: new.requests_per_minute,
            created_at: self.now(),
            revoked_at: None,
        };
        let audit = grant.audit("access_key.issue", access_key_target(&key.access_key));
        let credentials = &self.ports.credentials;
        credentials.add_access_key(key.clone(), audit).await?;
        Ok(IssuedAccessKey { key, secret })
    }

    /// Access keys in order of their public halves: all of them, or those of a user.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_access_keys(
        &self,
        grant: &Grant,
        user: Option<UserId>,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<AccessKey>, Error> {
        grant.require(Permission::Admin)?;
        let credentials = &self.ports.credentials;
        Ok(credentials.list_access_keys(user, after, limit).await?)
    }

    /// Revokes an access key; repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none with this public half.
    pub async fn revoke_access_key(&self, grant: &Grant, access_key: String) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        let audit = grant.audit("access_key.revoke", access_key_target(&access_key));
        let found = self
            .ports
            .credentials
            .revoke_access_key(access_key, self.now(), audit)
            .await?;
        if found {
            Ok(())
        } else {
            Err(Error::NotFound(Missing::AccessKey))
        }
    }

    pub(crate) async fn require_user_exists(&self, user: Option<UserId>) -> Result<(), Error> {
        if let Some(user) = user {
            let found = self.ports.directory.find_user(user).await?;
            found.ok_or(Error::NotFound(Missing::User))?;
        }
        Ok(())
    }
}

/// How the audit log names an access key.
pub(crate) fn access_key_target(access_key: &str) -> String {
    format!("access_key:{access_key}")
}

/// Refuses to give a user's credential power over others.
fn check_user_permissions(permissions: &[Permission]) -> Result<(), FieldError> {
    if permissions
        .iter()
        .all(|permission| permission.is_for_users())
    {
        return Ok(());
    }
    let detail = "a user's credential can only have allow_transfer and allow_balance";
    Err(FieldError::new(
        "permissions",
        "permissions.invalid",
        detail,
    ))
}

#[cfg(test)]
mod tests;
