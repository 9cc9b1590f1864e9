//! What stands between a program and PostgreSQL in a test, speaks its protocol, and does what networks
//! and dying servers do.

mod link;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// COMMIT arrives, its answer gets lost, and the connection ends.
    LoseAnswer,
    /// The connection ends before COMMIT arrives.
    LoseCommit,
    /// COMMIT arrives, but the answer to it is this SQLSTATE, and the connection ends.
    AnswerCommit(&'static str),
    /// COMMIT does not arrive, the answer to it is this SQLSTATE, and the connection ends.
    RefuseCommit(&'static str),
    /// A connection is refused where it begins, with this SQLSTATE.
    RefuseConnection(&'static str),
}

/// Passes connections on until it is dropped, and does to them what it was told.
#[derive(Debug)]
pub struct WireProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

/// What all connections look at.
#[derive(Debug, Default)]
struct Shared {
    target: Mutex<String>,
    fault: Mutex<Option<Armed>>,
    /// How often something happened that it was told to do.
    struck: AtomicUsize,
    /// How many bytes of answers are passed on before the connection that they belong to ends; none
    /// are counted while it is `u64::MAX`.
    bytes_left: AtomicU64,
    /// Connections with a smaller number say nothing any more.
    silent_below: AtomicUsize,
    /// Whether every connection falls silent on which the server says something.
    silent: AtomicBool,
    connections: AtomicUsize,
    hang_up: Notify,
}

/// A fault, and how often it still happens.
#[derive(Clone, Copy, Debug)]
struct Armed {
    fault: WireFault,
    how: Often,
}

#[derive(Clone, Copy, Debug)]
enum Often {
    /// So many times more.
    Times(usize),
    /// Once in so many opportunities, by chance.
    OneIn(u32),
}

impl WireProxy {
    /// Stands before the server of this database.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub async fn start(database_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.unwrap_or_else(|error| panic!("no port: {error}"));
        let address = listener.local_addr();
        let address = address.unwrap_or_else(|error| panic!("no address: {error}"));
        let shared = Arc::new(Shared {
            target: Mutex::new(host_of(database_url).to_owned()),
            bytes_left: AtomicU64::new(u64::MAX),
            ..Shared::default()
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            listening,
        }
    }

    /// From now on the server of this database.
    pub fn point_to(&self, database_url: &str) {
        host_of(database_url).clone_into(&mut lock(&self.shared.target));
    }

    /// The address of the database behind it.
    pub fn url(&self, database_url: &str) -> String {
        database_url.replace(host_of(database_url), &self.address.to_string())
    }

    /// Has something happen the next `times` times that it can.
    pub fn arm(&self, fault: WireFault, times: usize) {
        let how = Often::Times(times);
        *lock(&self.shared.fault) = Some(Armed { fault, how });
    }

    /// Has something happen by chance, once in so many times that it can.
    pub fn arm_by_chance(&self, fault: WireFault, one_in: u32) {
        let how = Often::OneIn(one_in);
        *lock(&self.shared.fault) = Some(Armed { fault, how });
    }

    /// Nothing happens any more.
    pub fn disarm(&self) {
        *lock(&self.shared.fault) = None;
    }

    /// Ends the connection to which the byte of the server's answers belongs that comes after so many.
    pub fn cut_after(&self, bytes: u64) {
        self.shared.bytes_left.store(bytes, Ordering::SeqCst);
    }

    /// Ends the connections that there are.
    pub fn hang_up(&self) {
        self.shared.hang_up.notify_waiters();
    }

    /// What the server says on the connections that are there now gets lost from here on. Nothing is
    /// closed: the peer is there and says nothing, like one that is stopped. New connections work.
    pub fn silence(&self) {
        let connections = self.shared.connections.load(Ordering::SeqCst);
        self.shared
            .silent_below
            .store(connections, Ordering::SeqCst);
    }

    /// The same for every connection on which the server says something until it is taken back; those
    /// stay silent.
    pub fn silence_all(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
    }

    /// How often something happened that it was told to do.
    pub fn struck(&self) -> usize {
        self.shared.struck.load(Ordering::SeqCst)
    }
}

impl Drop for WireProxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Shared {
    /// The fault that happens now, if it is one of those.
    fn strikes(&self, is_one: impl Fn(WireFault) -> bool) -> Option<WireFault> {
        let mut fault = lock(&self.fault);
        let armed = fault.as_mut().filter(|armed| is_one(armed.fault))?;
        let happens = match &mut armed.how {
            Often::Times(left) => {
                let before = *left;
                *left = before.saturating_sub(1);
                before > 0
            }
            Often::OneIn(chances) => rand::random_range(0..*chances) == 0,
        };
        happens.then(|| {
            self.struck.fetch_add(1, Ordering::SeqCst);
            armed.fault
        })
    }

    /// How many of these bytes may be passed on.
    fn spend(&self, bytes: usize) -> usize {
        let wanted = u64::try_from(bytes).unwrap_or(u64::MAX);
        let spend = |left: u64| (left < u64::MAX).then(|| left.saturating_sub(wanted));
        let order = Ordering::SeqCst;
        match self.bytes_left.fetch_update(order, order, spend) {
            Ok(left) if left < wanted => {
                // Only this connection ends.
                self.bytes_left.store(u64::MAX, order);
                self.struck.fetch_add(1, order);
                usize::try_from(left).unwrap_or(usize::MAX)
            }
            Ok(_) | Err(_) => bytes,
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let target = lock(&shared.target).clone();
            // While the server is away the client is hung up on; so it is after an error.
            if let Ok(server) = TcpStream::connect(target).await {
                let _ended = link::pass(&shared, number, client, server).await;
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `host:port` of a database's address.
pub fn host_of(database_url: &str) -> &str {
    let rest = database_url
        .split_once('@')
        .map_or(database_url, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(host, _)| host)
}
