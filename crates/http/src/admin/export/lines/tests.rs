use bursar_app::{AuditExport, EntryExport, TransferExport};
use serde_json::json;

use super::*;

#[derive(Serialize)]
struct Body<'a> {
    kind: &'a str,
    note: Option<&'a str>,
    moved: &'a str,
    seq: i64,
}

fn body(note: Option<&str>) -> Body<'_> {
    Body {
        kind: "deposit",
        note,
        moved: "-1.5",
        seq: -3,
    }
}

fn lines(format: Format) -> Lines {
    Lines {
        format,
        columns: &["kind", "note", "moved", "seq", "count"],
        signed: &["moved"],
        bytes: vec![],
        rows: 0,
    }
}

fn written(format: Format, note: Option<&str>) -> String {
    let mut lines = lines(format);
    lines.row("entry", &body(note)).unwrap();
    lines.total(&json!({"moved": "-3", "count": 1})).unwrap();
    lines.end().unwrap();
    let bytes = lines.take();
    assert!(lines.take().is_empty());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn csv_has_a_cell_for_every_column() {
    let rows = "entry,deposit,,-1.5,-3,\r\ntotal,,,-3,,1\r\nend,,,,,1\r\n";
    assert_eq!(written(Format::Csv, None), rows);
}

#[test]
fn json_lines_have_only_what_there_is() {
    let lines = "{\"record\":\"entry\",\"kind\":\"deposit\",\"note\":null,\"moved\":\"-1.5\",\"seq\":-3}\n\
                 {\"record\":\"total\",\"count\":1,\"moved\":\"-3\"}\n\
                 {\"record\":\"end\",\"count\":1}\n";
    assert_eq!(written(Format::Jsonl, None), lines);
    let formula = written(Format::Jsonl, Some("=1+1"));
    assert!(formula.contains(r#""note":"=1+1""#), "{formula}");
}

#[test]
fn cells_of_people_are_neutralised_and_our_own_numbers_stay_numbers() {
    let row = written(Format::Csv, Some("-1.5"));
    assert!(row.starts_with("entry,deposit,'-1.5,-1.5,-3,\r\n"), "{row}");
    let list = cell(&json!(["=1"]), false).into_owned();
    assert_eq!(list, r#"["=1"]"#);
    assert_eq!(cell(&json!(true), false), "true");
}

#[test]
fn a_cell_may_hold_anything() {
    let texts = [
        "a,b",
        "say \"hi\"",
        "two\nlines",
        "two\r\nlines",
        "=1,\"2\"",
    ];
    for text in texts {
        let row = written(Format::Csv, Some(text));
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(row.as_bytes());
        let first = reader.records().next().unwrap().unwrap();
        assert_eq!(first.len(), 6);
        assert_eq!(first.get(2), Some(neutral(text).as_ref()));
    }
}

#[test]
fn csv_begins_with_the_names_of_its_columns() {
    let names = |lines: Result<Lines, Problem>| {
        let text = String::from_utf8(lines.unwrap().take()).unwrap();
        assert!(text.starts_with("record,") && text.ends_with(",count\r\n"));
        text.trim_end().split(',').count()
    };
    let transfers = names(Lines::of::<TransferExport>(Format::Csv));
    assert_eq!(transfers, 1 + TransferExport::COLUMNS.len());
    let entries = names(Lines::of::<EntryExport>(Format::Csv));
    assert_eq!(entries, 1 + EntryExport::COLUMNS.len());
    let audit = names(Lines::of::<AuditExport>(Format::Csv));
    assert_eq!(audit, 1 + AuditExport::COLUMNS.len());
    let mut jsonl = Lines::of::<EntryExport>(Format::Jsonl).unwrap();
    assert!(jsonl.take().is_empty());
}
