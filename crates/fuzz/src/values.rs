//! Values, each held against its rule as it is written down a second time here.

use std::str::FromStr;

use bursar_app::{Keyring, callback_secret_text, read_callback_secret};
use bursar_domain::{AssetId, BigDecimal, DecimalAmount, IdempotencyKey, Scale, Timestamp};

/// What is no text is none of these.
pub(crate) fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// The digits before and behind the point of a plain decimal number.
fn plain(text: &str) -> Option<(&str, &str)> {
    let (whole, fraction) = match text.find('.') {
        Some(at) => (text.get(..at)?, Some(text.get(at.checked_add(1)?..)?)),
        None => (text, None),
    };
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let leads = whole.len() > 1 && whole.starts_with('0');
    let is_plain = digits(whole) && !leads && fraction.is_none_or(digits);
    is_plain.then_some((whole, fraction.unwrap_or_default()))
}

/// A number above zero and below 10^15 with at most 18 decimals, in units of 10^-18, by arithmetic
/// without bounds.
fn units(number: &str) -> Option<i128> {
    let number = BigDecimal::from_str(number).ok()?;
    let one: BigDecimal = 1.into();
    let shift = |power: u32| BigDecimal::from(10_i128.checked_pow(power).unwrap_or_default());
    let units = &number * shift(18);
    let whole = units.with_scale(0);
    let fits = number < shift(15) && whole == units && whole >= one;
    fits.then(|| whole.to_string().parse().ok())?
}

fn is_read_as(text: &str, read: Option<DecimalAmount>, expected: Option<i128>) {
    assert_eq!(read.map(DecimalAmount::units), expected, "{text:?}");
    let Some(amount) = read else {
        return;
    };
    let shown = amount.to_string();
    assert_eq!(DecimalAmount::parse(&shown), Ok(amount), "{text:?} {shown}");
    for scale in (0..=18).filter_map(|scale| Scale::try_new(scale).ok()) {
        let Ok(in_asset) = amount.to_amount(scale) else {
            continue;
        };
        let shown = [
            in_asset.to_plain(scale),
            in_asset.to_fixed(scale),
            in_asset.to_json_number(scale),
        ];
        for shown in shown {
            let again = DecimalAmount::parse(&shown);
            assert_eq!(again, Ok(amount), "{text:?} shown as {shown}");
            let token = DecimalAmount::parse_json_number(&shown);
            assert_eq!(token, Ok(amount), "{text:?} shown as {shown}");
        }
    }
}

/// An amount in a string.
pub(crate) fn amount(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    let expected = plain(text)
        .filter(|(whole, fraction)| whole.len() <= 15 && fraction.len() <= 18)
        .and_then(|_| units(text));
    is_read_as(text, DecimalAmount::parse(text).ok(), expected);
}

/// An amount as the token of a JSON number.
pub(crate) fn amount_token(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    let expected = match text.find(['e', 'E']) {
        _ if text.len() > 64 => None,
        None => plain(text)
            .filter(|(whole, fraction)| whole.len() <= 15 && fraction.len() <= 18)
            .and_then(|_| units(text)),
        Some(at) => {
            let (mantissa, exponent) = text.split_at(at);
            let exponent = exponent.get(1..).unwrap_or_default();
            let bare = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let digits = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit());
            let size = bare.trim_start_matches('0');
            let small = size.len() <= 2 && size.parse::<u8>().unwrap_or_default() <= 30;
            let sign = if exponent.starts_with('-') { "-" } else { "" };
            let number = format!("{mantissa}e{sign}0{size}");
            plain(mantissa)
                .filter(|_| digits && small)
                .and_then(|_| units(&number))
        }
    };
    is_read_as(text, DecimalAmount::parse_json_number(text).ok(), expected);
}

/// The days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        if leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let before = lengths
        .iter()
        .zip(1..)
        .filter(|(_, number)| *number < month);
    let in_year: i64 = before.map(|(length, _)| length).sum();
    let years: i64 = if year >= 1970 {
        (1970..year).map(|one| 365 + i64::from(leap(one))).sum()
    } else {
        (year..1970).map(|one| -365 - i64::from(leap(one))).sum()
    };
    years + in_year + day - 1
}

