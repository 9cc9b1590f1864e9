//! Who is at the rows of open pages, looked at once for all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bursar_app::{App, Error, Grant};
use bursar_domain::{TransferId, Version};
use tokio::{sync::Mutex, time::Instant};

use super::told::who;

/// How long what was seen is good for other pages as well.
const GOOD: Duration = Duration::from_secs(1);
/// How long a row is looked at that no page asks for any more.
const WANTED: Duration = Duration::from_secs(5);

/// What was seen last.
#[derive(Debug, Default)]
pub(super) struct Takings(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    at: Option<Instant>,
    /// What was looked at.
    of: BTreeSet<TransferId>,
    /// Who has it, at which version.
    taken: BTreeMap<TransferId, (Version, String)>,
    /// Which rows pages have, and when one last asked for them.
    wanted: BTreeMap<TransferId, Instant>,
}

impl Takings {
    /// Who is at these transfers, as they are at these versions.
    pub(super) async fn of(
        &self,
        app: &App,
        grant: &Grant,
        rows: &BTreeMap<TransferId, Version>,
    ) -> Result<BTreeMap<TransferId, String>, Error> {
        let mut seen = self.0.lock().await;
        let now = Instant::now();
        seen.wanted.extend(rows.keys().map(|id| (*id, now)));
        let is_good = seen.at.is_some_and(|at| now.duration_since(at) < GOOD);
        if !is_good || rows.keys().any(|id| !seen.of.contains(id)) {
            seen.wanted.retain(|_, at| now.duration_since(*at) < WANTED);
            let of: BTreeSet<TransferId> = seen.wanted.keys().copied().collect();
            let takings = app.takings(grant, of.iter().copied().collect()).await?;
            let taken = takings.iter();
            let taken = taken.map(|(id, version, taken)| (*id, (*version, who(taken))));
            seen.taken = taken.collect();
            seen.of = of;
            seen.at = Some(now);
        }
        let at = |(id, version): (&TransferId, &Version)| {
            let (taken_at, who) = seen.taken.get(id)?;
            // What was taken at another version is nobody's any more.
            (taken_at == version).then(|| (*id, who.clone()))
        };
        Ok(rows.iter().filter_map(at).collect())
    }
}
