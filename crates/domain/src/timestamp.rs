//! Points in time, exact to the microsecond, and the two forms the contract writes them in.

use std::fmt;

use time::{
    Date, OffsetDateTime, PrimitiveDateTime, UtcOffset,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

const MICROS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const NAIVE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
const NAIVE_FRACTION: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:1+]");
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// A point in time in UTC, in microseconds since the Unix epoch.
///
/// PostgreSQL keeps microseconds; keeping the same here means that a time reads back as the bytes
/// it was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Truncates to the microsecond, towards the past.
    pub fn from_datetime(at: OffsetDateTime) -> Self {
        let micros = at.unix_timestamp_nanos().div_euclid(1_000);
        Self(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// The same instant as a date and time in UTC; the epoch for instants that no calendar year
    /// of four digits holds.
    pub fn to_datetime(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0).saturating_mul(1_000))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// One microsecond later.
    #[must_use]
    pub const fn tick(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// This instant moved by a number of microseconds, which may be negative.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The whole second this instant lies in.
    #[must_use]
    pub const fn floor_second(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(1_000_000)))
    }

    /// Reads an RFC 3339 date-time with 0 to 9 fraction digits; the zone may be `Z`, an offset, or
    /// missing (UTC); a bare date is its first instant (contract §0, "times in").
    ///
    /// A blank before an offset stands for the `+` that a query string lost.
    ///
    /// # Errors
    /// [`ParseTimestampError`] when the text is none of these.
    pub fn parse(text: &str) -> Result<Self, ParseTimestampError> {
        let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
        let fraction_digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if fraction_digits > 9 {
            return Err(ParseTimestampError);
        }
        // The library reads on behind whatever stands between date and time.
        if !matches!(text.as_bytes().get(10), None | Some(b'T' | b't')) {
            return Err(ParseTimestampError);
        }
        let repaired = text.replace(' ', "+");
        if let Ok(at) = OffsetDateTime::parse(&repaired, &Rfc3339) {
            return Self::in_range(at);
        }
        PrimitiveDateTime::parse(&repaired, NAIVE)
            .or_else(|_| PrimitiveDateTime::parse(&repaired, NAIVE_FRACTION))
            .or_else(|_| Date::parse(&repaired, DATE).map(Date::midnight))
            .map_err(|_| ParseTimestampError)
            .and_then(|at| Self::in_range(at.assume_utc()))
    }

    fn in_range(at: OffsetDateTime) -> Result<Self, ParseTimestampError> {
        let utc = at
            .checked_to_offset(UtcOffset::UTC)
            .ok_or(ParseTimestampError)?;
        if (1..=9999).contains(&utc.year()) {
            Ok(Self::from_datetime(utc))
        } else {
            Err(ParseTimestampError)
        }
    }

    /// `2021-04-09T10:50:40.116485Z`: six fraction digits, as the back-office API writes times.
    pub fn to_micros_text(self) -> String {
        self.to_datetime().format(MICROS).unwrap_or_default()
    }

    /// `2023-01-15T14:30:15Z`: whole seconds rounded down, as the internal-transfer API does.
    pub fn to_seconds_text(self) -> String {
        self.to_datetime().format(SECONDS).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_micros_text())
    }
}

/// A text that is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 date-time or date")]
pub struct ParseTimestampError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_as_it_is_written_in_answers() {
        let at = Timestamp::from_micros(1_617_965_440_116_485);
        assert_eq!(at.to_string(), "2021-04-09T10:50:40.116485Z");
    }

    #[test]
    fn every_documented_spelling_of_one_instant_is_read() {
        let at = Timestamp::parse("2021-04-09T10:50:40.116485Z").unwrap();
        for text in [
            "2021-04-09T10:50:40.1164856Z",
            "2021-04-09T10:50:40.116485",
            "2021-04-09T10:50:40.116485999Z",
            "2021-04-09T12:50:40.116485+02:00",
            "2021-04-09T12:50:40.116485 02:00",
            "2021-04-09T08:50:40.116485-02:00",
        ] {
            assert_eq!(Timestamp::parse(text), Ok(at), "{text}");
        }
        assert_eq!(at.to_micros_text(), "2021-04-09T10:50:40.116485Z");
        assert_eq!(at.to_seconds_text(), "2021-04-09T10:50:40Z");
    }

    #[test]
    fn a_bare_date_is_its_first_instant() {
        assert_eq!(
            Timestamp::parse("2019-04-04").unwrap().to_micros_text(),
            "2019-04-04T00:00:00.000000Z"
        );
        assert_eq!(
            Timestamp::parse("2019-04-04T15:27:41")
                .unwrap()
                .to_micros_text(),
            "2019-04-04T15:27:41.000000Z"
        );
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "now",
            "2019",
            "2019-13-01",
            "2019-02-30",
            "2019-04-04T25:00:00",
            "1554391661",
            "2019-04-04T15:27:41.1234567891Z",
            "2019-04-04T15:27:41é",
            "2019-04-04x15:27:41Z",
            "2019-04-04715:27:41Z",
            "2019-04-04 15:27:41Z",
            "2019-04-04 15:27:41",
            "2019-04-04+15:27:41+02:00",
        ] {
            assert_eq!(Timestamp::parse(text), Err(ParseTimestampError), "{text}");
        }
    }

    #[test]
    fn times_before_the_epoch_round_down() {
        let at = Timestamp::from_micros(-1);
        assert_eq!(at.floor_second().as_micros(), -1_000_000);
        assert_eq!(at.to_micros_text(), "1969-12-31T23:59:59.999999Z");
    }
}
