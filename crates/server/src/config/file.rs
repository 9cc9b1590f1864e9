//! The configuration file: TOML, taken apart into single values with their lines.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{ConfigError, ConfigErrors, Origin};

/// A value of the file, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileValue {
    /// A string, number or boolean.
    Single(String),
    /// A list of them.
    List(Vec<String>),
    /// Something no setting takes.
    Other,
}

/// The values of a file by their keys, and the lines they stand in.
#[derive(Debug)]
pub(super) struct ConfigFile {
    path: PathBuf,
    values: BTreeMap<String, (FileValue, usize)>,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let wrong = |detail: String, line| {
            ConfigErrors::from(ConfigError {
                setting: "the file".to_owned(),
                detail,
                origin: Origin::File {
                    path: path.to_owned(),
                    line,
                },
            })
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| wrong(format!("cannot be read: {error}"), None))?;
        Self::parse(path, &text).map_err(|(detail, line)| wrong(detail, Some(line)))
    }

    /// The parser's own rendering of an error would repeat the line, and so perhaps a secret; its
    /// message does not.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, (String, usize)> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            (format!("is no TOML: {}", error.message()), line)
        })?;
        let mut file = Self {
            path: path.to_owned(),
            values: BTreeMap::new(),
        };
        file.take(text, "", table.get_ref());
        Ok(file)
    }

    fn take(&mut self, text: &str, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            if let DeValue::Table(inner) = value.get_ref() {
                self.take(text, &format!("{name}."), inner);
            } else {
                let line = line_at(text, key.span().start);
                self.values.insert(name, (flatten(value), line));
            }
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<(&FileValue, Origin)> {
        let (value, line) = self.values.get(key)?;
        Some((value, self.origin(*line)))
    }

    /// Every key with where it stands.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, Origin)> {
        self.values
            .iter()
            .map(|(key, (_, line))| (key.as_str(), self.origin(*line)))
    }

    fn origin(&self, line: usize) -> Origin {
        Origin::File {
            path: self.path.clone(),
            line: Some(line),
        }
    }
}

fn flatten(value: &Spanned<DeValue<'_>>) -> FileValue {
    if let DeValue::Array(items) = value.get_ref() {
        let items: Option<Vec<String>> = items.iter().map(|item| single(item.get_ref())).collect();
        return items.map_or(FileValue::Other, FileValue::List);
    }
    single(value.get_ref()).map_or(FileValue::Other, FileValue::Single)
}

fn single(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.matches('\n').count().saturating_add(1)
}
