//! Work that goes on after the answer.

use std::{future::Future, pin::Pin};

/// A piece of work that nobody waits for.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Runs tasks in the background. A task that was accepted runs to its end, also while the service
/// shuts down; what a crash cuts off, the background passes take up again.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Tasks: Send + Sync {
    /// Starts a task.
    fn spawn(&self, task: Task);
}
