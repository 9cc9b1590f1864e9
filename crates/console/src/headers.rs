//! What every answer of the console tells the browser: to load nothing from elsewhere, to keep
//! nothing, to show the page in no frame.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Nothing from elsewhere, and nothing inline.
const CONTENT: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                       connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What is said of every answer. The referrer goes to ourselves alone; with none at all browsers
/// would not say where a form comes from.
const ALWAYS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, CONTENT),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (
        PERMISSIONS_POLICY,
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (OPENER_POLICY, "same-origin"),
    (RESOURCE_POLICY, "same-origin"),
];

/// Writes them. Only what is the same for everybody may be kept.
pub(crate) fn protect(headers: &mut HeaderMap, is_asset: bool, is_secure: bool) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !is_asset {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if is_secure {
        let all: Vec<HeaderValue> = headers.remove(SET_COOKIE).map(secured).collect();
        for cookie in all {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// The cookie, for connections over TLS alone.
fn secured(cookie: HeaderValue) -> HeaderValue {
    let text = cookie.to_str().unwrap_or_default();
    if text.contains("; Secure") {
        return cookie;
    }
    HeaderValue::from_str(&format!("{text}; Secure")).unwrap_or(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_tls_no_cookie_travels_without_it() {
        let mut headers = HeaderMap::new();
        for cookie in ["a=b; Path=/console", "c=d; Path=/; Secure; HttpOnly"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        protect(&mut headers, false, false);
        let cookies = |headers: &HeaderMap| -> Vec<String> {
            let all = headers.get_all(SET_COOKIE);
            all.map(|value| value.to_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(cookies(&headers)[0], "a=b; Path=/console");
        protect(&mut headers, false, true);
        assert_eq!(
            cookies(&headers),
            [
                "a=b; Path=/console; Secure",
                "c=d; Path=/; Secure; HttpOnly"
            ]
        );
    }
}
