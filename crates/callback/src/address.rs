//! Which URLs may be called.

use url::{Host, Url};

/// Whether this URL may be called: `https` anywhere, `http` to the named hosts on any port, and
/// nothing that carries a user name or password.
///
/// The same rule is applied when a URL is given; it is applied again here because the list may have
/// changed since.
pub(crate) fn permit(url: &Url, http_hosts: &[String]) -> bool {
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return false,
    };
    let scheme = match url.scheme() {
        "https" => true,
        "http" => http_hosts.contains(&host),
        _ => false,
    };
    scheme && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(hosts: &[&str], url: &str) -> bool {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        permit(&url.parse().unwrap(), &hosts)
    }

    #[test]
    fn https_may_go_anywhere_and_http_to_nobody_by_default() {
        assert!(permits(&[], "https://example.com/callbacks"));
        assert!(permits(&[], "https://[2001:db8::1]:8443/"));
        assert!(!permits(&[], "http://example.com/callbacks"));
        assert!(!permits(&[], "http://127.0.0.1:9000/"));
        assert!(!permits(&["localhost"], "ftp://localhost/"));
        assert!(!permits(&["localhost"], "unix:/run/docker.sock"));
    }

    #[test]
    fn a_host_on_the_list_is_matched_exactly_on_every_port() {
        let list = ["receiver.internal", "127.0.0.1", "::1"];
        for url in [
            "http://Receiver.Internal:9000/",
            "http://127.0.0.1:1/x",
            "http://2130706433/",
            "http://[0:0:0:0:0:0:0:1]/",
        ] {
            assert!(permits(&list, url), "{url}");
        }
        for url in [
            "http://other.receiver.internal/",
            "http://127.0.0.2/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost/",
        ] {
            assert!(!permits(&list, url), "{url}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_never_sent() {
        assert!(!permits(&[], "https://user@example.com/"));
        assert!(!permits(&[], "https://:secret@example.com/"));
    }
}
