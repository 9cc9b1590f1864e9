//! The judge of addresses against another one, which was written for it and shares nothing: it
//! compares decimal bounds read from CIDR texts, where the judge compares bits. The standard library
//! is asked too, about the kinds that it knows.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
};

use bursar_callback::is_public;

use crate::random::Random;

/// How many random IPv6 addresses are compared.
const IPV6_COUNT: u64 = 10_000_000;

const DENIED_V4: &str = "
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
    224.0.0.0/4 240.0.0.0/4 255.255.255.255/32 168.63.129.16/32";

const DENIED_V6: &str = "
    ::/128 ::1/128 fe80::/10 fec0::/10 fc00::/7 ff00::/8 2001:db8::/32 3fff::/20 2001:2::/48
    100::/64 5f00::/16 2002::/16 2001::/32 64:ff9b:1::/48";

const EMBEDDING: &str = "::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96";

/// First and last address, as numbers.
type Bounds<T> = (T, T);

fn bounds6(cidr: &str) -> Bounds<u128> {
    let (first, prefix) = cidr.split_once('/').unwrap();
    let first = u128::from(first.parse::<Ipv6Addr>().unwrap());
    let mut size: u128 = 1;
    for _ in prefix.parse::<u32>().unwrap()..128 {
        size = size.wrapping_mul(2);
    }
    (first, first.wrapping_add(size.wrapping_sub(1)))
}

fn bounds4(cidr: &str) -> Bounds<u64> {
    let (first, prefix) = cidr.split_once('/').unwrap();
    let first = first.split('.').fold(0, |number, part| {
        number * 256 + part.parse::<u64>().unwrap()
    });
    let mut size = 1;
    for _ in prefix.parse::<u32>().unwrap()..32 {
        size *= 2;
    }
    (first, first + size - 1)
}

fn is_in<T: PartialOrd + Copy>(bounds: &[Bounds<T>], number: T) -> bool {
    bounds
        .iter()
        .any(|(first, last)| *first <= number && number <= *last)
}

struct Oracle {
    denied4: Vec<Bounds<u64>>,
    denied6: Vec<Bounds<u128>>,
    embedding: Vec<Bounds<u128>>,
    global: Bounds<u128>,
}

impl Oracle {
    fn new() -> Self {
        Self {
            denied4: DENIED_V4.split_whitespace().map(bounds4).collect(),
            denied6: DENIED_V6.split_whitespace().map(bounds6).collect(),
            embedding: EMBEDDING.split_whitespace().map(bounds6).collect(),
            global: bounds6("2000::/3"),
        }
    }

    fn public4(&self, address: u64) -> bool {
        !is_in(&self.denied4, address)
    }

    fn public6(&self, address: u128) -> bool {
        for (first, last) in &self.embedding {
            if (*first..=*last).contains(&address) {
                return self.public4(u64::try_from(address - first).unwrap());
            }
        }
        is_in(&[self.global], address) && !is_in(&self.denied6, address)
    }
}

/// What the standard library knows to be no place for a stranger's receiver.
fn is_inner_by_std(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_unspecified()
                || v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_loopback()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6
                    .to_ipv4()
                    .is_some_and(|inner| is_inner_by_std(inner.into()))
        }
    }
}

fn threads() -> u64 {
    u64::try_from(thread::available_parallelism().unwrap().get()).unwrap()
}

#[test]
fn every_slash_24_of_ipv4_is_judged_alike_at_its_ends_and_in_its_middle() {
    let step = usize::try_from(threads()).unwrap();
    let judged: u64 = thread::scope(|scope| {
        let judges: Vec<_> = (0..threads())
            .map(|from| {
                scope.spawn(move || {
                    let oracle = Oracle::new();
                    let mut judged = 0;
                    for block in (from..1 << 24).step_by(step) {
                        for host in [0, 127, 255] {
                            let number = block * 256 + host;
                            let address = Ipv4Addr::from(u32::try_from(number).unwrap());
                            let public = is_public(address.into());
                            assert_eq!(public, oracle.public4(number), "{address}");
                            assert!(!(public && is_inner_by_std(address.into())), "{address}");
                            judged += 1;
                        }
                    }
                    judged
                })
            })
            .collect();
        judges.into_iter().map(|judge| judge.join().unwrap()).sum()
    });
    assert_eq!(judged, 3 << 24);
}

