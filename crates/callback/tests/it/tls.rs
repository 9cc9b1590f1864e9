//! Receivers that cannot prove who they are get nothing.

use std::sync::Arc;

use bursar_callback::{HttpNotifier, NotifierConfig};
use bursar_ports::{Notifier, Undelivered};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    receiver::{Receiver, Script},
    scene::{
        BRIEF, NAME, Names, Outcome, config_with_port, delivered, no_trust, notification, says,
        trust,
    },
};

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        roots
    }

    /// A server with a certificate of this authority.
    fn issue(&self, params: &CertificateParams) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        server(certificate.der().clone(), &key, &[&TLS12, &TLS13])
    }
}

fn server(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn ok() -> Script {
    Script::answer("200 OK", "", "ok")
}

/// One attempt at a port of this machine by [`NAME`], trusting these roots.
async fn attempt(port: u16, roots: RootCertStore) -> Outcome {
    let names = Names::of(NAME, &[says(&["127.0.0.1"])]);
    let notifier = HttpNotifier::with(config_with_port(port), names, trust(roots));
    let url = format!("https://{NAME}:{port}/x");
    notifier.notify(notification(url)).await
}

#[tokio::test]
async fn a_receiver_with_a_good_certificate_gets_its_callback_by_its_name() {
    let authority = Authority::new();
    let key = KeyPair::generate().unwrap();
    let certificate = params(NAME).signed_by(&key, &authority.issuer).unwrap();
    for version in [&TLS12, &TLS13] {
        let tls = server(certificate.der().clone(), &key, &[version]);
        let mut receiver = Receiver::start_tls(ok(), tls).await;
        assert_eq!(
            attempt(receiver.port(), authority.roots()).await,
            delivered(200)
        );
        assert_eq!(receiver.request().await, NAME);
        let request = receiver.request().await;
        let host = format!("host: {NAME}:{}\r\n", receiver.port());
        assert!(request.contains(&host), "{request}");
    }
}

#[tokio::test]
async fn a_bad_certificate_gets_nothing() {
    let authority = Authority::new();
    let mut expired = params(NAME);
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut not_yet = params(NAME);
    not_yet.not_before = date_time_ymd(3020, 1, 1);
    not_yet.not_after = date_time_ymd(3021, 1, 1);
    let key = KeyPair::generate().unwrap();
    let self_signed = params(NAME).self_signed(&key).unwrap();
    for (fault, tls) in [
        ("expired", authority.issue(&expired)),
        ("not yet valid", authority.issue(&not_yet)),
        ("wrong name", authority.issue(&params("other.example"))),
        (
            "the address's, not the name's",
            authority.issue(&params("127.0.0.1")),
        ),
        (
            "somebody else's authority",
            Authority::new().issue(&params(NAME)),
        ),
        (
            "self-signed",
            server(self_signed.der().clone(), &key, &[&TLS13]),
        ),
    ] {
        let mut receiver = Receiver::start_tls(ok(), tls).await;
        let outcome = attempt(receiver.port(), authority.roots()).await;
        assert_eq!(outcome, Err(Undelivered::Tls), "{fault}");
        let seen = std::iter::from_fn(|| receiver.try_request()).collect::<Vec<_>>();
        assert!(
            seen.iter().all(|seen| !seen.contains("POST")),
            "{fault}: {seen:?}"
        );
    }
}

/// Nobody but whom the system trusts is trusted when nothing else is said.
#[tokio::test]
async fn the_systems_authorities_are_the_ones_that_count() {
    let receiver = Receiver::start_tls(ok(), Authority::new().issue(&params("localhost"))).await;
    let mut config = config_with_port(receiver.port());
    config.urls.http_hosts = vec!["localhost".to_owned()];
    let notifier = HttpNotifier::try_new(config).unwrap();
    let url = format!("https://localhost:{}/", receiver.port());
    let outcome = notifier.notify(notification(url)).await;
    assert_eq!(outcome, Err(Undelivered::Tls));
}

/// A server of the last century: it chooses TLS 1.0, whatever it is offered.
#[tokio::test]
async fn old_tls_is_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let old = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 4096];
        let read = stream.read(&mut hello).await.unwrap();
        assert_eq!(hello[0], 22, "a handshake begins");
        assert!(read > 5);
        // ServerHello: version 3.1, 32 random bytes, no session, AES128-SHA, no compression.
        let mut body = vec![3, 1];
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(&[0, 0, 0x2f, 0]);
        let length = u8::try_from(body.len()).unwrap();
        let mut record = vec![22, 3, 1, 0, length + 4, 2, 0, 0, length];
        record.extend_from_slice(&body);
        stream.write_all(&record).await.unwrap();
        let mut rest = Vec::new();
        // A reset says as much as an end.
        let _end = stream.read_to_end(&mut rest).await;
        rest
    });
    let outcome = attempt(port, RootCertStore::empty()).await;
    assert_eq!(outcome, Err(Undelivered::Tls));
    let rest = old.await.unwrap();
    assert!(
        rest.is_empty() || rest[0] == 21,
        "an alert and no more: {rest:?}"
    );
}

#[tokio::test]
async fn who_speaks_no_tls_at_all_gets_nothing_either() {
    let mut plain = Receiver::start(ok()).await;
    let names = Names::of(NAME, &[says(&["127.0.0.1"])]);
    // It waits for the end of a request's head, until the other one gives up.
    let config = NotifierConfig {
        attempt_timeout: BRIEF,
        ..config_with_port(plain.port())
    };
    let notifier = HttpNotifier::with(config, names, no_trust());
    let url = format!("https://{NAME}:{}/", plain.port());
    let outcome = notifier.notify(notification(url)).await;
    assert_eq!(outcome, Err(Undelivered::Timeout));
    assert_eq!(plain.requests_so_far(), 0);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let greeter = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .write_all(b"220 mail.example ESMTP\r\n")
                .await
                .unwrap();
            let mut hello = [0; 4096];
            let _hello = stream.read(&mut hello).await;
        }
    });
    let names = Names::of(NAME, &[says(&["127.0.0.1"])]);
    let notifier = HttpNotifier::with(config_with_port(port), names, no_trust());
    for _ in 0..2 {
        let url = format!("https://{NAME}:{port}/");
        let outcome = notifier.notify(notification(url)).await;
        assert_eq!(outcome, Err(Undelivered::Tls));
    }
    greeter.await.unwrap();
}
