//! Ledger lines, account by account.

use std::collections::VecDeque;

use async_trait::async_trait;
use bursar_ports::{EntryFilter, ExportPages, LedgerRecord, StoreError};
use diesel_async::AsyncPgConnection;

use super::PAGE_ROWS;
use crate::{
    ledger::{Chosen, LedgerAccount, Span, Window, choose, lines_before, read_lines},
    tx::Snapshot,
};

/// How many accounts are looked at together.
const ACCOUNTS_AT_ONCE: i64 = 500;
/// How many lines are looked at together where each is held against the times that were asked for.
const LOOKED_AT_ONCE: i64 = 10_000;

/// The lines of one account after the other.
pub(super) struct EntryPages {
    snapshot: Snapshot,
    filter: EntryFilter,
    /// The last account that was looked at; `None` after the last one.
    after: Option<i64>,
    /// What is still to be read of those accounts.
    spans: VecDeque<Found>,
}

/// Lines that may belong to the export.
struct Found {
    span: Span,
    /// Whether all of them do; else each is looked at.
    is_exact: bool,
}

impl EntryPages {
    pub(super) const fn new(snapshot: Snapshot, filter: EntryFilter) -> Self {
        Self {
            snapshot,
            filter,
            after: Some(0),
            spans: VecDeque::new(),
        }
    }

    const fn window(&self) -> Window {
        Window {
            from: self.filter.from,
            to: self.filter.to,
        }
    }

    /// Looks at the next accounts after this one.
    async fn find(&mut self, after: i64) -> Result<(), StoreError> {
        let chosen = Chosen {
            owner: self.filter.owner,
            asset: self.filter.asset,
            after,
            limit: ACCOUNTS_AT_ONCE,
        };
        let window = self.window();
        let (last, found) = self
            .snapshot
            .read(async move |connection| {
                let accounts = choose(connection, chosen).await?;
                let last = accounts.last().map(|account| account.id);
                Ok((last, spans(connection, accounts, window).await?))
            })
            .await?;
        self.after = last;
        self.spans.extend(found);
        Ok(())
    }

    /// Takes as many lines as fit into a page, all of them exact or none.
    fn take(&mut self) -> (Vec<Span>, Window) {
        let is_exact = self.spans.front().is_some_and(|found| found.is_exact);
        let (mut room, window) = if is_exact {
            (i64::from(PAGE_ROWS), Window::default())
        } else {
            (LOOKED_AT_ONCE, self.window())
        };
        let mut taken = vec![];
        while let Some(found) = self.spans.front_mut() {
            if room == 0 || found.is_exact != is_exact {
                break;
            }
            let span = found.span;
            let last = span.last.min(span.after.saturating_add(room));
            taken.push(Span { last, ..span });
            room = room.saturating_sub(last.saturating_sub(span.after));
            if last < span.last {
                found.span.after = last;
            } else {
                self.spans.pop_front();
            }
        }
        (taken, window)
    }
}

#[async_trait]
impl ExportPages<LedgerRecord> for EntryPages {
    async fn next_page(&mut self) -> Result<Option<Vec<LedgerRecord>>, StoreError> {
        while self.spans.is_empty() {
            let Some(after) = self.after else {
                return Ok(None);
            };
            self.find(after).await?;
        }
        let (spans, window) = self.take();
        let lines = self
            .snapshot
            .read(async move |connection| read_lines(connection, &spans, window).await)
            .await?;
        Ok(Some(lines))
    }
}

/// What may belong to the export of these accounts: of a user's account exactly the lines between
/// the times, of a system account all of them.
async fn spans(
    connection: &mut AsyncPgConnection,
    accounts: Vec<LedgerAccount>,
    window: Window,
) -> Result<Vec<Found>, StoreError> {
    let is_exact = |account: &LedgerAccount| window.is_open() || account.key.owner.user().is_some();
    let (exact, looked_at): (Vec<_>, Vec<_>) = accounts.into_iter().partition(is_exact);
    let firsts = match window.from {
        Some(from) => Some(lines_before(connection, &exact, from).await?),
        None => None,
    };
    let lasts = match window.to {
        Some(to) => Some(lines_before(connection, &exact, to.tick()).await?),
        None => None,
    };
    let of = |account: LedgerAccount, is_exact: bool| {
        let narrowed = is_exact.then_some(account.id);
        let bound = |found: &Option<std::collections::HashMap<i64, i64>>| {
            found.as_ref().zip(narrowed)?.0.get(&account.id).copied()
        };
        Found {
            span: Span {
                id: account.id,
                account: account.key,
                after: bound(&firsts).unwrap_or(0),
                last: bound(&lasts).unwrap_or(account.lines),
            },
            is_exact,
        }
    };
    // System accounts have the largest ids, so this is the order of ids.
    let exact = exact.into_iter().map(|account| of(account, true));
    let looked_at = looked_at.into_iter().map(|account| of(account, false));
    let found = exact.chain(looked_at);
    Ok(found.filter(|found| found.span.len() > 0).collect())
}
