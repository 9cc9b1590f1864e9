//! Holding the ledger against what clients and receivers know.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::Context as _;
use bursar_audit::{Judged, record::Line};

use super::note;

/// Reads a record.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let lines = BufReader::new(file).lines().enumerate();
    lines
        .map(|(number, line)| {
            let line = line.with_context(|| format!("{} cannot be read", path.display()))?;
            serde_json::from_str(&line).with_context(|| {
                format!(
                    "{}:{}: no line of a record",
                    path.display(),
                    number.saturating_add(1)
                )
            })
        })
        .collect()
}

/// Holds the ledger against a record, naming what is wrong; says how much that was.
pub(super) async fn judge(url: &str, record: &[Line]) -> anyhow::Result<(Judged, u64)> {
    let ledger = bursar_postgres::audited(url, record)
        .await
        .context("the ledger cannot be read")?;
    let (judged, violations) = bursar_audit::judge(record, ledger);
    for violation in &violations {
        note(&violation.to_string());
    }
    Ok((judged, u64::try_from(violations.len())?))
}

/// Says how much was held against it.
pub(super) fn report(judged: Judged) -> String {
    let Judged {
        requests,
        unknown,
        unknown_moved,
        lacks,
        looks,
        heard,
    } = judged;
    format!(
        "requests: {requests}; of {unknown} nobody knew what became, and {unknown_moved} had moved \
         money\n\
         refused for lack of money: {lacks}\n\
         looks: {looks}\n\
         callbacks heard: {heard}\n"
    )
}
