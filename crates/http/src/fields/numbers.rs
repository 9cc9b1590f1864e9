//! Amounts, numbers and the likes, read from their raw text.

use bursar_domain::{DecimalAmount, ParseAmountError, TransferId};

use super::{Fields, Name};
use crate::json::Text;

impl Fields<'_> {
    /// A positive decimal number, as a string or as a JSON number.
    pub(crate) fn amount(&mut self, name: &Name) -> Option<DecimalAmount> {
        let Some(raw) = self.take(name) else {
            return self.missed(name);
        };
        let read = read_amount(raw.get());
        self.parsed(name, read)
    }

    /// A positive decimal number that may be missing, as a string or as a JSON number.
    pub(crate) fn optional_amount(&mut self, name: &Name) -> Option<DecimalAmount> {
        match read_amount(self.take(name)?.get()) {
            Err(ParseAmountError::Empty) => self.invalid(name, "must be a number, or left out"),
            read => self.parsed(name, read),
        }
    }

    /// A decimal number that may be missing, as a string or as a JSON number; zero is one too.
    pub(crate) fn optional_decimal(&mut self, name: &Name) -> Option<DecimalAmount> {
        match read_amount(self.take(name)?.get()) {
            Err(ParseAmountError::Empty) => self.invalid(name, "must be a number, or left out"),
            Err(ParseAmountError::Zero) => Some(DecimalAmount::ZERO),
            read => self.parsed(name, read),
        }
    }

    fn parsed(
        &mut self,
        name: &Name,
        read: Result<DecimalAmount, ParseAmountError>,
    ) -> Option<DecimalAmount> {
        read.map_err(|error| self.error(name.name, amount_code(name, error), error.to_string()))
            .ok()
    }

    /// The id of a transfer, as a string or as a JSON number.
    pub(crate) fn transfer_id(&mut self, name: &Name) -> Option<SentId> {
        let Some(raw) = self.take(name) else {
            return self.missed(name);
        };
        let raw = raw.get();
        let sent = if raw.starts_with('"') {
            match serde_json::from_str(raw) {
                Ok(Text(text)) if text.is_empty() => return self.missed(name),
                Ok(Text(text)) => SentId::parse(&text),
                Err(_) => None,
            }
        } else {
            SentId::parse(raw)
        };
        sent.or_else(|| self.invalid(name, "must be a positive integer"))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &Name) -> Option<bool> {
        self.required(name, Self::optional_boolean)
    }

    /// `true` or `false`, if it is there.
    pub(crate) fn optional_boolean(&mut self, name: &Name) -> Option<bool> {
        match self.take(name)?.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.invalid(name, "must be true or false"),
        }
    }

    /// `true` or `false`; `false` when it is not there.
    pub(crate) fn flag(&mut self, name: &Name) -> Option<bool> {
        let before = self.errors.len();
        let given = self.optional_boolean(name);
        given.or_else(|| (self.errors.len() == before).then_some(false))
    }

    /// A whole number in a range that must be there.
    pub(crate) fn integer(&mut self, name: &Name, min: u32, max: u32) -> Option<u32> {
        self.required(name, |fields, name| fields.optional_integer(name, min, max))
    }

    /// A whole number in a range that may be missing.
    pub(crate) fn optional_integer(&mut self, name: &Name, min: u32, max: u32) -> Option<u32> {
        let raw = self.take(name)?.get();
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return self.invalid(name, "must be a whole number");
        }
        let number = raw.parse().ok().filter(|n| (min..=max).contains(n));
        if number.is_none() {
            let detail = format!("must be between {min} and {max}");
            self.error(name.name, name.out_of_range, detail);
        }
        number
    }
}

fn read_amount(raw: &str) -> Result<DecimalAmount, ParseAmountError> {
    if raw.starts_with('"') {
        match serde_json::from_str(raw) {
            Ok(Text(text)) => DecimalAmount::parse(&text),
            Err(_) => Err(ParseAmountError::Malformed),
        }
    } else {
        DecimalAmount::parse_json_number(raw)
    }
}

/// A positive integer that was sent as the id of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentId(
    /// None when no id is that large, so that it can name no transfer.
    pub(crate) Option<TransferId>,
);

impl SentId {
    /// Reads a positive integer without leading zeros.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits || text.starts_with('0') {
            return None;
        }
        let id = text.parse().ok();
        Some(Self(id.and_then(|id| TransferId::try_new(id).ok())))
    }
}

/// The code of what is wrong with an amount.
pub(crate) const fn amount_code(name: &Name, error: ParseAmountError) -> &'static str {
    match error {
        ParseAmountError::Empty => name.missed,
        ParseAmountError::Malformed | ParseAmountError::Exponent | ParseAmountError::TooLong => {
            name.invalid
        }
        ParseAmountError::Zero => name.zero,
        ParseAmountError::TooLarge => name.too_large,
        ParseAmountError::TooPrecise => name.too_precise,
    }
}
