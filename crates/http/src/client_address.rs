//! From where a request comes.

use std::net::{IpAddr, SocketAddr};

use actix_web::{HttpRequest, http::header::HeaderMap, web};
use bursar_ports::IpRange;

use crate::state::Shared;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: whoever connects, unless that is a trusted proxy; then the last address
/// in `X-Forwarded-For` that is none. None when it is not known: there is no connection, or a
/// trusted proxy wrote something that is no address.
///
/// Everything left of that address is the client's own word and not looked at. `Forwarded`
/// (RFC 7239) is not read: a proxy that sets one of the two headers lets the other one pass as the
/// client sent it.
pub(crate) fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let trusted = request
        .app_data::<web::Data<Shared>>()
        .map_or(&[][..], |shared| shared.trusted_proxies.as_slice());
    client_behind(request, trusted)
}

/// The same where nothing is attached to the request yet.
pub(crate) fn client_behind(request: &HttpRequest, trusted: &[IpRange]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    behind(peer, request.headers(), trusted)
}

fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpRange]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    if !is_trusted(peer) {
        return Some(peer);
    }
    let mut nearest = peer;
    // Several headers are one list (RFC 9110); its end is what the nearest proxy added.
    let lists: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
    for list in lists.into_iter().rev() {
        for hop in list.as_bytes().rsplit(|byte| *byte == b',') {
            nearest = std::str::from_utf8(hop).ok().and_then(address)?;
            if !is_trusted(nearest) {
                return Some(nearest);
            }
        }
    }
    // Nobody but proxies: then it is the farthest of them who asks.
    Some(nearest)
}

/// An address, which some proxies write with the port and IPv6 in brackets.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim_matches([' ', '\t']);
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    let parsed = bare.parse::<IpAddr>().ok();
    parsed
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn client(peer: &str, headers: &[&str]) -> Option<String> {
        let trusted = ["10.0.0.0/8", "192.0.2.1", "fd00::/8"].map(|range| range.parse().unwrap());
        let mut map = HeaderMap::new();
        for value in headers {
            let name = HeaderName::from_static(X_FORWARDED_FOR);
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let peer: IpAddr = peer.parse().unwrap();
        let found = behind(peer.to_canonical(), &map, &trusted);
        found.map(|address| address.to_string())
    }

    #[test]
    fn a_stranger_s_word_is_not_believed() {
        for headers in [&[][..], &["203.0.113.9"], &["10.0.0.1"], &["rubbish"]] {
            let found = client("198.51.100.7", headers);
            assert_eq!(found.as_deref(), Some("198.51.100.7"), "{headers:?}");
        }
    }

    #[test]
    fn a_proxy_tells_the_last_address_that_is_no_proxy() {
        for (headers, expected) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            // What the client itself wrote stands to the left.
            (&["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
            (&["rubbish,203.0.113.9"], "203.0.113.9"),
            (&["203.0.113.9, 10.9.9.9 ,192.0.2.1"], "203.0.113.9"),
            (&["1.1.1.1", "203.0.113.9", "10.0.0.3"], "203.0.113.9"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["::ffff:203.0.113.9, ::ffff:10.0.0.1"], "203.0.113.9"),
        ] {
            for peer in ["10.0.0.2", "::ffff:10.0.0.2", "fd00::1"] {
                assert_eq!(
                    client(peer, headers).as_deref(),
                    Some(expected),
                    "{headers:?}"
                );
            }
        }
    }

    #[test]
    fn without_a_client_it_is_the_farthest_proxy() {
        assert_eq!(client("10.0.0.2", &[]).as_deref(), Some("10.0.0.2"));
        let chain = client("10.0.0.2", &["10.0.0.4, 10.0.0.3"]);
        assert_eq!(chain.as_deref(), Some("10.0.0.4"));
    }

    #[test]
    fn what_a_proxy_wrote_that_is_no_address_is_nobody() {
        for header in [
            "unknown",
            "",
            "203.0.113.9,",
            "203.0.113.9, ,10.0.0.1",
            "_hidden",
            "203.0.113.999",
            "1",
            "203.0.113.9;",
            "é",
        ] {
            assert_eq!(client("10.0.0.2", &[header]), None, "{header}");
        }
    }
}
