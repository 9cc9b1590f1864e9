//! What the tests of attempts have in common.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bursar_callback::{HttpNotifier, NotifierConfig, Resolve};
use bursar_domain::Timestamp;
use bursar_ports::{CallbackUrlPolicy, Delivered, Notification, Notifier, Undelivered};
use rustls::{ClientConfig, RootCertStore};

use crate::receiver::{Receiver, Script};

pub(crate) const BODY: &str = r#"{"Amount":1.0,"ErrorDetails":null}"#;
pub(crate) const ID: &str = "0199a1c6-7f00-7000-8000-000000000001";
pub(crate) const NAME: &str = "receiver.example";

pub(crate) type Outcome = Result<Delivered, Undelivered>;

/// Long enough for whatever ends by itself, on a machine that stands still for seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The limit of what never ends by itself.
pub(crate) const BRIEF: Duration = Duration::from_millis(500);

/// Receivers on this machine, and limits that nothing reaches that ends by itself.
pub(crate) fn config() -> NotifierConfig {
    NotifierConfig {
        urls: CallbackUrlPolicy {
            allow_cidrs: vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
            ..CallbackUrlPolicy::default()
        },
        attempt_timeout: PATIENCE,
        resolve_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        drain_timeout: PATIENCE,
        ..NotifierConfig::default()
    }
}

/// The same, where names may be called on a port of the tests'.
pub(crate) fn config_with_port(port: u16) -> NotifierConfig {
    let mut config = config();
    config.urls.extra_ports = vec![port];
    config
}

pub(crate) fn notification(url: String) -> Notification {
    Notification {
        url,
        webhook_id: ID.to_owned(),
        at: Timestamp::parse("2023-01-15T14:30:15.999999Z").unwrap(),
        body: BODY.to_owned(),
        secrets: vec![],
    }
}

/// One attempt at a receiver that does as the script says.
pub(crate) async fn attempt(script: Script) -> Outcome {
    attempt_within(config(), script).await
}

/// The same within other limits.
pub(crate) async fn attempt_within(limits: NotifierConfig, script: Script) -> Outcome {
    let receiver = Receiver::start(script).await;
    let notifier = HttpNotifier::try_new(limits).unwrap();
    notifier.notify(notification(receiver.url())).await
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with outcomes")]
pub(crate) const fn delivered(http_status: u16) -> Outcome {
    Ok(Delivered { http_status })
}

pub(crate) const fn answered(http_status: u16) -> Outcome {
    asked_to_wait(http_status, None)
}

pub(crate) const fn asked_to_wait(http_status: u16, retry_after_ms: Option<i64>) -> Outcome {
    Err(Undelivered::Answered {
        http_status,
        retry_after_ms,
    })
}

/// TLS that trusts nobody.
pub(crate) fn no_trust() -> ClientConfig {
    trust(RootCertStore::empty())
}

pub(crate) fn trust(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What a name server says about a name.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    Addresses(Vec<IpAddr>),
    Nothing,
    Unknown,
    Hang,
}

pub(crate) fn says(addresses: &[&str]) -> Says {
    let parsed = addresses.iter().map(|address| address.parse().unwrap());
    Says::Addresses(parsed.collect())
}

/// A name server that changes its mind: each name has what is said first, second, …; the last is
/// said for ever.
#[derive(Debug, Default)]
pub(crate) struct Names {
    said: Mutex<HashMap<String, VecDeque<Says>>>,
    asked: AtomicUsize,
}

impl Names {
    pub(crate) fn of(name: &str, answers: &[Says]) -> Arc<Self> {
        let names = Self::default();
        names.set(name, answers);
        Arc::new(names)
    }

    pub(crate) fn set(&self, name: &str, answers: &[Says]) {
        let mut said = self.said.lock().unwrap();
        said.insert(name.to_owned(), answers.iter().cloned().collect());
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn next(&self, name: &str) -> Says {
        let mut said = self.said.lock().unwrap();
        let Some(answers) = said.get_mut(name) else {
            return Says::Unknown;
        };
        match answers.len() {
            0 => Says::Unknown,
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        }
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.next(name) {
            Says::Addresses(addresses) => Ok(addresses),
            Says::Nothing => Ok(vec![]),
            Says::Unknown => Err(io::Error::other("no such name")),
            Says::Hang => std::future::pending().await,
        }
    }
}
