//! Lines of an export in either format.

use std::borrow::Cow;

use bursar_app::neutral;
use csv::{Terminator, WriterBuilder};
use serde::Serialize;
use serde_json::Value;

use super::Sheet;
use crate::problem::Problem;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 4180, with a line of names first.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Jsonl => "application/jsonl",
        }
    }
}

/// Lines that were not sent yet.
pub(super) struct Lines {
    format: Format,
    columns: &'static [&'static str],
    signed: &'static [&'static str],
    bytes: Vec<u8>,
    rows: u64,
}

/// A line tells first what it is.
#[derive(Serialize)]
struct Line<'a, B> {
    record: &'a str,
    #[serde(flatten)]
    body: B,
}

#[derive(Serialize)]
struct End {
    count: u64,
}

impl Lines {
    /// No lines, but in CSV the names of the columns.
    pub(super) fn of<S: Sheet>(format: Format) -> Result<Self, Problem> {
        let mut lines = Self {
            format,
            columns: S::COLUMNS,
            signed: S::SIGNED,
            bytes: vec![],
            rows: 0,
        };
        if format == Format::Csv {
            let names = S::COLUMNS.iter().map(|name| Cow::Borrowed(*name));
            lines.cells("record", names)?;
        }
        Ok(lines)
    }

    /// A row.
    pub(super) fn row(
        &mut self,
        record: &'static str,
        body: &impl Serialize,
    ) -> Result<(), Problem> {
        self.rows = self.rows.saturating_add(1);
        self.line(record, body)
    }

    /// A total of rows.
    pub(super) fn total(&mut self, body: &impl Serialize) -> Result<(), Problem> {
        self.line("total", body)
    }

    /// The last line. Where it is missing, so are others.
    pub(super) fn end(&mut self) -> Result<(), Problem> {
        let count = self.rows;
        self.line("end", &End { count })
    }

    /// What is to be sent now.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn line(&mut self, record: &str, body: &impl Serialize) -> Result<(), Problem> {
        match self.format {
            Format::Jsonl => {
                serde_json::to_writer(&mut self.bytes, &Line { record, body })
                    .map_err(|error| broken(&error))?;
                self.bytes.push(b'\n');
                Ok(())
            }
            Format::Csv => {
                let body = serde_json::to_value(body).map_err(|error| broken(&error))?;
                let (columns, signed) = (self.columns, self.signed);
                let cells = columns.iter().map(|column| {
                    let value = body.get(column).unwrap_or(&Value::Null);
                    cell(value, signed.contains(column))
                });
                self.cells(record, cells)
            }
        }
    }

    fn cells<'a>(
        &mut self,
        record: &str,
        cells: impl Iterator<Item = Cow<'a, str>>,
    ) -> Result<(), Problem> {
        let mut writer = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .buffer_capacity(1_024)
            .from_writer(&mut self.bytes);
        writer.write_field(record).map_err(|error| broken(&error))?;
        for cell in cells {
            writer
                .write_field(cell.as_bytes())
                .map_err(|error| broken(&error))?;
        }
        writer
            .write_record(None::<&[u8]>)
            .map_err(|error| broken(&error))?;
        writer.flush().map_err(|error| broken(&error))
    }
}

fn broken(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "a line of an export cannot be written");
    Problem::internal()
}

/// A value as a cell; nothing is an empty one.
fn cell(value: &Value, is_signed: bool) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) if is_signed => Cow::Borrowed(text),
        Value::String(text) => neutral(text),
        Value::Bool(_) | Value::Number(_) => Cow::Owned(value.to_string()),
        // A column that is not flat is not for spreadsheets, but it is not left out either.
        Value::Array(_) | Value::Object(_) => Cow::Owned(neutral(&value.to_string()).into_owned()),
    }
}

#[cfg(test)]
mod tests;
