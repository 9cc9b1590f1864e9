//! Being told to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// How a process ends that was killed by SIGINT, for whoever waits for it.
const KILLED_BY_SIGINT: i32 = 130;

/// The signals that end Bursar.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes SIGINT and SIGTERM from here on; before that they end the process at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => tracing::info!("SIGINT: stopping"),
            _ = self.terminate.recv() => tracing::info!("SIGTERM: stopping"),
        }
    }

    /// Does what comes before serving. A signal ends the process meanwhile, on the spot: nothing was
    /// promised to anybody yet, and what the database has not committed it takes back.
    pub async fn or_end<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            () = self.wait() => std::process::exit(0),
        }
    }

    /// From now on the next signal ends the process on the spot: somebody does not want to wait.
    /// What that cuts off is what a crash would, and is taken up again at the next start.
    pub fn exit_on_next(mut self) {
        tokio::spawn(async move {
            self.wait().await;
            tracing::warn!("a second signal: ending at once");
            std::process::exit(KILLED_BY_SIGINT);
        });
    }
}
