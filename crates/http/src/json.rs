//! JSON objects, one level deep: names, and the raw text of their values.
//!
//! Values stay raw because amounts must be read from their text and never through a float, and
//! because a wrong field must not keep the others from being looked at. A name that is given twice
//! is refused: two readers could take it to mean two things.

use std::{borrow::Cow, collections::HashSet, fmt};

use actix_web::http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{error::Category, value::RawValue};

use crate::problem::Problem;

/// No request of ours has as many members. One that has more is no slip, and to look whether a name is
/// given twice among as many as fit into a bulk's body would keep everybody else waiting.
const MEMBERS_MAX: usize = 1_000;
const TOO_MANY_MEMBERS: &str = "The body is an object of more than 1,000 members.";
/// Up to this many members, comparing each with each is cheaper than hashing them.
const COMPARED_MAX: usize = 32;

/// The members of an object in the order in which they were sent.
#[derive(Debug)]
pub(crate) struct Object<'a>(pub(crate) Vec<Member<'a>>);

/// One name with the raw text of its value.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: &'a RawValue,
}

/// A string that is borrowed when it has no escapes.
#[derive(Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl<'a> Object<'a> {
    /// Reads an object. `any_case` says whether names that differ only in case are the same.
    pub(crate) fn parse(body: &'a [u8], any_case: bool) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| malformed("The body is not UTF-8."))?;
        let object: Self = serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Data if error.line() > 0 && !text.trim_start().starts_with('{') => {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    "json.object_required",
                    "The body must be a JSON object.",
                )
            }
            // Any name and any value would do.
            Category::Data => malformed(TOO_MANY_MEMBERS),
            Category::Syntax | Category::Eof | Category::Io => malformed(&format!(
                "The body is not JSON: it goes wrong at line {}, column {}.",
                error.line(),
                error.column()
            )),
        })?;
        match object.duplicate(any_case) {
            Some(name) => Err(Problem::field(
                name,
                "json.duplicate_key",
                "is given more than once",
            )),
            None => Ok(object),
        }
    }

    /// A name that is given twice.
    pub(crate) fn duplicate(&self, any_case: bool) -> Option<&str> {
        let names = || self.0.iter().map(|member| member.name.as_ref());
        if self.0.len() <= COMPARED_MAX {
            return names().enumerate().find_map(|(index, name)| {
                names()
                    .take(index)
                    .any(|other| same_name(name, other, any_case))
                    .then_some(name)
            });
        }
        let mut seen = HashSet::with_capacity(self.0.len());
        names().find(|name| {
            let name = if any_case {
                Cow::Owned(name.to_ascii_lowercase())
            } else {
                Cow::Borrowed(*name)
            };
            !seen.insert(name)
        })
    }
}

/// Whether two names mean the same field.
pub(crate) fn same_name(left: &str, right: &str, any_case: bool) -> bool {
    if any_case {
        left.eq_ignore_ascii_case(right)
    } else {
        left == right
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "json.malformed", detail)
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<Member<'de>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Text(name), value)) = map.next_entry()? {
                    if members.len() >= MEMBERS_MAX {
                        return Err(A::Error::custom(TOO_MANY_MEMBERS));
                    }
                    members.push(Member { name, value });
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &[u8], any_case: bool) -> Option<&'static str> {
        Object::parse(body, any_case)
            .err()
            .map(|problem| problem.code())
    }

    #[test]
    fn members_keep_their_raw_text() {
        let object = Object::parse(br#" {"a": 1.10 , "\u0062" : "x"} "#, false).unwrap();
        let members: Vec<_> = object
            .0
            .iter()
            .map(|member| (member.name.as_ref(), member.value.get()))
            .collect();
        assert_eq!(members, [("a", "1.10"), ("b", "\"x\"")]);
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        let deep = "[".repeat(60_000);
        for (body, expected) in [
            ("", "json.malformed"),
            ("{", "json.malformed"),
            (r#"{"a":01}"#, "json.malformed"),
            (r#"{"a":NaN}"#, "json.malformed"),
            (r#"{"a":-Infinity}"#, "json.malformed"),
            (r#"{"a":1} x"#, "json.malformed"),
            (r#"{"a":1,}"#, "json.malformed"),
            (r"{'a':1}", "json.malformed"),
            (r"{1:1}", "json.malformed"),
            ("[]", "json.object_required"),
            ("1", "json.object_required"),
            ("null", "json.object_required"),
            ("\"{}\"", "json.object_required"),
            (&deep, "json.object_required"),
        ] {
            assert_eq!(code(body.as_bytes(), false), Some(expected), "{body:.40}");
        }
        assert_eq!(code(b"{\"a\":\"\xff\"}", false), Some("json.malformed"));
    }

    #[test]
    fn an_object_has_at_most_a_thousand_members() {
        for (count, expected) in [(1_000, None), (1_001, Some("json.malformed"))] {
            let members: Vec<String> = (0..count).map(|n| format!("\"{n}\":0")).collect();
            let body = format!("{{{}}}", members.join(","));
            assert_eq!(code(body.as_bytes(), false), expected, "{count}");
        }
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        let twice = br#"{"amount":1,"x":2,"amount":1}"#;
        assert_eq!(code(twice, false), Some("json.duplicate_key"));
        let escaped = br#"{"amount":1,"\u0061mount":1}"#;
        assert_eq!(code(escaped, false), Some("json.duplicate_key"));
        let cases = br#"{"assetId":1,"assetID":1}"#;
        assert_eq!(code(cases, true), Some("json.duplicate_key"));
        assert_eq!(code(cases, false), None);
    }

    #[test]
    fn a_name_given_twice_among_many_is_refused_too() {
        let many = |last: &str| {
            let members: Vec<String> = (0..999).map(|n| format!("\"k{n}\":0")).collect();
            format!("{{{},\"{last}\":0}}", members.join(","))
        };
        assert_eq!(
            code(many("k7").as_bytes(), false),
            Some("json.duplicate_key")
        );
        assert_eq!(
            code(many("K7").as_bytes(), true),
            Some("json.duplicate_key")
        );
        assert_eq!(code(many("K7").as_bytes(), false), None);
    }
}
