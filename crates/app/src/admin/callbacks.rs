//! Callbacks as operators see them, and replay (contract §3, §4).

use bursar_domain::Timestamp;
use bursar_ports::{CallbackFilter, CallbackRecord, CallbackState, Permission, Replay, Replayable};
use uuid::Uuid;

use super::READERS;
use crate::{App, Conflict, Error, Grant, Missing};

/// How many callbacks one transaction makes due again.
const REPLAYED_AT_ONCE: u32 = 1_000;

impl App {
    /// Callbacks, newest first (creation, then id, both descending).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_callbacks(
        &self,
        grant: &Grant,
        filter: CallbackFilter,
    ) -> Result<Vec<CallbackRecord>, Error> {
        grant.require_any(&READERS)?;
        Ok(self.ports.callback_log.list(filter).await?)
    }

    /// One callback with all of its attempts.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none with this id.
    pub async fn find_callback(&self, grant: &Grant, id: Uuid) -> Result<CallbackRecord, Error> {
        grant.require_any(&READERS)?;
        let found = self.ports.callback_log.find(id).await?;
        found.ok_or(Error::NotFound(Missing::Callback))
    }

    /// Delivers a callback again that has come to an end; one that is due anyway stays as it is, so
    /// repeating this is safe.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none with this id, [`Error::Conflict`] when a newer state
    /// of its transfer is due or was delivered.
    pub async fn replay_callback(&self, grant: &Grant, id: Uuid) -> Result<CallbackRecord, Error> {
        grant.require(Permission::Admin)?;
        let audit = grant.audit("callback.replay", format!("callback:{id}"));
        let log = &self.ports.callback_log;
        match log.replay(id, self.now(), audit).await? {
            Replay::Due(callback) => Ok(callback),
            Replay::Unknown => Err(Error::NotFound(Missing::Callback)),
            Replay::Overtaken => Err(Error::Conflict(Conflict::CallbackOvertaken)),
        }
    }

    /// Delivers again what became due first at `since` or later and has come to an end; tells how
    /// many callbacks that are. Repeating this within an hour is safe: it goes on where it was.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn replay_callbacks(
        &self,
        grant: &Grant,
        which: Replayable,
        since: Timestamp,
    ) -> Result<u64, Error> {
        grant.require(Permission::Admin)?;
        let log = &self.ports.callback_log;
        // What fails again at once was replayed at `now`, and is not replayed by this call again.
        let now = self.now();
        let audit = grant.audit("callbacks.replay", replay_target(which, since));
        let mut replayed = 0_u64;
        loop {
            let some = log
                .replay_since(which, since, now, REPLAYED_AT_ONCE, audit.clone())
                .await
                .map_err(|error| match replayed {
                    0 => error,
                    // A part of it has happened.
                    _ => error.of_what_happened(),
                })?;
            replayed = replayed.saturating_add(some);
            if some < u64::from(REPLAYED_AT_ONCE) {
                return Ok(replayed);
            }
        }
    }
}

/// How the audit log names callbacks that came to an end since a time.
fn replay_target(which: Replayable, since: Timestamp) -> String {
    let state = match which {
        Replayable::Dead => CallbackState::Dead,
        Replayable::Succeeded => CallbackState::Succeeded,
    };
    format!("callbacks:{}:{}", state.as_str(), since.to_micros_text())
}

#[cfg(test)]
mod tests;
