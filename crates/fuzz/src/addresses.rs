//! Where callbacks may lead, against the denied ranges as they are listed a second time here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bursar_app::CallbackUrlPolicy;
use bursar_callback::is_public;
use bursar_ports::IpRange;

use crate::values::text;

/// Nobody's on the internet, or too close to home.
const DENIED_V4: [&str; 17] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
];

/// The same, though within what is given out.
const DENIED_V6: [&str; 18] = [
    "::/128",
    "::1/128",
    "fe80::/10",
    "fec0::/10",
    "fc00::/7",
    "ff00::/8",
    "2001:db8::/32",
    "3fff::/20",
    "2001:2::/48",
    "100::/64",
    "5f00::/16",
    "2002::/16",
    "2001::/32",
    "64:ff9b:1::/48",
    "4000::/2",
    "8000::/1",
    "::/3",
    "fd00:ec2::254/128",
];

/// Whose last 32 bits are the address that is meant.
const EMBEDDING: [&str; 4] = ["::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96"];

/// Bit by bit, and so by another way than the classifier's.
fn is_in<const N: usize>(address: [u8; N], network: [u8; N], bits: usize) -> bool {
    let bit = |bytes: &[u8; N], at: usize| {
        let byte = bytes.get(at / 8).copied().unwrap_or_default();
        (byte >> (7 - at % 8)) & 1
    };
    (0..bits).all(|at| bit(&address, at) == bit(&network, at))
}

fn v4_in(address: Ipv4Addr, range: &str) -> bool {
    let (network, bits) = range.split_once('/').expect("it is a range");
    let network: Ipv4Addr = network.parse().expect("it is an address");
    is_in(
        address.octets(),
        network.octets(),
        bits.parse().expect("a number"),
    )
}

fn v6_in(address: Ipv6Addr, range: &str) -> bool {
    let (network, bits) = range.split_once('/').expect("it is a range");
    let network: Ipv6Addr = network.parse().expect("it is an address");
    is_in(
        address.octets(),
        network.octets(),
        bits.parse().expect("a number"),
    )
}

fn may_be_called(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !DENIED_V4.iter().any(|range| v4_in(address, range)),
        IpAddr::V6(address) if EMBEDDING.iter().any(|range| v6_in(address, range)) => {
            let [.., a, b, c, d] = address.octets();
            may_be_called(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(address) => !DENIED_V6.iter().any(|range| v6_in(address, range)),
    }
}

/// An address: four bytes, or sixteen.
pub(crate) fn address(data: &[u8]) {
    let v4 = data.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes));
    let v6 = data.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes));
    for address in v4.into_iter().chain(v6) {
        assert_eq!(is_public(address), may_be_called(address), "{address}");
    }
}

/// A range of addresses.
pub(crate) fn ip_range(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    if let Ok(range) = text.parse::<IpRange>() {
        let again = range.to_string().parse::<IpRange>();
        assert_eq!(again.ok(), Some(range), "{text:?}");
    }
}

/// Names that lead into somebody's own network.
const INNER: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "onion"];

/// A callback URL: what is accepted has every property that it must have, read from its text.
pub(crate) fn callback_url(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    let policy = CallbackUrlPolicy::default();
    let Ok(url) = policy.accept(text) else {
        return;
    };
    assert!(text.len() <= 2_048, "{text:?}");
    let visible = text.chars().all(|c| ('!'..='~').contains(&c));
    assert!(visible && !text.contains('\\'), "{text:?}");
    assert_eq!(url.scheme(), "https", "{text:?}");
    assert!(!text.contains('#') && url.fragment().is_none(), "{text:?}");
    let (_, rest) = text.split_once("://").expect("it begins with https://");
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    assert!(!authority.contains('@'), "{text:?}");
    let (name, port) = authority.split_once(':').unwrap_or((authority, "443"));
    assert!(
        ["", "443", "8443"].contains(&port.trim_start_matches('0')),
        "{text:?}"
    );
    let host = url.host_str().unwrap_or_default();
    // Where no byte is escaped, the host that is called is the one that is read.
    assert!(
        name.contains('%') || name.eq_ignore_ascii_case(host),
        "{text:?} is {host}"
    );
    assert!(
        host.parse::<IpAddr>().is_err() && !host.contains('['),
        "{text:?}"
    );
    let labels: Vec<&str> = host.split('.').collect();
    assert!(labels.len() > 1 && host.len() <= 253, "{text:?}");
    assert!(
        labels.iter().all(|label| (1..=63).contains(&label.len())),
        "{text:?}"
    );
    for inner in INNER {
        let below = format!(".{inner}");
        assert!(host != inner && !host.ends_with(&below), "{text:?}");
    }
    assert!(policy.accept(url.as_str()).is_ok(), "{text:?} is {url}");
}
