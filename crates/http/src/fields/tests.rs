use super::*;
use crate::problem::literal;

fn read<T>(
    body: &str,
    names: Names,
    read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Result<T, Vec<(String, &'static str)>> {
    let mut fields = Fields::parse(body.as_bytes(), names).unwrap();
    let made = read(&mut fields);
    let unfinished: Vec<_> = fields
        .errors
        .iter()
        .map(|error| (error.field.clone(), literal(error.code.clone())))
        .collect();
    fields.finish(made).map_err(|_| unfinished)
}

fn amount(value: &str) -> Result<String, &'static str> {
    let body = format!("{{\"amount\":{value}}}");
    read(&body, Names::Exact, |fields| fields.amount(name!("amount")))
        .map(|amount| amount.to_string())
        .map_err(|errors| errors[0].1)
}

#[test]
fn amounts_are_read_from_strings_and_numbers_alike() {
    for (value, read) in [
        ("1", "1"),
        ("\"1\"", "1"),
        ("1e-7", "0.0000001"),
        ("1E-7", "0.0000001"),
        ("0.123456789012345678", "0.123456789012345678"),
        ("\"0.123456789012345678\"", "0.123456789012345678"),
        (
            "123456789012345.123456789012345678",
            "123456789012345.123456789012345678",
        ),
        ("\"\\u0031\"", "1"),
    ] {
        assert_eq!(amount(value), Ok(read.to_owned()), "{value}");
    }
}

#[test]
fn amounts_that_are_none_have_a_code_each() {
    let long = "1".repeat(65);
    for (value, code) in [
        ("1e400", "amount.invalid"),
        ("\"1e400\"", "amount.invalid"),
        ("\"NaN\"", "amount.invalid"),
        ("-1", "amount.invalid"),
        ("\"-1\"", "amount.invalid"),
        ("0", "amount.zero"),
        ("\"0.00\"", "amount.zero"),
        ("\"\"", "amount.missed"),
        ("null", "amount.missed"),
        ("\"01\"", "amount.invalid"),
        ("\" 1\"", "amount.invalid"),
        ("\"1_000\"", "amount.invalid"),
        ("true", "amount.invalid"),
        ("[1]", "amount.invalid"),
        ("{}", "amount.invalid"),
        ("\"\\ud800\"", "amount.invalid"),
        ("0.1234567890123456789", "amount.too_precise"),
        ("1000000000000000", "amount.too_large"),
        (&long, "amount.invalid"),
    ] {
        assert_eq!(amount(value), Err(code), "{value:.40}");
    }
    let missing = read("{}", Names::Exact, |fields| fields.amount(name!("amount")));
    assert_eq!(missing, Err(vec![("amount".to_owned(), "amount.missed")]));
}

