//! Rows as one parameter: an array of a composite type.
//!
//! PostgreSQL keeps each array of `unnest(a, b, …)` apart, which for a transfer's 32 columns took
//! 80 µs a statement and 2 µs a row; an array of rows takes 3 µs and 0.1 µs. Diesel would look a
//! composite type up on every call and write all rows twice for it, so the rows are written here,
//! with the type's id as the connection found it.

use bigdecimal::BigDecimal;
use diesel::{
    QueryResult,
    prelude::QueryableByName,
    result::Error as DieselError,
    serialize::{self, IsNull},
    sql_query,
    sql_types::{Array, Oid, SqlType, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::{
    seal::Seal,
    value::{At, Units, write_numeric, write_timestamp},
};

/// An array of rows. Which type they have stands in the statement and in the value.
#[derive(Clone, Copy, Debug, SqlType)]
#[diesel(postgres_type(oid = 0, array_oid = 0))]
pub(crate) struct RowArray;

/// The id of a composite type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowType(u32);

/// The composite types of a book.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowTypes {
    pub(crate) transfers: RowType,
    pub(crate) transfer_changes: RowType,
    pub(crate) entries: RowType,
    pub(crate) accounts: RowType,
    pub(crate) claims: RowType,
    pub(crate) audit: RowType,
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Oid)]
    oid: u32,
}

impl RowTypes {
    /// Those of the book that the connection works on.
    pub(crate) async fn load(mut connection: &AsyncPgConnection) -> QueryResult<Self> {
        let mut types = Self::default();
        let mut named = [
            ("new_transfer", &mut types.transfers),
            ("transfer_change", &mut types.transfer_changes),
            ("new_entry", &mut types.entries),
            ("account_write", &mut types.accounts),
            ("key_claim", &mut types.claims),
            ("new_audit_record", &mut types.audit),
        ];
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        let found: Vec<Named> = sql_query(
            "SELECT t.typname::text AS name, t.oid FROM pg_type t \
             JOIN pg_namespace n ON n.oid = t.typnamespace \
             WHERE n.nspname = current_schema() AND t.typname = ANY($1)",
        )
        .bind::<Array<Text>, _>(names)
        .load(&mut connection)
        .await?;
        for (name, row_type) in &mut named {
            let of_name = found.iter().find(|found| found.name == *name);
            **row_type = RowType(of_name.ok_or(DieselError::NotFound)?.oid);
        }
        Ok(types)
    }
}

/// A value inside a row, in PostgreSQL's binary form.
pub(crate) trait Field {
    /// The id of its type, which is the same on every server.
    const TYPE: u32;

    /// Writes it.
    fn put(&self, out: &mut Vec<u8>) -> serialize::Result;
}

impl<T: Field> Field for Option<T> {
    const TYPE: u32 = T::TYPE;

    fn put(&self, out: &mut Vec<u8>) -> serialize::Result {
        self.as_ref()
            .map_or(Ok(IsNull::Yes), |value| value.put(out))
    }
}

/// Fields whose binary form is made of these bytes.
macro_rules! plain_field {
    ($($rust:ty, $oid:literal, $value:ident => $bytes:expr;)+) => {
        $(impl Field for $rust {
            const TYPE: u32 = $oid;

            fn put(&self, out: &mut Vec<u8>) -> serialize::Result {
                let $value = self;
                out.extend_from_slice($bytes);
                Ok(IsNull::No)
            }
        })+
    };
}

plain_field! {
    i64, 20, value => &value.to_be_bytes();
    i16, 21, value => &value.to_be_bytes();
    i32, 23, value => &value.to_be_bytes();
    &str, 25, value => value.as_bytes();
    String, 25, value => value.as_bytes();
    &[u8], 17, value => value;
    Vec<u8>, 17, value => value;
    Seal, 17, value => &value.0;
    Uuid, 2950, value => value.as_bytes();
}

impl Field for Units {
    const TYPE: u32 = 1700;

    fn put(&self, out: &mut Vec<u8>) -> serialize::Result {
        write_numeric(self.0, out)
    }
}

impl Field for At {
    const TYPE: u32 = 1184;

    fn put(&self, out: &mut Vec<u8>) -> serialize::Result {
        write_timestamp(self.0, out)
    }
}

/// A decimal goes as text, which the statement casts.
impl Field for &BigDecimal {
    const TYPE: u32 = 25;

    fn put(&self, out: &mut Vec<u8>) -> serialize::Result {
        self.to_plain_string().put(out)
    }
}

impl Field for Vec<i64> {
    const TYPE: u32 = 1016;

    fn put(&self, out: &mut Vec<u8>) -> serialize::Result {
        begin_array(<i64 as Field>::TYPE, self.len(), out)?;
        for value in self {
            put_sized(value, out)?;
        }
        Ok(IsNull::No)
    }
}

/// An array of rows under construction.
pub(crate) struct RowWriter {
    out: Vec<u8>,
    columns: usize,
}

impl RowWriter {
    /// An array of so many rows with so many columns.
    pub(crate) fn new(
        RowType(oid): RowType,
        rows: usize,
        columns: usize,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut out = Vec::with_capacity(rows.saturating_mul(columns).saturating_mul(16));
        begin_array(oid, rows, &mut out)?;
        Ok(Self { out, columns })
    }

    /// One row, whose columns are put by the caller.
    pub(crate) fn row(
        &mut self,
        put: impl FnOnce(&mut Vec<u8>) -> serialize::Result,
    ) -> serialize::Result {
        let columns = i32::try_from(self.columns)?;
        sized(&mut self.out, |out| {
            out.extend_from_slice(&columns.to_be_bytes());
            put(out)
        })
    }

    /// The array.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// A column of a row: the id of its type, its length and its bytes.
pub(crate) fn put_column<T: Field>(value: &T, out: &mut Vec<u8>) -> serialize::Result {
    out.extend_from_slice(&T::TYPE.to_be_bytes());
    put_sized(value, out)
}

fn put_sized<T: Field>(value: &T, out: &mut Vec<u8>) -> serialize::Result {
    sized(out, |out| value.put(out))
}

/// What is put, behind its length; NULL has the length -1.
fn sized(
    out: &mut Vec<u8>,
    put: impl FnOnce(&mut Vec<u8>) -> serialize::Result,
) -> serialize::Result {
    const NULL: i32 = -1;
    let place = out.len();
    out.extend_from_slice(&NULL.to_be_bytes());
    let begin = out.len();
    if matches!(put(out)?, IsNull::No) {
        let length = i32::try_from(out.len().saturating_sub(begin))?;
        if let Some(head) = out.get_mut(place..begin) {
            head.copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(IsNull::No)
}

/// The head of an array of one dimension without NULLs; one without elements has no dimension.
fn begin_array(oid: u32, length: usize, out: &mut Vec<u8>) -> serialize::Result {
    const FIRST: i32 = 1;
    let dimensions = i32::from(length > 0);
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&0_i32.to_be_bytes());
    out.extend_from_slice(&oid.to_be_bytes());
    if length > 0 {
        out.extend_from_slice(&i32::try_from(length)?.to_be_bytes());
        out.extend_from_slice(&FIRST.to_be_bytes());
    }
    Ok(IsNull::No)
}
