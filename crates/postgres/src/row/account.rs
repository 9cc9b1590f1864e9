//! Account rows.

use bursar_domain::{AccountKey, AssetId, Balance, Kind, Owner, UserId, UserStatus};
use bursar_ports::StoreError;
use diesel::{
    prelude::{Queryable, QueryableByName, Selectable},
    sql_types::{BigInt, Bytea, Nullable, Numeric, Text, Timestamptz},
};
use uuid::Uuid;

use crate::{
    error::inconsistent,
    schema::accounts,
    seal::{AccountName, Seal},
    value::{At, Units},
};

/// A row of `accounts`.
#[derive(Clone, Debug, Queryable, Selectable, QueryableByName)]
#[diesel(table_name = accounts)]
pub(crate) struct AccountRow {
    #[diesel(sql_type = BigInt)]
    pub(crate) id: i64,
    #[diesel(sql_type = Text)]
    pub(crate) owner_kind: String,
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    pub(crate) owner: Uuid,
    #[diesel(sql_type = Text)]
    pub(crate) asset: String,
    #[diesel(sql_type = Numeric)]
    pub(crate) available: Units,
    #[diesel(sql_type = Numeric)]
    pub(crate) held: Units,
    #[diesel(sql_type = BigInt)]
    pub(crate) seq: i64,
    #[diesel(sql_type = Text)]
    pub(crate) status: String,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) stamped_at: At,
    #[diesel(sql_type = Nullable<Bytea>)]
    pub(crate) head: Option<Seal>,
    #[diesel(sql_type = Nullable<Bytea>)]
    pub(crate) withdrawal_uses: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Bytea>)]
    pub(crate) internal_uses: Option<Vec<u8>>,
}

impl AccountRow {
    /// Which account it is.
    pub(crate) fn key(&self) -> Result<AccountKey, StoreError> {
        read_account_key(&self.owner_kind, self.owner, &self.asset)
    }

    /// What its owner has used of the limits of its asset, as it is stored; none when it was never
    /// counted.
    pub(crate) fn uses(&self, kind: Kind) -> Option<&[u8]> {
        match kind {
            Kind::Deposit => None,
            Kind::Withdrawal => self.withdrawal_uses.as_deref(),
            Kind::Internal => self.internal_uses.as_deref(),
        }
    }

    /// What it holds.
    pub(crate) fn balance(&self) -> Result<Balance, StoreError> {
        let status: UserStatus = self
            .status
            .parse()
            .map_err(|_| inconsistent("accounts", format!("id {}: status", self.id)))?;
        Ok(Balance {
            available: self.available.0,
            held: self.held.0,
            seq: self.seq,
            status,
            stamped_at: self.stamped_at.0,
        })
    }
}

/// The account that these columns name.
pub(crate) fn read_account_key(
    owner_kind: &str,
    owner: Uuid,
    asset: &str,
) -> Result<AccountKey, StoreError> {
    let owner = match owner_kind {
        "user" => Owner::User(UserId::new(owner)),
        "fees" => Owner::Fees,
        "world" => Owner::World,
        other => return Err(inconsistent("accounts", format!("owner_kind {other}"))),
    };
    let asset =
        AssetId::parse(asset).map_err(|_| inconsistent("accounts", format!("asset {asset}")))?;
    Ok(AccountKey { owner, asset })
}

/// The columns that name an owner; system accounts have the nil UUID.
pub(crate) const fn owner_columns(owner: Owner) -> (&'static str, Uuid) {
    match owner {
        Owner::User(user) => ("user", user.as_uuid()),
        Owner::Fees => ("fees", Uuid::nil()),
        Owner::World => ("world", Uuid::nil()),
    }
}

/// What names an account's row, as it is sealed; the account of fees has several of them.
pub(crate) fn name_of(id: i64, key: &AccountKey, owner: Uuid) -> AccountName<'_> {
    let (owner_kind, _) = owner_columns(key.owner);
    AccountName {
        id,
        owner_kind,
        owner,
        asset: key.asset.as_str(),
    }
}
