//! From a URL to a connection that leads where it should.
//!
//! The addresses that are judged are the addresses that are connected to: nobody looks the name up
//! a second time, so a name that changes its address in between (DNS rebinding) gains nothing.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bursar_ports::Undelivered;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::{address::AddressPolicy, resolve::Resolve};

/// The most answers for a name that are looked at. A receiver has a handful; more are a trick or a
/// mistake, and the name is refused rather than judged by a part of them.
const ANSWERS_MAX: usize = 16;

/// What an HTTP exchange runs over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What became of attempts before a byte was sent, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Connects that were begun; all of them to addresses that callbacks may go to.
    pub begun: u64,
    /// Attempts that ended before a connect, because of an address.
    pub denied: u64,
}

/// Makes connections, one for each attempt.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) addresses: AddressPolicy,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) resolve_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) begun: AtomicU64,
    pub(crate) denied: AtomicU64,
}

impl Connector {
    /// A new connection to a URL that was accepted, encrypted if its scheme says so.
    pub(crate) async fn connect(&self, url: &Url) -> Result<Box<dyn Wire>, Undelivered> {
        let host = url.host().ok_or(Undelivered::Forbidden)?;
        let port = url.port_or_known_default().ok_or(Undelivered::Forbidden)?;
        let addresses = self.resolve(&host).await?;
        let targets: Vec<SocketAddr> = addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect();
        if let Some(denied) = targets
            .iter()
            .find(|target| !self.addresses.permits(**target))
        {
            tracing::debug!(%host, address = %denied.ip(), "callbacks may not go to this address");
            return Err(self.deny());
        }
        let stream = self.open(&targets).await?;
        if url.scheme() == "https" {
            return self.encrypt(stream, &host).await;
        }
        Ok(Box::new(stream))
    }

    pub(crate) fn counts(&self) -> Connections {
        Connections {
            begun: self.begun.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
        }
    }

    /// The addresses of a host; at least one.
    async fn resolve(&self, host: &Host<&str>) -> Result<Vec<IpAddr>, Undelivered> {
        let name = match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => return Ok(vec![(*address).into()]),
            Host::Ipv6(address) => return Ok(vec![(*address).into()]),
        };
        match timeout(self.resolve_timeout, self.resolver.resolve(name)).await {
            Ok(Ok(addresses)) if addresses.len() > ANSWERS_MAX => Err(self.deny()),
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(Ok(_) | Err(_)) | Err(_) => Err(Undelivered::Dns),
        }
    }

    /// Connects to the first target, or else to the first one of the other family: a name may have
    /// addresses of a family that the way between here and there does not carry. Both together have
    /// the time of one.
    async fn open(&self, targets: &[SocketAddr]) -> Result<TcpStream, Undelivered> {
        let [first, rest @ ..] = targets else {
            return Err(Undelivered::Dns);
        };
        let other = rest.iter().find(|other| other.is_ipv4() != first.is_ipv4());
        let patience = match other {
            Some(_) => self.connect_timeout / 2,
            None => self.connect_timeout,
        };
        for target in std::iter::once(first).chain(other) {
            self.begun.fetch_add(1, Ordering::Relaxed);
            match timeout(patience, TcpStream::connect(target)).await {
                Ok(Ok(stream)) => {
                    count("made");
                    return self.inspect(stream, *target);
                }
                Ok(Err(_)) | Err(_) => count("failed"),
            }
        }
        Err(Undelivered::Connect)
    }

    /// Lets nothing through that does not lead to the address that was judged.
    fn inspect(&self, stream: TcpStream, checked: SocketAddr) -> Result<TcpStream, Undelivered> {
        let ends = stream
            .peer_addr()
            .and_then(|peer| Ok((peer, stream.local_addr()?)));
        let Ok((peer, local)) = ends else {
            return Err(Undelivered::Broken);
        };
        if !self.addresses.permits_connection(checked, peer, local) {
            return Err(self.deny());
        }
        // One small request: nothing is won by waiting for more of it. Without it, it is only slower.
        let _slower = stream.set_nodelay(true);
        Ok(stream)
    }

    async fn encrypt(
        &self,
        stream: TcpStream,
        host: &Host<&str>,
    ) -> Result<Box<dyn Wire>, Undelivered> {
        let name = match host {
            Host::Domain(name) => {
                ServerName::try_from((*name).to_owned()).map_err(|_| Undelivered::Tls)?
            }
            Host::Ipv4(address) => ServerName::from(IpAddr::from(*address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::from(*address)),
        };
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) if is_tls(&error) => Err(Undelivered::Tls),
            Err(_) => Err(Undelivered::Broken),
        }
    }

    fn deny(&self) -> Undelivered {
        self.denied.fetch_add(1, Ordering::Relaxed);
        count("denied");
        Undelivered::Denied
    }
}

fn count(result: &'static str) {
    metrics::counter!("bursar_callback_connections_total", "result" => result).increment(1);
}

/// Whether the two could not agree, rather than that one of them fell silent.
fn is_tls(error: &std::io::Error) -> bool {
    let inner = error.get_ref();
    inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
}
