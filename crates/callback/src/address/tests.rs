use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ranges(texts: &[&str]) -> Vec<IpRange> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn every_network_is_written_by_its_first_address() {
    for (network, prefix) in DENIED_V4 {
        let tail = u64::from(u32::MAX) >> prefix;
        assert_eq!(u64::from(network.to_bits()) & tail, 0, "{network}/{prefix}");
    }
    for (network, prefix) in DENIED_V6.into_iter().chain(EMBEDDING_V6).chain([GLOBAL_V6]) {
        assert_eq!(
            network.to_bits() & (u128::MAX >> prefix),
            0,
            "{network}/{prefix}"
        );
    }
}

#[test]
fn metadata_of_clouds_is_out_of_reach() {
    for address in [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
    ] {
        assert!(!is_public(ip(address)), "{address}");
    }
}

#[test]
fn an_ipv4_address_inside_ipv6_is_judged_in_its_stead() {
    for address in [
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "::ffff:0:8.8.8.8",
        "64:ff9b::808:808",
    ] {
        assert!(is_public(ip(address)), "{address}");
    }
    for address in [
        "::",
        "::1",
        "64:ff9b::",
        "::ffff:10.1.2.3",
        "64:ff9b:1::808:808",
    ] {
        assert!(!is_public(ip(address)), "{address}");
    }
}

#[test]
fn what_a_developer_allows_may_be_called_and_nothing_beside_it() {
    let policy = AddressPolicy {
        allow_cidrs: ranges(&["127.0.0.0/8", "::1"]),
        ..AddressPolicy::default()
    };
    for target in [
        "127.0.0.1:1",
        "[::1]:9",
        "[::ffff:127.9.9.9]:80",
        "8.8.8.8:443",
    ] {
        assert!(policy.permits(at(target)), "{target}");
        let strict = AddressPolicy::default().permits(at(target));
        assert_eq!(strict, target.starts_with('8'), "{target}");
    }
    for target in [
        "10.0.0.1:443",
        "0.0.0.0:443",
        "[::]:443",
        "[64:ff9b::7f00:1]:443",
    ] {
        assert!(!policy.permits(at(target)), "{target}");
    }
}

#[test]
fn our_own_addresses_are_nobodys_receiver_even_if_allowed() {
    let policy = AddressPolicy {
        allow_cidrs: ranges(&["127.0.0.0/8", "::1", "192.168.0.0/16"]),
        own_addresses: ranges(&["8.8.4.0/24", "2606:4700::/32", "127.0.0.9"]),
        own_listeners: vec![at("0.0.0.0:8080"), at("192.168.1.1:9000")],
    };
    for target in [
        "8.8.4.4:443",
        "[::ffff:8.8.4.4]:443",
        "[64:ff9b::808:404]:443",
        "[2606:4700::1111]:8443",
        "127.0.0.9:1",
        "127.0.0.1:8080",
        "127.3.3.3:8080",
        "[::1]:8080",
        "[::ffff:127.0.0.1]:8080",
        "192.168.1.1:9000",
    ] {
        assert!(!policy.permits(at(target)), "{target}");
    }
    for target in [
        "8.8.8.8:8080",
        "127.0.0.1:8081",
        "192.168.1.2:9000",
        "192.168.1.1:9001",
    ] {
        assert!(policy.permits(at(target)), "{target}");
    }
}

#[test]
fn a_connection_must_lead_to_the_address_that_was_judged_and_not_back_home() {
    let policy = AddressPolicy {
        allow_cidrs: ranges(&["127.0.0.0/8"]),
        ..AddressPolicy::default()
    };
    let permits =
        |checked, peer, local| policy.permits_connection(at(checked), at(peer), at(local));
    let here = "8.8.8.8:40000";
    assert!(permits("1.1.1.1:443", "1.1.1.1:443", here));
    assert!(permits(
        "127.0.0.1:9000",
        "127.0.0.1:9000",
        "127.0.0.1:40000"
    ));
    for (checked, peer, local) in [
        ("1.1.1.1:443", "1.1.1.2:443", here),
        ("1.1.1.1:443", "1.1.1.1:444", here),
        ("1.1.1.1:443", "127.0.0.1:443", here),
        ("10.0.0.1:443", "10.0.0.1:443", here),
        // This machine's own public address, which no list names.
        ("8.8.8.8:443", "8.8.8.8:443", here),
        // A connect to a free port can meet itself.
        ("127.0.0.1:40000", "127.0.0.1:40000", "127.0.0.1:40000"),
    ] {
        assert!(!permits(checked, peer, local), "{checked} {peer} {local}");
    }
}
