//! The schema as diesel sees it, and the rules it keeps, against a freshly migrated database.

use std::collections::BTreeMap;

use crate::support::Fixture;

const SCHEMA: &str = include_str!("../../src/schema.rs");

/// Tables that only constant statements touch.
const NOT_IN_DIESEL: [&str; 2] = ["book_main.id_ranges", "directory.id_ranges"];

const OURS: &str = "('directory', 'book_main')";

/// Each table's columns as `name type`, in order.
type Tables = BTreeMap<String, Vec<String>>;

/// The `table!` blocks of `schema.rs`.
fn declared() -> Tables {
    let mut tables = Tables::new();
    let mut current = None;
    // Two schemas may each have a table of one name, which diesel must call by two.
    let mut sql_name = None;
    for line in SCHEMA.lines().map(str::trim) {
        if let Some((_, name)) = line.split_once("#[sql_name = \"") {
            sql_name = name.strip_suffix("\"]");
        } else if let Some((table, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            let (schema, name) = table.split_once('.').expect("a table without a schema");
            let table = format!("{schema}.{}", sql_name.take().unwrap_or(name));
            let table = table.as_str();
            tables.insert(table.to_owned(), vec![]);
            current = Some(table.to_owned());
        } else if let Some((column, sql_type)) = line.split_once(" -> ") {
            let table = current.as_ref().expect("a column outside a table");
            let columns = tables.get_mut(table).expect("a table without a name");
            columns.push(format!("{column} {}", sql_type.trim_end_matches(',')));
        }
    }
    tables
}

fn diesel_type(sql_type: &str, nullable: bool) -> String {
    let base = match sql_type {
        "uuid" => "Uuid",
        "text" => "Text",
        "_text" => "Array<Text>",
        "int2" => "SmallInt",
        "int4" => "Integer",
        "int8" => "BigInt",
        "_int4" => "Array<Integer>",
        "_int8" => "Array<BigInt>",
        "_numeric" => "Array<Numeric>",
        "_timestamptz" => "Array<Timestamptz>",
        "numeric" => "Numeric",
        "bool" => "Bool",
        "bytea" => "Bytea",
        "json" => "Json",
        "jsonb" => "Jsonb",
        "timestamptz" => "Timestamptz",
        other => panic!("a type that nobody expected: {other}"),
    };
    if nullable {
        format!("Nullable<{base}>")
    } else {
        base.to_owned()
    }
}

#[tokio::test]
async fn diesel_sees_the_tables_as_they_are() {
    let mut fixture = Fixture::new().await;
    let columns = fixture
        .texts(&format!(
            "SELECT table_schema || '.' || table_name || ' ' || column_name || ' ' || udt_name \
             || ' ' || is_nullable FROM information_schema.columns WHERE table_schema IN {OURS} \
             ORDER BY table_schema, table_name, ordinal_position"
        ))
        .await;
    let mut actual = Tables::new();
    for column in &columns {
        let parts: Vec<&str> = column.split(' ').collect();
        let sql_type = diesel_type(parts[2], parts[3] == "YES");
        let told = actual.entry(parts[0].to_owned()).or_default();
        told.push(format!("{} {sql_type}", parts[1]));
    }
    for table in NOT_IN_DIESEL {
        assert!(actual.remove(table).is_some(), "{table} is gone");
    }
    assert_eq!(declared(), actual);
}

#[tokio::test]
async fn constraints_and_indexes_are_named_by_the_scheme() {
    let mut fixture = Fixture::new().await;
    let nameless = fixture
        .texts(&format!(
            "SELECT conname FROM pg_constraint AS c \
             JOIN pg_class AS t ON t.oid = c.conrelid \
             JOIN pg_namespace AS n ON n.oid = t.relnamespace \
             WHERE n.nspname IN {OURS} AND c.contype <> 'n' \
             AND conname !~ ('^' || t.relname || '_[a-z_]+_' || CASE c.contype \
               WHEN 'p' THEN 'pk' WHEN 'u' THEN 'uq' WHEN 'c' THEN 'ck' WHEN 'f' THEN 'fk' \
               ELSE 'none' END || '$')"
        ))
        .await;
    assert_eq!(nameless, Vec::<String>::new());
    let nameless = fixture
        .texts(&format!(
            "SELECT i.relname FROM pg_index AS x \
             JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid \
             JOIN pg_namespace AS n ON n.oid = t.relnamespace \
             WHERE n.nspname IN {OURS} AND i.relname !~ ('^' || t.relname || '_[a-z_]+_' || \
               CASE WHEN x.indisprimary THEN 'pk' WHEN x.indisunique THEN 'uq' ELSE 'idx' END || '$')"
        ))
        .await;
    assert_eq!(nameless, Vec::<String>::new());
}

#[tokio::test]
async fn every_table_is_logged_and_has_a_primary_key() {
    let mut fixture = Fixture::new().await;
    let wrong = fixture
        .texts(&format!(
            "SELECT t.relname FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace \
             WHERE n.nspname IN {OURS} AND t.relkind IN ('r', 'p') AND (t.relpersistence <> 'p' \
             OR NOT EXISTS (SELECT FROM pg_index WHERE indrelid = t.oid AND indisprimary))"
        ))
        .await;
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn no_foreign_key_leaves_its_schema() {
    let mut fixture = Fixture::new().await;
    let crossing = fixture
        .texts(
            "SELECT conname FROM pg_constraint AS c \
             JOIN pg_class AS a ON a.oid = c.conrelid JOIN pg_class AS b ON b.oid = c.confrelid \
             WHERE c.contype = 'f' AND a.relnamespace <> b.relnamespace",
        )
        .await;
    assert_eq!(crossing, Vec::<String>::new());
}

/// An update of a balance must be able to stay on its page.
#[tokio::test]
async fn no_index_of_accounts_has_a_column_that_changes() {
    let mut fixture = Fixture::new().await;
    let indexed = fixture
        .texts(
            "SELECT DISTINCT a.attname FROM pg_index AS x JOIN pg_attribute AS a \
             ON a.attrelid = x.indrelid AND a.attnum = ANY(x.indkey) \
             WHERE x.indrelid = 'book_main.accounts'::regclass ORDER BY 1",
        )
        .await;
    assert_eq!(indexed, ["asset", "id", "owner", "owner_kind"]);
}