/// Microseconds since 1970 of what is written in the longest documented form, in UTC and without a
/// leap second; none for everything else.
fn micros(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok())?
    };
    let marks = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    let marked = marks
        .iter()
        .all(|(at, mark)| text.get(*at..*at + 1) == Some(*mark));
    let rest = text.get(19..)?.strip_suffix('Z')?;
    let fraction = rest.strip_prefix('.').unwrap_or("0");
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let well = marked && digits && (rest.is_empty() || rest.starts_with('.'));
    if !well || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let next = if month == 12 {
        days(year + 1, 1, 1)
    } else {
        days(year, month + 1, 1)
    };
    let length = next - days(year, month, 1);
    let valid = (1..=12).contains(&month)
        && (1..=length).contains(&day)
        && year >= 1
        && hour < 24
        && minute < 60
        && second < 60;
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    valid.then(|| Some(seconds * 1_000_000 + fraction.parse::<i64>().ok()?))?
}

/// A time.
pub(crate) fn time(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    let read = Timestamp::parse(text);
    if let Some(expected) = micros(text) {
        let read = read.map(Timestamp::as_micros);
        assert_eq!(read, Ok(expected), "{text:?}");
    }
    let Ok(at) = read else {
        return;
    };
    let shown = at.to_micros_text();
    assert_eq!(micros(&shown), Some(at.as_micros()), "{text:?}");
    assert_eq!(Timestamp::parse(&shown), Ok(at), "{text:?}");
    let seconds = Timestamp::parse(&at.to_seconds_text());
    assert_eq!(seconds, Ok(at.floor_second()), "{text:?}");
}

/// An idempotency key.
pub(crate) fn idempotency_key(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    let quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
    let inner = if quoted {
        text.get(1..text.len().saturating_sub(1))
            .unwrap_or_default()
    } else {
        text
    };
    let visible = inner.chars().all(|c| ('!'..='~').contains(&c));
    let good = visible && (1..=255).contains(&inner.len()) && inner != "\"";
    let read = IdempotencyKey::parse(text).ok();
    let expected = good.then_some(inner);
    assert_eq!(
        read.as_ref().map(IdempotencyKey::as_str),
        expected,
        "{text:?}"
    );
    if let Some(key) = read {
        let again = IdempotencyKey::parse(&format!("\"{}\"", key.as_str()));
        assert_eq!(again.ok(), Some(key), "{text:?}");
    }
}

/// The id of an asset.
pub(crate) fn asset(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    if let Ok(asset) = AssetId::parse(text) {
        let again = AssetId::parse(asset.as_str());
        assert_eq!(again.ok(), Some(asset), "{text:?}");
        assert!(asset.as_str().eq_ignore_ascii_case(text), "{text:?}");
    }
}

fn keyring() -> Keyring {
    let keys = vec![("k".to_owned(), [2; 32])];
    Keyring::try_new([7; 32], keys).expect("there is a key")
}

/// A cursor: what is read is what was written, and nothing else is read.
pub(crate) fn cursor(data: &[u8]) {
    let keyring = keyring();
    let Some(text) = text(data) else {
        return;
    };
    let made = keyring.cursor(b"a list", text);
    let read = keyring.read_cursor(b"a list", &made);
    assert_eq!(read.as_deref(), Some(text));
    assert_eq!(keyring.read_cursor(b"another list", &made), None);
    if let Some(place) = keyring.read_cursor(b"a list", text) {
        assert_eq!(keyring.cursor(b"a list", &place), text);
    }
}

/// The public code of an internal transfer.
pub(crate) fn transfer_code(data: &[u8]) {
    let keyring = keyring();
    let Some(text) = text(data) else {
        return;
    };
    if let Some((id, salt)) = keyring.read_transfer_code(text) {
        let made = keyring.transfer_code(id, &salt);
        assert!(made.eq_ignore_ascii_case(text), "{text:?} is {made}");
    }
}

/// A callback secret.
pub(crate) fn callback_secret(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    if let Some(secret) = read_callback_secret(text) {
        assert_eq!(callback_secret_text(&secret), text);
    }
}
