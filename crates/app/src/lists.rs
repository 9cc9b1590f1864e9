//! The back office's lists (contract §1).

use std::collections::HashMap;

use bursar_domain::{Transfer, User, UserId, UserStatus, fold_name};
use bursar_ports::{AccountHistory, Permission, TransferFilter};

use crate::{App, Error, FieldError, Grant, Missing};

/// How many users a search may match before it is refused as too broad.
const SEARCH_USERS_MAX: usize = 10_000;
/// How many users are fetched at once.
const USER_PAGE: u32 = 1_000;

/// Which deposits and withdrawals the back office wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackofficeFilter {
    /// Filters on the transfers; `users` is filled in here.
    pub transfers: TransferFilter,
    /// A part of a username or email.
    pub search: Option<String>,
    /// One user.
    pub user: Option<UserId>,
}

/// A transfer with its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackofficeRow {
    /// The transfer.
    pub transfer: Transfer,
    /// Its user.
    pub user: User,
}

/// A page of the back office's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackofficePage {
    /// The rows.
    pub rows: Vec<BackofficeRow>,
    /// How many match in all.
    pub total: u64,
    /// Whether `total` is an estimate.
    pub estimated: bool,
    /// Whether there are more after these rows, whatever `total` says.
    pub more: bool,
}

impl App {
    /// Deposits and withdrawals of one user, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user; see [`Error`] for the rest.
    pub async fn list_account_history(
        &self,
        grant: &Grant,
        filter: AccountHistory,
    ) -> Result<Vec<Transfer>, Error> {
        grant.require(Permission::BackofficeRead)?;
        let user = self.ports.directory.find_user(filter.user).await?;
        user.ok_or(Error::NotFound(Missing::User))?;
        Ok(self.ports.query.list_account_history(filter).await?)
    }

    /// Deposits and withdrawals of all users, newest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a search matches too many users; see [`Error`] for the rest.
    pub async fn list_transfers(
        &self,
        grant: &Grant,
        filter: BackofficeFilter,
    ) -> Result<BackofficePage, Error> {
        grant.require(Permission::BackofficeRead)?;
        let users = self.matching_users(filter.search, filter.user).await?;
        let page = self
            .ports
            .query
            .list_transfers(TransferFilter {
                users,
                ..filter.transfers
            })
            .await?;
        let mut owners: Vec<UserId> = page.transfers.iter().map(Transfer::owner).collect();
        owners.sort_unstable();
        owners.dedup();
        let users: HashMap<UserId, User> = self
            .ports
            .directory
            .find_users(owners)
            .await?
            .into_iter()
            .map(|user| (user.id, user))
            .collect();
        let rows = page
            .transfers
            .into_iter()
            .map(|transfer| BackofficeRow {
                user: users
                    .get(&transfer.owner())
                    .cloned()
                    .unwrap_or_else(|| nameless(transfer.owner())),
                transfer,
            })
            .collect();
        Ok(BackofficePage {
            rows,
            total: page.total,
            estimated: page.estimated,
            more: page.more,
        })
    }

    /// The users that a search and a user filter leave; `None` when neither was given.
    pub(crate) async fn matching_users(
        &self,
        search: Option<String>,
        user: Option<UserId>,
    ) -> Result<Option<Vec<UserId>>, Error> {
        let Some(search) = search else {
            return Ok(user.map(|user| vec![user]));
        };
        // However many the search would match: one user is never too many.
        if let Some(user) = user {
            let found = self.ports.directory.find_user(user).await?;
            let matching = found.filter(|user| is_found_by(user, &search));
            return Ok(Some(matching.into_iter().map(|user| user.id).collect()));
        }
        let mut matching: Vec<UserId> = Vec::new();
        loop {
            let after = matching.last().copied();
            let page = self
                .ports
                .directory
                .list_users(Some(search.clone()), after, USER_PAGE)
                .await?;
            matching.extend(page.users.iter().map(|user| user.id));
            if matching.len() > SEARCH_USERS_MAX {
                let detail = "matches more than 10000 users";
                let error = FieldError::new("search", "search.too_broad", detail);
                return Err(Error::Invalid(vec![error]));
            }
            if !page.more || page.users.is_empty() {
                break;
            }
        }
        Ok(Some(matching))
    }
}

/// As the directory searches: a part of the username or email, without regard to case.
fn is_found_by(user: &User, search: &str) -> bool {
    let part = fold_name(search);
    [&user.username, &user.email]
        .into_iter()
        .any(|name| fold_name(name).contains(&part))
}

/// What stands in for a user that the directory does not know: a transfer is never left out of a
/// list.
fn nameless(id: UserId) -> User {
    User {
        id,
        username: id.to_string(),
        email: String::new(),
        roles: vec![],
        status: UserStatus::Active,
    }
}

#[cfg(test)]
mod tests;
