//! What the application's role may do: read and write what Bursar reads and writes, and nothing
//! that would change what has been: no entry is ever rewritten, no transfer is renamed or deleted,
//! no table is altered.
//!
//! The schema belongs to another role, which migrates.

use bursar_ports::BoxError;
use diesel::{
    QueryableByName,
    dsl::sql,
    result::{Error as DieselError, OptionalExtension as _, QueryResult},
    sql_query,
    sql_types::{Array, Bool, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::{connect::establish, tx::all_or_nothing};

/// What may be done with the rows of a table, beside reading them.
struct Rule {
    table: &'static str,
    insert: bool,
    update: Update,
    delete: bool,
}

enum Update {
    No,
    Any,
    /// Every column but these, which say what a row is of.
    Except(&'static [&'static str]),
}

/// A table whose rows are added and stay.
const fn append(table: &'static str) -> Rule {
    Rule {
        table,
        insert: true,
        update: Update::No,
        delete: false,
    }
}

/// A table whose rows are added and change.
const fn change(table: &'static str) -> Rule {
    Rule {
        update: Update::Any,
        ..append(table)
    }
}

/// A table whose rows are added and change, but for these columns.
const fn change_except(table: &'static str, columns: &'static [&'static str]) -> Rule {
    Rule {
        update: Update::Except(columns),
        ..append(table)
    }
}

/// Every table; one that is missing from the database is passed over.
const RULES: &[Rule] = &[
    change("directory.users"),
    append("directory.asset_books"),
    change("directory.asset_rates"),
    change("directory.tokens"),
    change("directory.access_keys"),
    change("directory.callback_secrets"),
    change_except("directory.operators", &["name", "created_at"]),
    Rule {
        delete: true,
        ..change_except(
            "directory.operator_sessions",
            &["id", "token_hash", "operator", "created_at", "expires_at"],
        )
    },
    Rule {
        delete: true,
        ..append("directory.operator_identities")
    },
    Rule {
        delete: true,
        ..append("directory.address_book")
    },
    Rule {
        insert: false,
        ..change("directory.id_ranges")
    },
    append("directory.audit_log"),
    change("book_main.assets"),
    change("book_main.owners"),
    Rule {
        insert: false,
        ..change("book_main.id_ranges")
    },
    change_except(
        "book_main.accounts",
        &["id", "owner_kind", "owner", "asset"],
    ),
    change_except(
        "book_main.transfers",
        &[
            "id",
            "kind",
            "asset",
            "scale",
            "amount",
            "fee",
            "user_id",
            "recipient_id",
            "recipient_typed",
            "code_salt",
            "custom_id",
            "note",
            "callback_url",
            "created_by",
            "root_asset",
            "root_scale",
            "root_rate",
            "root_source",
            "root_rated_at",
            "created_at",
            "reverses",
            "reversal_covers",
            "reversal_fee",
        ],
    ),
    append("book_main.entries"),
    Rule {
        delete: true,
        ..change("book_main.idempotency_keys")
    },
    change("book_main.callbacks"),
    append("book_main.callback_attempts"),
    append("book_main.audit_log"),
    Rule {
        insert: false,
        ..change("book_main.rule_sets")
    },
    Rule {
        insert: false,
        ..change("book_main.writers")
    },
    change("book_main.fee_schedules"),
    change("book_main.limits"),
    change("book_main.root_uses"),
    Rule {
        delete: true,
        ..change_except("book_main.payouts", &["transfer_id", "began_at"])
    },
    Rule {
        delete: true,
        ..append("book_main.stops")
    },
    Rule {
        delete: true,
        ..change_except("book_main.takings", &["transfer_id"])
    },
    change_except("book_main.hourly_volumes", &["hour", "asset", "kind"]),
    change_except(
        "book_main.journal",
        &[
            "id",
            "topic",
            "locked_at",
            "transfer_ids",
            "versions",
            "states",
            "ats",
            "payload",
            "count",
        ],
    ),
    Rule {
        delete: true,
        ..append("book_main.journal_queue")
    },
    Rule {
        insert: false,
        ..change("book_main.sequencers")
    },
];

/// How many rights an error names.
const SHOWN_MAX: usize = 5;

/// What migrations were applied, which the program looks at before it serves and only `migrate` writes.
const MIGRATIONS: Rule = Rule {
    insert: false,
    ..append("public.__diesel_schema_migrations")
};

/// Why a role was not given its rights.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// No connection could be made.
    #[error("cannot connect to the database")]
    Connect(#[source] BoxError),
    /// There is no such role.
    #[error("there is no role {0}: CREATE ROLE … LOGIN PASSWORD … first")]
    NoRole(String),
    /// The role may do anything, whatever it is granted.
    #[error(
        "role {0} owns the database, its schemas or tables, is a superuser, or may become such a role \
         (before PostgreSQL 16 CREATEROLE is enough): nothing can be kept from it"
    )]
    Owner(String),
    /// The role has more from elsewhere: of a role that it is a member of, or of everybody.
    #[error(
        "role {role} may do more than it is granted, as a member of another role or as everybody: {}{}",
        .rights.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", "),
        if .rights.len() > SHOWN_MAX { ", …" } else { "" }
    )]
    TooMuch {
        /// Whose rights they are.
        role: String,
        /// What it may do and should not.
        rights: Vec<String>,
    },
    /// A table that this program does not know.
    #[error("the database has tables that this program knows no rights for: {}", .0.join(", "))]
    UnknownTables(Vec<String>),
    /// The database refuses.
    #[error("the database refuses; run this as the role that migrates")]
    Refused(#[source] DieselError),
}

