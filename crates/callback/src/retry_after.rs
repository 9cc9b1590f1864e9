//! What `Retry-After` asks for.

use std::time::{Duration, UNIX_EPOCH};

use bursar_domain::Timestamp;

/// Milliseconds from `now` until the time that the header asks for, never negative; none when the
/// header is neither a number of seconds nor an HTTP date.
pub(crate) fn parse(value: &str, now: Timestamp) -> Option<i64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are as good as the most that fit: the caller bounds the wait.
        let seconds = value.parse::<i64>().unwrap_or(i64::MAX);
        return Some(seconds.saturating_mul(1_000));
    }
    let since_epoch: Duration = httpdate::parse_http_date(value)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()?;
    let at_ms = i64::try_from(since_epoch.as_millis()).ok()?;
    Some(
        at_ms
            .saturating_sub(now.as_micros().div_euclid(1_000))
            .max(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: &str) -> Option<i64> {
        parse(value, Timestamp::parse("2023-01-15T14:30:15.25Z").unwrap())
    }

    #[test]
    fn seconds_and_the_three_forms_of_an_http_date_are_read() {
        assert_eq!(at("0"), Some(0));
        assert_eq!(at(" 120 "), Some(120_000));
        assert_eq!(at("Sun, 15 Jan 2023 14:30:20 GMT"), Some(4_750));
        assert_eq!(at("Sunday, 15-Jan-23 14:30:20 GMT"), Some(4_750));
        assert_eq!(at("Sun Jan 15 14:30:20 2023"), Some(4_750));
    }

    #[test]
    fn a_date_that_passed_asks_for_no_wait() {
        assert_eq!(at("Sun, 15 Jan 2023 14:30:10 GMT"), Some(0));
    }

    #[test]
    fn too_many_seconds_do_not_overflow() {
        assert_eq!(at("99999999999999999999"), Some(i64::MAX));
        assert_eq!(at("9223372036854775807"), Some(i64::MAX));
    }

    #[test]
    fn anything_else_asks_for_nothing() {
        for value in ["", "-1", "+5", "1.5", "soon", "2023-01-15T14:30:20Z"] {
            assert_eq!(at(value), None, "{value:?}");
        }
    }
}
