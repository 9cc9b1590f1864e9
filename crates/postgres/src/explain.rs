//! What the planner makes of a query.

use diesel::{
    pg::Pg,
    prelude::QueryResult,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::Json,
};
use serde_json::Value;

/// How a query would be run, without running it.
pub(crate) struct Explain<Q>(pub(crate) Q);

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Explain<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("EXPLAIN (FORMAT JSON) ");
        self.0.walk_ast(out.reborrow())
    }
}

impl<Q> QueryId for Explain<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Explain<Q> {
    type SqlType = Json;
}

impl<Q, Conn> diesel::RunQueryDsl<Conn> for Explain<Q> {}

/// How many rows the planner expects.
pub(crate) fn rows(plan: &Value) -> Option<u64> {
    let rows = plan.pointer("/0/Plan/Plan Rows")?;
    rows.as_u64().or_else(|| rows.as_f64().map(round))
}

/// Beyond 2^63 the planner writes a float.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "there is no other conversion; `as` saturates"
)]
fn round(estimate: f64) -> u64 {
    estimate as u64
}

/// The indexes that a plan reads, sorted, and the tables that it reads from end to end.
#[cfg(test)]
pub(crate) async fn read_by<Q>(
    connection: &mut diesel_async::AsyncPgConnection,
    query: Q,
) -> Vec<String>
where
    Q: QueryFragment<Pg> + Send + 'static,
{
    let explained = diesel_async::RunQueryDsl::get_result(Explain(query), connection);
    let plan: Value = explained.await.unwrap();
    let mut read = vec![];
    collect(&plan, &mut read);
    read.sort();
    read.dedup();
    read
}

/// What a query did: its plan without figures, one node a line, and how many rows and index entries
/// it looked at.
#[cfg(test)]
pub(crate) async fn measure<Q>(
    connection: &mut diesel_async::AsyncPgConnection,
    query: Q,
) -> (String, u64)
where
    Q: QueryFragment<Pg> + Send + 'static,
{
    let measured = diesel_async::RunQueryDsl::get_result(Measured(query), connection);
    let plan: Value = measured.await.unwrap();
    let mut outline = String::new();
    let mut looked_at = 0;
    outline_of(
        plan.pointer("/0/Plan").unwrap(),
        0,
        &mut outline,
        &mut looked_at,
    );
    (outline, looked_at)
}

/// How a query was run.
#[cfg(test)]
struct Measured<Q>(Q);

#[cfg(test)]
impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Measured<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ");
        self.0.walk_ast(out.reborrow())
    }
}

#[cfg(test)]
impl<Q> QueryId for Measured<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

#[cfg(test)]
impl<Q> Query for Measured<Q> {
    type SqlType = Json;
}

/// Leaves out the nodes that only hand on what is below them.
#[cfg(test)]
fn outline_of(node: &Value, depth: usize, outline: &mut String, looked_at: &mut u64) {
    let kind = node["Node Type"].as_str().unwrap();
    let number = |key: &str| node[key].as_u64().unwrap_or_default();
    let mut below = depth;
    if !matches!(kind, "Subquery Scan" | "Result") {
        let on = node["Index Name"]
            .as_str()
            .or(node["Relation Name"].as_str());
        let on = on.map(|on| format!(" {on}")).unwrap_or_default();
        outline.extend([&"  ".repeat(depth), kind, &on, "\n"]);
        below += 1;
    }
    if kind.contains("Scan") && kind != "Subquery Scan" && node.get("Plans").is_none() {
        let rows = number("Actual Rows") + number("Rows Removed by Filter");
        *looked_at += rows * number("Actual Loops");
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        outline_of(child, below, outline, looked_at);
    }
}

#[cfg(test)]
fn collect(plan: &Value, read: &mut Vec<String>) {
    let text = |node: &serde_json::Map<String, Value>, key: &str| {
        node.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    match plan {
        Value::Array(nodes) => nodes.iter().for_each(|node| collect(node, read)),
        Value::Object(node) => {
            if text(node, "Node Type").as_deref() == Some("Seq Scan") {
                read.extend(text(node, "Relation Name"));
            }
            read.extend(text(node, "Index Name"));
            node.values().for_each(|value| collect(value, read));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
