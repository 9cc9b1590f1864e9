//! Texts of others in files that spreadsheets open.

use std::borrow::Cow;

/// What a formula begins with, and the apostrophe that says that none begins.
const RUN: [char; 9] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\''];
/// What spreadsheets pass over before a formula.
const PASSED_OVER: [char; 3] = ['\t', '\r', '\n'];
/// At what some spreadsheet, in some country, splits a line, whatever stands around it. A quotation
/// mark behind it begins a cell, which then may be a formula.
const SPLIT: [char; 4] = [';', '\t', '\r', '\n'];

/// A text that no spreadsheet takes for a formula: an apostrophe stands before whatever begins like
/// one, at the beginning and behind whatever some spreadsheet splits a line at. It also stands before
/// an apostrophe there, so that taking one away from each of these places gives back the text.
pub fn neutral(text: &str) -> Cow<'_, str> {
    // What is passed over is split at, too.
    if !text.starts_with(RUN) && !text.contains(SPLIT) {
        return Cow::Borrowed(text);
    }
    let mut neutral = String::with_capacity(text.len().saturating_add(8));
    let mut before = None;
    for c in text.chars() {
        let is_run = match before {
            None => RUN.contains(&c) || PASSED_OVER.contains(&c),
            Some(before) => SPLIT.contains(&before) && (RUN.contains(&c) || c == '"'),
        };
        if is_run {
            neutral.push('\'');
        }
        neutral.push(c);
        before = Some(c);
    }
    Cow::Owned(neutral)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What docs/HTTP.md tells programs to do.
    fn had_back(cell: &str) -> String {
        let mut text = String::new();
        let mut may_go = true;
        for c in cell.chars() {
            if may_go && c == '\'' {
                may_go = false;
                continue;
            }
            text.push(c);
            may_go = SPLIT.contains(&c);
        }
        text
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_neutralised() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t'=1"),
            ("\r1", "'\r1"),
            ("\n1", "'\n1"),
            ("＝1", "'＝1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠1", "'＠1"),
            ("'=1", "''=1"),
            ("'", "''"),
            ("x;=1+1", "x;'=1+1"),
            ("x;\"=1+1\"", "x;'\"=1+1\""),
            ("two\r\n=1", "two\r\n'=1"),
            (";;@", ";;'@"),
        ] {
            assert_eq!(neutral(text), cell);
        }
    }

    #[test]
    fn anything_else_stays() {
        for text in [
            "",
            "1",
            "a=1",
            " =1",
            "0.5",
            "https://example.com/",
            "Ж",
            "a;b",
            "a; b",
            "\"a\"",
            "two\r\nlines",
            "it's",
        ] {
            assert_eq!(neutral(text), text);
        }
    }

    proptest! {
        #[test]
        fn it_can_be_had_back(text in "[a=';\t\r\n\"+@－-]{0,12}") {
            prop_assert_eq!(had_back(&neutral(&text)), text);
        }
    }
}
