//! Proves the books anew: every seal, every sum, every balance, in one snapshot.
//!
//! The rows are read in pages, in the order that [`crate::proof`] wants them in; nothing grows with
//! the books but what is held for open withdrawals.

mod usage;

use std::collections::HashMap;

use bursar_domain::{Kind, Timestamp};
use bursar_ports::StoreError;
use diesel::{dsl::sql, prelude::*, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection as _};

use crate::{
    error::unavailable,
    heads::HeadsFile,
    pool::PoolConfig,
    proof::{
        AccountFacts, EntryFacts, Fault, Judged, LineFacts, Place, Proof, Rules, UsageFacts,
        Violation,
    },
    row::SealedRow,
    schema::{accounts, entries, transfers},
    seal::SealKeys,
    statement::ReadLines,
    tx::in_snapshot,
};

/// How many transfers or accounts are read at once.
const PAGE: i64 = 1_000;
/// How many entries are read at once.
const ENTRIES_PAGE: i64 = 5_000;
/// How many entries that nothing refers to are named.
const NAMED_MAX: i64 = 100;
/// How long one statement may run; naming what nothing refers to reads all there is.
const STATEMENT_TIMEOUT_MS: u32 = 3_600_000;

/// What books are proved by.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// The keys of the seals.
    pub seals: SealKeys,
    /// What was written at this time or later must be sealed. Without it, entries before the first
    /// sealed one of their account need not be, nor need transfers.
    pub sealed_since: Option<Timestamp>,
    /// What was exported earlier.
    pub heads: Option<HeadsFile>,
}

/// What there is to tell meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something is wrong.
    Violation(Violation),
    /// How much was judged so far.
    Progress(Judged),
}

type Tell<'t> = &'t mut (dyn FnMut(Event) + Send);

/// Proves the books in the database at `url`, telling what is wrong as it is found.
///
/// # Errors
/// [`StoreError`] when they cannot be read.
pub async fn verify(
    url: &str,
    verification: &Verification,
    tell: Tell<'_>,
) -> Result<Judged, StoreError> {
    let pool = PoolConfig {
        statement_timeout_ms: STATEMENT_TIMEOUT_MS,
        ..PoolConfig::new(url)
    };
    let mut connection = pool
        .connect_for_reading()
        .await
        .map_err(|error| StoreError::Unavailable(error.into()))?;
    // Whoever is told of violations may take its time.
    connection
        .batch_execute("SET idle_in_transaction_session_timeout = 0")
        .await
        .map_err(unavailable)?;
    let rules = Rules {
        keys: verification.seals.clone(),
        sealed_since: verification.sealed_since,
    };
    let heads = match &verification.heads {
        Some(file) => file.read()?,
        None => Box::new(std::iter::empty()),
    };
    let mut proof = Proof::new(rules, heads);
    let snapshot = in_snapshot(&mut connection, async |connection| {
        let mut pass = Pass {
            connection,
            proof: &mut proof,
            tell,
        };
        // What else is to be proved of the same snapshot is one more pass here.
        pass.transfers().await?;
        pass.accounts().await?;
        pass.limits().await?;
        pass.end().await
    });
    snapshot.await?;
    Ok(proof.judged())
}

/// A way through the snapshot.
struct Pass<'p, 'h> {
    connection: &'p mut AsyncPgConnection,
    proof: &'p mut Proof<'h>,
    tell: Tell<'p>,
}

impl Pass<'_, '_> {
    /// Every transfer with the entries that it refers to.
    async fn transfers(&mut self) -> Result<(), StoreError> {
        let mut after = i64::MIN;
        loop {
            let page: Vec<SealedRow> = transfers::table
                .filter(transfers::id.gt(after))
                .order(transfers::id)
                .limit(PAGE)
                .select(SealedRow::as_select())
                .load(self.connection)
                .await
                .map_err(unavailable)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.id();
            let lines = self.lines_of(&page).await?;
            for sealed in &page {
                self.proof
                    .transfer(sealed, |account, seq| lines.get(&(account, seq)));
            }
            self.told();
        }
    }

