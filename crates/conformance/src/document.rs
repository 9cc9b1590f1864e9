//! The list of clauses for people.

use std::fmt::Write;

use crate::clauses::clauses;

const HEAD: &str = "# Conformance

What Bursar promises on the wire, one line for each promise; each is a test of the same name that a real HTTP client tries on a running server.
This file is made from the suite: `BURSAR_WRITE_DOCS=1 cargo test -p bursar-conformance`.

`cargo nextest run -p bursar-server --test conformance` starts a demo of its own and tries all of them on it.
`scripts/conformance` tries them on the deployment that `BURSAR_URL` names, or else on a fresh demo.
A deployment is described by the variables of `demo.env`: `BURSAR_URL`, `BURSAR_ADMIN_TOKEN` (every permission), `BURSAR_BACKOFFICE_TOKEN` and `BURSAR_READONLY_TOKEN`; it needs the assets `btc` (8 decimals), `eth` (18), `usd` (2) and `usdt` (6), without fees, limits and approvals.
The suite makes users, tokens and deposits of its own and leaves them behind; give it a deployment that may keep them.
Where the deployment cannot reach this machine over http, `BURSAR_CONFORMANCE_CALLBACKS=no` leaves the clauses about callbacks out.
The clauses about JWTs are tried where `BURSAR_JWT_SECRET`, `BURSAR_JWT_ISSUER` and `BURSAR_JWT_AUDIENCE` are set as in the deployment's own configuration.

*Documented* names the API, the method and the field of the documentation that clients were written against; *decision* stands where that documentation is silent, lost or contradicts itself.
";

/// docs/CONFORMANCE.md.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for clause in clauses() {
        if clause.section != section {
            section = clause.section;
            let head = "| clause | promise | stands for |\n| --- | --- | --- |";
            let _infallible = write!(text, "\n## {section}\n\n{head}\n");
        }
        let (id, rule, source) = (clause.id, clause.rule, clause.source);
        let (rule, source) = (rule.replace('|', "\\|"), source.replace('|', "\\|"));
        let _infallible = writeln!(text, "| `{id}` | {rule} | {source} |");
    }
    let _infallible = write!(text, "\n{} clauses.\n", clauses().count());
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn the_document_lists_what_is_tried() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFORMANCE.md");
        if std::env::var_os("BURSAR_WRITE_DOCS").is_some() {
            fs::write(&path, document()).unwrap();
        }
        let hint = "BURSAR_WRITE_DOCS=1 cargo test -p bursar-conformance writes it";
        assert!(fs::read_to_string(&path).unwrap() == document(), "{hint}");
    }

    #[test]
    fn every_clause_has_a_name_of_its_own_and_says_what_it_stands_for() {
        let mut ids = BTreeSet::new();
        for clause in clauses() {
            let (id, rule) = (clause.id, clause.rule);
            assert!(ids.insert(id), "{id} is there twice");
            assert!(rule.ends_with('.') && !rule.contains('\n'), "{id}: {rule}");
            let stands_for = ["Documented: ", "Decision: "];
            assert!(
                stands_for
                    .iter()
                    .any(|kind| clause.source.starts_with(kind)),
                "{id}"
            );
        }
    }
}
