//! Reading the fields of a body, collecting everything that is wrong with them.
//!
//! Each reader takes one field and gives `None` when it is missing or wrong. What is wrong is
//! remembered, and [`Fields::finish`] tells all of it at once, so that no reader needs to tell the
//! two apart.

mod items;
mod name;
mod numbers;
mod texts;

use bursar_app::FieldError;
use serde_json::value::RawValue;

pub(crate) use items::Item;
pub(crate) use name::{Name, name};
pub(crate) use numbers::{SentId, amount_code};
pub(crate) use texts::Prose;

use crate::{
    json::{Object, Text, same_name},
    problem::Problem,
};

/// How names are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Without regard to case; unknown ones are ignored: the back-office API.
    AnyCase,
    /// Exactly; unknown ones are ignored: the internal-transfer API.
    Exact,
    /// Exactly; unknown ones are refused: the admin API.
    Strict,
}

/// The fields of one body.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: Object<'a>,
    names: Names,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    pub(crate) fn parse(body: &'a [u8], names: Names) -> Result<Self, Problem> {
        Ok(Self::of(
            Object::parse(body, names == Names::AnyCase)?,
            names,
        ))
    }

    fn of(object: Object<'a>, names: Names) -> Self {
        Self {
            object,
            names,
            errors: vec![],
        }
    }

    /// Everything that was wrong, or what the readers made.
    pub(crate) fn finish<T>(self, made: Option<T>) -> Result<T, Problem> {
        self.outcome(made).map_err(|errors| {
            if errors.is_empty() {
                // A reader that gives nothing says why; this could only be a slip in a handler.
                Problem::internal()
            } else {
                Problem::invalid(errors)
            }
        })
    }

    /// The same for an object inside the body.
    pub(crate) fn outcome<T>(mut self, made: Option<T>) -> Result<T, Vec<FieldError>> {
        if self.names == Names::Strict {
            let unknown = self.object.0.iter().map(|member| {
                FieldError::new(member.name.clone(), "field.unknown", "is not a known field")
            });
            self.errors.extend(unknown);
        }
        match made {
            Some(made) if self.errors.is_empty() => Ok(made),
            Some(_) | None => Err(self.errors),
        }
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_well(&self) -> bool {
        self.errors.is_empty()
    }

    pub(crate) fn error(&mut self, field: &str, code: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(field, code, detail));
    }

    /// What was read elsewhere in the same request.
    pub(crate) fn also<T>(&mut self, read: Result<T, FieldError>) -> Option<T> {
        read.map_err(|error| self.errors.push(error)).ok()
    }

    /// A value that was read, unless a rule says what is wrong with it.
    pub(crate) fn judged<T>(
        &mut self,
        read: Option<T>,
        rule: impl FnOnce(&T) -> Result<(), FieldError>,
    ) -> Option<T> {
        read.filter(|read| self.also(rule(read)).is_some())
    }

    /// What else is wrong with the same request.
    pub(crate) fn also_wrong(&mut self, errors: impl Iterator<Item = FieldError>) {
        self.errors.extend(errors);
    }

    /// The raw value of a field; `null` is the same as nothing.
    fn take(&mut self, name: &Name) -> Option<&'a RawValue> {
        let any_case = self.names == Names::AnyCase;
        let members = &mut self.object.0;
        let index = members
            .iter()
            .position(|member| same_name(&member.name, name.name, any_case))?;
        let value = members.swap_remove(index).value;
        (value.get() != "null").then_some(value)
    }

    fn missed<T>(&mut self, name: &Name) -> Option<T> {
        self.error(name.name, name.missed, "is required");
        None
    }

    pub(crate) fn invalid<T>(&mut self, name: &Name, detail: impl Into<String>) -> Option<T> {
        self.error(name.name, name.invalid, detail);
        None
    }

    /// What a reader makes of a field that must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &Name,
        read: impl FnOnce(&mut Self, &Name) -> Option<T>,
    ) -> Option<T> {
        let before = self.errors.len();
        let made = read(self, name);
        if made.is_none() && self.errors.len() == before {
            return self.missed(name);
        }
        made
    }

    /// A string as it was sent.
    fn string(&mut self, name: &Name) -> Option<String> {
        let raw = self.take(name)?;
        match serde_json::from_str(raw.get()) {
            Ok(Text(text)) => Some(text.into_owned()),
            Err(_) => self.invalid(name, "must be a string"),
        }
    }

    /// A string that must be there and not empty.
    pub(crate) fn required_string(&mut self, name: &Name) -> Option<String> {
        self.required(name, |fields, name| {
            fields.string(name).filter(|text| !text.is_empty())
        })
    }
}

#[cfg(test)]
mod tests;
