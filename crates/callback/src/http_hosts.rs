//! To which hosts callbacks may go without TLS.

use std::{fmt, net::IpAddr, str::FromStr};

use url::{Host, Url};

/// An entry of the development allow-list: a host that may be called over plain `http`, on any
/// port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpHost {
    /// This machine under any of its names: `localhost`, `127.0.0.0/8`, `::1`. Written `loopback`.
    Loopback,
    /// This very host name or address.
    Exactly(Host<String>),
}

impl HttpHost {
    fn matches(&self, host: &Host<&str>) -> bool {
        match self {
            Self::Exactly(allowed) => allowed == host,
            Self::Loopback => match host {
                Host::Domain(name) => *name == "localhost",
                Host::Ipv4(address) => address.is_loopback(),
                Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
            },
        }
    }
}

impl fmt::Display for HttpHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback"),
            Self::Exactly(host) => host.fmt(f),
        }
    }
}

impl FromStr for HttpHost {
    type Err = ParseHttpHostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("loopback") {
            return Ok(Self::Loopback);
        }
        // The same parser that reads the URLs, so that both spell a host in one way; a bare IPv6
        // address is accepted beside the bracketed one.
        let host = match text.parse() {
            Ok(IpAddr::V4(address)) => Host::Ipv4(address),
            Ok(IpAddr::V6(address)) => Host::Ipv6(address),
            Err(_) => Host::parse(text).map_err(|_| ParseHttpHostError)?,
        };
        Ok(Self::Exactly(host))
    }
}

/// A text that names no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not `loopback`, a host name or an IP address (without scheme, port or path)")]
pub struct ParseHttpHostError;

/// The development allow-list; empty in production.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpHosts(Vec<HttpHost>);

impl HttpHosts {
    /// Nobody: `https` only.
    pub const NONE: Self = Self(Vec::new());

    /// Whether this URL may be called: `https` anywhere, `http` to the hosts on the list, and
    /// nothing that carries a username or password.
    pub fn permit(&self, url: &Url) -> bool {
        let scheme = match (url.scheme(), url.host()) {
            ("https", Some(_)) => true,
            ("http", Some(host)) => self.0.iter().any(|allowed| allowed.matches(&host)),
            _ => false,
        };
        scheme && url.username().is_empty() && url.password().is_none()
    }
}

impl FromIterator<HttpHost> for HttpHosts {
    fn from_iter<I: IntoIterator<Item = HttpHost>>(hosts: I) -> Self {
        Self(hosts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(hosts: &[&str], url: &str) -> bool {
        hosts
            .iter()
            .map(|host| host.parse::<HttpHost>().unwrap())
            .collect::<HttpHosts>()
            .permit(&url.parse().unwrap())
    }

    #[test]
    fn https_may_go_anywhere_and_http_to_nobody_by_default() {
        assert!(permits(&[], "https://example.com/callbacks"));
        assert!(permits(&[], "https://[2001:db8::1]:8443/"));
        assert!(!permits(&[], "http://example.com/callbacks"));
        assert!(!permits(&[], "http://127.0.0.1:9000/"));
        assert!(!permits(&["loopback"], "ftp://localhost/"));
        assert!(!permits(&["loopback"], "unix:/run/docker.sock"));
    }

    #[test]
    fn loopback_is_every_name_of_this_machine_on_every_port() {
        for url in [
            "http://localhost/",
            "http://LOCALHOST:1/",
            "http://127.0.0.1:8080/x",
            "http://127.9.9.9/",
            "http://2130706433/",
            "http://[::1]:80/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(permits(&["loopback"], url), "{url}");
        }
        for url in [
            "http://example.com/",
            "http://10.0.0.1/",
            "http://localhost.example.com/",
            "http://[::2]/",
        ] {
            assert!(!permits(&["loopback"], url), "{url}");
        }
    }

    #[test]
    fn a_host_on_the_list_is_matched_exactly() {
        let list = ["Receiver.Internal", "10.0.0.7", "fd00::7"];
        assert!(permits(&list, "http://receiver.internal:9000/"));
        assert!(permits(&list, "http://10.0.0.7/"));
        assert!(permits(&list, "http://[fd00::7]/"));
        assert!(!permits(&list, "http://other.receiver.internal/"));
        assert!(!permits(&list, "http://10.0.0.8/"));
    }

    #[test]
    fn credentials_in_a_url_are_never_sent() {
        assert!(!permits(&[], "https://user@example.com/"));
        assert!(!permits(&[], "https://:secret@example.com/"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["", "http://a/", "a/b", "a:80", "a b"] {
            assert_eq!(text.parse::<HttpHost>(), Err(ParseHttpHostError), "{text}");
        }
    }

    #[test]
    fn entries_are_shown_as_they_are_read() {
        for text in ["loopback", "receiver.internal", "10.0.0.7", "[fd00::7]"] {
            assert_eq!(text.parse::<HttpHost>().unwrap().to_string(), text);
        }
    }
}
