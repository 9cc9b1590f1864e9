//! The event feed: rows of the journal, once the sequencer has numbered them, as events.
//!
//! A row tells what one transaction changed, so its events have numbers in a row: the first one
//! stands in it. Numbers have no gap, so what follows a number is found by numbers alone. Where one is
//! missing something is gone, or was forgotten by a restore, and whoever comes there is told.

mod sequencer;

use std::{collections::HashMap, fmt};

use async_trait::async_trait;
use bursar_domain::{Status, Transfer, TransferId, Version};
use bursar_ports::{Event, EventFeed, EventPage, Happening, Notice, Step, StoreError};
use diesel::{
    dsl,
    prelude::*,
    sql_query,
    sql_types::{Array, BigInt},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    error::{inconsistent, unavailable},
    pool::Database,
    row::{SealedRow, TransferRow},
    schema::{journal, journal_queue, sequencers, transfers},
    seal::SealKeys,
    store::aside::Aside,
    tx::run_tx,
    value::At,
};

/// The topic of rows that the batch engine writes.
const TRANSFERS: &str = "transfers";
/// The row of `sequencers` that counts events.
const SEQUENCE: &str = "events";

/// The events of the main book.
#[derive(Clone)]
pub struct PgEvents {
    database: Database,
    seals: SealKeys,
    aside: Aside,
}

impl PgEvents {
    /// Works on these connections, with the keys of the seals of what is about to expire.
    pub fn new(database: Database, seals: SealKeys) -> Self {
        Self {
            database,
            seals,
            aside: Aside::default(),
        }
    }
}

impl fmt::Debug for PgEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgEvents")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventFeed for PgEvents {
    async fn list(&self, after: i64, limit: u32) -> Result<EventPage, StoreError> {
        self.database
            .read_list(async move |connection| list(connection, after, limit).await)
            .await
    }

    async fn list_expiring(
        &self,
        within_ms: i64,
        limit: i64,
    ) -> Result<Vec<(Uuid, Transfer)>, StoreError> {
        let aside = self.aside.ids();
        let found: Vec<Expiring> = self
            .database
            .run(async |connection| {
                sql_query(LIST_EXPIRING)
                    .bind::<BigInt, _>(within_ms)
                    .bind::<BigInt, _>(limit)
                    .bind::<Array<BigInt>, _>(aside)
                    .load(connection)
                    .await
            })
            .await?;
        let ids: Vec<i64> = found.iter().map(|row| row.id).collect();
        let rows = self
            .database
            .run(async |connection| SealedRow::load_many(connection, ids).await)
            .await?;
        let mut expiring = Vec::with_capacity(found.len());
        // One that nobody can read must not keep the others from being told of.
        for transfer in self.aside.sort_out(rows, &self.seals) {
            let id = transfer.id().get();
            if let Some(Expiring { notice, .. }) = found.iter().find(|found| found.id == id) {
                expiring.push((*notice, transfer));
            }
        }
        expiring.sort_by_key(|(_, transfer)| (transfer.parts().expires_at, transfer.id()));
        Ok(expiring)
    }

    async fn append(&self, notice: Notice) -> Result<bool, StoreError> {
        run_tx(self.database.pool(), "append event", move |connection| {
            append(connection, notice.clone()).boxed()
        })
        .await
    }
}

/// A notice's id is made of the transfer that it tells of, so that it is told once, by whichever
/// replica. The states stand in the text, so that the planner sees that the partial index serves it.
pub(crate) const LIST_EXPIRING: &str = "/* list_expiring */ \
    SELECT t.id, md5('withdrawal.expiring:' || t.id)::uuid AS notice FROM transfers t \
    WHERE t.state IN ('Pending', 'AwaitingConfirmation') AND t.kind = 'withdrawal' \
    AND t.stage IS NULL AND t.expires_at <= statement_timestamp() + $1 * interval '1 millisecond' \
    AND t.id <> ALL($3) \
    AND NOT EXISTS (SELECT FROM journal j \
    WHERE j.id = md5('withdrawal.expiring:' || t.id)::uuid) \
    ORDER BY t.expires_at LIMIT $2";

#[derive(QueryableByName)]
struct Expiring {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    notice: Uuid,
}

