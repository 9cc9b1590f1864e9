//! Making connections.

use std::{error::Error, time::Duration};

use diesel::ConnectionError;
use diesel_async::AsyncPgConnection;
use tokio_postgres::{Config, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long making a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A peer that is silent for so long is asked whether it is still there, so often and so many
/// times: a host that vanished is noticed within seconds and not after hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 2;

/// Connects to `postgres://user:password@host:port/database`.
///
/// With `?sslmode=require` the connection is encrypted and the server's certificate is checked
/// against the system's authorities; otherwise it is plain, which is for loopback and for networks
/// that are encrypted by themselves.
///
/// # Errors
/// [`ConnectionError::BadConnection`] says why, without the password.
pub(crate) async fn establish(url: &str) -> Result<AsyncPgConnection, ConnectionError> {
    match tokio::time::timeout(CONNECT_MAX, open(url)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(ConnectionError::BadConnection(chain(error.as_ref()))),
        Err(_) => Err(ConnectionError::BadConnection(
            "the database did not answer in time".into(),
        )),
    }
}

async fn open(url: &str) -> Result<AsyncPgConnection, Box<dyn Error + Send + Sync>> {
    let mut config: Config = url.parse()?;
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

/// An error with all its causes: the driver's own says too little alone.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
