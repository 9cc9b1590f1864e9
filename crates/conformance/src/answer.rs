//! What came back, to the byte.

use std::fmt;

use reqwest::header::HeaderMap;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The answer, which must be a 200 with JSON.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/json"));
        self
    }

    /// The answer, which must be a problem with this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        let said = (self.status, self.json()["code"].clone());
        assert_eq!(said, (status, code.into()), "{}", self.text);
        let media = self.header("content-type");
        assert_eq!(media, Some("application/problem+json"));
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.text))
    }

    /// A member of the object that was answered.
    #[track_caller]
    pub(crate) fn get(&self, key: &str) -> Value {
        let body = self.json();
        let member = body.get(key);
        member
            .unwrap_or_else(|| panic!("no {key} in {body}"))
            .clone()
    }

    /// A member that is a text.
    #[track_caller]
    pub(crate) fn text(&self, key: &str) -> String {
        text(&self.json(), key)
    }

    /// The id of a deposit or withdrawal.
    #[track_caller]
    pub(crate) fn id(&self) -> i64 {
        self.get("id").as_i64().expect("an id is a number")
    }

    /// The rows of a list.
    #[track_caller]
    pub(crate) fn rows(&self) -> Vec<Value> {
        let body = self.json();
        let rows = body.as_array();
        rows.unwrap_or_else(|| panic!("not a bare array: {body}"))
            .clone()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?;
        Some(value.to_str().expect("headers are ASCII"))
    }

    /// Whether it repeats an earlier answer.
    pub(crate) fn is_replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// The fields that a problem names, with their codes.
    #[track_caller]
    pub(crate) fn wrong(&self) -> Vec<(String, String)> {
        let errors = self.get("errors");
        let errors = errors.as_array().expect("errors is a list").iter();
        errors
            .map(|error| (text(error, "field"), text(error, "code")))
            .collect()
    }
}

/// A member that is a text.
#[track_caller]
pub(crate) fn text(object: &Value, key: &str) -> String {
    let member = object.get(key).and_then(Value::as_str);
    member
        .unwrap_or_else(|| panic!("no text {key} in {object}"))
        .to_owned()
}

/// The names of an object's members in the order in which they are written.
#[track_caller]
pub(crate) fn keys(object: &str) -> Vec<String> {
    members(object).into_iter().map(|(name, _)| name).collect()
}

/// The members of an object in their order, each value as it is written.
#[track_caller]
pub(crate) fn members(object: &str) -> Vec<(String, String)> {
    let Members(members) = serde_json::from_str(object)
        .unwrap_or_else(|error| panic!("not an object: {error}: {object}"));
    members
}

/// The rows of a list, each as it is written.
#[track_caller]
pub(crate) fn raw_rows(list: &str) -> Vec<String> {
    let rows: Vec<&RawValue> =
        serde_json::from_str(list).unwrap_or_else(|error| panic!("not a list: {error}: {list}"));
    rows.into_iter().map(|row| row.get().to_owned()).collect()
}

struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder).map(Self)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = vec![];
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            members.push((name, value.get().to_owned()));
        }
        Ok(members)
    }
}

/// The text with every digit replaced, to compare the form of times.
pub(crate) fn shape(text: &str) -> String {
    text.replace(|c: char| c.is_ascii_digit(), "9")
}

/// How times look in the back-office API.
pub(crate) const MICROS: &str = "9999-99-99T99:99:99.999999Z";
/// How times look in the internal-transfer API.
pub(crate) const SECONDS: &str = "9999-99-99T99:99:99Z";