/// A row of `journal` that has a number.
#[derive(Queryable, Selectable)]
#[diesel(table_name = journal)]
struct JournalRow {
    topic: String,
    transfer_ids: Vec<i64>,
    versions: Vec<i32>,
    states: Vec<String>,
    ats: Vec<At>,
    payload: Option<Value>,
    #[diesel(select_expression = journal::first_number.assume_not_null())]
    first_number: i64,
}

/// What a row tells of a transfer.
struct Told {
    id: i64,
    version: i32,
    state: String,
}

/// An event before its transfer is read.
struct Draft {
    number: i64,
    at: At,
    told: Option<Told>,
    /// Of what is no step of a transfer.
    notice: Option<(String, Option<Value>)>,
}

async fn list(
    connection: &mut AsyncPgConnection,
    after: i64,
    limit: u32,
) -> Result<EventPage, StoreError> {
    let wanted = after.saturating_add(1);
    // Read first: whatever is below this has been numbered by now, and is found unless it is gone.
    let next: i64 = sequencers::table
        .filter(sequencers::name.eq(SEQUENCE))
        .select(sequencers::next_number)
        .first(connection)
        .await
        .map_err(unavailable)?;
    let given = next.saturating_sub(1);
    if after >= given {
        return Ok(if after == given {
            EventPage::Events(vec![])
        } else {
            EventPage::Ahead { last: given }
        });
    }
    let last = after.saturating_add(i64::from(limit)).min(given);
    let rows = rows_between(connection, wanted, last).await?;
    let drafts = drafts(rows, wanted, last);
    if drafts.is_empty() {
        let oldest: Option<i64> = journal::table
            .filter(journal::first_number.gt(wanted))
            .select(dsl::min(journal::first_number))
            .first(connection)
            .await
            .map_err(unavailable)?;
        let oldest = oldest.unwrap_or(next);
        return Ok(EventPage::Pruned { oldest });
    }
    let found = read_transfers(connection, &drafts).await?;
    let events = drafts.into_iter().map(|draft| draft.read(&found));
    Ok(EventPage::Events(events.collect::<Result<_, _>>()?))
}

/// The rows that hold the events from one number to another, in order.
async fn rows_between(
    connection: &mut AsyncPgConnection,
    first: i64,
    last: i64,
) -> Result<Vec<JournalRow>, StoreError> {
    // The row that holds the first of them may have begun before.
    let begins: Option<Option<i64>> = begins(first)
        .first(connection)
        .await
        .optional()
        .map_err(unavailable)?;
    between(begins.flatten().unwrap_or(first), last)
        .select(JournalRow::as_select())
        .load(connection)
        .await
        .map_err(unavailable)
}

/// Where the last row begins that has this number or a lower one.
#[dsl::auto_type]
fn begins(number: i64) -> _ {
    journal::table
        .filter(journal::first_number.le(number))
        .order(journal::first_number.desc())
        .select(journal::first_number)
}

/// The rows that begin from one number to another.
#[dsl::auto_type]
fn between(first: i64, last: i64) -> _ {
    journal::table
        .filter(journal::first_number.ge(first))
        .filter(journal::first_number.le(last))
        .order(journal::first_number)
}

/// The events from one number to another, as far as they follow each other without a gap: beyond one
/// something is gone, and whoever asks for that is told.
fn drafts(rows: Vec<JournalRow>, first: i64, last: i64) -> Vec<Draft> {
    let mut wanted = first;
    let mut drafts = Vec::new();
    for draft in rows.into_iter().flat_map(JournalRow::drafts) {
        if draft.number == wanted && wanted <= last {
            drafts.push(draft);
            wanted = wanted.saturating_add(1);
        }
    }
    drafts
}

impl JournalRow {
    fn drafts(self) -> impl Iterator<Item = Draft> {
        let mut told = self
            .transfer_ids
            .into_iter()
            .zip(self.versions)
            .zip(self.states)
            .map(|((id, version), state)| Told { id, version, state });
        let is_notice = self.topic != TRANSFERS;
        let notice = is_notice.then_some((self.topic, self.payload));
        (self.first_number..)
            .zip(self.ats)
            .map(move |(number, at)| Draft {
                number,
                at,
                told: told.next(),
                notice: notice.clone(),
            })
    }
}

