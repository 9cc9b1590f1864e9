//! The rules that keep the layers apart, read from cargo's metadata and from the sources.

mod grants;
mod scan;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package};

use self::sources::{Source, all_rust, sql_migrations, workspace_root};

/// Which crates of ours each crate may build on. A new crate needs a line here.
const EDGES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("ports", &["domain"]),
    ("app", &["domain", "ports"]),
    ("postgres", &["domain", "ports", "audit"]),
    // It knows of nothing but how far the feed has got.
    ("streams", &[]),
    ("http", &["domain", "ports", "app", "streams"]),
    ("console", &["domain", "ports", "app", "streams"]),
    ("webhook", &["domain", "ports"]),
    ("callback", &["domain", "ports", "webhook"]),
    ("payout", &["domain", "ports", "webhook"]),
    ("jwt", &["domain", "ports"]),
    ("oidc", &["domain", "ports", "jwt"]),
    ("limiter", &["ports"]),
    (
        "server",
        &[
            "domain", "ports", "app", "audit", "postgres", "http", "console", "callback", "payout",
            "jwt", "oidc", "streams", "limiter",
        ],
    ),
    ("testkit", &["domain", "ports"]),
    // It sees the wire and nothing else.
    ("conformance", &[]),
    // It sees what it is given and nothing else.
    ("audit", &[]),
    // It is nothing but tests.
    (
        "simulation",
        &["domain", "ports", "app", "audit", "testkit"],
    ),
    // It feeds what reads what strangers send.
    (
        "fuzz",
        &["domain", "ports", "app", "http", "callback", "testkit"],
    ),
    (
        "bench",
        &["domain", "ports", "audit", "postgres", "testkit"],
    ),
];

/// The inner crates, and what they must never name: it belongs to an adapter or to the binary.
const INNER: [&str; 3] = ["domain", "ports", "app"];
const OUTER_LIBRARIES: [&str; 10] = [
    "diesel",
    "diesel-async",
    "diesel_migrations",
    "actix-web",
    "hyper",
    "jsonwebtoken",
    "redis",
    "reqwest",
    "tokio",
    "tokio-postgres",
];

/// Features that exist for tests alone.
const TEST_FEATURES: [(&str, &str); 2] = [("ports", "mock"), ("postgres", "testing")];

const LINES_MAX: usize = 500;

fn packages() -> Vec<Package> {
    MetadataCommand::new()
        .manifest_path(workspace_root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .unwrap()
        .packages
}

fn role(package: &str) -> Option<&str> {
    package.strip_prefix("bursar-")
}

fn allowed(crate_role: &str) -> BTreeSet<&'static str> {
    EDGES
        .iter()
        .find(|(name, _)| *name == crate_role)
        .unwrap_or_else(|| panic!("rule: crate `{crate_role}` has no line in EDGES; add it there"))
        .1
        .iter()
        .copied()
        .collect()
}

/// The dependencies of one kind on crates of ours, by role.
fn inner_edges(package: &Package, kind: DependencyKind) -> BTreeMap<String, &Dependency> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == kind)
        .filter_map(|dependency| Some((role(&dependency.name)?.to_owned(), dependency)))
        .collect()
}

fn assert_none(rule: &str, violations: &[String]) {
    assert!(
        violations.is_empty(),
        "rule: {rule}\n  {}",
        violations.join("\n  ")
    );
}

#[test]
fn every_crate_builds_only_on_the_crates_below_it() {
    let mut violations = Vec::new();
    for package in packages() {
        let from = role(&package.name)
            .expect("every package is named bursar-<role>")
            .to_owned();
        let below = allowed(&from);
        for kind in [DependencyKind::Normal, DependencyKind::Build] {
            for to in inner_edges(&package, kind).into_keys() {
                if !below.contains(to.as_str()) {
                    violations.push(format!("{from} -> {to}, in {}", package.manifest_path));
                }
            }
        }
    }
    assert_none(
        "a crate depends only on what EDGES lists for it",
        &violations,
    );
}

#[test]
fn tests_reach_no_further_than_their_crate_and_the_testkit() {
    let mut violations = Vec::new();
    for package in packages() {
        let from = role(&package.name)
            .expect("every package is named bursar-<role>")
            .to_owned();
        let mut reachable = allowed(&from);
        if !matches!(from.as_str(), "domain" | "ports") {
            reachable.insert("testkit");
        }
        if from == "server" {
            reachable.insert("conformance");
        }
        for to in inner_edges(&package, DependencyKind::Development).into_keys() {
            if to != from && !reachable.contains(to.as_str()) {
                violations.push(format!(
                    "{from} -> {to} (dev), in {}",
                    package.manifest_path
                ));
            }
        }
    }
    assert_none(
        "a dev-dependency is the crate itself, a crate below it, (not for domain and ports) the \
         testkit, or (for the server) the conformance suite",
        &violations,
    );
}

