//! The server itself.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_web::{App, HttpServer, dev::Server, web, web::ServiceConfig};

use crate::{HttpConfig, HttpState, routes, state::Shared};

/// Listeners that are bound.
#[derive(Debug)]
pub struct Listeners {
    /// Where everything is answered, or what is for clients alone.
    pub clients: TcpListener,
    /// Where everything is answered, and alone what is for operators; none = `clients` is for both.
    pub operators: Option<TcpListener>,
}

/// Serves, and says where that is: the listener of clients comes first. The server runs while it is
/// awaited, handles no signals, and on [`actix_web::dev::ServerHandle::stop`] answers what is under
/// way. `beside` mounts what is served beside the APIs; it has the same request ids, log and figures.
///
/// # Errors
/// When a listener cannot be used.
pub fn server(
    config: &HttpConfig,
    state: HttpState,
    listeners: Listeners,
    beside: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<(Server, Vec<SocketAddr>)> {
    let Listeners { clients, operators } = listeners;
    let mut shared = Shared::new(config, state);
    shared.operators = operators
        .as_ref()
        .map(TcpListener::local_addr)
        .transpose()?;
    let shared = web::Data::new(shared);
    let mut server = HttpServer::new(move || {
        App::new().configure(|service| routes::mount(service, shared.clone(), &beside))
    })
    .workers(config.workers.max(1))
    .max_connections(config.connections_per_worker_max)
    .client_request_timeout(config.head_read_timeout)
    .keep_alive(config.keep_alive)
    .shutdown_timeout(config.shutdown_timeout.as_secs())
    .disable_signals();
    for listener in [clients].into_iter().chain(operators) {
        listener.set_nonblocking(true)?;
        end_unread(&listener, config.unread_timeout)?;
        server = server.listen(listener)?;
    }
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

/// Has the system close connections whose clients do not read what they are sent: nothing in the
/// server would. Accepted connections inherit it.
#[cfg(target_os = "linux")]
fn end_unread(listener: &TcpListener, after: Duration) -> std::io::Result<()> {
    socket2::SockRef::from(listener).set_tcp_user_timeout(Some(after))
}

#[cfg(not(target_os = "linux"))]
fn end_unread(_listener: &TcpListener, _after: Duration) -> std::io::Result<()> {
    Ok(())
}
