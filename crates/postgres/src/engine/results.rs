//! What a bulk's key remembers of its items, as JSON: a number is the transfer that was made, an
//! object the refusal that the caller was told.

use bursar_domain::{ItemRefusal, ItemResult, RefusedField, TransferId};
use serde_json::{Value, json};

pub(super) fn write(results: &[ItemResult]) -> String {
    let items = results.iter().map(|result| match result {
        ItemResult::Made(id) => json!(id.get()),
        ItemResult::Refused(ItemRefusal { code, errors }) if errors.is_empty() => {
            json!({"code": code})
        }
        ItemResult::Refused(ItemRefusal { code, errors }) => {
            let errors: Vec<Value> = errors.iter().map(write_field).collect();
            json!({"code": code, "errors": errors})
        }
    });
    Value::Array(items.collect()).to_string()
}

fn write_field(error: &RefusedField) -> Value {
    json!({"field": error.field, "code": error.code, "detail": error.detail})
}

/// None when it is not what [`write`] writes.
pub(super) fn read(stored: &Value) -> Option<Vec<ItemResult>> {
    stored.as_array()?.iter().map(read_item).collect()
}

fn read_item(item: &Value) -> Option<ItemResult> {
    if let Some(id) = item.as_i64() {
        return TransferId::try_new(id).ok().map(ItemResult::Made);
    }
    let errors = match item.get("errors") {
        Some(errors) => errors.as_array()?.iter().map(read_field).collect(),
        None => Some(vec![]),
    };
    Some(ItemResult::Refused(ItemRefusal {
        code: text(item, "code")?,
        errors: errors?,
    }))
}

fn read_field(error: &Value) -> Option<RefusedField> {
    Some(RefusedField {
        field: text(error, "field")?,
        code: text(error, "code")?,
        detail: text(error, "detail")?,
    })
}

fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let refusal = |errors| {
            ItemResult::Refused(ItemRefusal {
                code: "a.b".to_owned(),
                errors,
            })
        };
        let error = RefusedField {
            field: "nul \0 and \u{1f600}".to_owned(),
            code: "c".to_owned(),
            detail: "d".to_owned(),
        };
        let results = vec![
            ItemResult::Made(TransferId::try_new(9).unwrap()),
            refusal(vec![]),
            refusal(vec![error]),
        ];
        let stored: Value = serde_json::from_str(&write(&results)).unwrap();
        assert_eq!(read(&stored), Some(results));
    }

    #[test]
    fn anything_else_is_told_apart() {
        for stored in [
            "{}",
            "[0]",
            "[1.5]",
            r#"["a"]"#,
            r#"[{"errors":[]}]"#,
            r#"[{"code":"a","errors":{}}]"#,
            r#"[{"code":"a","errors":[{"field":"f","code":"c"}]}]"#,
        ] {
            let stored: Value = serde_json::from_str(stored).unwrap();
            assert_eq!(read(&stored), None, "{stored}");
        }
    }
}
