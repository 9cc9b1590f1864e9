//! What is refused when a URL is given is never called either, and what is called was accepted.

use std::sync::Arc;

use bursar_callback::{HttpNotifier, NotifierConfig};
use bursar_ports::{CallbackUrlPolicy, Notifier, Undelivered};

use crate::{
    denied::Ears,
    random::Random,
    scene::{NAME, Names, config, no_trust, notification, says},
};

const URLS: usize = 30_000;

const SCHEMES: [&str; 12] = [
    "http://",
    "https://",
    "https://",
    "http://",
    "HTTP://",
    "hTTps://",
    "https:",
    "https:///",
    "https:\\\\",
    "ftp://",
    "file://",
    "//",
];

const USERS: [&str; 10] = ["", "", "", "", "", "", "a@", ":@", "@", "127.0.0.1:80@"];

const HOSTS: [&str; 40] = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "①②⑦.0.0.1",
    "0",
    "0.0.0.0",
    "127.0.0.2",
    "10.0.0.1",
    "169.254.169.254",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1%25lo]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "%6cocalhost",
    "a.localhost",
    "localhost.localdomain",
    "receiver",
    "receiver.example",
    "Receiver.Example",
    "receiver.example.",
    "receiver.example\\",
    "receiver..example",
    "inner.receiver.example",
    "metadata.google.internal",
    "printer.local",
    "x.onion",
    "",
    "receiver.example#",
    "receiver.example?",
];

const PATHS: [&str; 10] = [
    "",
    "/",
    "/a/b?c=d",
    "#",
    "/#x",
    "/@127.0.0.1",
    "\\@127.0.0.1",
    "/ ",
    "/\n",
    "?x=https://127.0.0.1/",
];

fn url(random: &mut Random, ports: &[String]) -> String {
    let mut url = [
        random.one(&SCHEMES),
        random.one(&USERS),
        random.one(&HOSTS),
        &ports[random.below(ports.len())],
        random.one(&PATHS),
    ]
    .concat();
    // Now and then a byte that nobody meant.
    if random.below(8) == 0 {
        let byte = char::from(u8::try_from(random.below(128)).unwrap());
        let at = random.below(url.len() + 1);
        if url.is_char_boundary(at) {
            url.insert(at, byte);
        }
    }
    url
}

/// A developer's machine, where some of it leads to ears; and production, where nothing does.
fn configs(port: u16) -> [NotifierConfig; 3] {
    let mut developers = config();
    developers.urls.http_hosts = vec!["localhost".to_owned(), "receiver".to_owned()];
    developers.urls.extra_ports = vec![port];
    let mut only_one = developers.clone();
    only_one.urls.allow_cidrs = vec!["127.0.0.1".parse().unwrap()];
    only_one.urls.http_hosts = vec![];
    let production = NotifierConfig {
        urls: CallbackUrlPolicy {
            extra_ports: vec![port],
            ..CallbackUrlPolicy::default()
        },
        ..config()
    };
    [developers, only_one, production]
}

#[tokio::test]
async fn what_acceptance_refuses_is_never_looked_up_and_never_called() {
    let ears = Ears::open().await;
    let ports = ["", ":0", ":80", ":443", ":8443", ":99999"].map(str::to_owned);
    let mut ports: Vec<String> = ports.into();
    ports.extend(vec![format!(":{}", ears.port); 6]);
    let mut random = Random::new(7);
    let (mut refused, mut called) = ([0; 3], [0; 3]);
    for (number, mut config) in configs(ears.port).into_iter().enumerate() {
        // The ears never answer: that an attempt came to them is all that counts here.
        config.attempt_timeout = std::time::Duration::from_millis(2);
        let names = Arc::new(Names::default());
        for name in ["localhost", "receiver", NAME, "inner.receiver.example"] {
            // Production has only inner addresses to go to, so that it never leaves this machine.
            names.set(name, &[says(&["127.0.0.1"])]);
        }
        let policy = config.urls.clone();
        let notifier = HttpNotifier::with(config, names.clone(), no_trust());
        for _ in 0..URLS / 3 {
            let url = url(&mut random, &ports);
            let before = (notifier.connections(), names.asked());
            let outcome = notifier.notify(notification(url.clone())).await;
            let (begun, asked) = (notifier.connections().begun, names.asked());
            // An empty text is no URL, and nothing that could be sent.
            if !matches!(policy.parse(&url), Ok(Some(_))) {
                assert_eq!(outcome, Err(Undelivered::Forbidden), "{url:?}");
                assert_eq!((notifier.connections(), asked), before, "{url:?}");
                refused[number] += 1;
            } else if begun > before.0.begun {
                called[number] += 1;
            }
        }
        let heard = ears.heard().await;
        assert!(heard <= called.iter().sum(), "{heard} {called:?}");
    }
    // The generator finds its way on either side of the line.
    assert!(
        refused.iter().all(|count| *count > URLS / 10),
        "{refused:?}"
    );
    assert!(called[0] > 100 && called[1] > 20, "{called:?}");
    assert_eq!(called[2], 0, "production called this machine");
}
