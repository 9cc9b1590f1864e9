//! A file of transfers.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::Path,
};

use anyhow::Context;
use bursar_app::{CallbackUrlPolicy, ImportRow};
use bursar_domain::IdempotencyKey;
use bursar_http::{IMPORT_COLUMNS, read_import_row};
use csv::StringRecord;

/// The most rows in a file: they are all kept in memory.
const ROWS_MAX: usize = 1_000_000;
/// How many mistakes are named; they are all counted.
const NAMED_MAX: usize = 20;

/// A row with its place in the file.
pub(super) struct FileRow {
    line: u64,
    pub(super) row: ImportRow,
}

impl FileRow {
    /// The line it begins in, and its reference.
    pub(super) fn place(&self) -> (u64, String) {
        (self.line, self.row.reference.as_str().to_owned())
    }
}

/// Reads all of a file, or says everything that is wrong with it.
pub(super) fn read(path: &Path, urls: &CallbackUrlPolicy) -> anyhow::Result<Vec<FileRow>> {
    let named = || format!("{} cannot be read", path.display());
    let file = File::open(path).with_context(named)?;
    let (rows, mistakes) = read_from(file, urls).with_context(named)?;
    if mistakes.is_empty() {
        return Ok(rows);
    }
    let more = mistakes.len().saturating_sub(NAMED_MAX);
    let mut said = mistakes;
    said.truncate(NAMED_MAX);
    if more > 0 {
        said.push(format!("and {more} more"));
    }
    anyhow::bail!("nothing was imported:\n  {}", said.join("\n  "));
}

fn read_from(
    file: impl Read,
    urls: &CallbackUrlPolicy,
) -> anyhow::Result<(Vec<FileRow>, Vec<String>)> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let header = reader.headers()?.clone();
    let mut mistakes = check(&header);
    if !mistakes.is_empty() {
        return Ok((vec![], mistakes));
    }
    let mut rows = Vec::new();
    let mut seen: HashMap<IdempotencyKey, u64> = HashMap::new();
    for record in reader.into_records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let (cells, columns) = (record.len(), header.len());
            mistakes.push(format!(
                "line {line}: it has {cells} cells where line 1 has {columns}"
            ));
            continue;
        }
        let cells: BTreeMap<&str, &str> = header.iter().zip(&record).collect();
        match read_import_row(&cells, urls) {
            Ok(row) => {
                if let Some(first) = seen.insert(row.reference.clone(), line) {
                    let reference = row.reference.as_str();
                    mistakes.push(format!(
                        "line {line}: reference: {reference} is in line {first} too"
                    ));
                }
                rows.push(FileRow { line, row });
            }
            Err(errors) => {
                let told = |error: bursar_app::FieldError| {
                    format!("line {line}: {}: {}", error.field, error.detail)
                };
                mistakes.extend(errors.into_iter().map(told));
            }
        }
        anyhow::ensure!(
            rows.len() <= ROWS_MAX,
            "it has more than {ROWS_MAX} rows: split it"
        );
    }
    if rows.is_empty() && mistakes.is_empty() {
        mistakes.push("there are no rows".to_owned());
    }
    Ok((rows, mistakes))
}

/// What is wrong with the names of the columns.
fn check(header: &StringRecord) -> Vec<String> {
    let known = |name: &str| IMPORT_COLUMNS.iter().any(|(column, _)| *column == name);
    let times = |name: &str| header.iter().filter(|column| *column == name).count();
    let mut wrong: Vec<String> = header
        .iter()
        .filter(|name| !known(name))
        .map(|name| format!("line 1: {name}: is no column of transfers"))
        .collect();
    for (name, required) in IMPORT_COLUMNS {
        match times(name) {
            0 if required => wrong.push(format!("line 1: {name}: this column is missing")),
            0 | 1 => {}
            _ => wrong.push(format!("line 1: {name}: this column is there twice")),
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "reference,kind,user_id,asset,amount,comment\n";
    const USER: &str = "942fe02b-e9b9-6e9e-7c82-85d74f3234d4";

    fn read_text(text: &str) -> (Vec<(u64, String)>, Vec<String>) {
        let (rows, mistakes) = read_from(text.as_bytes(), &CallbackUrlPolicy::default()).unwrap();
        (rows.iter().map(FileRow::place).collect(), mistakes)
    }

    #[test]
    fn rows_know_the_lines_they_begin_in() {
        let text =
            format!("{HEADER}a,deposit,{USER},btc,1,\"one, two\"\nb,withdrawal,{USER},btc,0.5,\n");
        let (rows, mistakes) = read_text(&text);
        assert_eq!(rows, [(2, "a".to_owned()), (3, "b".to_owned())]);
        assert_eq!(mistakes, [""; 0]);
        // As spreadsheets write it.
        let marked = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        assert_eq!(read_text(&marked).1, [""; 0]);
    }

    #[test]
    fn every_mistake_names_its_line_and_column() {
        let text = format!(
            "{HEADER}a,deposit,{USER},btc,0,\nb,gift,nobody,btc,1,\nc,deposit,{USER},btc,1,\n\
             c,deposit,{USER},btc,2,\n"
        );
        let (_, mistakes) = read_text(&text);
        let begin = [
            "line 2: amount:",
            "line 3: kind:",
            "line 3: user_id:",
            "line 5: reference: c is in line 4 too",
        ];
        assert_eq!(mistakes.len(), begin.len(), "{mistakes:?}");
        for (mistake, begin) in mistakes.iter().zip(begin) {
            assert!(mistake.starts_with(begin), "{mistake}");
        }
    }

    #[test]
    fn columns_must_be_known_and_there_once() {
        let (_, mistakes) = read_text("reference,kind,kind,user,asset,amount\n");
        assert_eq!(
            mistakes,
            [
                "line 1: user: is no column of transfers",
                "line 1: kind: this column is there twice",
                "line 1: user_id: this column is missing",
            ]
        );
        assert_eq!(read_text(HEADER).1, ["there are no rows"]);
    }

    #[test]
    fn a_row_with_too_few_cells_is_a_mistake_among_others() {
        let text = format!("{HEADER}a,deposit,{USER}\nb,deposit,{USER},btc,0,\n");
        let (_, mistakes) = read_text(&text);
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert_eq!(mistakes[0], "line 2: it has 3 cells where line 1 has 6");
        assert!(mistakes[1].starts_with("line 3: amount:"), "{mistakes:?}");
    }

    /// Else the rows behind it would be its comment.
    #[test]
    fn a_quote_that_is_never_closed_is_a_mistake() {
        let text = format!("{HEADER}a,deposit,{USER},btc,1,\"urgent\nb,deposit,{USER},btc,1,\n");
        let (_, mistakes) = read_text(&text);
        assert_eq!(
            mistakes,
            ["line 2: comment: must not contain control characters"]
        );
    }
}