impl From<DieselError> for GrantError {
    fn from(error: DieselError) -> Self {
        Self::Refused(error)
    }
}

/// Gives a role of the database at `url` what the application needs, and takes everything else from
/// it. Repeating it changes nothing; after a migration it must be repeated.
///
/// # Errors
/// [`GrantError`]; nothing is changed then.
pub async fn grant(url: &str, role: &str) -> Result<(), GrantError> {
    let mut connection = establish(url, false)
        .await
        .map_err(|error| GrantError::Connect(error.into()))?;
    let connection = &mut connection;
    match is_mighty(connection, role).await? {
        None => return Err(GrantError::NoRole(role.to_owned())),
        Some(true) => return Err(GrantError::Owner(role.to_owned())),
        Some(false) => {}
    }
    let tables = tables(connection).await?;
    let known = |table: &String| RULES.iter().any(|rule| rule.table == *table);
    let unknown: Vec<String> = tables
        .iter()
        .filter(|table| !known(table))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(GrantError::UnknownTables(unknown));
    }
    let statements = statements(connection, &tables, &quoted(role)).await?;
    all_or_nothing(connection, async |connection| {
        connection.batch_execute(&statements.join("; ")).await?;
        let rights = too_much(connection, &tables, role).await?;
        if rights.is_empty() {
            return Ok(());
        }
        let role = role.to_owned();
        Err(GrantError::TooMuch { role, rights })
    })
    .await
}

async fn statements(
    connection: &mut AsyncPgConnection,
    tables: &[String],
    role: &str,
) -> QueryResult<Vec<String>> {
    let mut statements = vec![format!("GRANT USAGE ON SCHEMA public TO {role}")];
    for schema in ["directory", "book_main"] {
        statements.push(format!("REVOKE ALL ON SCHEMA {schema} FROM {role}"));
        statements.push(format!("GRANT USAGE ON SCHEMA {schema} TO {role}"));
    }
    for rule in rules_of(tables) {
        let rights = rights(connection, rule).await?;
        let table = rule.table;
        statements.push(format!("REVOKE ALL ON {table} FROM {role}"));
        statements.push(format!("GRANT {rights} ON {table} TO {role}"));
    }
    Ok(statements)
}

fn rules_of(tables: &[String]) -> impl Iterator<Item = &'static Rule> {
    RULES
        .iter()
        .filter(|rule| tables.iter().any(|table| table == rule.table))
        .chain([&MIGRATIONS])
}

