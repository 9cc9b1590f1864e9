//! Which callback URLs may be called, judged by their form alone.
//!
//! Two ask it: the application when a URL is given, and whoever carries a callback before each
//! attempt, because the configuration may have changed since. It looks nothing up; which addresses
//! may be connected to is judged at each attempt.

use std::net::IpAddr;

use url::{Host, Url};

use crate::IpRange;

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// The longest name of a host and the longest of its labels, in bytes (RFC 1035, §2.3.4).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// The ports of receivers, beside those of the configuration.
const PORTS: [u16; 2] = [443, 8_443];

/// Names that lead into somebody's own network, with everything below them: `localhost` (RFC 6761),
/// `local` (RFC 6762), `internal` (reserved by ICANN, and used by clouds for their metadata),
/// `home.arpa` (RFC 8375), `onion` (RFC 7686).
const INNER_NAMES: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "onion"];

/// Accepts `https` URLs with public names on the ports of receivers.
///
/// On a developer's machine the hosts on its lists may be called too: over `http` or `https`, on
/// any port, by names and address literals that nobody else may use. Both lists are empty in
/// production.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackUrlPolicy {
    /// Names, in lower case, that are a developer's. Their addresses are judged like all others.
    pub http_hosts: Vec<String>,
    /// Addresses that are a developer's, although callbacks never go there otherwise.
    pub allow_cidrs: Vec<IpRange>,
    /// Ports of receivers, beside 443 and 8443.
    pub extra_ports: Vec<u16>,
}

impl CallbackUrlPolicy {
    /// Checks a URL as it was given. An empty text is no URL, another one stays as it is.
    ///
    /// # Errors
    /// [`InvalidCallbackUrl`] says what is wrong.
    pub fn parse(&self, text: &str) -> Result<Option<String>, InvalidCallbackUrl> {
        if text.is_empty() {
            return Ok(None);
        }
        self.accept(text).map(|_| Some(text.to_owned()))
    }

    /// Checks a URL that is about to be called.
    ///
    /// # Errors
    /// [`InvalidCallbackUrl`] says what is wrong.
    pub fn accept(&self, text: &str) -> Result<Url, InvalidCallbackUrl> {
        if text.len() > URL_BYTES_MAX {
            return Err(InvalidCallbackUrl::TooLong);
        }
        let url = Url::parse(text).map_err(|_| InvalidCallbackUrl::Malformed)?;
        if !url.has_host() {
            return Err(InvalidCallbackUrl::Malformed);
        }
        if !reads_as_it_is_called(text) {
            return Err(InvalidCallbackUrl::Malformed);
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(InvalidCallbackUrl::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(InvalidCallbackUrl::Fragment);
        }
        self.judge_host(&url).map(|()| url)
    }

    /// A developer's host may be called in any way; everybody else's by `https`, by a public name,
    /// on a port of receivers.
    fn judge_host(&self, url: &Url) -> Result<(), InvalidCallbackUrl> {
        let host = url.host().ok_or(InvalidCallbackUrl::Malformed)?;
        let developers = match host {
            Host::Domain(name) => self.http_hosts.iter().any(|host| host == name),
            Host::Ipv4(address) => self.allows(address.into()),
            Host::Ipv6(address) => self.allows(address.into()),
        };
        match url.scheme() {
            "http" | "https" if developers => return Ok(()),
            "https" => {}
            _ => return Err(InvalidCallbackUrl::Scheme),
        }
        match host {
            Host::Domain(name) if is_public_name(name) => {}
            Host::Domain(_) => return Err(InvalidCallbackUrl::Host),
            Host::Ipv4(_) | Host::Ipv6(_) => return Err(InvalidCallbackUrl::Address),
        }
        let port = url.port_or_known_default();
        if port.is_some_and(|port| PORTS.contains(&port) || self.extra_ports.contains(&port)) {
            Ok(())
        } else {
            Err(InvalidCallbackUrl::Port)
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allow_cidrs.iter().any(|range| range.contains(address))
    }
}

/// Whether a reader sees the host that the parser sees. The parser drops control characters, takes
/// `\` for `/`, and takes any number of slashes before the host; whoever reads the URL in a list or
/// parses it by other rules would see another one.
fn reads_as_it_is_called(text: &str) -> bool {
    let after_scheme = text
        .split_once(':')
        .and_then(|(_, rest)| rest.strip_prefix("//"));
    text.bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && after_scheme.is_some_and(|rest| !rest.starts_with('/'))
}

/// What stands between the scheme and the path. The parser forgets an empty user name, so the text
/// is asked too.
fn authority(text: &str) -> &str {
    text.split(['/', '?', '#']).nth(2).unwrap_or_default()
}

/// Whether a name can be a stranger's on the internet. A single label is looked up in the
/// searching machine's own domain, and so is, by a full stop at its end, one of the names below
/// when it is compared as a text.
fn is_public_name(name: &str) -> bool {
    let labels_fit = || {
        name.split('.')
            .all(|label| (1..=LABEL_BYTES_MAX).contains(&label.len()))
    };
    let inner = || {
        INNER_NAMES.iter().any(|inner| {
            name.strip_suffix(inner)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    };
    name.len() <= NAME_BYTES_MAX && name.contains('.') && labels_fit() && !inner()
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
    /// Something behind `#`, which is never sent.
    #[error("must not contain a fragment (#)")]
    Fragment,
    /// Not https.
    #[error("must begin with https://")]
    Scheme,
    /// A host that no stranger can have.
    #[error("must name a public host, such as example.com")]
    Host,
    /// An address in place of a name.
    #[error("must name its host, not its address")]
    Address,
    /// A port that receivers do not listen on.
    #[error("must use port 443 or 8443")]
    Port,
}

#[cfg(test)]
mod tests;
