//! From a folder to a server that answers.

use std::{
    fs::{File, TryLockError},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    time::{Duration, Instant},
};

use diesel::{dsl::sql, sql_types::Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::{
    LocalServer, LocalServerConfig, LocalServerError, STOP_PATIENCE,
    account::Account,
    binaries::Binaries,
    blocking,
    cluster::{self, USER},
    place::Place,
    postmaster::{PidFile, Postmaster, log_tail},
};

/// Recovery after a crash replays the log first, which takes a while on a slow disk.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long a server left running may take to finish starting or stopping.
const ADOPT_PATIENCE: Duration = Duration::from_secs(60);
/// A server that says it is ready answers at once, or its number belongs to another process.
const ANSWER_PATIENCE: Duration = Duration::from_secs(3);
const ATTEMPTS_MAX: u32 = 6;
const PAUSE_AFTER_ATTEMPT: Duration = Duration::from_millis(200);
const POLL: Duration = Duration::from_millis(20);

/// A folder with data in it, and the programs to serve it.
pub(super) struct Prepared {
    place: Place,
    binaries: Binaries,
    account: Option<Account>,
    password: String,
    settings: Vec<(String, String)>,
    lock: File,
}

impl Prepared {
    pub(super) fn new(config: &LocalServerConfig) -> Result<Self, LocalServerError> {
        let account = Account::to_drop_to()?;
        let bin_dir = config.bin_dir.as_deref();
        let mut binaries = Binaries::find(bin_dir, None, account.as_ref())?;
        let place = Place::resolve(&config.directory, account.as_ref(), &binaries.postgres())?;
        let lock = lock(&place)?;
        if let Some(major) = place.data_major() {
            binaries = Binaries::find(bin_dir, Some(major), account.as_ref())?;
        }
        let password = cluster::prepare(&place, &binaries, account.as_ref(), config.durable)?;
        let settings = fixed_settings(config.durable)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(config.settings.iter().cloned())
            .collect();
        Ok(Self {
            place,
            binaries,
            account,
            password,
            settings,
            lock,
        })
    }

    pub(super) async fn launch(self) -> Result<LocalServer, LocalServerError> {
        let (port, postmaster) = match find_left_running(&self.place.data(), &self.password).await?
        {
            Some((port, postmaster)) => {
                tracing::info!(pid = postmaster.pid(), port, "adopted a running database");
                (port, postmaster)
            }
            None => self.start_new().await?,
        };
        Ok(LocalServer {
            port,
            password: self.password,
            psql: self.binaries.psql(),
            postmaster,
            _lock: self.lock,
        })
    }

    /// Tries again with another port after a failure: the port may have been taken in between,
    /// and processes of a killed server may still hold its memory for a moment.
    async fn start_new(&self) -> Result<(u16, Postmaster), LocalServerError> {
        for attempt in 0..ATTEMPTS_MAX {
            tokio::time::sleep(PAUSE_AFTER_ATTEMPT * attempt).await;
            let port = free_port()?;
            let mut settings = self.settings.clone();
            settings.push(("port".to_owned(), port.to_string()));
            let mut postmaster = Postmaster::spawn(
                &self.binaries,
                &self.place,
                self.account.as_ref(),
                &settings,
            )?;
            if self.wait_until_ready(&mut postmaster, port).await? {
                tracing::info!(
                    pid = postmaster.pid(),
                    port,
                    "the local database is running"
                );
                return Ok((port, postmaster));
            }
            blocking(move || postmaster.stop(STOP_PATIENCE)).await?;
        }
        Err(LocalServerError::DoesNotStart {
            log: log_tail(&self.place.log()),
        })
    }

    async fn wait_until_ready(
        &self,
        postmaster: &mut Postmaster,
        port: u16,
    ) -> Result<bool, LocalServerError> {
        let deadline = Instant::now() + START_PATIENCE;
        let data = self.place.data();
        while Instant::now() < deadline {
            if postmaster.has_ended()? {
                return Ok(false);
            }
            let file = PidFile::read(&data);
            if file.is_some_and(|file| file.pid == postmaster.pid() && file.ready) {
                return Ok(answers(port, &self.password, &data).await);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(false)
    }
}

/// Nothing but TCP on the loopback address: a socket in a deep checkout would exceed the length
/// the system allows for its path.
fn fixed_settings(durable: bool) -> [(&'static str, &'static str); 7] {
    let safe = if durable { "on" } else { "off" };
    [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("fsync", safe),
        ("synchronous_commit", safe),
        ("full_page_writes", safe),
    ]
}

pub(super) fn url(port: u16, password: &str, database: &str) -> String {
    format!("postgres://{USER}:{password}@127.0.0.1:{port}/{database}")
}

/// Takes charge of a folder, so that two processes never start or delete one server.
pub(super) fn lock(place: &Place) -> Result<File, LocalServerError> {
    let path = place.lock();
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| LocalServerError::io("open", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LocalServerError::InUse(place.data())),
        Err(TryLockError::Error(error)) => Err(LocalServerError::io("lock", &path, error)),
    }
}

/// Stops the server of a folder if one was left running there.
pub(super) async fn stop_left_running(place: &Place) -> Result<(), LocalServerError> {
    let data = place.data();
    let Ok(password) = std::fs::read_to_string(place.password()) else {
        // Without its password no server can be told from a stranger with the same number.
        return Ok(());
    };
    match find_left_running(&data, password.trim()).await? {
        Some((_, mut postmaster)) => blocking(move || postmaster.stop(STOP_PATIENCE)).await,
        None => Ok(()),
    }
}

/// Finds the server that a killed Bursar has left behind, and waits while it is starting or
/// stopping. It is known by its data folder and our password, not by its number alone.
async fn find_left_running(
    data: &Path,
    password: &str,
) -> Result<Option<(u16, Postmaster)>, LocalServerError> {
    let deadline = Instant::now() + ADOPT_PATIENCE;
    while Instant::now() < deadline {
        let Some(file) = PidFile::read(data).filter(PidFile::is_alive) else {
            return Ok(None);
        };
        if let Some(port) = file.port.filter(|_| file.ready) {
            return Ok(answers(port, password, data)
                .await
                .then(|| (port, Postmaster::adopt(file.pid, data.to_owned()))));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(None)
}

/// Whether a server on this port lets us in and serves this data.
async fn answers(port: u16, password: &str, data: &Path) -> bool {
    let deadline = Instant::now() + ANSWER_PATIENCE;
    loop {
        let asked = tokio::time::timeout(ANSWER_PATIENCE * 10, served_data(port, password)).await;
        match asked.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(served) => return Path::new(&served) == data,
            Err(error) if Instant::now() >= deadline => {
                tracing::debug!(port, %error, "no answer from the local database");
                return false;
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

async fn served_data(
    port: u16,
    password: &str,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut connection = AsyncPgConnection::establish(&url(port, password, "postgres")).await?;
    Ok(
        diesel::select(sql::<Text>("current_setting('data_directory')"))
            .get_result(&mut connection)
            .await?,
    )
}

fn free_port() -> Result<u16, LocalServerError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| LocalServerError::io("find a free port on", "127.0.0.1", error))
}