/// Those that share their /24 with public ones, with their neighbours.
#[test]
fn single_addresses_of_ipv4_are_judged_alike() {
    let oracle = Oracle::new();
    for cidr in DENIED_V4.split_whitespace() {
        let (first, last) = bounds4(cidr);
        for number in [first.saturating_sub(1), first, last, last + 1] {
            let Ok(bits) = u32::try_from(number) else {
                continue;
            };
            let address = Ipv4Addr::from(bits);
            assert_eq!(
                is_public(address.into()),
                oracle.public4(number),
                "{address}"
            );
        }
    }
    let azure = Ipv4Addr::new(168, 63, 129, 16);
    assert!(!is_public(azure.into()) && !oracle.public4(u64::from(azure.to_bits())));
    for neighbour in [15, 17] {
        assert!(is_public(Ipv4Addr::new(168, 63, 129, neighbour).into()));
    }
}

/// An address that is worth asking about: at or beside an end of a network, inside it with random
/// bits, behind a random prefix of it, or anything at all.
fn interesting(random: &mut Random, networks: &[Bounds<u128>], oracle: &Oracle) -> u128 {
    let (first, last) = networks[random.below(networks.len())];
    let anything = random.bits128();
    match random.below(8) {
        0 => first,
        1 => last,
        2 => first.wrapping_sub(1),
        3 => last.wrapping_add(1),
        4 => first | (anything & (last - first)),
        // As many leading bits of the network as come, and then others.
        5 => {
            let tail = u128::MAX.checked_shr(u32::try_from(random.below(129)).unwrap());
            let tail = tail.unwrap_or(0);
            (first & !tail) | (anything & tail)
        }
        // At an end of a denied network of IPv4, embedded.
        6 => {
            let (outer, _) = oracle.embedding[random.below(oracle.embedding.len())];
            let (low, high) = oracle.denied4[random.below(oracle.denied4.len())];
            let number = [low, high, low.wrapping_sub(1), high + 1][random.below(4)];
            outer.wrapping_add(u128::from(number))
        }
        _ => anything,
    }
}

#[test]
fn ten_million_addresses_of_ipv6_are_judged_alike() {
    let [public, denied] = thread::scope(|scope| {
        let judges: Vec<_> = (0..threads())
            .map(|number| {
                scope.spawn(move || {
                    let oracle = Oracle::new();
                    let mut networks = oracle.denied6.clone();
                    networks.extend_from_slice(&oracle.embedding);
                    networks.push(oracle.global);
                    let mut random = Random::new(number);
                    let mut counts = [0_u64; 2];
                    for _ in 0..IPV6_COUNT.div_ceil(threads()) {
                        let bits = interesting(&mut random, &networks, &oracle);
                        let address = IpAddr::from(Ipv6Addr::from(bits));
                        let public = is_public(address);
                        assert_eq!(public, oracle.public6(bits), "{address}");
                        assert!(!(public && is_inner_by_std(address)), "{address}");
                        counts[usize::from(!public)] += 1;
                    }
                    counts
                })
            })
            .collect();
        judges.into_iter().fold([0, 0], |[public, denied], judge| {
            let [also_public, also_denied] = judge.join().unwrap();
            [public + also_public, denied + also_denied]
        })
    });
    assert!(public + denied >= IPV6_COUNT);
    // Neither answer is a rare one, or the comparison would say little about it.
    assert!(public > IPV6_COUNT / 20, "{public}");
    assert!(denied > IPV6_COUNT / 4, "{denied}");
}
