//! Domain values as PostgreSQL binds and columns, straight from and to the wire format: no detour
//! over decimals or calendars on the hot path.

use std::io::Write;

use bigdecimal::BigDecimal;
use bursar_domain::Timestamp;
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{Numeric, Timestamptz},
};

/// A whole number of smallest units as `NUMERIC(39, 0)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Numeric)]
pub(crate) struct Units(pub(crate) i128);

/// NUMERIC travels as base-10,000 digits, most significant first.
const BASE: u128 = 10_000;
/// An i128 has at most 39 decimal digits: ten groups of four.
const GROUPS_MAX: usize = 10;
const NEGATIVE: u16 = 0x4000;

impl ToSql<Numeric, Pg> for Units {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        write_numeric(self.0, out)
    }
}

/// A whole number as NUMERIC.
pub(crate) fn write_numeric(units: i128, out: &mut impl Write) -> serialize::Result {
    let mut groups = Vec::with_capacity(GROUPS_MAX);
    let mut rest = units.unsigned_abs();
    while rest > 0 {
        groups.push(i16::try_from(rest % BASE)?);
        rest /= BASE;
    }
    let weight = i16::try_from(groups.len())?.saturating_sub(1).max(0);
    // Trailing zero groups are implied by the weight.
    let low_zeros = groups.iter().take_while(|group| **group == 0).count();
    let sent = groups.get(low_zeros..).unwrap_or_default();
    let sign = if units < 0 { NEGATIVE } else { 0 };
    out.write_all(&i16::try_from(sent.len())?.to_be_bytes())?;
    out.write_all(&weight.to_be_bytes())?;
    out.write_all(&sign.to_be_bytes())?;
    out.write_all(&0_u16.to_be_bytes())?;
    for group in sent.iter().rev() {
        out.write_all(&group.to_be_bytes())?;
    }
    Ok(IsNull::No)
}

impl FromSql<Numeric, Pg> for Units {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let mut words = value
            .as_bytes()
            .chunks_exact(2)
            .filter_map(|pair| <[u8; 2]>::try_from(pair).ok());
        let mut next = || words.next().ok_or("a NUMERIC value is cut short");
        let count = u16::from_be_bytes(next()?);
        let weight = i16::from_be_bytes(next()?);
        let sign = u16::from_be_bytes(next()?);
        next()?;
        if sign != 0 && sign != NEGATIVE {
            return Err("a NUMERIC value is not finite".into());
        }
        let mut units: i128 = 0;
        let mut seen = 0;
        for _ in 0..=weight {
            let group = if seen < count {
                i128::from(i16::from_be_bytes(next()?))
            } else {
                0
            };
            seen = seen.saturating_add(1);
            units = units
                .checked_mul(10_000)
                .and_then(|units| units.checked_add(group))
                .ok_or("a NUMERIC value is too large")?;
        }
        if seen < count {
            return Err("a NUMERIC value has a fraction".into());
        }
        Ok(Self(if sign == NEGATIVE {
            units.saturating_neg()
        } else {
            units
        }))
    }
}

/// A NUMERIC as it stands in a row that anybody may have written: none when it is no whole number
/// that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromSqlRow)]
pub(crate) struct Figure(pub(crate) Option<i128>);

impl FromSql<Numeric, Pg> for Figure {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Units::from_sql(value).ok().map(|units| units.0)))
    }
}

/// As [`Figure`], with digits after the point.
#[derive(Clone, Debug, PartialEq, Eq, FromSqlRow)]
pub(crate) struct Decimal(pub(crate) Option<BigDecimal>);

impl FromSql<Numeric, Pg> for Decimal {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(BigDecimal::from_sql(value).ok()))
    }
}

/// A [`Timestamp`] as `TIMESTAMPTZ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Timestamptz)]
pub(crate) struct At(pub(crate) Timestamp);

/// PostgreSQL counts microseconds from 2000-01-01T00:00:00Z.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

impl ToSql<Timestamptz, Pg> for At {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        write_timestamp(self.0, out)
    }
}

/// A time as TIMESTAMPTZ.
pub(crate) fn write_timestamp(at: Timestamp, out: &mut impl Write) -> serialize::Result {
    let micros = at.as_micros().saturating_sub(POSTGRES_EPOCH_US);
    out.write_all(&micros.to_be_bytes())?;
    Ok(IsNull::No)
}

impl FromSql<Timestamptz, Pg> for At {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = i64::from_be_bytes(value.as_bytes().try_into()?);
        Ok(Self(Timestamp::from_micros(
            micros.saturating_add(POSTGRES_EPOCH_US),
        )))
    }
}

impl From<Timestamp> for At {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl From<At> for Timestamp {
    fn from(at: At) -> Self {
        at.0
    }
}