    async fn lines_of(
        &mut self,
        page: &[SealedRow],
    ) -> Result<HashMap<(i64, i64), LineFacts>, StoreError> {
        let refs = page.iter().flat_map(|sealed| {
            let (pairs, _odd) = sealed.entry_refs.as_chunks::<2>();
            pairs.iter().map(|[account, seq]| (*account, *seq))
        });
        let (accounts, seqs): (Vec<i64>, Vec<i64>) = refs.unzip();
        let read = ReadLines {
            accounts: &accounts,
            seqs: &seqs,
        };
        let lines: Vec<LineFacts> = read.load(self.connection).await.map_err(unavailable)?;
        let by_place = |line: LineFacts| ((line.account_id, line.seq), line);
        Ok(lines.into_iter().map(by_place).collect())
    }

    /// Every account with its entries, and the entries of no account.
    async fn accounts(&mut self) -> Result<(), StoreError> {
        let mut after = (i64::MIN, i64::MIN);
        loop {
            let page: Vec<AccountFacts> = accounts::table
                .filter(accounts::id.gt(after.0))
                .order(accounts::id)
                .limit(PAGE)
                .select(AccountFacts::as_select())
                .load(self.connection)
                .await
                .map_err(unavailable)?;
            let last = page.last().map(|account| account.id);
            self.proof.accounts(page);
            self.entries(after, last.unwrap_or(i64::MAX)).await?;
            self.proof.end_of_page();
            self.told();
            let Some(last) = last else {
                return Ok(());
            };
            after = (last, i64::MAX);
        }
    }

    /// The entries after a place, up to those of an account.
    async fn entries(&mut self, after: (i64, i64), until: i64) -> Result<(), StoreError> {
        let (mut account, mut seq) = after;
        loop {
            // A row comparison, so that the primary key serves it as one range.
            let beyond = sql::<diesel::sql_types::Bool>("(account_id, seq) > (")
                .bind::<BigInt, _>(account)
                .sql(", ")
                .bind::<BigInt, _>(seq)
                .sql(")");
            let page: Vec<EntryFacts> = entries::table
                .filter(beyond)
                .filter(entries::account_id.le(until))
                .order((entries::account_id, entries::seq))
                .limit(ENTRIES_PAGE)
                .select(EntryFacts::as_select())
                .load(self.connection)
                .await
                .map_err(unavailable)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            (account, seq) = (last.account_id, last.seq);
            for facts in &page {
                self.proof.entry(facts);
            }
            self.told();
        }
    }

    /// What users have used of limits.
    async fn limits(&mut self) -> Result<(), StoreError> {
        let kinds = [Kind::Withdrawal, Kind::Internal].into_iter();
        for of in kinds.flat_map(|kind| usage::Scope::ALL.map(|scope| (kind, scope))) {
            let mut last: Option<UsageFacts> = None;
            loop {
                let page = usage::page(self.connection, of, last.as_ref()).await?;
                for facts in &page {
                    self.proof.usage(facts);
                }
                self.told();
                last = page.into_iter().last();
                if last.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What only all of it together shows.
    async fn end(&mut self) -> Result<(), StoreError> {
        self.proof.finish();
        let found = self.proof.take_found();
        let unclaimed = found
            .iter()
            .any(|violation| matches!(violation.fault, Fault::Claimed { .. }));
        for violation in found {
            (self.tell)(Event::Violation(violation));
        }
        if unclaimed {
            self.name_unclaimed().await?;
        }
        self.told();
        Ok(())
    }

    /// Names entries that no transfer refers to.
    async fn name_unclaimed(&mut self) -> Result<(), StoreError> {
        let unclaimed = diesel::sql_query(
            "SELECT e.account_id, e.seq FROM entries e LEFT JOIN transfers t ON t.id = e.transfer_id \
             WHERE NOT EXISTS (SELECT FROM generate_series(1, cardinality(t.entry_refs), 2) AS i \
             WHERE t.entry_refs[i] = e.account_id AND t.entry_refs[i + 1] = e.seq) \
             ORDER BY e.account_id, e.seq LIMIT $1",
        )
        .bind::<BigInt, _>(NAMED_MAX);
        let unclaimed: Vec<EntryPlace> =
            unclaimed.load(self.connection).await.map_err(unavailable)?;
        for EntryPlace { account_id, seq } in unclaimed {
            let account = account_id;
            self.proof
                .found(Place::Entry { account, seq }, Fault::Unclaimed);
        }
        Ok(())
    }

    fn told(&mut self) {
        for violation in self.proof.take_found() {
            (self.tell)(Event::Violation(violation));
        }
        (self.tell)(Event::Progress(self.proof.judged()));
    }
}

#[derive(QueryableByName)]
struct EntryPlace {
    #[diesel(sql_type = BigInt)]
    account_id: i64,
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

#[cfg(test)]
mod tests;
