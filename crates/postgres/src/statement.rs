//! The statements of the batch engine, one array statement for a whole batch each.
//!
//! Their text never changes, so each is prepared once per connection (a static `QueryId`; diesel
//! prepares most other things anew on every call). Table names are not qualified: the connection's
//! `search_path` says which book it works on.

/// Makes a statement a query whose text never changes, and says which rows it returns.
macro_rules! constant_query {
    ($name:ident $(-> ($($row:ty),+))?) => {
        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl<Conn> diesel::RunQueryDsl<Conn> for $name<'_> {}

        $(
            impl diesel::query_builder::Query for $name<'_> {
                type SqlType = ($($row,)+);
            }
        )?
    };
}

/// Defines a statement: pieces of SQL, each followed by the array that is bound after it, then the
/// tail. Binds are numbered in order, so the tail may name them again (`cardinality($1)`).
macro_rules! statement {
    (
        $(#[$meta:meta])*
        $name:ident $(-> ($($row:ty),+ $(,)?))? {
            $($lead:literal $field:ident: $rust:ty => $sql:ty,)+
        }
        $tail:literal
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: &'a [$rust],)+
        }

        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                $(
                    out.push_sql($lead);
                    out.push_bind_param::<diesel::sql_types::Array<$sql>, _>(&self.$field)?;
                )+
                out.push_sql($tail);
                Ok(())
            }
        }

        constant_query!($name $(-> ($($row),+))?);
    };
}

/// Defines a statement that gets its rows as one parameter, an array of a composite type: what comes
/// before it and after it, and between them the columns in the order of the type.
macro_rules! row_statement {
    (
        $(#[$meta:meta])*
        $name:ident $(-> ($($row:ty),+ $(,)?))? {
            $($field:ident: $rust:ty,)+
        }
        $lead:literal $tail:literal
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name<'a> {
            pub(crate) row_type: $crate::statement::RowType,
            $(pub(crate) $field: &'a [$rust],)+
        }

        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                out.push_sql($lead);
                out.push_bind_param::<$crate::statement::RowArray, _>(self)?;
                out.push_sql($tail);
                Ok(())
            }
        }

        impl diesel::serialize::ToSql<$crate::statement::RowArray, diesel::pg::Pg> for $name<'_> {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                let rows = [$(self.$field.len()),+];
                let count = rows.iter().copied().max().unwrap_or(0);
                let mut writer =
                    $crate::statement::RowWriter::new(self.row_type, count, rows.len())?;
                for number in 0..count {
                    writer.row(|row| {
                        $(
                            let value = self.$field.get(number).ok_or("a column is too short")?;
                            $crate::statement::put_column(value, row)?;
                        )+
                        Ok(diesel::serialize::IsNull::No)
                    })?;
                }
                std::io::Write::write_all(out, &writer.finish())?;
                Ok(diesel::serialize::IsNull::No)
            }
        }

        constant_query!($name $(-> ($($row),+))?);
    };
}

mod accounts;
mod audit;
mod batch;
mod directory;
mod journal;
mod keys;
mod lines;
mod payouts;
mod rows;
mod rules;
mod transfers;
mod writers;

pub(crate) use accounts::{
    FindAccounts, InsertAccounts, InsertOwners, LockAccounts, LockOwners, ReadAccounts,
    ShareAssets, TakeAccountIds, UpdateAccounts,
};
pub(crate) use audit::{InsertBookAudit, InsertDirectoryAudit};
pub(crate) use batch::{InsertCallbacks, InsertEntries, ReadRules};
pub(crate) use directory::{FindAliases, FindNamed};
pub(crate) use journal::{InsertJournal, NumberJournal};
pub(crate) use keys::{ClaimKeys, DeleteKeys, ReadKeys, RewriteKeys};
pub(crate) use lines::{ReadLines, ReadTails};
pub(crate) use payouts::InsertPayouts;
pub(crate) use rows::{RowArray, RowType, RowTypes, RowWriter, put_column};
pub(crate) use rules::{InsertRootUses, LockRootUses, ReadRootUses, UpdateRootUses};
pub(crate) use transfers::{InsertTransfers, LockTransfers, ReadVersions, UpdateTransfers};
pub(crate) use writers::CountBatch;
