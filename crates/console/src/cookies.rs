//! The cookies that a session hangs on.
//!
//! Where the console is served over TLS their names begin with `__Host-`, which no other host and no
//! page over plain http can set. But for the one of a sign-in at the identity provider none has an
//! age: a browser that is closed forgets it, and how long a session lasts is decided where it is kept.

use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};

/// How long somebody may be at the provider.
const PROVIDER_AGE: &str = "; Max-Age=600";

/// A cookie of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The session's token.
    Session,
    /// What ties a sign-in form to the browser that it was made for.
    Form,
    /// What a sign-in at the identity provider hangs on while the browser is there.
    Provider,
}

impl Cookie {
    const fn name(self, is_secure: bool) -> &'static str {
        match (self, is_secure) {
            (Self::Session, true) => "__Host-bursar_session",
            (Self::Session, false) => "bursar_session",
            (Self::Form, true) => "__Host-bursar_form",
            (Self::Form, false) => "bursar_form",
            (Self::Provider, true) => "__Host-bursar_provider",
            (Self::Provider, false) => "bursar_provider",
        }
    }

    /// The value that a request brings. One that brings several brings none: somebody has meddled
    /// with them.
    pub(crate) fn of(self, headers: &HeaderMap, is_secure: bool) -> Option<String> {
        let name = self.name(is_secure);
        let mut found = headers
            .get_all(COOKIE)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(named, value)| *named == name && !value.is_empty())
            .map(|(_, value)| value);
        let value = found.next()?;
        found.next().is_none().then(|| value.to_owned())
    }

    /// Sets it; the value is one that we made.
    pub(crate) fn set(self, value: &str, is_secure: bool) -> Option<HeaderValue> {
        let age = match self {
            Self::Session | Self::Form => "",
            Self::Provider => PROVIDER_AGE,
        };
        self.header(value, age, is_secure)
    }

    /// Takes it away.
    pub(crate) fn forget(self, is_secure: bool) -> Option<HeaderValue> {
        self.header("", "; Max-Age=0", is_secure)
    }

    fn header(self, value: &str, age: &str, is_secure: bool) -> Option<HeaderValue> {
        let name = self.name(is_secure);
        // A name with `__Host-` is for the whole host, or browsers do not take it.
        let place = if is_secure {
            "Path=/; Secure"
        } else {
            "Path=/console"
        };
        // The provider's pages send the browser back, and what they begin brings no strict ones.
        let site = match self {
            Self::Session | Self::Form => "Strict",
            Self::Provider => "Lax",
        };
        let text = format!("{name}={value}; {place}; HttpOnly; SameSite={site}{age}");
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought(lines: &[&str], is_secure: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        Cookie::Session.of(&headers, is_secure)
    }

    #[test]
    fn a_cookie_is_found_among_others_and_only_under_its_own_name() {
        for lines in [
            &["bursar_session=abc"][..],
            &["a=b; bursar_session=abc;c=d"],
            &["a=b", "bursar_session=abc"],
            &["x_bursar_session=no; bursar_session=abc; bursar_form=f"],
        ] {
            assert_eq!(brought(lines, false).as_deref(), Some("abc"), "{lines:?}");
            assert_eq!(brought(lines, true), None, "{lines:?}");
        }
        assert_eq!(
            brought(&["__Host-bursar_session=abc"], true).as_deref(),
            Some("abc")
        );
        assert_eq!(brought(&["__Host-bursar_session=abc"], false), None);
    }

    #[test]
    fn several_are_none() {
        for lines in [
            &[][..],
            &["bursar_session="],
            &["bursar_session"],
            &["bursar_session=a; bursar_session=b"],
            &["bursar_session=a", "bursar_session=a"],
        ] {
            assert_eq!(brought(lines, false), None, "{lines:?}");
        }
    }

    #[test]
    fn no_script_and_no_other_site_gets_at_them() {
        let text = |value: Option<HeaderValue>| value.unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            text(Cookie::Session.set("abc", true)),
            "__Host-bursar_session=abc; Path=/; Secure; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            text(Cookie::Session.set("abc", false)),
            "bursar_session=abc; Path=/console; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            text(Cookie::Form.forget(true)),
            "__Host-bursar_form=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"
        );
        assert_eq!(
            text(Cookie::Provider.set("abc", true)),
            "__Host-bursar_provider=abc; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"
        );
        assert_eq!(
            text(Cookie::Provider.forget(false)),
            "bursar_provider=; Path=/console; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }
}
