//! `Prefer` (RFC 7240), as far as waiting goes.

use actix_web::http::header::{HeaderMap, HeaderName};

pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Whether the client prefers to wait for the settled transfer.
///
/// `wait` and `wait=SECONDS` both do. A money transaction is bounded by the database's own
/// time-outs, which are shorter than any wait that a client would name, so the number only matters
/// when it is 0. The first `wait` counts; what is malformed is ignored, as RFC 7240 has it.
pub(crate) fn wants_to_wait(headers: &HeaderMap) -> bool {
    headers
        .get_all(PREFER)
        .filter_map(|value| value.to_str().ok())
        .flat_map(preferences)
        .find_map(wait)
        .unwrap_or(false)
}

/// Splits at commas outside of quotes.
fn preferences(header: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    header.split(move |char| {
        let separates = char == ',' && !quoted;
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        separates
    })
}

/// What one preference says about waiting, if anything.
fn wait(preference: &str) -> Option<bool> {
    let (preference, _parameters) = preference.split_once(';').unwrap_or((preference, ""));
    let (name, value) = match preference.split_once('=') {
        Some((name, value)) => (name.trim(), value.trim().trim_matches('"')),
        None => (preference.trim(), ""),
    };
    if !name.eq_ignore_ascii_case("wait") {
        return None;
    }
    match value {
        // An empty value is the same as none.
        "" => Some(true),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.bytes().any(|b| b != b'0'))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn waits(headers: &[&'static str]) -> bool {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(PREFER, HeaderValue::from_static(header));
        }
        wants_to_wait(&map)
    }

    #[test]
    fn waiting_is_found_among_other_preferences() {
        for headers in [
            &["wait"][..],
            &["Wait"],
            &["wait=10"],
            &["wait = 10"],
            &["wait=\"10\""],
            &["wait=\"\""],
            &["respond-async, wait=5"],
            &["return=representation; a=b, wait; x=y"],
            &["handling=\"a, b\", wait"],
            &["note=\"say \\\"x, y\", wait"],
            &["return=minimal", "wait=1"],
            &["wait=1, wait=0"],
        ] {
            assert!(waits(headers), "{headers:?}");
        }
    }

    #[test]
    fn nothing_else_means_waiting() {
        for headers in [
            &[][..],
            &[""],
            &["respond-async"],
            &["wait=0"],
            &["wait=-1"],
            &["wait=soon"],
            &["waiting"],
            &["note=\"wait\""],
            &["note=\", wait\""],
            &["return=minimal; wait"],
        ] {
            assert!(!waits(headers), "{headers:?}");
        }
    }
}
