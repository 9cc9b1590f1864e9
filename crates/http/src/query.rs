//! Reading the parameters of a query string, collecting everything that is wrong with them.
//!
//! An empty parameter is the same as none. A parameter that is given twice, under one name or under
//! two of its names, is refused; unknown ones are ignored or refused as the API has it.

use bursar_app::FieldError;
use bursar_domain::{AssetId, DecimalAmount, Timestamp, TransferId, UserId};
use uuid::Uuid;

use crate::{
    fields::{Name, Names, SentId, amount_code},
    json::same_name,
    problem::Problem,
};

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    /// What was given and has been read so far, under its documented name.
    taken: Vec<(&'static str, String)>,
    names: Names,
    errors: Vec<FieldError>,
}

impl Query {
    pub(crate) fn parse(query: &str, names: Names) -> Result<Self, Problem> {
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect::<Option<Vec<_>>>();
        let malformed = || Problem::field("query", "query.malformed", "is not UTF-8");
        Ok(Self {
            pairs: pairs.ok_or_else(malformed)?,
            taken: vec![],
            names,
            errors: vec![],
        })
    }

    /// Everything that was wrong, or what the readers made.
    pub(crate) fn finish<T>(mut self, made: Option<T>) -> Result<T, Problem> {
        if self.names == Names::Strict {
            let unknown = self.pairs.into_iter().map(unknown_parameter);
            self.errors.extend(unknown);
        }
        match made {
            Some(made) if self.errors.is_empty() => Ok(made),
            // A reader that gives nothing says why; this could only be a slip in a handler.
            None if self.errors.is_empty() => Err(Problem::internal()),
            Some(_) | None => Err(Problem::invalid(self.errors)),
        }
    }

    /// What is wrong with it where there is nothing to ask for.
    pub(crate) fn into_unknown(self) -> impl Iterator<Item = FieldError> {
        self.pairs.into_iter().map(unknown_parameter)
    }

