use super::*;
use crate::{fields::name, problem::literal};

fn read<T>(
    query: &str,
    names: Names,
    read: impl FnOnce(&mut Query) -> T,
) -> Result<T, Vec<(String, &'static str)>> {
    let mut query = Query::parse(query, names).unwrap();
    let made = read(&mut query);
    let errors = query
        .errors
        .iter()
        .map(|error| (error.field.clone(), literal(error.code.clone())))
        .collect();
    query.finish(Some(made)).map_err(|_| errors)
}

fn search(query: &str) -> Option<String> {
    read(query, Names::AnyCase, |query| {
        query.text(name!("search"), &["filter"], 255)
    })
    .unwrap()
}

#[test]
fn values_are_decoded() {
    for (query, value) in [
        ("search=a%20b", Some("a b")),
        ("search=a+b", Some("a b")),
        ("search=a%2Bb", Some("a+b")),
        ("search=%C3%A9", Some("é")),
        ("search=100%", Some("100%")),
        ("search=%zz", Some("%zz")),
        ("search=%4", Some("%4")),
        ("search=a=b", Some("a=b")),
        ("s%65arch=x", Some("x")),
        ("search=", None),
        ("search", None),
        ("", None),
        ("&&x=1&", None),
    ] {
        assert_eq!(search(query).as_deref(), value, "{query}");
    }
    let broken = Query::parse("search=%ff", Names::AnyCase).unwrap_err();
    assert_eq!(broken.code(), "query.malformed");
}

#[test]
fn names_match_as_the_api_has_it() {
    assert_eq!(search("SEARCH=x").as_deref(), Some("x"));
    assert_eq!(search("Filter=x").as_deref(), Some("x"));
    let exact = read("Status=x&status=y", Names::Exact, |query| {
        query.text(name!("status"), &[], 9)
    });
    assert_eq!(exact.unwrap().as_deref(), Some("y"));
}

#[test]
fn a_parameter_given_twice_is_refused() {
    for query in ["limit=1&limit=1", "limit=1&LIMIT=2", "limit=1&count=2"] {
        let errors = read(query, Names::AnyCase, |query| {
            query.limit(name!("limit"), &["count"], 999)
        });
        let expected = vec![("limit".to_owned(), "parameter.duplicate")];
        assert_eq!(errors, Err(expected), "{query}");
    }
}

#[test]
fn what_is_wrong_was_given_all_the_same() {
    for (query, given) in [
        ("limit=1", true),
        ("limit=x", true),
        ("limit=1&limit=1", true),
        ("limit=", false),
        ("Limit=1", false),
        ("", false),
    ] {
        let mut read = Query::parse(query, Names::Strict).unwrap();
        read.limit(name!("limit"), &[], 9);
        assert_eq!(read.was_given(name!("limit")), given, "{query}");
    }
}

#[test]
fn unknown_parameters_are_refused_only_by_the_strict() {
    let none = |_: &mut Query| ();
    assert_eq!(read("x=1&x=2", Names::AnyCase, none), Ok(()));
    let strict = Query::parse("x=1", Names::Strict).unwrap();
    assert_eq!(
        strict.finish(Some(())).unwrap_err().code(),
        "parameter.unknown"
    );
}

#[test]
fn ranges_are_refused_by_name() {
    let limit = |text: &str| {
        read(&format!("limit={text}"), Names::Exact, |query| {
            query.limit(name!("limit"), &[], 200)
        })
        .map_err(|errors| errors[0].1)
    };
    assert_eq!(limit("200"), Ok(200));
    assert_eq!(limit(""), Ok(100));
    for text in [
        "0",
        "201",
        "-1",
        "99999999999999999999999999999999999999999",
    ] {
        assert_eq!(limit(text), Err("limit.out_of_range"), "{text}");
    }
    for text in ["x", "1.5", "-", "%2B1"] {
        assert_eq!(limit(text), Err("limit.invalid"), "{text}");
    }
    let offset = |text: &str| {
        read(&format!("offset={text}"), Names::Exact, |query| {
            query.offset(name!("offset"), 10_000)
        })
        .map_err(|errors| errors[0].1)
    };
    assert_eq!(offset("10000"), Ok(10_000));
    assert_eq!(offset("10001"), Err("offset.too_large"));
    assert_eq!(offset("-1"), Err("offset.invalid"));
    assert_eq!(offset("x"), Err("offset.invalid"));
}

#[test]
fn pages_count_from_zero_and_never_overflow() {
    let page = |text: &str| {
        read(&format!("page={text}"), Names::AnyCase, |query| {
            query.page(name!("cursor"), &["page"], 100)
        })
        .map_err(|errors| errors[0].1)
    };
    assert_eq!(page("0"), Ok(0));
    assert_eq!(page("3"), Ok(300));
    assert_eq!(page(&"9".repeat(60)), Ok(i64::MAX.unsigned_abs()));
    assert_eq!(page("-1"), Err("cursor.invalid"));
    assert_eq!(page("x"), Err("cursor.invalid"));
}

#[test]
fn times_survive_a_lost_plus() {
    let at = |text: &str| {
        read(&format!("from={text}"), Names::AnyCase, |query| {
            query.time(name!("from"))
        })
        .map(|at| at.map(Timestamp::to_micros_text))
        .map_err(|errors| errors[0].1)
    };
    let noon = Ok(Some("2021-04-09T12:00:00.000000Z".to_owned()));
    assert_eq!(at("2021-04-09T14:00:00+02:00"), noon);
    assert_eq!(at("2021-04-09T14%3A00%3A00%2B02%3A00"), noon);
    assert_eq!(at("2021-04-09T12:00:00"), noon);
    assert_eq!(at("yesterday"), Err("from.invalid"));
}
