//! What moved, as one series for each asset and kind, the busiest first.

use std::collections::BTreeMap;

use bursar_app::Overview;
use bursar_domain::{Asset, Kind, Timestamp};

/// One asset and kind over time.
pub(super) struct Series {
    pub(super) asset: Asset,
    pub(super) kind: Kind,
    /// How many, and how much in smallest units, of each piece of time that has any.
    pub(super) pieces: BTreeMap<Timestamp, (u64, i128)>,
    pub(super) count: u64,
    /// None beyond what can be told.
    pub(super) amount: Option<i128>,
}

/// Every series that has anything, of this asset if one is named.
pub(super) fn of(seen: &Overview, asset: Option<&str>) -> Vec<Series> {
    let mut all: BTreeMap<_, Series> = BTreeMap::new();
    for row in &seen.volumes.rows {
        let Some(found) = seen.assets.iter().find(|one| one.id == row.asset) else {
            continue;
        };
        if asset.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(found.id.as_str())) {
            continue;
        }
        let series = all.entry((row.asset, row.kind)).or_insert_with(|| Series {
            asset: found.clone(),
            kind: row.kind,
            pieces: BTreeMap::new(),
            count: 0,
            amount: Some(0),
        });
        let piece = (row.count, row.amount.unwrap_or(i128::MAX));
        series.pieces.insert(row.start, piece);
        series.count = series.count.saturating_add(row.count);
        series.amount = series
            .amount
            .zip(row.amount)
            .and_then(|(sum, amount)| sum.checked_add(amount));
    }
    let mut all: Vec<Series> = all.into_values().collect();
    all.sort_by_key(|series| std::cmp::Reverse(series.count));
    all
}
