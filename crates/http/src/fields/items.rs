//! Lists of objects, each with fields of its own.

use std::fmt;

use bursar_app::FieldError;
use serde::{
    Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Fields, Name, Names};
use crate::json::Object;

/// One element of a list, as it was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    place: usize,
    raw: &'a RawValue,
}

impl<'a> Fields<'a> {
    /// A list that must be there and have 1 to `max` elements.
    pub(crate) fn items(&mut self, name: &Name, max: usize) -> Option<Vec<Item<'a>>> {
        let Some(raw) = self.take(name) else {
            return self.missed(name);
        };
        let Ok(List(elements, count)) = Elements { max }.of(raw) else {
            return self.invalid(name, "must be a list");
        };
        if !(1..=max).contains(&count) {
            let detail = format!("must have 1 to {max} elements");
            self.error(name.name, name.out_of_range, detail);
            return None;
        }
        let items = elements.into_iter().enumerate();
        Some(items.map(|(place, raw)| Item { place, raw }).collect())
    }
}

impl<'a> Item<'a> {
    /// The JSON as it was sent.
    pub(crate) fn sent(&self) -> &'a str {
        self.raw.get()
    }

    /// Reads its fields, whose names match exactly; `name` is what the list is called.
    pub(crate) fn read<T>(
        &self,
        name: &Name,
        read: impl FnOnce(&mut Fields<'a>) -> Option<T>,
    ) -> Result<T, Vec<FieldError>> {
        let field = || format!("{}[{}]", name.name, self.place);
        let Ok(object) = serde_json::from_str::<Object<'a>>(self.sent()) else {
            let detail = "must be a JSON object";
            return Err(vec![FieldError::new(
                field(),
                "json.object_required",
                detail,
            )]);
        };
        if let Some(twice) = object.duplicate(false) {
            let detail = "is given more than once";
            return Err(vec![FieldError::new(twice, "json.duplicate_key", detail)]);
        }
        let mut fields = Fields::of(object, Names::Exact);
        let made = read(&mut fields);
        fields.outcome(made)
    }
}

/// The first elements of a list, and how many it has.
struct List<'a>(Vec<&'a RawValue>, usize);

/// Keeps at most so many elements and counts the rest.
struct Elements {
    max: usize,
}

impl Elements {
    fn of(self, raw: &RawValue) -> Result<List<'_>, serde_json::Error> {
        serde_json::Deserializer::from_str(raw.get()).deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements {
    type Value = List<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<'de>, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < self.max {
            let Some(element) = list.next_element::<&'de RawValue>()? else {
                let count = elements.len();
                return Ok(List(elements, count));
            };
            elements.push(element);
        }
        let mut count = elements.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count = count.saturating_add(1);
        }
        Ok(List(elements, count))
    }
}
