//! Watching the books while they are in use.
//!
//! Accounts are compared with their entries in rounds, some at a time; sums are taken of all of them
//! at once, less often. What is found stops the asset's outgoing transfers, and no others.
//!
//! # Whose stop
//!
//! An asset has one stop, and somebody's may stand where the watch would put its own. Whoever lifts that
//! one had another reason to place it, so the watch asks at each look whether it is its own stop that
//! stands, until it has been once. Its own stop it places once for each time that the books turn wrong:
//! who lifts that has read why, and is not overruled before the books have been right in between.
//!
//! What is of no asset that can be (a stray) has no stop at all: it is told, and shown for as long as it
//! is found.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use bursar_domain::{Asset, AssetId, Timestamp};
use bursar_ports::{
    AssetIntegrity, BookIntegrity, Breach, Clock, IntegrityAlarm, OutgoingStop, StoreError,
};

use crate::{App, Error, Grant, admin::READERS};

/// The books as they are right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExaminedBooks {
    /// What those of every asset come to, each with its asset; an asset may be unknown if somebody has
    /// renamed an account.
    pub books: Vec<(AssetIntegrity, Option<Asset>)>,
    /// What is of no asset that can be.
    pub strays: Vec<Breach>,
}

impl App {
    /// What the books of every asset come to, and what is of none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn examine_books(&self, grant: &Grant) -> Result<ExaminedBooks, Error> {
        grant.require_any(&READERS)?;
        let assets = self.ports.directory.list_assets().await?;
        let (mut books, strays) = self.ports.integrity.examine().await?;
        books.sort_by_key(|book| book.sums.asset);
        let find = |id: AssetId| assets.iter().find(|asset| asset.id == id).cloned();
        let with_asset = |book: AssetIntegrity| {
            let asset = find(book.sums.asset);
            (book, asset)
        };
        Ok(ExaminedBooks {
            books: books.into_iter().map(with_asset).collect(),
            strays,
        })
    }
}

/// What a watch last saw of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BooksState {
    /// When it looked.
    pub at: Timestamp,
    /// When it took every asset's sums last; none before the first time.
    pub sums_at: Option<Timestamp>,
    /// Every asset that it looked at.
    pub assets: Vec<AssetId>,
    /// Those whose books are not what they must be.
    pub wrong: Vec<AssetId>,
    /// Whether anything is wrong that is of no asset that can be.
    pub strays: bool,
}

/// Where a watch leaves what it saw, for whoever asks. Copies are the same place.
#[derive(Clone, Debug, Default)]
pub struct BooksSeen(Arc<Mutex<Option<BooksState>>>);

impl BooksSeen {
    /// What was seen last; none before the first look.
    pub fn last(&self) -> Option<BooksState> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn tell(&self, state: BooksState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }
}

/// Watches the books. One value for each process: it remembers where the round is.
pub struct IntegrityWatch {
    books: Arc<dyn BookIntegrity>,
    alarm: Arc<dyn IntegrityAlarm>,
    /// The account after which the round goes on.
    place: Option<i64>,
    /// Assets that were looked at.
    known: BTreeSet<AssetId>,
    /// Assets with wrong accounts in this round, and in the one before it.
    broken: [BTreeSet<AssetId>; 2],
    /// Whether there were strays in this round, and in the one before it.
    strays: [bool; 2],
    /// Assets with wrong sums.
    unbalanced: BTreeSet<AssetId>,
    /// When sums were taken last.
    sums_at: Option<Timestamp>,
    /// Assets whose books are wrong and which its own stop has kept from leaving.
    stopped: BTreeSet<AssetId>,
    /// Assets whose books are wrong and of which its own stop has not stood yet, with what is wrong.
    unstopped: BTreeMap<AssetId, String>,
    /// Where to leave what was seen, and the time of that.
    seen: Option<(BooksSeen, Arc<dyn Clock>)>,
}

impl IntegrityWatch {
    /// Begins with the first account.
    pub fn new(books: Arc<dyn BookIntegrity>, alarm: Arc<dyn IntegrityAlarm>) -> Self {
        Self {
            books,
            alarm,
            place: None,
            known: BTreeSet::new(),
            broken: Default::default(),
            strays: [false; 2],
            unbalanced: BTreeSet::new(),
            sums_at: None,
            stopped: BTreeSet::new(),
            unstopped: BTreeMap::new(),
            seen: None,
        }
    }

    /// The same watch, which leaves what it sees in this place.
    #[must_use]
    pub fn telling(self, seen: BooksSeen, clock: Arc<dyn Clock>) -> Self {
        Self {
            seen: Some((seen, clock)),
            ..self
        }
    }

