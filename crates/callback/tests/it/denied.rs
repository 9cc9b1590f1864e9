//! A hundred thousand attempts to lead a callback inwards, and nobody who hears of one.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bursar_callback::{Connections, HttpNotifier, NotifierConfig};
use bursar_ports::{Notifier, Undelivered};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    random::Random,
    scene::{BRIEF, NAME, Names, Says, config_with_port, no_trust, notification},
};

const ATTEMPTS: u64 = 100_000;

/// Counts whoever connects to a port, at any address of this machine, loopback's included.
pub(crate) struct Ears {
    pub(crate) port: u16,
    heard: Arc<AtomicUsize>,
    listening: Vec<JoinHandle<()>>,
}

impl Ears {
    pub(crate) async fn open() -> Self {
        // Linux takes IPv4 with it; elsewhere, or without IPv6, it is asked for by itself.
        let everywhere = match TcpListener::bind("[::]:0").await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("0.0.0.0:0").await.unwrap(),
        };
        let port = everywhere.local_addr().unwrap().port();
        let mut ears = Self {
            port,
            heard: Arc::default(),
            listening: Vec::new(),
        };
        ears.listen(everywhere);
        if let Ok(v4) = TcpListener::bind(("0.0.0.0", port)).await {
            ears.listen(v4);
        }
        ears
    }

    fn listen(&mut self, listener: TcpListener) {
        let heard = Arc::clone(&self.heard);
        self.listening.push(tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                heard.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }

    /// How many have connected, those on their way included.
    pub(crate) async fn heard(&self) -> usize {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.heard.load(Ordering::SeqCst)
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        for listening in &self.listening {
            listening.abort();
        }
    }
}

/// An address of each kind that is denied, with random bits where the kind has room.
fn denied(random: &mut Random) -> IpAddr {
    let r = u32::try_from(random.bits() >> 32).unwrap();
    let inside = |network: [u8; 4], prefix: u32| {
        let tail = u32::MAX.checked_shr(prefix).unwrap_or(0);
        Ipv4Addr::from(u32::from_be_bytes(network) | (r & tail))
    };
    let v4 = match random.below(16) {
        // Where the ears are, more often than not.
        0 => Ipv4Addr::LOCALHOST,
        1 => inside([127, 0, 0, 0], 8),
        2 => Ipv4Addr::UNSPECIFIED,
        3 => inside([10, 0, 0, 0], 8),
        4 => inside([100, 64, 0, 0], 10),
        5 => inside([169, 254, 0, 0], 16),
        6 => Ipv4Addr::new(169, 254, 169, 254),
        7 => inside([172, 16, 0, 0], 12),
        8 => inside([192, 0, 0, 0], 24),
        9 => inside([192, 168, 0, 0], 16),
        10 => inside([198, 18, 0, 0], 15),
        11 => Ipv4Addr::new(168, 63, 129, 16),
        12 => inside([224, 0, 0, 0], 4),
        13 => inside([240, 0, 0, 0], 4),
        14 => inside([0, 0, 0, 0], 8),
        _ => inside([203, 0, 113, 0], 24),
    };
    let behind = |a: [u16; 6]| {
        let low = v4.to_bits();
        let high = u16::try_from(low >> 16).unwrap();
        let low = u16::try_from(low & 0xffff).unwrap();
        Ipv6Addr::new(a[0], a[1], a[2], a[3], a[4], a[5], high, low).into()
    };
    let tail = u16::try_from(r >> 16).unwrap();
    match random.below(12) {
        0 => Ipv6Addr::LOCALHOST.into(),
        1 => behind([0, 0, 0, 0, 0, 0xffff]),
        2 => behind([0, 0, 0, 0, 0, 0]),
        3 => behind([0, 0, 0, 0, 0xffff, 0]),
        4 => behind([0x64, 0xff9b, 0, 0, 0, 0]),
        5 => Ipv6Addr::new(0xfd00 | (tail & 0xff), tail, 0, 0, 0, 0, 0, 1).into(),
        6 => Ipv6Addr::new(0xfe80 | (tail & 0x3f), 0, 0, 0, tail, 0, 0, 1).into(),
        7 => Ipv6Addr::new(0x2002, 0x7f00, 1, tail, 0, 0, 0, 1).into(),
        _ => v4.into(),
    }
}

