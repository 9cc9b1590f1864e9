//! One try of a batch.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use bursar_domain::{AccountKey, UserId};
use bursar_ports::StoreError;
use diesel_async::AsyncPgConnection;

use super::Batcher;
use crate::{
    accounts::AccountIds,
    engine::{
        attempt::{Attempt, Ending, Failure, Tried, Wanted, end_without_change, strike},
        batch::Batch,
        connected::{Connected, connect},
        round_trips::within,
        writer::release,
    },
    error::is_refused,
    faults::{Point, reach},
};

/// What the rounds of one try have found out.
#[derive(Default)]
struct Learned {
    /// The recipients' accounts that were looked for.
    looked_for: BTreeSet<AccountKey>,
    /// Kept here, for the memory that all batchers share does not promise to keep what is put into it.
    found: HashMap<AccountKey, i64>,
    /// The users all of whose accounts were found.
    whole: BTreeSet<UserId>,
}

impl Learned {
    async fn recipients(
        &mut self,
        ids: &AccountIds,
        accounts: BTreeSet<AccountKey>,
    ) -> Result<(), Failure> {
        let resolved = ids.resolve(&accounts).await;
        self.found.extend(resolved.map_err(Failure::NotPrepared)?);
        self.looked_for.extend(accounts);
        Ok(())
    }

    async fn all_of(&mut self, ids: &AccountIds, users: BTreeSet<UserId>) -> Result<(), Failure> {
        let accounts = ids.all_of(&users).await;
        self.found.extend(accounts.map_err(Failure::NotPrepared)?);
        self.whole.extend(users);
        Ok(())
    }
}

/// Lets a book go whose holder is gone; else whoever is not the holder waits for it.
async fn let_go(connection: &AsyncPgConnection) -> Result<(), Failure> {
    let free = within(release(connection)).await.flatten();
    if !free.map_err(Failure::NotCommitted)? {
        return Err(StoreError::Standby.into());
    }
    tracing::info!("the book's single writer is gone: every replica writes it");
    Ok(())
}

impl Batcher {
    /// The connection, or a new one; whoever takes it puts it back while it is good.
    pub(super) async fn take_connection(&mut self) -> Result<Connected, StoreError> {
        match self.connection.take() {
            Some(connected) => Ok(connected),
            // Big, and done once for each connection.
            None => Box::pin(connect(&self.pool)).await,
        }
    }

    /// Sees to it that there are the rows that a batch is tried with, and gives the ids of its accounts.
    async fn prepare(&self, wanted: &Wanted) -> Result<HashMap<AccountKey, i64>, StoreError> {
        let mut ids = self.accounts.resolve(&wanted.needed).await?;
        ids.extend(self.accounts.remembered(&wanted.receiving));
        self.root_uses.ensure(&wanted.usage).await?;
        Ok(ids)
    }

    /// One try. The connection is kept only after a success, or when nothing but the batch's place in
    /// the order or a row that it needs beforehand was wrong: after anything else it may be silent,
    /// inside a transaction, or hold plans that a migration has made worthless.
    pub(super) async fn try_once<B: Batch + ?Sized>(
        &mut self,
        batch: &B,
        ending: Ending,
        counted_within: Duration,
    ) -> Result<B::Outcomes, Failure> {
        let mut connected = self
            .take_connection()
            .await
            .map_err(Failure::NotConnected)?;
        strike(Point::Taken).await?;
        connected.count_batch().await?;
        let mut learned = Learned::default();
        // Each round looks for accounts that no round before it did, or knows newer rules, so there
        // is a last one.
        loop {
            let wanted = Wanted::by(batch, &self.rules.rules);
            let mut ids = match self.prepare(&wanted).await {
                Ok(ids) => ids,
                Err(error) => {
                    // It is not the connection's fault.
                    self.connection = is_refused(&error).then_some(connected);
                    return Err(Failure::NotPrepared(error));
                }
            };
            ids.extend(&learned.found);
            strike(Point::AccountsKnown).await?;
            let connection = &connected.connection;
            let ticket = match &self.writer {
                Some(writer) => Some(writer.ticket(connection, &ids, &wanted.usage).await?),
                None => None,
            };
            let attempt = Attempt {
                batch,
                order: self.writer.as_ref().zip(ticket.as_ref()),
                types: &connected.types,
                ids: &ids,
                usage: &wanted.usage,
                whole: &learned.whole,
                now: self.clock.now(),
                seals: &self.seals,
                looked_for: &learned.looked_for,
                ending,
                counted_within,
            };
            let tried = match attempt.run(connection, &mut self.rules).await {
                Err(Failure::Overtaken) => {
                    end_without_change(connection).await?;
                    self.connection = Some(connected);
                    return Err(Failure::Overtaken);
                }
                tried => tried?,
            };
            match tried {
                Tried::Done(outcomes) => {
                    if ending != Ending::Rollback {
                        let told = reach(Point::Committed).await;
                        told.map_err(Failure::OutcomeUnknown)?;
                    }
                    self.connection = Some(connected);
                    return Ok(outcomes);
                }
                Tried::Missing(accounts) => learned.recipients(&self.accounts, accounts).await?,
                Tried::Shared(users) => learned.all_of(&self.accounts, users).await?,
                Tried::OtherRules | Tried::OutOfDate => {}
                Tried::Held => let_go(connection).await?,
            }
        }
    }
}
