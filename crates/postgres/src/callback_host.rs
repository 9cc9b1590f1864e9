//! The host of a callback's URL, as lanes are named after it.

use url::Url;

/// No name that can be looked up is longer, and a longer one would not fit into an index.
const HOST_CHARS_MAX: usize = 255;

/// The host in lower case with its port: `example.com:443`. Every spelling of a host is one host:
/// letters of any case, a dot at the end, an address in any notation, the port left out. Empty when
/// the text is no URL with a host and a port.
pub(crate) fn host_of(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return String::new();
    };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return String::new();
    };
    let name = host.trim_end_matches('.').chars().take(HOST_CHARS_MAX);
    let mut named: String = name.collect();
    named.push(':');
    named.push_str(&port.to_string());
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_is_one_host() {
        for (url, host) in [
            ("https://example.com/a?b=c", "example.com:443"),
            ("https://EXAMPLE.com.:443", "example.com:443"),
            ("https://example.com:8443/", "example.com:8443"),
            ("http://example.com/", "example.com:80"),
            ("https://127.1/", "127.0.0.1:443"),
            ("https://2130706433/", "127.0.0.1:443"),
            ("http://[0:0::1]:9000/", "[::1]:9000"),
            ("https://bücher.example/", "xn--bcher-kva.example:443"),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }

    #[test]
    fn whatever_is_no_url_is_on_no_host_and_no_host_is_endless() {
        for text in ["", "u", "https://", "mailto:a@example.com"] {
            assert_eq!(host_of(text), "", "{text}");
        }
        let endless = host_of(&format!("https://{}/", "a".repeat(3_000)));
        assert_eq!(endless.len(), HOST_CHARS_MAX + ":443".len());
    }
}
