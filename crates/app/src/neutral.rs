//! Texts of others in files that spreadsheets open.

use std::borrow::Cow;

/// A text that no spreadsheet takes for a formula: an apostrophe stands before whatever begins like
/// one. It also stands before an apostrophe, so that taking the first one away gives back the text.
pub fn neutral(text: &str) -> Cow<'_, str> {
    const RUN: [char; 12] = [
        '=', '+', '-', '@', '\t', '\r', '\n', '\'', '＝', '＋', '－', '＠',
    ];
    if text.starts_with(RUN) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}