#[test]
fn what_exists_for_tests_is_built_for_tests_only() {
    let mut violations = Vec::new();
    for package in packages() {
        let from = role(&package.name).unwrap_or_default().to_owned();
        let edges = inner_edges(&package, DependencyKind::Normal);
        for (to, feature) in TEST_FEATURES {
            let used = edges
                .get(to)
                .is_some_and(|edge| edge.features.iter().any(|f| f == feature));
            if used && from != "testkit" {
                violations.push(format!("{from} -> {to} with feature `{feature}`"));
            }
        }
    }
    assert_none(
        "features `mock` and `testing` are switched on by dev-dependencies",
        &violations,
    );
}

#[test]
fn inner_crates_name_no_outer_library() {
    let mut violations = Vec::new();
    for package in packages() {
        if !role(&package.name).is_some_and(|name| INNER.contains(&name)) {
            continue;
        }
        for dependency in &package.dependencies {
            let built_in = dependency.kind != DependencyKind::Development;
            if built_in && OUTER_LIBRARIES.contains(&dependency.name.as_str()) {
                violations.push(format!("{} names {}", package.name, dependency.name));
            }
        }
    }
    assert_none(
        "domain, ports and app know no database, web or runtime library",
        &violations,
    );
}

#[test]
fn no_file_grows_beyond_reading() {
    let violations: Vec<_> = all_rust()
        .iter()
        .filter(|source| !source.is_test() && !source.path.ends_with("schema.rs"))
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines >= LINES_MAX)
        .map(|(source, lines)| format!("{}: {lines} lines", source.path))
        .collect();
    assert_none(
        "a source file stays below 500 lines (aim for 300)",
        &violations,
    );
}

#[test]
fn the_domain_is_synchronous() {
    let violations: Vec<_> = in_src("crates/domain/")
        .flat_map(|source| source.code_lines_with(&["async fn", "async move", ".await"]))
        .collect();
    assert_none("domain has no async code", &violations);
}

#[test]
fn only_tx_opens_a_transaction() {
    let mut violations = Vec::new();
    // The benchmark's rivals are SQL of one's own, and another ledger.
    let excepted = [
        "crates/postgres/src/tx",
        "crates/bench/src/baseline",
        "crates/bench-cala/src",
    ];
    let is_bound = |source: &Source| excepted.iter().all(|place| !source.is_below(place));
    for source in in_src("crates/").filter(is_bound) {
        violations.extend(source.code_lines_with(&[
            ".transaction(",
            ".begin_transaction(",
            "::begin_transaction(",
            "build_transaction",
            ".begin_test_transaction(",
        ]));
        violations.extend(source.literals_where("opens a transaction", |literal| {
            let sql = literal.trim_start().to_ascii_uppercase();
            sql.starts_with("BEGIN") || sql.starts_with("START TRANSACTION")
        }));
    }
    assert_none(
        "only crates/postgres/src/tx.rs opens a transaction; the batch engine sends its constant",
        &violations,
    );
}

#[test]
fn no_statement_joins_the_directory_and_a_book() {
    let mut violations = Vec::new();
    for source in in_src("crates/postgres/") {
        violations.extend(source.literals_where("names both schemas", names_both_schemas));
    }
    for (path, text) in sql_migrations() {
        let statements = without_sql_comments(&text);
        for statement in statements
            .split(';')
            .filter(|statement| names_both_schemas(statement))
        {
            let first = statement.trim().lines().next().unwrap_or_default();
            violations.push(format!("{path}: `{first}` names both schemas"));
        }
    }
    assert_none(
        "no statement touches `directory` and `book_main` together",
        &violations,
    );
}

fn in_src(prefix: &str) -> impl Iterator<Item = Source> {
    all_rust()
        .into_iter()
        .filter(move |source| !source.is_test() && source.is_below(prefix))
}

fn names_both_schemas(sql: &str) -> bool {
    names_schema(sql, "directory") && names_schema(sql, "book_main")
}

/// Finds `schema.` where it is not the end of a longer name.
fn names_schema(sql: &str, schema: &str) -> bool {
    let sql = sql.to_ascii_lowercase().replace('"', "");
    sql.match_indices(&format!("{schema}.")).any(|(at, _)| {
        !sql[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn without_sql_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn schemas_are_found_in_statements_only_as_whole_names() {
    assert!(names_both_schemas(
        "SELECT 1 FROM directory.users u JOIN \"book_main\".accounts a"
    ));
    assert!(!names_both_schemas("SELECT 1 FROM directory.users"));
    assert!(!names_both_schemas(
        "SELECT 1 FROM my_directory.x, book_main.accounts"
    ));
}
