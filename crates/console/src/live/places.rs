//! How many streams may be open: each holds a connection and a little memory.
//!
//! That a browser has gone is seen only when something is written to it, so whoever goes from page to
//! page leaves streams behind that nobody listens to. An operator's newest stream always has a place:
//! the oldest one ends for it, and where somebody does listen to that one, the browser comes again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// How many streams may be open in all.
const ALL_MAX: usize = 256;
/// How many of them may be one operator's: more windows than anybody sees at once.
const OPERATOR_MAX: usize = 12;

/// Who has which streams open, each operator's oldest first.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// How many places were ever taken.
    ever: u64,
    by: BTreeMap<String, VecDeque<Holder>>,
}

/// A stream that has a place, which it loses when this is dropped.
#[derive(Debug)]
struct Holder {
    number: u64,
    _keeps: oneshot::Sender<()>,
}

/// A stream's place, which is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    operator: String,
    number: u64,
    kept: oneshot::Receiver<()>,
}

impl Places {
    /// A place for one more stream of this operator, if there is any.
    pub(super) fn take(self: &Arc<Self>, operator: &str) -> Option<Place> {
        let mut taken = self.lock();
        let all: usize = taken.by.values().map(VecDeque::len).sum();
        let own = taken.by.get(operator).map_or(0, VecDeque::len);
        if own < OPERATOR_MAX && all >= ALL_MAX {
            return None;
        }
        taken.ever = taken.ever.wrapping_add(1);
        let number = taken.ever;
        let (keeps, kept) = oneshot::channel();
        let own = taken.by.entry(operator.to_owned()).or_default();
        own.push_back(Holder {
            number,
            _keeps: keeps,
        });
        if own.len() > OPERATOR_MAX {
            own.pop_front();
        }
        drop(taken);
        metrics::gauge!("bursar_console_streams").increment(1.0);
        Some(Place {
            places: Arc::clone(self),
            operator: operator.to_owned(),
            number,
            kept,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until a newer stream has the place.
    pub(super) async fn over(&mut self) {
        // Nothing is ever sent: the other end is dropped.
        let _over = (&mut self.kept).await.is_err();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("bursar_console_streams").decrement(1.0);
        let mut taken = self.places.lock();
        if let Some(own) = taken.by.get_mut(&self.operator) {
            own.retain(|holder| holder.number != self.number);
            if own.is_empty() {
                taken.by.remove(&self.operator);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn an_operators_newest_streams_have_places_and_nobody_more_than_their_share() {
        let places = Arc::<Places>::default();
        let mut olga: Vec<Place> = (0..=OPERATOR_MAX)
            .map(|_| places.take("olga").unwrap())
            .collect();
        let mut over = olga.iter_mut().map(|place| place.over().now_or_never());
        assert_eq!(over.next(), Some(Some(())), "the oldest one ends");
        assert!(over.all(|over| over.is_none()));
        assert_eq!(places.lock().by["olga"].len(), OPERATOR_MAX);
        // It gives back nothing that it has not any more.
        drop(olga.remove(0));
        assert_eq!(places.lock().by["olga"].len(), OPERATOR_MAX);
        drop(olga);
        assert!(places.lock().by.is_empty(), "nothing is remembered");
    }

    #[test]
    fn all_together_have_no_more_places_than_there_are() {
        let places = Arc::<Places>::default();
        let mut olga: Vec<Place> = (0..OPERATOR_MAX)
            .map_while(|_| places.take("olga"))
            .collect();
        let others: Vec<Place> = (0..ALL_MAX)
            .map_while(|number| places.take(&format!("operator {number}")))
            .collect();
        assert_eq!(others.len(), ALL_MAX - OPERATOR_MAX);
        // Olga's newest takes the place of her oldest.
        olga.push(places.take("olga").unwrap());
        drop(others);
        assert!(places.take("otto").is_some());
    }
}