    /// Compares the next accounts with their entries.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read, or what is wrong could not be stopped; the same
    /// accounts are then looked at again.
    pub async fn check_accounts(&mut self, limit: u32) -> Result<(), StoreError> {
        let checked = self.books.check_accounts(self.place, limit).await?;
        metrics::counter!("bursar_integrity_looks_total").increment(1);
        metrics::counter!("bursar_integrity_accounts_total").increment(checked.accounts);
        metrics::counter!("bursar_integrity_entries_total").increment(checked.entries);
        let mut wrong = vec![];
        for Breach { asset, detail } in checked.breaches {
            tell(asset, &detail);
            if let Some(asset) = asset {
                let [now, _] = &mut self.broken;
                now.insert(asset);
                wrong.push((asset, detail));
            } else {
                let [now, _] = &mut self.strays;
                *now = true;
            }
        }
        self.show();
        self.stop(wrong).await?;
        self.place = checked.last;
        if self.place.is_none() {
            let [now, before] = &mut self.broken;
            *before = std::mem::take(now);
            let [now, before] = &mut self.strays;
            *before = std::mem::take(now);
        }
        self.show();
        Ok(())
    }

    /// Takes the sums of every asset.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be taken, or what is wrong could not be stopped.
    pub async fn check_sums(&mut self) -> Result<(), StoreError> {
        let sums = self.books.sums().await?;
        metrics::counter!("bursar_integrity_sums_total").increment(1);
        self.sums_at = self.seen.as_ref().map(|(_, clock)| clock.now());
        self.unbalanced.clear();
        self.known = sums.iter().map(|sums| sums.asset).collect();
        let mut wrong = vec![];
        for sums in sums.iter().filter(|sums| !sums.is_ok()) {
            let (sum, holds) = (sums.sum, sums.holds);
            let detail = format!("accounts sum to {sum:?}, holds differ by {holds:?}");
            tell(Some(sums.asset), &detail);
            self.unbalanced.insert(sums.asset);
            wrong.push((sums.asset, detail));
        }
        self.show();
        self.stop(wrong).await
    }

    /// Sees to it that what leaves is stopped, in the assets that are wrong now and in those of which its
    /// own stop has not stood yet. One that cannot be stopped keeps no other from it.
    async fn stop(&mut self, wrong: Vec<(AssetId, String)>) -> Result<(), StoreError> {
        let stopped = std::mem::take(&mut self.stopped);
        self.stopped = stopped.into_iter().filter(|it| !self.is_ok(*it)).collect();
        let mut unstopped = std::mem::take(&mut self.unstopped);
        unstopped.retain(|asset, _| !self.is_ok(*asset));
        for (asset, detail) in wrong {
            if !self.stopped.contains(&asset) {
                unstopped.entry(asset).or_insert(detail);
            }
        }
        let mut all = Ok(());
        for (asset, detail) in unstopped {
            match self.alarm.stop_outgoing(asset, detail.clone()).await {
                Ok(OutgoingStop::Own) => {
                    self.stopped.insert(asset);
                }
                Ok(OutgoingStop::Another) => {
                    self.unstopped.insert(asset, detail);
                }
                Err(error) => {
                    self.unstopped.insert(asset, detail);
                    all = Err(error);
                }
            }
        }
        all
    }

    /// Whether an asset's books are right, as far as this process knows.
    fn is_ok(&self, asset: AssetId) -> bool {
        let [now, before] = &self.broken;
        ![now, before, &self.unbalanced]
            .iter()
            .any(|wrong| wrong.contains(&asset))
    }

    fn show(&self) {
        let [now, before] = &self.broken;
        let assets = self.known.iter().chain(now).chain(before);
        let assets: BTreeSet<AssetId> = assets.copied().collect();
        for asset in &assets {
            let ok = if self.is_ok(*asset) { 1.0 } else { 0.0 };
            metrics::gauge!("bursar_integrity_ok", "asset" => asset.to_string()).set(ok);
        }
        if let Some((seen, clock)) = &self.seen {
            let wrong = assets.iter().filter(|asset| !self.is_ok(**asset));
            let [now, before] = self.strays;
            seen.tell(BooksState {
                at: clock.now(),
                sums_at: self.sums_at,
                wrong: wrong.copied().collect(),
                assets: assets.into_iter().collect(),
                strays: now || before,
            });
        }
    }
}

fn tell(asset: Option<AssetId>, detail: &str) {
    tracing::error!(
        asset = asset.as_ref().map(AssetId::as_str),
        detail,
        "the books are not what they must be"
    );
    metrics::counter!("bursar_integrity_breaches_total").increment(1);
}

#[cfg(test)]
mod tests;
