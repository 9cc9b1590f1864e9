//! Statements of users.

use std::collections::HashMap;

use bursar_domain::Timestamp;
use bursar_ports::{
    Holding, LedgerOwner, Statement, StatementAccount, StatementFilter, StatementPlace, StoreError,
};
use diesel_async::AsyncPgConnection;

use crate::ledger::{
    Chosen, LedgerAccount, Span, Window, choose, holdings, lines_before, read_lines,
};

/// The lines of one account that belong to the statement: those after `first`, up to `last`.
struct Part {
    account: LedgerAccount,
    first: i64,
    last: i64,
    /// The last line that was on a page before.
    begin: i64,
}

/// A page. Lines are never changed and an account's number of lines is fixed when its first page is
/// read, so all pages together are one statement, whatever is written meanwhile.
pub(super) async fn read(
    connection: &mut AsyncPgConnection,
    filter: StatementFilter,
) -> Result<Statement, StoreError> {
    let parts = parts(connection, &filter).await?;
    let (shown, spans, next) = page(&parts, i64::from(filter.limit));
    let at = |place: fn(&Part) -> i64| {
        let places = shown.iter().map(|part| (part.account.id, place(part)));
        places.collect::<Vec<_>>()
    };
    let openings = holdings(connection, at(|part| part.first)).await?;
    let closings = holdings(connection, at(|part| part.last)).await?;
    let of = |held: &HashMap<i64, (Holding, Timestamp)>, part: &Part| {
        let held = held.get(&part.account.id);
        held.map_or_else(Holding::default, |(holding, _)| *holding)
    };
    Ok(Statement {
        accounts: shown
            .iter()
            .map(|part| StatementAccount {
                asset: part.account.key.asset,
                opening: of(&openings, part),
                closing: of(&closings, part),
                lines: part.last.saturating_sub(part.first),
            })
            .collect(),
        lines: read_lines(connection, &spans, Window::default()).await?,
        next,
    })
}

/// The accounts that are still to be shown, in order of assets.
async fn parts(
    connection: &mut AsyncPgConnection,
    filter: &StatementFilter,
) -> Result<Vec<Part>, StoreError> {
    let chosen = Chosen {
        owner: Some(LedgerOwner::User(filter.user)),
        asset: filter.asset,
        after: 0,
        limit: i64::MAX,
    };
    let mut accounts = choose(connection, chosen).await?;
    // Here, so that the order does not depend on the server's locale.
    accounts.sort_unstable_by_key(|account| account.key.asset);
    if let Some(after) = filter.after {
        accounts.retain(|account| account.key.asset >= after.asset);
        for account in &mut accounts {
            if account.key.asset == after.asset {
                account.lines = after.last;
            }
        }
    }
    let firsts = match filter.from {
        Some(from) => lines_before(connection, &accounts, from).await?,
        None => HashMap::new(),
    };
    let lasts = match filter.to {
        Some(to) => Some(lines_before(connection, &accounts, to.tick()).await?),
        None => None,
    };
    let part = |account: LedgerAccount| {
        let id = account.id;
        let first = firsts.get(&id).copied().unwrap_or_default();
        let last = lasts
            .as_ref()
            .map_or(account.lines, |lasts| {
                lasts.get(&id).copied().unwrap_or_default()
            })
            .max(first);
        let after = filter
            .after
            .filter(|after| after.asset == account.key.asset);
        Part {
            account,
            first,
            last,
            begin: after.map_or(first, |after| after.seq),
        }
    };
    let parts = accounts.into_iter().map(part);
    // An account that ended with the page before is not shown again.
    let ended = |part: &Part| part.begin > part.first && part.begin >= part.last;
    Ok(parts.filter(|part| !ended(part)).collect())
}

/// Which parts are on the page, with which lines, and where the next page begins.
fn page(parts: &[Part], limit: i64) -> (Vec<&Part>, Vec<Span>, Option<StatementPlace>) {
    let mut room = limit;
    let (mut shown, mut spans) = (vec![], vec![]);
    let mut rest = parts.iter().peekable();
    while let Some(part) = rest.next() {
        shown.push(part);
        let taken = room.min(part.last.saturating_sub(part.begin));
        let end = part.begin.saturating_add(taken);
        if taken > 0 {
            spans.push(Span {
                id: part.account.id,
                account: part.account.key,
                after: part.begin,
                last: end,
            });
        }
        room = room.saturating_sub(taken);
        if room == 0 && (end < part.last || rest.peek().is_some()) {
            let next = StatementPlace {
                asset: part.account.key.asset,
                seq: end,
                last: part.last,
            };
            return (shown, spans, Some(next));
        }
    }
    (shown, spans, None)
}
