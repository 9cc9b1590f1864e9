//! Exact money.
//!
//! Inside Bursar an [`Amount`] is an integer of an asset's smallest unit. On the wire it is decimal
//! text. [`DecimalAmount`] is the step between: text that was checked for form, before the asset and
//! so its scale is known. No float is involved anywhere, and the text is checked before any
//! arithmetic, so no input costs more than its length (contract §0, "money in").

use std::fmt;

use bigdecimal::{BigDecimal, num_bigint::BigInt};

use crate::Scale;

/// Decimals of a [`DecimalAmount`].
const DECIMAL_SCALE: usize = 18;
/// Digits before the point that an amount may have.
const INTEGER_DIGITS_MAX: usize = 15;
/// The longest JSON number that is looked at, in bytes.
const NUMBER_BYTES_MAX: usize = 64;
/// The largest exponent, in either direction.
const EXPONENT_MAX: i32 = 30;

/// A non-negative number of an asset's smallest units, at most 10^38 − 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(i128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most that one account may hold: 10^38 − 1 smallest units.
    pub const MAX: Self = Self(10_i128.pow(38) - 1);

    /// Accepts 0 to [`Amount::MAX`] smallest units.
    ///
    /// # Errors
    /// [`AmountOverflow`] for anything else.
    pub const fn try_from_units(units: i128) -> Result<Self, AmountOverflow> {
        if units >= 0 && units <= Self::MAX.0 {
            Ok(Self(units))
        } else {
            Err(AmountOverflow)
        }
    }

    /// The number of smallest units.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, unless it is beyond [`Amount::MAX`].
    ///
    /// # Errors
    /// [`AmountOverflow`] beyond that.
    pub fn checked_add(self, other: Self) -> Result<Self, AmountOverflow> {
        self.0
            .checked_add(other.0)
            .ok_or(AmountOverflow)
            .and_then(Self::try_from_units)
    }

    /// The difference, unless it is negative.
    ///
    /// # Errors
    /// [`AmountOverflow`] when `other` is the larger one.
    pub fn checked_sub(self, other: Self) -> Result<Self, AmountOverflow> {
        self.0
            .checked_sub(other.0)
            .ok_or(AmountOverflow)
            .and_then(Self::try_from_units)
    }

    /// `1`, `2.1231`: plain decimal with trailing zeros trimmed, as the back-office API writes it.
    pub fn to_plain(self, scale: Scale) -> String {
        let (whole, fraction) = self.parts(scale);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() {
            whole
        } else {
            format!("{whole}.{fraction}")
        }
    }

    /// `0.01000000`: with max(8, scale) decimals, as the internal-transfer API writes it.
    pub fn to_fixed(self, scale: Scale) -> String {
        let (whole, mut fraction) = self.parts(scale);
        while fraction.len() < 8 {
            fraction.push('0');
        }
        format!("{whole}.{fraction}")
    }

    /// `1.0`, `0.000000000000000001`: an exact JSON number with at least one decimal and no
    /// exponent, as the back-office callbacks write it.
    pub fn to_json_number(self, scale: Scale) -> String {
        let plain = self.to_plain(scale);
        if plain.contains('.') {
            plain
        } else {
            format!("{plain}.0")
        }
    }

    /// This amount as a decimal number of whole ones, for products with rates.
    pub fn to_decimal(self, scale: Scale) -> BigDecimal {
        BigDecimal::new(BigInt::from(self.0), i64::from(scale.get()))
    }

    fn parts(self, scale: Scale) -> (String, String) {
        let digits = usize::from(scale.get());
        let per_one = scale.units_per_one();
        let whole = self.0.checked_div(per_one).unwrap_or_default();
        let fraction = self.0.checked_rem(per_one).unwrap_or_default();
        let fraction = if digits == 0 {
            String::new()
        } else {
            format!("{fraction:0digits$}")
        };
        (whole.to_string(), fraction)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        let units = text.parse().map_err(serde::de::Error::custom)?;
        Self::try_from_units(units).map_err(serde::de::Error::custom)
    }
}

/// A result below zero or beyond 10^38 − 1 smallest units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount is between 0 and 10^38 - 1 smallest units")]
pub struct AmountOverflow;

/// A positive decimal number whose form was checked but whose asset is not known yet: below 10^15,
/// with at most 18 decimals, kept in units of 10^−18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecimalAmount(i128);

