//! Which callback URLs are accepted (contract §3).

use url::{Host, Url};

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Accepts `https` URLs, and `http` to hosts on a list for development.
#[derive(Clone, Debug, Default)]
pub struct CallbackUrlPolicy {
    /// Hosts that may be called over plain http, on any port. For development only.
    pub http_hosts: Vec<String>,
}

impl CallbackUrlPolicy {
    /// Checks the form of a URL, without looking anything up. An empty text is no URL.
    ///
    /// # Errors
    /// [`InvalidCallbackUrl`] says what is wrong.
    pub fn parse(&self, text: &str) -> Result<Option<String>, InvalidCallbackUrl> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > URL_BYTES_MAX {
            return Err(InvalidCallbackUrl::TooLong);
        }
        let url = Url::parse(text).map_err(|_| InvalidCallbackUrl::Malformed)?;
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(Host::Domain(_)) | None => return Err(InvalidCallbackUrl::Malformed),
        };
        // The parser forgets an empty user name, so the text is asked too.
        let authority = text.split(['/', '?', '#']).nth(2).unwrap_or_default();
        if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
            return Err(InvalidCallbackUrl::UserInfo);
        }
        match url.scheme() {
            "https" => {}
            "http" if self.http_hosts.contains(&host) => {}
            _ => return Err(InvalidCallbackUrl::Scheme),
        }
        // Control characters and blanks would be dropped or escaped by the parser: what is kept
        // and shown must be what is called.
        if text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Some(text.to_owned()))
        } else {
            Err(InvalidCallbackUrl::Malformed)
        }
    }
}

/// Why a URL is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCallbackUrl {
    /// Longer than 2,048 bytes.
    #[error("must have at most 2048 characters")]
    TooLong,
    /// Not an absolute URL with a host.
    #[error("must be an absolute URL with a host, in visible ASCII characters")]
    Malformed,
    /// A user name or password inside.
    #[error("must not contain a user name or password")]
    UserInfo,
    /// Not https.
    #[error("must begin with https://")]
    Scheme,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> CallbackUrlPolicy {
        CallbackUrlPolicy {
            http_hosts: vec!["127.0.0.1".to_owned(), "::1".to_owned()],
        }
    }

    #[test]
    fn https_is_accepted_as_typed() {
        let url = "https://Example.com:8443/a?b=c";
        assert_eq!(policy().parse(url), Ok(Some(url.to_owned())));
        assert_eq!(policy().parse(""), Ok(None));
    }

    #[test]
    fn plain_http_only_goes_to_listed_hosts() {
        assert!(policy().parse("http://127.0.0.1:9000/x").is_ok());
        assert!(policy().parse("http://[::1]:9000/x").is_ok());
        assert_eq!(
            policy().parse("http://example.com/"),
            Err(InvalidCallbackUrl::Scheme)
        );
        assert_eq!(
            CallbackUrlPolicy::default().parse("http://127.0.0.1/"),
            Err(InvalidCallbackUrl::Scheme)
        );
    }

    #[test]
    fn everything_else_is_refused() {
        use InvalidCallbackUrl::{Malformed, Scheme, TooLong, UserInfo};
        let long = format!("https://example.com/{}", "x".repeat(2048));
        for (url, error) in [
            ("example.com/callback", Malformed),
            ("https://", Malformed),
            ("/x", Malformed),
            ("ftp://example.com", Scheme),
            ("file:///etc/passwd", Malformed),
            ("https://a:b@example.com", UserInfo),
            ("https://a@example.com", UserInfo),
            ("https://@example.com/", UserInfo),
            ("https://example.com/\u{0}", Malformed),
            ("https://exa\nmple.com", Malformed),
            ("javascript:alert(1)", Malformed),
            (long.as_str(), TooLong),
        ] {
            assert_eq!(policy().parse(url), Err(error), "{url:?}");
        }
    }
}
