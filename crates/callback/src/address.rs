//! Which addresses callbacks may go to.
//!
//! A URL is somebody else's text and the name in it somebody else's record, so a callback could be
//! led to whatever this machine can reach: its own services, its neighbours, a cloud's metadata.
//! Therefore callbacks go to addresses of the public internet only. What is denied follows the
//! special-purpose registries of IANA
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>) and what clouds put elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bursar_ports::IpRange;

/// An IPv4 network: its first address and the number of bits that its addresses share.
type Network4 = (Ipv4Addr, u32);

/// An IPv6 network.
type Network6 = (Ipv6Addr, u32);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u32) -> Network4 {
    (Ipv4Addr::new(a, b, c, d), prefix)
}

/// A network by its first three groups: no longer prefix than 48 bits.
const fn v6(a: u16, b: u16, c: u16, prefix: u32) -> Network6 {
    (Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// IPv4 networks that are nobody's on the internet, or too close to home.
const DENIED_V4: [Network4; 17] = [
    // "This network", RFC 791; on Linux 0.0.0.0 is this machine.
    v4(0, 0, 0, 0, 8),
    // Private use, RFC 1918, with 172.16/12 and 192.168/16 below.
    v4(10, 0, 0, 0, 8),
    // Shared with a provider (CGNAT), RFC 6598; Alibaba's metadata is 100.100.100.200.
    v4(100, 64, 0, 0, 10),
    // Loopback, RFC 1122.
    v4(127, 0, 0, 0, 8),
    // Azure's wire server: a public address that is the host machine's in every network of Azure.
    v4(168, 63, 129, 16, 32),
    // Link-local, RFC 3927; the metadata of most clouds is 169.254.169.254.
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    // IETF protocol assignments, RFC 6890; Oracle's metadata is 192.0.0.192.
    v4(192, 0, 0, 0, 24),
    // Documentation, RFC 5737, with 198.51.100/24 and 203.0.113/24 below.
    v4(192, 0, 2, 0, 24),
    // Relays from 6to4, RFC 7526: deprecated.
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    // Benchmarks between networks, RFC 2544.
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // Multicast, RFC 5771.
    v4(224, 0, 0, 0, 4),
    // Reserved, RFC 1112.
    v4(240, 0, 0, 0, 4),
    // Broadcast, RFC 919: within the one above, and here because it is another thing.
    v4(255, 255, 255, 255, 32),
];

/// The IPv6 addresses that are given out on the internet at all, RFC 4291: whatever lies outside
/// is denied. That takes in `::` and `::1`, unique local addresses (fc00::/7, with AWS's metadata
/// fd00:ec2::254), link-local (fe80::/10) and site-local ones (fec0::/10), multicast (ff00::/8),
/// discard-only (100::/64), segment routing (5f00::/16) and local translation (64:ff9b:1::/48).
const GLOBAL_V6: Network6 = v6(0x2000, 0, 0, 3);

/// Networks within [`GLOBAL_V6`] that are nobody's, or that carry an IPv4 address on a way that
/// cannot be seen to its end.
const DENIED_V6: [Network6; 5] = [
    // Teredo, RFC 4380: IPv4 and port of a client, scrambled.
    v6(0x2001, 0, 0, 32),
    // Benchmarks, RFC 5180.
    v6(0x2001, 2, 0, 48),
    // Documentation, RFC 3849 and RFC 9637.
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x3fff, 0, 0, 20),
    // 6to4, RFC 3056: leads to the IPv4 address behind its first 16 bits.
    v6(0x2002, 0, 0, 16),
];

/// Networks whose last 32 bits are an IPv4 address, which is judged in their stead.
const EMBEDDING_V6: [Network6; 4] = [
    // IPv4-compatible, RFC 4291: deprecated. `::` and `::1` are 0.0.0.0 and 0.0.0.1 here.
    v6(0, 0, 0, 96),
    // IPv4-mapped, RFC 4291.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    // IPv4-translated (SIIT), RFC 2765.
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96),
    // NAT64's well-known prefix, RFC 6052: how a network without IPv4 reaches those without IPv6.
    v6(0x64, 0xff9b, 0, 96),
];

fn within4(address: Ipv4Addr, (network, prefix): Network4) -> bool {
    // In 64 bits, so that even a shift by 32 is none too many.
    let differ = u64::from(address.to_bits() ^ network.to_bits());
    differ >> 32_u32.saturating_sub(prefix) == 0
}

fn within6(address: Ipv6Addr, (network, prefix): Network6) -> bool {
    let differ = address.to_bits() ^ network.to_bits();
    differ
        .checked_shr(128_u32.saturating_sub(prefix))
        .unwrap_or(0)
        == 0
}

/// The IPv4 address at the end of an IPv6 address.
fn last_32_bits(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

/// The address that a packet to `address` is meant to arrive at: the IPv4 address inside, if there
/// is one.
fn destination(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if EMBEDDING_V6.iter().any(|network| within6(v6, *network)) => {
            last_32_bits(v6).into()
        }
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

/// Whether an address is one of the public internet, where anybody's receiver may be.
pub fn is_public(address: IpAddr) -> bool {
    match destination(address) {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            within6(address, GLOBAL_V6) && !DENIED_V6.iter().any(|n| within6(address, *n))
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !DENIED_V4.iter().any(|network| within4(address, *network))
}

/// Where callbacks may be sent to, from here.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    /// What may be called although it is not public: a developer's addresses. Empty in production.
    pub allow_cidrs: Vec<IpRange>,
    /// Public addresses of this exchange, where nobody's receiver is.
    pub own_addresses: Vec<IpRange>,
    /// Where Bursar itself listens.
    pub own_listeners: Vec<SocketAddr>,
}

impl AddressPolicy {
    /// Whether a callback may be sent to this address and port.
    pub fn permits(&self, target: SocketAddr) -> bool {
        let address = target.ip();
        let own = covers(&self.own_addresses, address)
            || covers(&self.own_addresses, destination(address))
            || self.is_own_listener(target);
        !own && (is_public(address) || covers(&self.allow_cidrs, address))
    }

    /// Whether a connection that was made may carry a callback: it leads where it should, and not
    /// back to this machine. To reach an address of its own a machine uses that same address, so
    /// one that no list names is noticed too, before a byte is sent.
    pub(crate) fn permits_connection(
        &self,
        checked: SocketAddr,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> bool {
        let leads_away = peer.ip() != local.ip() || covers(&self.allow_cidrs, peer.ip());
        peer == checked && peer != local && leads_away && self.permits(peer)
    }

    /// A listener takes what is sent to its port at its address or, like one that listens on all
    /// addresses, at the loopback's.
    fn is_own_listener(&self, target: SocketAddr) -> bool {
        let address = target.ip().to_canonical();
        self.own_listeners.iter().any(|own| {
            own.port() == target.port() && (own.ip() == address || address.is_loopback())
        })
    }
}

fn covers(ranges: &[IpRange], address: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(address))
}

#[cfg(test)]
mod tests;