    pub(crate) fn error(&mut self, field: &str, code: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(field, code, detail));
    }

    fn invalid<T>(&mut self, name: &Name, detail: impl Into<String>) -> Option<T> {
        self.error(name.name, name.invalid, detail);
        None
    }

    /// The value of a parameter under its name or one of its aliases.
    fn take(&mut self, name: &Name, aliases: &[&str]) -> Option<String> {
        let any_case = self.names == Names::AnyCase;
        let means_it = |sent: &str| {
            same_name(sent, name.name, any_case)
                || aliases.iter().any(|alias| same_name(sent, alias, any_case))
        };
        let mut values = self.pairs.extract_if(.., |(sent, _)| means_it(sent));
        let (_, value) = values.next()?;
        let again = values.next().is_some();
        drop(values);
        if again {
            self.pairs.retain(|(sent, _)| !means_it(sent));
            self.error(name.name, "parameter.duplicate", "is given more than once");
            return None;
        }
        if value.is_empty() {
            return None;
        }
        self.taken.push((name.name, value.clone()));
        Some(value)
    }

    /// What was given and has been read so far: the filters, in any order they were sent in.
    pub(crate) fn taken(&self) -> Vec<(&'static str, String)> {
        let mut taken = self.taken.clone();
        taken.sort();
        taken
    }

    /// Whether a parameter that has been read was given, be it right or wrong.
    pub(crate) fn was_given(&self, name: &Name) -> bool {
        let is_taken = self.taken.iter().any(|(taken, _)| *taken == name.name);
        // One that is given twice is not taken.
        is_taken || self.errors.iter().any(|error| error.field == name.name)
    }

    /// A text of one line.
    pub(crate) fn text(&mut self, name: &Name, aliases: &[&str], max: usize) -> Option<String> {
        let text = self.take(name, aliases)?;
        if text.chars().any(char::is_control) {
            return self.invalid(name, "must not contain control characters");
        }
        if text.chars().count() > max {
            let detail = format!("must have at most {max} characters");
            self.error(name.name, name.too_long, detail);
            return None;
        }
        Some(text)
    }

    /// What a parameter means, or an error that says what it may be.
    pub(crate) fn one_of<T>(
        &mut self,
        name: &Name,
        read: impl FnOnce(&str) -> Option<T>,
        choice: &str,
    ) -> Option<T> {
        let text = self.take(name, &[])?;
        read(&text).or_else(|| self.invalid(name, format!("must be one of {choice}")))
    }

    /// The id of a user.
    pub(crate) fn user_id(&mut self, name: &Name) -> Option<UserId> {
        let text = self.take(name, &[])?;
        match Uuid::parse_str(&text) {
            Ok(id) => Some(UserId::new(id)),
            Err(_) => self.invalid(name, "must be a GUID"),
        }
    }

    /// The id of a user that must be given.
    pub(crate) fn required_user_id(&mut self, name: &Name) -> Option<UserId> {
        let before = self.errors.len();
        let user = self.user_id(name);
        if user.is_none() && self.errors.len() == before {
            self.error(name.name, name.missed, "is required");
        }
        user
    }

    /// The id of an asset.
    pub(crate) fn asset_id(&mut self, name: &Name, aliases: &[&str]) -> Option<AssetId> {
        let text = self.take(name, aliases)?;
        match AssetId::parse(&text) {
            Ok(id) => Some(id),
            Err(error) => self.invalid(name, error.to_string()),
        }
    }

    /// The id of a transfer.
    pub(crate) fn transfer_id(&mut self, name: &Name) -> Option<TransferId> {
        let text = self.take(name, &[])?;
        match SentId::parse(&text) {
            Some(SentId(Some(id))) => Some(id),
            Some(SentId(None)) => {
                self.error(name.name, name.out_of_range, "must be below 2^53");
                None
            }
            None => self.invalid(name, "must be a positive integer"),
        }
    }

    /// A positive decimal number.
    pub(crate) fn amount(&mut self, name: &Name) -> Option<DecimalAmount> {
        let text = self.take(name, &[])?;
        match DecimalAmount::parse(&text) {
            Ok(amount) => Some(amount),
            Err(error) => {
                self.error(name.name, amount_code(name, error), error.to_string());
                None
            }
        }
    }

    /// A point in time.
    pub(crate) fn time(&mut self, name: &Name) -> Option<Timestamp> {
        let text = self.take(name, &[])?;
        match Timestamp::parse(&text) {
            Ok(at) => Some(at),
            Err(_) => self.invalid(name, "must be an RFC 3339 date-time or date"),
        }
    }

    /// How many rows: between 1 and `max`, 100 unless said.
    pub(crate) fn limit(&mut self, name: &Name, aliases: &[&str], max: u32) -> u32 {
        const DEFAULT: u32 = 100;
        let Some(text) = self.take(name, aliases) else {
            return DEFAULT;
        };
        match whole(&text) {
            None => {
                self.error(name.name, name.invalid, "must be a whole number");
                DEFAULT
            }
            Some(limit) if (1..=i128::from(max)).contains(&limit) => {
                u32::try_from(limit).unwrap_or(DEFAULT)
            }
            Some(_) => {
                let detail = format!("must be between 1 and {max}");
                self.error(name.name, name.out_of_range, detail);
                DEFAULT
            }
        }
    }

    /// A number of 0 or more; 0 unless said.
    pub(crate) fn number(&mut self, name: &Name) -> i64 {
        let Some(text) = self.take(name, &[]) else {
            return 0;
        };
        let number = whole(&text).and_then(|number| i64::try_from(number).ok());
        number.filter(|number| *number >= 0).unwrap_or_else(|| {
            let detail = "must be a whole number from 0 to 9223372036854775807";
            self.error(name.name, name.invalid, detail);
            0
        })
    }

    /// How many rows to pass over: 0 to `max`, none unless said.
    pub(crate) fn offset(&mut self, name: &Name, max: u32) -> u64 {
        let Some(text) = self.take(name, &[]) else {
            return 0;
        };
        match whole(&text).map(u64::try_from) {
            Some(Ok(offset)) if offset <= u64::from(max) => return offset,
            Some(Ok(_)) => {
                let detail = format!("must be at most {max}; narrow the time range instead");
                self.error(name.name, name.too_large, detail);
            }
            Some(Err(_)) | None => {
                self.error(
                    name.name,
                    name.invalid,
                    "must be a whole number of 0 or more",
                );
            }
        }
        0
    }

    /// A page number from zero, as the number of rows before the page.
    pub(crate) fn page(&mut self, name: &Name, aliases: &[&str], rows_per_page: u32) -> u64 {
        // PostgreSQL counts rows with a sign.
        const OFFSET_MAX: u64 = i64::MAX.unsigned_abs();
        let Some(text) = self.take(name, aliases) else {
            return 0;
        };
        let Some(Ok(page)) = whole(&text).map(u64::try_from) else {
            self.error(name.name, name.invalid, "must be a page number from 0");
            return 0;
        };
        page.saturating_mul(u64::from(rows_per_page))
            .min(OFFSET_MAX)
    }

    /// The text of a cursor, which is read elsewhere.
    pub(crate) fn cursor(&mut self, name: &Name) -> Option<String> {
        self.take(name, &[])
    }
}

fn unknown_parameter((name, _): (String, String)) -> FieldError {
    FieldError::new(name, "parameter.unknown", "is not a known parameter")
}

/// A whole number; one with more digits than anybody counts to is as large as any.
fn whole(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let limit = i128::from(u64::MAX);
    let beyond = if text.starts_with('-') { -limit } else { limit };
    Some(
        text.parse::<i128>()
            .map_or(beyond, |n| n.clamp(-limit, limit)),
    )
}

/// Undoes percent-encoding; `+` is a blank. A stray `%` stands for itself.
fn decode(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