#[test]
fn an_empty_text_is_not_how_an_optional_number_is_left_out() {
    for may_be_zero in [false, true] {
        let read = |body: &str| {
            read(body, Names::Exact, |fields| {
                Some(if may_be_zero {
                    fields.optional_decimal(name!("n"))
                } else {
                    fields.optional_amount(name!("n"))
                })
            })
            .map(|number| number.map(|number| number.to_string()))
            .map_err(|errors| errors[0].1)
        };
        assert_eq!(read("{}"), Ok(None));
        assert_eq!(read(r#"{"n":null}"#), Ok(None));
        assert_eq!(read(r#"{"n":"2"}"#), Ok(Some("2".to_owned())));
        assert_eq!(read(r#"{"n":""}"#), Err("n.invalid"));
    }
}

#[test]
fn every_wrong_field_is_told() {
    let body = r#"{"userId":"x","assetId":7,"comment":"\u0000"}"#;
    let errors = read(body, Names::AnyCase, |fields| {
        let user = fields.user_id(name!("userId"));
        let asset = fields.asset_id(name!("assetId"));
        let amount = fields.amount(name!("amount"));
        let comment = fields.text(name!("comment"), 10, Prose::Lines);
        Some((user?, asset?, amount?, comment))
    });
    let expected = [
        ("userId", "userId.invalid"),
        ("assetId", "assetId.invalid"),
        ("amount", "amount.missed"),
        ("comment", "comment.invalid"),
    ]
    .map(|(field, code)| (field.to_owned(), code));
    assert_eq!(errors.unwrap_err(), expected);
}

#[test]
fn back_office_names_match_in_any_case_and_internal_ones_exactly() {
    let body = r#"{"ASSETid":"BTC"}"#;
    let asset = |fields: &mut Fields<'_>| fields.asset_id(name!("assetId"));
    assert_eq!(read(body, Names::AnyCase, asset).unwrap().as_str(), "btc");
    assert!(read(body, Names::Exact, asset).is_err());
}

#[test]
fn unknown_names_are_refused_only_by_the_strict() {
    let body = r#"{"scale":2,"colour":"red"}"#;
    let scale = |fields: &mut Fields<'_>| fields.integer(name!("scale"), 0, 18);
    assert_eq!(read(body, Names::Exact, scale), Ok(2));
    let mut fields = Fields::parse(body.as_bytes(), Names::Strict).unwrap();
    let made = scale(&mut fields);
    assert_eq!(fields.finish(made).unwrap_err().code(), "field.unknown");
}

#[test]
fn transfer_ids_come_as_text_or_number() {
    let id = |value: &str| {
        let body = format!("{{\"transferId\":{value}}}");
        read(&body, Names::AnyCase, |fields| {
            fields.transfer_id(name!("transferId"))
        })
        .map(|sent| sent.0.map(bursar_domain::TransferId::get))
        .map_err(|errors| errors[0].1)
    };
    assert_eq!(id("1"), Ok(Some(1)));
    assert_eq!(id("\"1\""), Ok(Some(1)));
    assert_eq!(id("9007199254740991"), Ok(Some(9_007_199_254_740_991)));
    assert_eq!(id("9007199254740992"), Ok(None));
    assert_eq!(id(&"9".repeat(500)), Ok(None));
    for value in [
        "0", "\"01\"", "-1", "1.0", "1e3", "\"abc\"", "\" 1\"", "true",
    ] {
        assert_eq!(id(value), Err("transferId.invalid"), "{value}");
    }
    for value in ["null", "\"\""] {
        assert_eq!(id(value), Err("transferId.missed"), "{value}");
    }
}

#[test]
fn texts_are_counted_in_characters() {
    let text = |value: &str, prose| {
        let body = format!("{{\"note\":{value}}}");
        read(&body, Names::Exact, |fields| {
            Some(fields.text(name!("note"), 3, prose))
        })
        .map_err(|errors| errors[0].1)
    };
    assert_eq!(text("\"äöü\"", Prose::Line), Ok(Some("äöü".to_owned())));
    assert_eq!(text("\"äöüß\"", Prose::Line), Err("note.too_long"));
    assert_eq!(text("\"a\\nb\"", Prose::Lines), Ok(Some("a\nb".to_owned())));
    assert_eq!(text("\"a\\nb\"", Prose::Line), Err("note.invalid"));
    assert_eq!(text("\"\\u0000\"", Prose::Lines), Err("note.invalid"));
    assert_eq!(text("5", Prose::Line), Err("note.invalid"));
    assert_eq!(text("null", Prose::Line), Ok(None));
}

#[test]
fn integers_keep_to_their_range() {
    let number = |value: &str| {
        let body = format!("{{\"scale\":{value}}}");
        read(&body, Names::Strict, |fields| {
            fields.integer(name!("scale"), 1, 18)
        })
        .map_err(|errors| errors[0].1)
    };
    assert_eq!(number("18"), Ok(18));
    for value in ["0", "19", "-1", "99999999999999999999"] {
        assert_eq!(number(value), Err("scale.out_of_range"), "{value}");
    }
    for value in ["\"1\"", "1.5", "1e1", "true", "[]"] {
        assert_eq!(number(value), Err("scale.invalid"), "{value}");
    }
    assert_eq!(number("null"), Err("scale.missed"));
}

#[test]
fn permissions_are_known_and_named_once() {
    let list = |value: &str| {
        let body = format!("{{\"permissions\":{value}}}");
        read(&body, Names::Strict, |fields| {
            fields.permissions(name!("permissions"))
        })
        .map_err(|errors| errors[0].1)
    };
    assert_eq!(list(r#"["admin"]"#).unwrap().len(), 1);
    for value in [
        "[]",
        r#"["root"]"#,
        r#"["admin","admin"]"#,
        "\"admin\"",
        "[1]",
    ] {
        assert_eq!(list(value), Err("permissions.invalid"), "{value}");
    }
    assert_eq!(list("null"), Err("permissions.missed"));
}

#[test]
fn a_list_is_counted_and_kept_as_it_was_sent() {
    let list = |body: &'static str| {
        let mut fields = Fields::parse(body.as_bytes(), Names::Exact).unwrap();
        let items = fields.items(name!("list"), 2);
        let sent = items.map(|items| items.iter().map(Item::sent).collect::<Vec<_>>());
        fields
            .outcome(sent)
            .map_err(|errors| literal(errors[0].code.clone()))
    };
    assert_eq!(
        list(r#"{"list": [ {"a": 1.10} , [] ]}"#),
        Ok(vec![r#"{"a": 1.10}"#, "[]"])
    );
    for (body, code) in [
        (r"{}", "list.missed"),
        (r#"{"list": {"0": 1}}"#, "list.invalid"),
        (r#"{"list": 1}"#, "list.invalid"),
        (r#"{"list": []}"#, "list.out_of_range"),
        (r#"{"list": [1, 2, 3]}"#, "list.out_of_range"),
    ] {
        assert_eq!(list(body), Err(code), "{body}");
    }
}

#[test]
fn a_flag_that_is_not_there_is_not_set() {
    let flag = |body: &str| read(body, Names::Exact, |fields| fields.flag(name!("flag")));
    assert_eq!(flag(r#"{"flag":true}"#), Ok(true));
    for body in ["{}", r#"{"flag":null}"#, r#"{"flag":false}"#] {
        assert_eq!(flag(body), Ok(false));
    }
    for body in [r#"{"flag":0}"#, r#"{"flag":"true"}"#] {
        assert_eq!(flag(body).unwrap_err()[0].1, "flag.invalid");
    }
}