/// What a role may do beyond the rules, wherever it has that from.
async fn too_much(
    connection: &mut AsyncPgConnection,
    tables: &[String],
    role: &str,
) -> QueryResult<Vec<String>> {
    let mut found: Vec<String> = sql::<Text>(
        "SELECT 'CREATE on schema ' || s FROM unnest(ARRAY['directory', 'book_main']) AS s \
         WHERE has_schema_privilege(",
    )
    .bind::<Text, _>(role)
    .sql(", s, 'CREATE')")
    .load(connection)
    .await?;
    for rule in rules_of(tables) {
        // A right to one column is one too many where there is to be none.
        let (mut whole, mut any) = (vec!["TRUNCATE", "TRIGGER"], vec!["REFERENCES"]);
        if !rule.insert {
            any.push("INSERT");
        }
        if !rule.delete {
            whole.push("DELETE");
        }
        let mut columns: &[&str] = &[];
        match rule.update {
            Update::Any => {}
            Update::No => any.push("UPDATE"),
            Update::Except(fixed) => {
                whole.push("UPDATE");
                columns = fixed;
            }
        }
        let more: Vec<String> = sql_query(
            "SELECT r || ' on ' || $2 AS more FROM unnest($3) AS r \
             WHERE has_table_privilege($1, $2, r) \
             UNION ALL SELECT r || ' on ' || $2 FROM unnest($4) AS r \
             WHERE has_any_column_privilege($1, $2, r) \
             UNION ALL SELECT 'UPDATE (' || c || ') on ' || $2 FROM unnest($5) AS c \
             WHERE has_column_privilege($1, $2, c, 'UPDATE')",
        )
        .bind::<Text, _>(role)
        .bind::<Text, _>(rule.table)
        .bind::<Array<Text>, _>(whole)
        .bind::<Array<Text>, _>(any)
        .bind::<Array<Text>, _>(columns)
        .load(connection)
        .await?
        .into_iter()
        .map(|More { more }| more)
        .collect();
        found.extend(more);
    }
    Ok(found)
}

#[derive(QueryableByName)]
struct More {
    #[diesel(sql_type = Text)]
    more: String,
}

async fn rights(connection: &mut AsyncPgConnection, rule: &Rule) -> QueryResult<String> {
    let mut rights = vec!["SELECT".to_owned()];
    if rule.insert {
        rights.push("INSERT".to_owned());
    }
    match rule.update {
        Update::No => {}
        Update::Any => rights.push("UPDATE".to_owned()),
        Update::Except(fixed) => {
            let mut columns = columns(connection, rule.table).await?;
            columns.retain(|column| !fixed.contains(&column.as_str()));
            rights.push(format!("UPDATE ({})", columns.join(", ")));
        }
    }
    if rule.delete {
        rights.push("DELETE".to_owned());
    }
    Ok(rights.join(", "))
}

/// Whether a role can do anything, whatever it is granted; none when there is no such role.
///
/// Whoever owns a schema may drop what is in it, and whoever owns the database may drop that. Before
/// PostgreSQL 16, CREATEROLE makes one a member of every role but superusers, by its own word.
async fn is_mighty(connection: &mut AsyncPgConnection, role: &str) -> QueryResult<Option<bool>> {
    let mighty = sql::<Bool>(
        "SELECT EXISTS (SELECT FROM pg_roles AS m WHERE pg_has_role(r.oid, m.oid, 'MEMBER') \
           AND (m.rolsuper OR m.rolcreaterole \
             AND current_setting('server_version_num')::int < 160000)) \
         OR EXISTS (SELECT FROM pg_database AS d WHERE d.datname = current_database() \
           AND pg_has_role(r.oid, d.datdba, 'MEMBER')) \
         OR EXISTS (SELECT FROM pg_namespace AS n \
           WHERE n.nspname IN ('directory', 'book_main', 'public') \
           AND pg_has_role(r.oid, n.nspowner, 'MEMBER')) \
         OR EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
           WHERE (n.nspname IN ('directory', 'book_main') OR (n.nspname, c.relname) = \
             ('public', '__diesel_schema_migrations')) \
           AND c.relkind IN ('r', 'p') AND pg_has_role(r.oid, c.relowner, 'MEMBER')) \
         FROM pg_roles AS r WHERE r.rolname = ",
    )
    .bind::<Text, _>(role);
    mighty.get_result(connection).await.optional()
}

async fn tables(connection: &mut AsyncPgConnection) -> QueryResult<Vec<String>> {
    sql::<Text>(
        "SELECT n.nspname || '.' || c.relname FROM pg_class AS c \
         JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname IN ('directory', 'book_main') AND c.relkind IN ('r', 'p') ORDER BY 1",
    )
    .load(connection)
    .await
}

async fn columns(connection: &mut AsyncPgConnection, table: &str) -> QueryResult<Vec<String>> {
    sql::<Text>("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = ")
        .bind::<Text, _>(table)
        .sql("::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum")
        .load(connection)
        .await
}

/// A name as PostgreSQL takes any.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
