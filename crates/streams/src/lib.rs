//! What the streams of the event feed wait for: those of the API and those of the console's pages.

use tokio::sync::watch;

/// How far the feed has got, told to every stream. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct EventStreams(watch::Sender<Tail>);

/// Where the feed ends.
#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    /// The last number that is known to be given.
    last: i64,
    /// Whether streams are to end.
    over: bool,
}

impl EventStreams {
    /// Events up to this number can be read.
    pub fn reach(&self, last: i64) {
        self.0.send_if_modified(|tail| {
            let further = last > tail.last;
            tail.last = tail.last.max(last);
            further
        });
    }

    /// Ends all streams, those to come too: the process stops.
    pub fn end(&self) {
        self.0.send_modify(|tail| tail.over = true);
    }

    /// The last number that is known to be given; 0 as long as nothing is known.
    pub fn last(&self) -> i64 {
        self.0.borrow().last
    }

    /// Waits until there is something after this number, or streams are to end.
    pub async fn beyond(&self, number: i64) {
        let mut tail = self.0.subscribe();
        // The sender is `self`, so it is there as long as this waits.
        let _open = tail
            .wait_for(|tail| tail.over || tail.last > number)
            .await
            .is_ok();
    }

    /// Waits until streams are to end.
    pub async fn over(&self) {
        self.beyond(i64::MAX).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_woken_by_what_comes_after_and_by_the_end() {
        let streams = EventStreams::default();
        let shared = streams.clone();
        shared.reach(5);
        assert!(streams.beyond(4).now_or_never().is_some());
        assert!(streams.beyond(5).now_or_never().is_none());
        shared.reach(3);
        assert!(streams.beyond(4).now_or_never().is_some(), "it went back");
        assert_eq!(streams.last(), 5);
        let waiting = streams.beyond(5);
        let (woken, ()) = tokio::join!(waiting.map(|()| true), async { shared.reach(6) });
        assert!(woken);
        assert!(streams.over().now_or_never().is_none());
        shared.end();
        assert!(streams.beyond(6).now_or_never().is_some());
        assert!(streams.over().now_or_never().is_some());
    }
}
