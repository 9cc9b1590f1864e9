use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use hickory_resolver::{
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use tokio::net::UdpSocket;

use super::*;

/// How long the look-up of a name may take.
const LOOKUP_MAX: Duration = Duration::from_secs(3);
/// How often something may come late, because the machine stood still.
const TRIES: usize = 5;

/// The name server of this process's tests.
static SERVER: OnceLock<SocketAddr> = OnceLock::new();

/// A name server on this machine: whatever begins with `hang` gets no answer, `gone` is no name,
/// `v6hang` has an IPv4 address and no answer about the other family, and everything else is
/// 192.0.2.7.
async fn serve() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    SERVER.set(socket.local_addr().unwrap()).unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            if let Some(answer) = answer(&question[..length]) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
}

fn answer(message: &[u8]) -> Option<Vec<u8>> {
    // Behind 12 bytes of header: labels, each with its length before it, and an empty one; then
    // type and class.
    let end = 12 + message[12..].iter().position(|byte| *byte == 0)? + 1;
    let label = &message[13..13 + usize::from(message[12])];
    let label = String::from_utf8(label.to_ascii_lowercase()).unwrap();
    let is_a = message[end..end + 2] == [0, 1];
    if label.starts_with("hang") || (label == "v6hang" && !is_a) {
        return None;
    }
    let (gone, answers) = (label == "gone", u8::from(is_a && label != "gone"));
    let mut answer = message[..2].to_vec();
    answer.extend_from_slice(&[0x81, if gone { 0x83 } else { 0x80 }]);
    answer.extend_from_slice(&[0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend_from_slice(&message[12..end + 4]);
    if answers == 1 {
        // The question's name, A, IN, a time to live of 1 s, and four bytes of address.
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 7]);
    }
    Some(answer)
}

/// Asks until there is an answer: on a machine that stands still for seconds questions are asked in
/// vain.
async fn found(resolver: &SystemResolver, name: &str) -> Vec<IpAddr> {
    let answered = async {
        loop {
            if let Ok(found) = resolver.resolve(name).await {
                return found;
            }
        }
    };
    let answered = tokio::time::timeout(Duration::from_secs(60), answered).await;
    answered.unwrap_or_else(|_| panic!("{name} is never answered"))
}

fn ours() -> Result<TokioResolver, NetError> {
    let server = SERVER.get().unwrap();
    let mut udp = ConnectionConfig::udp();
    udp.port = server.port();
    let servers = vec![NameServerConfig::new(server.ip(), true, vec![udp])];
    let config = ResolverConfig::from_parts(None, vec![], servers);
    let provider = TokioRuntimeProvider::default();
    let mut builder = TokioResolver::builder_with_config(config, provider);
    bound(builder.options_mut());
    builder.build()
}

/// In one test, because the server is the process's.
#[tokio::test]
async fn name_servers_that_never_answer_delay_nobody_else() {
    serve().await;
    let resolver = Arc::new(SystemResolver::reading(ours));
    let address = IpAddr::from(Ipv4Addr::new(192, 0, 2, 7));
    assert_eq!(found(&resolver, "a.example").await, [address]);
    assert!(resolver.resolve("gone.example").await.is_err());
    // One family without an answer leaves the other one. In time, unless the machine stood still.
    let mut took: Vec<Duration> = vec![];
    while took.last().is_none_or(|last| *last >= LOOKUP_MAX) {
        assert!(took.len() < TRIES, "{took:?}");
        let begun = Instant::now();
        assert_eq!(found(&resolver, "v6hang.example").await, [address]);
        took.push(begun.elapsed());
    }
    for round in 0..TRIES {
        if are_answered_while_others_hang(&resolver, round, address).await {
            return;
        }
    }
    panic!("nobody is answered before those that hang have ended");
}

/// Whether everybody who asks for a name that is known gets it, as they must, and while a thousand ask
/// for what is never answered, as they do unless the machine stands still.
async fn are_answered_while_others_hang(
    resolver: &Arc<SystemResolver>,
    round: usize,
    address: IpAddr,
) -> bool {
    let mut hanging = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        let resolver = Arc::clone(resolver);
        let name = format!("hang{round}x{number}.example");
        hanging.spawn(async move { resolver.resolve(&name).await });
    }
    for number in 0..50 {
        let name = format!("b{round}x{number}.example");
        assert_eq!(found(resolver, &name).await, [address]);
    }
    let first_hung = hanging.try_join_next();
    let all_hang = first_hung.is_none();
    assert!(first_hung.is_none_or(|hung| hung.unwrap().is_err()));
    while let Some(hung) = hanging.join_next().await {
        assert!(hung.unwrap().is_err());
    }
    all_hang
}

#[tokio::test]
async fn the_system_knows_its_own_name() {
    let found = SystemResolver::default()
        .resolve("localhost")
        .await
        .unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
}

#[tokio::test]
async fn without_a_configuration_nobody_is_asked() {
    let resolver = SystemResolver::reading(|| Err(NetError::from("no configuration")));
    assert!(resolver.resolve("a.example").await.is_err());
}
