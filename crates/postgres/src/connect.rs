//! Making connections.

use std::{error::Error, io, time::Duration};

use bursar_ports::chain;
use diesel::ConnectionError;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio::time::Instant;
use tokio_postgres::{
    Config, NoTls,
    config::{SslMode, TargetSessionAttrs},
    error::SqlState,
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long making a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How many addresses of one host there is time for.
const ADDRESSES: u32 = 3;
/// How long a database that is not up yet is left alone.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(500);
/// A peer that is silent for so long is asked whether it is still there, so often and so many
/// times: a host that vanished is noticed within seconds and not after hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 2;

/// Connects to `postgres://user:password@host:port/database`.
///
/// Of several hosts (`host:port,host:port`) the first one is taken that takes writes: whichever is the
/// primary; and so is a single one if it must take writes. Each of them has its share of the time, and
/// each address of a name, so that one that says nothing hides no other.
///
/// With `?sslmode=require` the connection is encrypted and the server's certificate is checked
/// against the system's authorities; otherwise it is plain, which is for loopback and for networks
/// that are encrypted by themselves.
///
/// # Errors
/// [`ConnectionError::BadConnection`] says why, of the last host, without the password.
pub(crate) async fn establish(
    url: &str,
    must_take_writes: bool,
) -> Result<AsyncPgConnection, ConnectionError> {
    try_hosts(url, must_take_writes)
        .await
        .map_err(|refusal| ConnectionError::BadConnection(refusal.said))
}

/// A connection with these settings on top of what it has.
pub(crate) async fn set_up(
    mut connection: AsyncPgConnection,
    settings: &str,
) -> Result<AsyncPgConnection, ConnectionError> {
    connection
        .batch_execute(settings)
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// Waits for a database that is not up yet, for so long at most.
///
/// # Errors
/// What it says when waiting was for nothing, or is no cure: a password that is wrong stays wrong.
pub async fn await_database(url: &str, patience: Duration) -> Result<(), ConnectionError> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let refusal = match try_hosts(url, false).await {
            Ok(_connection) => return Ok(()),
            Err(refusal) => refusal,
        };
        if !refusal.passes || begun.elapsed() >= patience {
            return Err(ConnectionError::BadConnection(refusal.said));
        }
        if !told {
            tracing::warn!(
                error = refusal.said,
                "the database is not up yet and is waited for"
            );
            told = true;
        }
        tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
    }
}

/// Why no host was connected to.
struct Refusal {
    /// What the last of them said.
    said: String,
    /// Whether that may be over soon, at every one of them.
    passes: bool,
}

async fn try_hosts(url: &str, must_take_writes: bool) -> Result<AsyncPgConnection, Refusal> {
    let hosts = each_host(url);
    let wanted = if hosts.len() > 1 || must_take_writes {
        TargetSessionAttrs::ReadWrite
    } else {
        TargetSessionAttrs::Any
    };
    let share = u32::try_from(hosts.len()).map_or(CONNECT_MAX, |hosts| CONNECT_MAX / hosts.max(1));
    let mut refusal = Refusal {
        said: "no host is named".to_owned(),
        passes: !hosts.is_empty(),
    };
    for host in hosts {
        let opened = tokio::time::timeout(share, open(&host, wanted, share / ADDRESSES)).await;
        refusal.said = match opened {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => {
                refusal.passes &= is_passing(error.as_ref());
                chain(error.as_ref())
            }
            Err(_) => "the database did not answer in time".into(),
        };
    }
    Err(refusal)
}

/// Whether nobody is there yet, or it is starting or stopping.
fn is_passing(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let Some(error) = error.downcast_ref::<tokio_postgres::Error>() else {
        return false;
    };
    if let Some(state) = error.code() {
        return [
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
        ]
        .contains(state);
    }
    let network = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    // What TLS refuses is an error of input and output too.
    let is_known = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
        )
    };
    error.is_closed() || network.is_some_and(|error| !is_known(error))
}

/// The same address for each of the hosts that it names.
#[must_use]
pub fn each_host(url: &str) -> Vec<String> {
    let authority = url.find("://").map_or(0, |scheme| scheme.saturating_add(3));
    let (scheme, rest) = url.split_at(authority);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let hosts = authority
        .rfind('@')
        .map_or(0, |user| user.saturating_add(1));
    let (user, hosts) = authority.split_at(hosts);
    let single = |host| format!("{scheme}{user}{host}{path}");
    hosts.split(',').map(single).collect()
}

async fn open(
    url: &str,
    wanted: TargetSessionAttrs,
    address_max: Duration,
) -> Result<AsyncPgConnection, Box<dyn Error + Send + Sync>> {
    let mut config: Config = url.parse()?;
    if wanted != TargetSessionAttrs::Any {
        config.target_session_attrs(wanted);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(address_max);
    }
    config
        .tcp_user_timeout(CONNECT_MAX)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES);
    if config.get_ssl_mode() == SslMode::Require {
        let (tls, _unreadable) = MakeRustlsConnect::with_native_certs()
            .map_err(|_| "the system has no certificate authorities")?;
        let (client, connection) = config.connect(tls).await?;
        return Ok(AsyncPgConnection::try_from_client_and_connection(client, connection).await?);
    }
    let (client, connection) = config.connect(NoTls).await?;
    Ok(AsyncPgConnection::try_from_client_and_connection(client, connection).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_one_host_or_several() {
        let one = "postgres://bursar:p@127.0.0.1:5432/bursar?sslmode=require";
        assert_eq!(each_host(one), [one]);
        assert_eq!(
            each_host("postgres://bursar:p,q@a:1,b,[::1]:3/bursar?connect_timeout=1,2"),
            [
                "postgres://bursar:p,q@a:1/bursar?connect_timeout=1,2",
                "postgres://bursar:p,q@b/bursar?connect_timeout=1,2",
                "postgres://bursar:p,q@[::1]:3/bursar?connect_timeout=1,2",
            ]
        );
        assert_eq!(
            each_host("postgres://a,b"),
            ["postgres://a", "postgres://b"]
        );
    }
}