impl DecimalAmount {
    /// Reads the string form: `^(0|[1-9][0-9]{0,14})(\.[0-9]{1,18})?$`, above zero.
    ///
    /// # Errors
    /// [`ParseAmountError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, ParseAmountError> {
        let (whole, fraction) = split_decimal(text)?;
        if whole.len() > INTEGER_DIGITS_MAX {
            return Err(ParseAmountError::TooLarge);
        }
        if fraction.len() > DECIMAL_SCALE {
            return Err(ParseAmountError::TooPrecise);
        }
        Self::from_digits(whole, fraction, 0)
    }

    /// Nothing, where nothing is a value: a fee or a limit.
    pub const ZERO: Self = Self(0);

    /// Reads a JSON number from its raw text: the string form, and an exponent of −30 to 30 because
    /// JavaScript writes `1e-7`.
    ///
    /// # Errors
    /// [`ParseAmountError`] says what is wrong.
    pub fn parse_json_number(raw: &str) -> Result<Self, ParseAmountError> {
        if raw.len() > NUMBER_BYTES_MAX {
            return Err(ParseAmountError::TooLong);
        }
        let Some((mantissa, exponent)) = raw.split_once(['e', 'E']) else {
            return Self::parse(raw);
        };
        let exponent = parse_exponent(exponent)?;
        let (whole, fraction) = split_decimal(mantissa)?;
        Self::from_digits(whole, fraction, exponent)
    }

    /// The value of `whole.fraction × 10^exponent`, judged on the digits alone.
    fn from_digits(whole: &str, fraction: &str, exponent: i32) -> Result<Self, ParseAmountError> {
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Err(ParseAmountError::Zero);
        }
        let length = |text: &str| i32::try_from(text.len()).unwrap_or(i32::MAX);
        // Every length here is at most 64, so none of these can overflow.
        let leading = length(&digits).saturating_sub(length(digits.trim_start_matches('0')));
        let integer_digits = length(whole)
            .saturating_add(exponent)
            .saturating_sub(leading);
        let fraction_digits = length(significant).saturating_sub(integer_digits);
        if integer_digits > length("123456789012345") {
            return Err(ParseAmountError::TooLarge);
        }
        let Ok(padding) = u32::try_from(18_i32.saturating_sub(fraction_digits)) else {
            return Err(ParseAmountError::TooPrecise);
        };
        significant
            .parse::<i128>()
            .ok()
            .and_then(|value| value.checked_mul(10_i128.checked_pow(padding)?))
            .map(Self)
            .ok_or(ParseAmountError::TooLarge)
    }

    /// This amount in smallest units of an asset with this scale.
    ///
    /// # Errors
    /// [`ExcessPrecision`] when it does not fit the scale exactly: nothing is ever rounded.
    pub fn to_amount(self, scale: Scale) -> Result<Amount, ExcessPrecision> {
        let surplus = Scale::MAX
            .units_per_one()
            .checked_div(scale.units_per_one())
            .unwrap_or(1);
        match (self.0.checked_div(surplus), self.0.checked_rem(surplus)) {
            (Some(units), Some(0)) => Ok(Amount(units)),
            _ => Err(ExcessPrecision { scale }),
        }
    }

    /// The amounts of an asset with this scale next to this number, below and above it: twice the
    /// same when it fits the scale. For comparing only; money is never rounded.
    pub fn neighbours(self, scale: Scale) -> (Amount, Amount) {
        let surplus = Scale::MAX
            .units_per_one()
            .checked_div(scale.units_per_one())
            .unwrap_or(1);
        let below = self.0.checked_div(surplus).unwrap_or_default();
        let fits = self.0.checked_rem(surplus) == Some(0);
        (Amount(below), Amount(below.saturating_add((!fits).into())))
    }

    /// In units of 10^−18.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The same number for products with amounts.
    pub fn to_decimal(self) -> BigDecimal {
        Amount(self.0).to_decimal(Scale::MAX)
    }
}

/// The number in plain decimal with trailing zeros trimmed: one spelling for one value.
impl fmt::Display for DecimalAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Amount(self.0).to_plain(Scale::MAX))
    }
}

/// Splits `12.5` into its digits; refuses everything that is not exactly digits and one point.
fn split_decimal(text: &str) -> Result<(&str, &str), ParseAmountError> {
    if text.is_empty() {
        return Err(ParseAmountError::Empty);
    }
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return Err(ParseAmountError::Malformed),
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(ParseAmountError::Malformed);
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Err(ParseAmountError::Malformed);
    }
    Ok((whole, fraction))
}

fn parse_exponent(text: &str) -> Result<i32, ParseAmountError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseAmountError::Malformed);
    }
    match text.parse::<i32>() {
        Ok(exponent) if exponent.abs() <= EXPONENT_MAX => Ok(exponent),
        _ => Err(ParseAmountError::Exponent),
    }
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAmountError {
    /// Nothing was given.
    #[error("an amount is required")]
    Empty,
    /// Not a plain decimal number.
    #[error(
        "must be a plain decimal number such as 1 or 0.25, without sign, blanks or leading zeros"
    )]
    Malformed,
    /// Zero.
    #[error("must be greater than zero")]
    Zero,
    /// Too many digits before the point.
    #[error("must be below 10^15")]
    TooLarge,
    /// Too many digits after the point.
    #[error("must have at most 18 decimals")]
    TooPrecise,
    /// The exponent is out of range.
    #[error("an exponent must be between -30 and 30")]
    Exponent,
    /// The number's text is too long to be looked at.
    #[error("a number must have at most 64 characters")]
    TooLong,
}

/// More decimals than the asset has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most {} decimals", scale.get())]
pub struct ExcessPrecision {
    /// The asset's scale.
    pub scale: Scale,
}

#[cfg(test)]
mod tests;
