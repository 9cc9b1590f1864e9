//! What each kind of value looks like. No message repeats the value, which may be secret.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use bursar_domain::AssetId;
use bursar_ports::IpRange;
use bursar_postgres::{EngineKind, UnknownEngine, each_host};
use data_encoding::HEXLOWER_PERMISSIVE;
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use super::{Key, LogFormat, Profile, reader::Parsed};

pub(super) fn profile(text: &str) -> Parsed<Profile> {
    match text {
        "production" => Ok(Profile::Production),
        "development" => Ok(Profile::Development),
        _ => Err("is neither production nor development".to_owned()),
    }
}

pub(super) fn engine(text: &str) -> Parsed<EngineKind> {
    text.parse()
        .map_err(|unknown: UnknownEngine| unknown.to_string())
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err("is neither human nor json".to_owned()),
    }
}

pub(super) fn log_level(text: &str) -> Parsed<EnvFilter> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|_| "is neither a log level nor a list of target=level".to_owned())
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    text.parse()
        .map_err(|_| "is neither true nor false".to_owned())
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse()
        .map_err(|_| "is not an IP address with a port, such as 127.0.0.1:8080".to_owned())
}

pub(super) fn asset(text: &str) -> Parsed<AssetId> {
    AssetId::parse(text).map_err(|error| format!("cannot be used: {error}"))
}

pub(super) fn role(text: &str) -> Parsed<String> {
    if text.trim() == text && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("must be the name of a role".to_owned())
    }
}

pub(super) fn count(min: usize, max: usize) -> impl Fn(&str) -> Parsed<usize> {
    move |text| whole(text, &(min..=max))
}

pub(super) fn number(min: u32, max: u32) -> impl Fn(&str) -> Parsed<u32> {
    move |text| whole(text, &(min..=max))
}

pub(super) fn millis(min: u64, max: u64) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| whole(text, &(min..=max)).map(Duration::from_millis)
}

pub(super) fn seconds(min: u64, max: u64) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| whole(text, &(min..=max)).map(Duration::from_secs)
}

fn whole<T>(text: &str, range: &RangeInclusive<T>) -> Parsed<T>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (min, max) = (range.start(), range.end());
            format!("is not a whole number from {min} to {max}")
        })
}

/// A single address is a range too.
pub(super) fn ip_range(text: &str) -> Parsed<IpRange> {
    let wrong =
        "is neither an IP address, such as 192.0.2.7, nor a CIDR range, such as 192.0.2.0/28";
    text.parse().map_err(|_| wrong.to_owned())
}

/// Only the form: whether a database answers there shows at start.
pub(super) fn database_url(text: &str) -> Parsed<SecretString> {
    let wrong = || "is not of the form postgres://user:password@host:port/name".to_owned();
    for host in each_host(text) {
        let url = Url::parse(&host).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "postgres" | "postgresql") || url.path().len() <= 1 {
            return Err(wrong());
        }
    }
    Ok(SecretString::from(text))
}

/// A URL whose answers nobody on the way can change: over TLS, or from this very machine while somebody
/// develops on it.
pub(super) fn private_url(text: &str, profile: Option<Profile>) -> Parsed<Url> {
    let url = Url::parse(text).map_err(|_| "is not an absolute URL".to_owned())?;
    let at_home = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let developing = profile == Some(Profile::Development);
    let safe = url.scheme() == "https" || (url.scheme() == "http" && at_home && developing);
    if !safe {
        return Err("is not an https URL (http to this machine in development)".to_owned());
    }
    let credentials = !url.username().is_empty() || url.password().is_some();
    if credentials || url.fragment().is_some() {
        return Err("has a user, a password or a fragment".to_owned());
    }
    Ok(url)
}

/// Only the form: Redis may come and go while Bursar runs.
pub(super) fn redis_url(text: &str) -> Parsed<SecretString> {
    let wrong = || "is not of the form redis://user:password@host:port/number".to_owned();
    let url = Url::parse(text).map_err(|_| wrong())?;
    if matches!(url.scheme(), "redis" | "rediss") && url.has_host() {
        Ok(SecretString::from(text))
    } else {
        Err(wrong())
    }
}

pub(super) fn key(text: &str) -> Parsed<Key> {
    HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .map(Key)
        .ok_or_else(|| "is not a key of 64 hex digits".to_owned())
}

pub(super) fn named_key(text: &str) -> Parsed<(String, Key)> {
    let (name, digits) = text
        .split_once(':')
        .ok_or("is not of the form name:key, the key as 64 hex digits")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err("has a key whose name is not 1 to 64 letters, digits, '-', '_' or '.'".into());
    }
    Ok((name.to_owned(), key(digits)?))
}

pub(super) fn port(text: &str) -> Parsed<u16> {
    whole(text, &(1..=u16::MAX))
}

/// A name as URLs spell it, so that it can be compared with theirs.
pub(super) fn host_name(text: &str) -> Parsed<String> {
    let address = text.parse::<std::net::IpAddr>().is_ok();
    match Host::parse(text) {
        Ok(Host::Domain(name)) => Ok(name),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => Err(IS_AN_ADDRESS.to_owned()),
        Err(_) if address => Err(IS_AN_ADDRESS.to_owned()),
        Err(_) => Err("is not a host name (without scheme or port)".to_owned()),
    }
}

const IS_AN_ADDRESS: &str = "is an address, not a name: give it as callback.allow_cidrs";
