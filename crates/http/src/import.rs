//! Rows of an import, read as the APIs read a request and told as they tell a problem.

use std::{borrow::Cow, collections::BTreeMap};

use bursar_app::{
    CallbackUrlPolicy, Error, FieldError, ImportKind, ImportRow, OpenRequest, Original,
};
use bursar_domain::IdempotencyKey;

use crate::{
    backoffice::COMMENT_MAX,
    fields::{Fields, Name, Names, Prose, name},
    problem::Problem,
};

/// What is said when a refusal was bound to a reference.
const KEPT: &str = "The reference keeps this refusal; a new one tries anew.";

/// The columns that a file of transfers may have, and whether it must.
pub const IMPORT_COLUMNS: [(&str, bool); 7] = [
    ("reference", true),
    ("kind", true),
    ("user_id", true),
    ("asset", true),
    ("amount", true),
    ("comment", false),
    ("callback_url", false),
];

/// Reads the cells of a row, by the names of their columns. An empty cell is none.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_import_row(
    cells: &BTreeMap<&str, &str>,
    urls: &CallbackUrlPolicy,
) -> Result<ImportRow, Vec<FieldError>> {
    let filled: BTreeMap<_, _> = cells.iter().filter(|(_, cell)| !cell.is_empty()).collect();
    let unreadable = || FieldError::new("row", "row.invalid", "cannot be read");
    let body = serde_json::to_vec(&filled).map_err(|_| vec![unreadable()])?;
    let mut fields = Fields::parse(&body, Names::Strict).map_err(|_| vec![unreadable()])?;
    let reference = reference(&mut fields, name!("reference"));
    let choice = "deposit, withdrawal";
    let kind = fields.one_of(name!("kind"), ImportKind::from_name, choice);
    let user = fields.user_id(name!("user_id"));
    let asset = fields.asset_id(name!("asset"));
    let amount = fields.amount(name!("amount"));
    // A quote that is never closed would make a comment of the rows behind it.
    let comment = fields.text(name!("comment"), COMMENT_MAX, Prose::Line);
    let callback_url = fields.callback_url(name!("callback_url"), urls);
    let row = || {
        Some(ImportRow {
            reference: reference?,
            kind: kind?,
            request: OpenRequest {
                user: user?,
                asset: asset?,
                amount: amount?,
                comment,
                callback_url,
            },
        })
    };
    fields.outcome(row())
}

/// One that no spreadsheet takes for a number or a formula: it would come back from there as another
/// one, whose row would be made again.
fn reference(fields: &mut Fields<'_>, name: &Name) -> Option<IdempotencyKey> {
    let text = fields.required_string(name)?;
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let key = IdempotencyKey::parse(&text).ok().filter(|_| plain);
    key.or_else(|| {
        let detail = "must be 1 to 255 visible ASCII characters, a letter first";
        fields.invalid(name, detail)
    })
}

/// The code and the sentence that the APIs have for an error.
pub fn tell(error: Error) -> (Cow<'static, str>, String) {
    if let Error::KeyReused { original, fields } = &error {
        let made = match original {
            Some(Original::Id(id)) => format!("which made the transfer {id}"),
            Some(Original::Code(_) | Original::Codes(_)) | None => "which was refused".to_owned(),
        };
        let differs = fields.join(", ");
        let detail = format!("An earlier row has this reference, {made}; it differs in {differs}.");
        return ("reference.reused".into(), detail);
    }
    let kept = matches!(error, Error::Refused { replayed: true, .. });
    let (code, detail) = Problem::from(error).into_code_and_detail();
    if kept {
        return (code, format!("{detail} {KEPT}"));
    }
    (code, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "942fe02b-e9b9-6e9e-7c82-85d74f3234d4";

    fn read(changes: &[(&str, &str)]) -> Result<ImportRow, Vec<String>> {
        let mut cells = BTreeMap::from([
            ("reference", "prize-2026-11/1"),
            ("kind", "withdrawal"),
            ("user_id", USER),
            ("asset", "BTC"),
            ("amount", "0.10"),
            ("comment", ""),
        ]);
        cells.extend(changes.iter().copied());
        let read = read_import_row(&cells, &CallbackUrlPolicy::default());
        read.map_err(|errors| errors.iter().map(|error| error.code.to_string()).collect())
    }

    #[test]
    fn a_row_is_read_as_a_request_is() {
        let row = read(&[]).unwrap();
        assert_eq!(row.reference.as_str(), "prize-2026-11/1");
        assert_eq!(row.kind, ImportKind::Withdrawal);
        assert_eq!(row.request.user.to_string(), USER);
        assert_eq!(row.request.asset.as_str(), "btc");
        assert_eq!(row.request.amount.to_string(), "0.1");
        assert_eq!(row.request.comment, None);
        assert_eq!(row.request.callback_url, None);
        let deposit = [
            ("kind", "deposit"),
            ("comment", "a prize"),
            ("callback_url", "https://example.com/"),
        ];
        let row = read(&deposit).unwrap();
        assert_eq!(row.kind, ImportKind::Deposit);
        assert_eq!(row.request.comment.as_deref(), Some("a prize"));
        assert!(row.request.callback_url.is_some());
    }

    #[test]
    fn everything_that_is_wrong_with_a_row_is_told() {
        for (cell, value, code) in [
            ("reference", "", "reference.missed"),
            ("reference", "=1+1", "reference.invalid"),
            ("reference", "two words", "reference.invalid"),
            ("reference", "0012", "reference.invalid"),
            ("reference", "2026-11/1", "reference.invalid"),
            ("kind", "internal", "kind.invalid"),
            ("kind", "", "kind.missed"),
            ("user_id", "alice", "user_id.invalid"),
            ("asset", "", "asset.missed"),
            ("amount", "1,5", "amount.invalid"),
            ("amount", "0", "amount.zero"),
            ("amount", "1e2", "amount.invalid"),
            ("amount", "", "amount.missed"),
            ("comment", "two\nlines", "comment.invalid"),
            ("callback_url", "ftp://example.com/", "callback_url.invalid"),
            ("colour", "red", "field.unknown"),
        ] {
            assert_eq!(
                read(&[(cell, value)]),
                Err(vec![code.to_owned()]),
                "{value}"
            );
        }
        let wrong = read(&[("kind", "x"), ("amount", "-1")]);
        assert_eq!(wrong.unwrap_err(), ["kind.invalid", "amount.invalid"]);
    }

    #[test]
    fn an_error_is_told_as_the_apis_tell_it() {
        let (code, detail) = tell(Error::NotFound(bursar_app::Missing::User));
        assert_eq!(code, "user.unknown");
        assert_eq!(detail, "The user does not exist.");
        let (code, detail) = tell(Error::Refused {
            reason: bursar_domain::Reason::BalanceInsufficient,
            replayed: true,
        });
        assert_eq!(code, "balance.insufficient");
        assert!(detail.ends_with(KEPT), "{detail}");
        let (code, detail) = tell(Error::KeyReused {
            original: bursar_domain::TransferId::try_new(12)
                .ok()
                .map(Original::Id),
            fields: vec!["user_id".to_owned(), "amount".to_owned()],
        });
        assert_eq!(code, "reference.reused");
        let expected = "An earlier row has this reference, which made the transfer 12; it differs in \
                        user_id, amount.";
        assert_eq!(detail, expected);
    }
}
