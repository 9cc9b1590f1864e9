//! What is seen to its end although whoever asked for it has gone.
//!
//! A server drops what it does for a client that hangs up. A commit that is under way is made all the
//! same, so what it says of a recipient must be charged, and the sender's turn must last until then:
//! whoever hangs up each time would otherwise try names without end.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bursar_ports::Tasks;

use crate::App;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Work of whoever waits for it. When nobody does any more, it goes on in the background.
#[must_use]
pub(super) struct Unbroken<T: 'static> {
    /// None once it is done.
    work: Option<Work<T>>,
    tasks: Arc<dyn Tasks>,
}

impl App {
    /// Does work to its end, whether or not somebody waits for it so long.
    pub(super) fn unbroken<T: 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Unbroken<T> {
        Unbroken {
            work: Some(Box::pin(work)),
            tasks: Arc::clone(&self.ports.tasks),
        }
    }
}

impl<T: 'static> Future for Unbroken<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out meanwhile: what panics is over.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: 'static> Drop for Unbroken<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.tasks.spawn(Box::pin(async move {
                drop(work.await);
            }));
        }
    }
}