/// What stands in the journal in place of a status when a transfer was taken back.
pub(crate) const REVERSED: &str = "Reversed";

async fn read_transfers(
    connection: &mut AsyncPgConnection,
    drafts: &[Draft],
) -> Result<HashMap<i64, Transfer>, StoreError> {
    let told = drafts.iter().filter_map(|draft| draft.told.as_ref());
    let mut ids: Vec<i64> = told.map(|told| told.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = TransferRow::load_many(connection, ids)
        .await
        .map_err(unavailable)?;
    let read = |row: TransferRow| Ok((row.id, Transfer::try_from(row)?));
    rows.into_iter().map(read).collect()
}

impl Draft {
    fn read(self, transfers: &HashMap<i64, Transfer>) -> Result<Event, StoreError> {
        let bad = |what: &str| inconsistent("journal", format!("event {}: {what}", self.number));
        let step = match self.told {
            None => None,
            Some(told) => {
                let transfer = transfers.get(&told.id).cloned();
                let transfer = transfer.ok_or_else(|| bad("its transfer is gone"))?;
                let reversed = told.state == REVERSED;
                let status = if reversed {
                    // What is taken back keeps its status.
                    transfer.status()
                } else {
                    Status::from_name(&told.state).ok_or_else(|| bad("states"))?
                };
                Some(Step {
                    transfer,
                    version: Version::new(told.version),
                    status,
                    reversed,
                })
            }
        };
        let what = match self.notice {
            None => Happening::Step(step.ok_or_else(|| bad("transfer_ids"))?),
            Some((topic, payload)) => Happening::Notice {
                topic,
                about: step,
                data: match payload {
                    None => Some(Map::new()),
                    Some(Value::Object(members)) => Some(members),
                    Some(
                        Value::Null
                        | Value::Bool(_)
                        | Value::Number(_)
                        | Value::String(_)
                        | Value::Array(_),
                    ) => None,
                }
                .and_then(|members| members.into_iter().map(text).collect())
                .ok_or_else(|| bad("payload"))?,
            },
        };
        Ok(Event {
            number: self.number,
            at: self.at.0,
            what,
        })
    }
}

/// A member whose value is a text.
fn text((name, value): (String, Value)) -> Option<(String, String)> {
    match value {
        Value::String(value) => Some((name, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

async fn append(connection: &mut AsyncPgConnection, notice: Notice) -> QueryResult<bool> {
    let (mut ids, mut versions, mut states) = (vec![], vec![], vec![]);
    if let Some((transfer, version)) = notice.about {
        // Locked, so that whatever moves the transfer on comes later.
        let state: Option<String> = transfers::table
            .filter(transfers::id.eq(TransferId::get(transfer)))
            .filter(transfers::version.eq(version.get()))
            .select(transfers::state)
            .for_share()
            .first(connection)
            .await
            .optional()?;
        let Some(state) = state else {
            return Ok(false);
        };
        ids.push(transfer.get());
        versions.push(version.get());
        states.push(state);
    }
    let members = notice.data.into_iter();
    let payload: Map<String, Value> = members.map(|(k, v)| (k, Value::String(v))).collect();
    let told: Option<(At, Uuid)> = diesel::insert_into(journal::table)
        .values((
            journal::id.eq(notice.id),
            journal::topic.eq(notice.topic),
            journal::locked_at.eq(dsl::sql::<diesel::sql_types::Timestamptz>(
                "clock_timestamp()",
            )),
            journal::transfer_ids.eq(ids),
            journal::versions.eq(versions),
            journal::states.eq(states),
            journal::ats.eq(vec![At(notice.at)]),
            journal::payload.eq(Value::Object(payload)),
            journal::count.eq(1),
        ))
        .on_conflict(journal::id)
        .do_nothing()
        .returning((journal::locked_at, journal::id))
        .get_result(connection)
        .await
        .optional()?;
    if let Some((locked_at, id)) = told {
        diesel::insert_into(journal_queue::table)
            .values((
                journal_queue::locked_at.eq(locked_at),
                journal_queue::id.eq(id),
            ))
            .execute(connection)
            .await?;
    }
    Ok(true)
}