/// Answers of a name server: a denied address somewhere among public ones, or too many of any.
fn inwards(random: &mut Random) -> Vec<IpAddr> {
    let public = [
        IpAddr::from([8, 8, 8, 8]),
        IpAddr::from([1, 1, 1, 1]),
        "2606:4700::1111".parse().unwrap(),
    ];
    if random.below(50) == 0 {
        return vec![public[random.below(3)]; 17 + random.below(50)];
    }
    let mut answers: Vec<IpAddr> = (0..random.below(16))
        .map(|_| public[random.below(3)])
        .collect();
    let place = random.below(answers.len() + 1);
    answers.insert(place, denied(random));
    answers
}

/// One of the ways to write an address into a URL.
fn spelled(random: &mut Random, address: IpAddr) -> String {
    let v4 = match address {
        IpAddr::V6(v6) => return format!("[{v6}]"),
        IpAddr::V4(v4) => v4,
    };
    let ([a, b, c, d], bits) = (v4.octets(), v4.to_bits());
    let last3 = bits & 0x00ff_ffff;
    match random.below(9) {
        0 => bits.to_string(),
        1 => format!("{bits:#x}"),
        2 => format!("0{bits:o}"),
        3 => format!("{a}.{last3}"),
        4 => format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        5 => format!("0{a:o}.0{b:o}.{}", u32::from(c) * 256 + u32::from(d)),
        6 => format!("{v4}."),
        7 => v4.to_string().replace('1', "%31"),
        _ => v4.to_string(),
    }
}

#[tokio::test]
async fn a_hundred_thousand_attempts_at_denied_addresses_make_no_connection() {
    let ears = Ears::open().await;
    let production = NotifierConfig {
        urls: bursar_ports::CallbackUrlPolicy {
            extra_ports: vec![ears.port],
            ..Default::default()
        },
        ..NotifierConfig::default()
    };
    let names = Arc::new(Names::default());
    let notifier = HttpNotifier::with(production, names.clone(), no_trust());
    let mut random = Random::new(1);
    let (mut by_name, mut by_literal) = (0, 0);
    for _ in 0..ATTEMPTS {
        let port = [ears.port, 8_443, 443][random.below(3)];
        if random.below(4) == 0 {
            let address = denied(&mut random);
            let host = spelled(&mut random, address);
            let scheme = *random.one(&[&"https", &"http"]);
            let url = format!("{scheme}://{host}:{port}/");
            let outcome = notifier.notify(notification(url.clone())).await;
            assert_eq!(outcome, Err(Undelivered::Forbidden), "{url}");
            by_literal += 1;
        } else {
            let answers = inwards(&mut random);
            names.set(NAME, &[Says::Addresses(answers.clone())]);
            let url = format!("https://{NAME}:{port}/");
            let outcome = notifier.notify(notification(url)).await;
            assert_eq!(outcome, Err(Undelivered::Denied), "{answers:?}");
            by_name += 1;
        }
    }
    assert_eq!(by_name + by_literal, ATTEMPTS);
    assert!(by_literal > ATTEMPTS / 5);
    let counted = Connections {
        begun: 0,
        denied: by_name,
    };
    assert_eq!(notifier.connections(), counted);
    assert_eq!(ears.heard().await, 0);
}

/// Were there a connection, the ears would hear it and the counter would move.
#[tokio::test]
async fn a_connection_is_heard_and_counted() {
    let ears = Ears::open().await;
    for address in ["127.0.0.1", "127.1.2.3", "::1"] {
        let address: IpAddr = address.parse().unwrap();
        let names = Names::of(NAME, &[Says::Addresses(vec![address])]);
        // The ears never answer.
        let config = NotifierConfig {
            attempt_timeout: BRIEF,
            ..config_with_port(ears.port)
        };
        let notifier = HttpNotifier::with(config, names, no_trust());
        let before = ears.heard().await;
        let url = format!("https://{NAME}:{}/", ears.port);
        // Whether it could connect at all depends on the machine's addresses.
        let reachable = tokio::net::TcpStream::connect(SocketAddr::new(address, ears.port)).await;
        let expected = usize::from(reachable.is_ok()) * 2;
        drop(reachable);
        assert!(notifier.notify(notification(url)).await.is_err());
        assert_eq!(notifier.connections().begun, 1);
        let all = async { while ears.heard().await < before + expected {} };
        let all = tokio::time::timeout(Duration::from_secs(60), all).await;
        assert!(all.is_ok(), "{address} is not heard");
        assert_eq!(ears.heard().await - before, expected, "{address}");
        assert!(address != Ipv4Addr::LOCALHOST || expected == 2, "{address}");
    }
}
