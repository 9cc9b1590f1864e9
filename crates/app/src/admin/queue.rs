//! The queue: what waits for an operator, and who is at it.

use bursar_domain::{
    ActorId, Amount, AssetId, Kind, Scale, Stage, Status, Timestamp, Transfer, TransferId,
};
use bursar_ports::{LetGo, OpenWork, Permission, QueueOrder, QueuePlace, QueueScan, Take, Taking};

use super::READERS;
use crate::{App, Conflict, Error, Grant, Missing, backoffice::target_of, settle::STALE_TRIES_MAX};

/// Who may take something: whoever may do what it waits for.
pub const TAKERS: [Permission; 2] = [Permission::BackofficeConfirm, Permission::BackofficeApprove];

/// How long something stays taken, in minutes.
const TAKEN_MINUTES: i64 = 5;

/// Which part of a queue an operator looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSearch {
    /// Which queue.
    pub which: OpenWork,
    /// What comes first.
    pub sort: QueueOrder,
    /// Only of this asset.
    pub asset: Option<AssetId>,
    /// Only what comes after this place.
    pub after: Option<QueuePlace>,
    /// How many.
    pub limit: u32,
}

/// That somebody is at a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Who.
    pub by: ActorId,
    /// Since when.
    pub since: Timestamp,
    /// Until when, unless that operator takes it again or somebody acts on the transfer.
    pub until: Timestamp,
}

/// What a transfer was worth in the root asset when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootValue {
    /// The root asset.
    pub asset: AssetId,
    /// Its scale.
    pub scale: Scale,
    /// How much, in its smallest units.
    pub amount: Amount,
}

/// A transfer that waits for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// The transfer.
    pub transfer: Transfer,
    /// Who is at it, if anybody is.
    pub taken: Option<Taken>,
    /// What it was worth when it was made, if somebody had said.
    pub value: Option<RootValue>,
}

/// A part of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuePage {
    /// The rows; fewer than asked for, even none, when few of those looked at are of the asset.
    pub rows: Vec<QueueRow>,
    /// Where the next part begins; `None` when there is nothing more.
    pub next: Option<QueuePlace>,
}

impl App {
    /// What waits for an operator, in the order asked for and then by id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn queue(&self, grant: &Grant, wanted: QueueSearch) -> Result<QueuePage, Error> {
        grant.require_any(&READERS)?;
        let which = wanted.which;
        let scan = QueueScan {
            which,
            order: wanted.sort,
            asset: wanted.asset,
            after: wanted.after,
            limit: wanted.limit,
        };
        let found = self.ports.work_queue.list_open(scan).await?;
        let ids: Vec<TransferId> = found.transfers.iter().map(Transfer::id).collect();
        let takings = if ids.is_empty() {
            vec![]
        } else {
            self.ports.work_queue.list_takings(ids, self.now()).await?
        };
        // What was acted on while the page was read waits no longer.
        let open = found.transfers.into_iter();
        let open = open.filter(|transfer| work_of(transfer) == Some(which));
        let rows = open.map(|transfer| QueueRow {
            taken: taking_of(&transfer, &takings),
            value: root_value(&transfer),
            transfer,
        });
        Ok(QueuePage {
            rows: rows.collect(),
            next: found.next,
        })
    }

    /// Who is at a transfer, if anybody is.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn taken(&self, grant: &Grant, transfer: &Transfer) -> Result<Option<Taken>, Error> {
        grant.require_any(&READERS)?;
        if work_of(transfer).is_none() {
            return Ok(None);
        }
        let queue = &self.ports.work_queue;
        let takings = queue.list_takings(vec![transfer.id()], self.now()).await?;
        Ok(taking_of(transfer, &takings))
    }

    /// Takes a transfer that waits for an operator, so that others see that somebody is at it. Taken
    /// again it stays taken for longer. Nobody is kept from acting on it by that, and whoever does
    /// ends it.
    ///
    /// # Errors
    /// [`Error::TakenByOther`] while somebody else has it; [`Error::NotFound`] when there is no such
    /// transfer, and [`Error::Conflict`] when it does not wait any more.
    pub async fn take(&self, grant: &Grant, transfer: Option<TransferId>) -> Result<Taken, Error> {
        grant.require_any(&TAKERS)?;
        for _ in 0..STALE_TRIES_MAX {
            let current = self.waiting(transfer).await?;
            let now = self.now();
            let taking = Taking {
                transfer: current.id(),
                version: current.version(),
                by: grant.actor(),
                taken_at: now,
                until: now.plus_micros(TAKEN_MINUTES.saturating_mul(60_000_000)),
            };
            let audit = grant.audit("transfer.take", target_of(current.id()));
            match self.ports.work_queue.take(taking, audit).await? {
                Take::Taken(taking) => return Ok(Taken::from(taking)),
                Take::Held(taking) => return Err(Error::TakenByOther(Taken::from(taking))),
                Take::Stale => {}
            }
        }
        Err(Error::Conflict(Conflict::Busy))
    }

    /// Lets go what the caller has taken; of what the caller has not it changes nothing.
    ///
    /// # Errors
    /// [`Error::TakenByOther`] while somebody else has it; [`Error::NotFound`] when there is no such
    /// transfer.
    pub async fn let_go(&self, grant: &Grant, transfer: Option<TransferId>) -> Result<(), Error> {
        grant.require_any(&TAKERS)?;
        let found = self.find_sent(transfer).await?;
        let current = found.ok_or(Error::NotFound(Missing::Transfer))?;
        let (id, version) = (current.id(), current.version());
        let queue = &self.ports.work_queue;
        let audit = grant.audit("transfer.let_go", target_of(id));
        let let_go = queue.let_go(id, version, grant.actor(), self.now(), audit);
        match let_go.await? {
            LetGo::Free => Ok(()),
            LetGo::Held(taking) => Err(Error::TakenByOther(Taken::from(taking))),
        }
    }

    /// The transfer, if it waits for an operator.
    async fn waiting(&self, id: Option<TransferId>) -> Result<Transfer, Error> {
        let found = self.find_sent(id).await?;
        let current = found.ok_or(Error::NotFound(Missing::Transfer))?;
        match work_of(&current) {
            Some(_) => Ok(current),
            None => Err(Error::Conflict(Conflict::of(&current))),
        }
    }
}

impl From<Taking> for Taken {
    fn from(taking: Taking) -> Self {
        Self {
            by: taking.by,
            since: taking.taken_at,
            until: taking.until,
        }
    }
}

/// What operators are waited for with, if they are.
pub fn work_of(transfer: &Transfer) -> Option<OpenWork> {
    match transfer.stage() {
        Some(Stage::Approval) => Some(OpenWork::Approvals),
        Some(Stage::Payout) => None,
        None => {
            let (kind, status) = (transfer.kind(), transfer.status());
            let waits = (kind, status) == (Kind::Withdrawal, Status::AwaitingConfirmation);
            waits.then_some(OpenWork::Withdrawals)
        }
    }
}

/// Who has a transfer as it is now.
fn taking_of(transfer: &Transfer, takings: &[Taking]) -> Option<Taken> {
    takings
        .iter()
        .find(|taking| taking.transfer == transfer.id() && taking.version == transfer.version())
        .cloned()
        .map(Taken::from)
}

fn root_value(transfer: &Transfer) -> Option<RootValue> {
    let parts = transfer.parts();
    let root = parts.root_rate.as_ref()?;
    Some(RootValue {
        asset: root.asset,
        scale: root.scale,
        amount: root.value_of(parts.amount, parts.scale)?,
    })
}

#[cfg(test)]
mod tests;
