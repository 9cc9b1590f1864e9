//! A batcher's connection: its statements are prepared, and their plans stay right.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use bursar_domain::{Commit, Timestamp};
use bursar_ports::StoreError;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};

use super::{
    attempt::{Attempt, Ending, Failure},
    round_trips::within,
};
use crate::{
    error::unavailable,
    faults::{Planted, is_planted},
    pool::PoolConfig,
    seal::SealKeys,
    statement::RowTypes,
};

/// A connection for one batcher, with every hot statement prepared.
pub(super) struct Connected {
    pub(super) connection: AsyncPgConnection,
    pub(super) types: RowTypes,
    /// How many batches it was used for.
    batches: u32,
}

impl Connected {
    /// Counts one more batch, and has all plans made anew when there have been twice as many as the
    /// last time. A plan that is right while there is hardly any account, to look at each of them for
    /// every row of a batch, is wrong soon afterwards, and nothing else but an ANALYZE would end it.
    pub(super) async fn count_batch(&mut self) -> Result<(), Failure> {
        if self.batches.is_power_of_two() {
            within(self.connection.batch_execute("DISCARD PLANS"))
                .await
                .flatten()
                .map_err(Failure::NotCommitted)?;
        }
        self.batches = self.batches.saturating_add(1);
        Ok(())
    }
}

/// Connects, and prepares every hot statement.
///
/// Preparing beforehand is not for speed alone: a statement that still had to be prepared would be
/// overtaken by the statements pipelined behind it, COMMIT among them.
pub(super) async fn connect(pool: &PoolConfig) -> Result<Connected, StoreError> {
    let ready = within(async {
        let connection = pool
            .connect_for_named_rows()
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        if is_planted(Planted::CommitsAsynchronously) {
            let mut off = &connection;
            let off = off.batch_execute("SET synchronous_commit = off");
            off.await.map_err(unavailable)?;
        }
        let types = RowTypes::load(&connection).await.map_err(unavailable)?;
        let nothing = Attempt {
            batch: <&[Commit]>::default(),
            order: None,
            types: &types,
            ids: &HashMap::new(),
            usage: &BTreeSet::new(),
            whole: &BTreeSet::new(),
            looked_for: &BTreeSet::new(),
            now: Timestamp::EPOCH,
            seals: &SealKeys::default(),
            ending: Ending::Resolve,
            counted_within: Duration::ZERO,
        };
        let prepared = Box::pin(nothing.prepare(&connection)).await;
        prepared.map_err(unavailable)?;
        Ok(Connected {
            connection,
            types,
            batches: 0,
        })
    });
    ready.await.map_err(unavailable)?
}
