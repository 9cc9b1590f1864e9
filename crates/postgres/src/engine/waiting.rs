//! Places in the queue.
//!
//! Whoever waits may leave, but only as long as no batch has taken what waits: so whoever has left
//! knows that nothing happened, and whoever has not gets an answer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Something in the queue, until it is taken or left.
pub(super) struct Waiting<J> {
    job: J,
    place: Place,
}

/// A place in the queue, for whoever waits. Clones are one and the same.
#[derive(Clone, Default)]
pub(super) struct Place {
    /// Whether what waits was taken or left, whichever came first.
    is_over: Arc<AtomicBool>,
}

impl<J> Waiting<J> {
    pub(super) const fn new(job: J, place: Place) -> Self {
        Self { job, place }
    }

    /// Takes it, unless it was left.
    pub(super) fn take(self) -> Option<J> {
        self.place.leave().then_some(self.job)
    }
}

impl Place {
    /// Leaves; false when what waits was taken before.
    pub(super) fn leave(&self) -> bool {
        !self.is_over.swap(true, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_not_taken_and_what_is_taken_is_not_left() {
        let place = Place::default();
        let waiting = Waiting::new("job", place.clone());
        assert!(place.leave());
        assert_eq!(waiting.take(), None);

        let place = Place::default();
        let waiting = Waiting::new("job", place.clone());
        assert_eq!(waiting.take(), Some("job"));
        assert!(!place.leave());
    }
}
