//! Seals: what proves that the books are what Bursar wrote, keyed by a key that is not in the
//! database.
//!
//! Each entry's seal is chained to the one before it in its account, so that none can be changed,
//! left out or moved without a wrong seal after it; the account keeps the last one as its `head`.
//! A transfer's seal covers every column of its row as it now is. What is computed over what stands
//! in `message`; everything here is pure. See docs/DATABASE.md.

mod message;

use std::{fmt, io::Write, sync::Arc};

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sql_types::Bytea,
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use self::message::Message;
pub(crate) use self::message::{AccountName, Line, Link, TransferFields};

type HmacSha256 = Hmac<Sha256>;

/// A seal begins with the name of its key, so that keys can be changed.
const KEY_ID_BYTES: usize = 4;
/// Half of an HMAC-SHA256: nobody guesses 128 bits, and what every row has should be short.
const MAC_BYTES: usize = 16;
/// What the name of a key is made from, together with the key: nothing that is sealed is the same.
const KEY_ID_CONTEXT: &[u8] = b"bursar seal key";

/// A seal as it stands in its row: the name of the key, then the first half of the HMAC-SHA256. Read
/// from a row it may be anything.
#[derive(Clone, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Bytea)]
pub(crate) struct Seal(pub(crate) Vec<u8>);

impl ToSql<Bytea, Pg> for Seal {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&self.0)?;
        Ok(IsNull::No)
    }
}

impl FromSql<Bytea, Pg> for Seal {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(value.as_bytes().to_vec()))
    }
}

/// What a seal is found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Genuine {
    /// It is what its key makes of the row.
    Yes,
    /// It is not: row or seal were changed by somebody who does not have the key.
    No,
    /// Its key is not among ours.
    UnknownKey,
}

/// The keys of the seals: the first one seals, all of them verify. Without any, rows are left
/// unsealed. Cheap to clone.
#[derive(Clone, Default)]
pub struct SealKeys(Arc<[SealKey]>);

struct SealKey {
    id: [u8; KEY_ID_BYTES],
    /// Has taken the key in already.
    mac: HmacSha256,
}

impl SealKeys {
    /// Takes the keys, the one that seals first.
    pub fn new(keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(keys.into_iter().filter_map(SealKey::new).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Seals what names an account that has no entries.
    pub(crate) fn account(&self, name: AccountName<'_>) -> Option<Seal> {
        self.seal(|| Message::of_account(name))
    }

    /// Seals an entry.
    pub(crate) fn entry(&self, link: Link<'_>, line: &Line) -> Option<Seal> {
        self.seal(|| Message::of_entry(link, line))
    }

    /// Seals a transfer's row.
    pub(crate) fn transfer(&self, fields: &TransferFields<'_>, entry_refs: &[i64]) -> Option<Seal> {
        self.seal(|| Message::of_transfer(fields, entry_refs))
    }

    /// Judges the head of an account that has no entries.
    pub(crate) fn judge_account(&self, name: AccountName<'_>, seal: &Seal) -> Genuine {
        self.judge(&Message::of_account(name), seal)
    }

    /// Judges the seal of an entry.
    pub(crate) fn judge_entry(&self, link: Link<'_>, line: &Line, seal: &Seal) -> Genuine {
        self.judge(&Message::of_entry(link, line), seal)
    }

    /// Judges the seal of a transfer.
    pub(crate) fn judge_transfer(
        &self,
        fields: &TransferFields<'_>,
        entry_refs: &[i64],
        seal: &Seal,
    ) -> Genuine {
        self.judge(&Message::of_transfer(fields, entry_refs), seal)
    }

    fn seal(&self, message: impl FnOnce() -> Message) -> Option<Seal> {
        let key = self.0.first()?;
        let mac = key.mac(&message()).finalize().into_bytes();
        let half = mac.first_chunk::<MAC_BYTES>()?;
        Some(Seal([key.id.as_slice(), half].concat()))
    }

    fn judge(&self, message: &Message, seal: &Seal) -> Genuine {
        let Some((id, mac)) = seal.0.split_first_chunk::<KEY_ID_BYTES>() else {
            return Genuine::No;
        };
        let Some(key) = self.0.iter().find(|key| key.id == *id) else {
            return Genuine::UnknownKey;
        };
        let Ok(half) = <&[u8; MAC_BYTES]>::try_from(mac) else {
            return Genuine::No;
        };
        match key.mac(message).verify_truncated_left(half) {
            Ok(()) => Genuine::Yes,
            Err(_) => Genuine::No,
        }
    }
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKeys(..)")
    }
}

impl SealKey {
    fn new(key: [u8; 32]) -> Option<Self> {
        // HMAC takes keys of any length, so there is always one.
        let mac = HmacSha256::new_from_slice(&key).ok()?;
        let named = mac.clone().chain_update(KEY_ID_CONTEXT).finalize();
        let id = *named.into_bytes().first_chunk::<KEY_ID_BYTES>()?;
        Some(Self { id, mac })
    }

    fn mac(&self, message: &Message) -> HmacSha256 {
        self.mac.clone().chain_update(message.as_bytes())
    }
}

#[cfg(test)]
mod tests;
