//! What an earlier try of a batch has left.

use std::collections::HashMap;

use bursar_domain::{Transfer, TransferId};
use diesel_async::AsyncPgConnection;

use super::{attempt::Failure, round_trips::within};
use crate::{error::inconsistent, row::SealedRow, seal::SealKeys};

/// The transfers of an earlier try of this batch, which must be the very same, in order.
pub(super) async fn landed(
    connection: &AsyncPgConnection,
    wanted: &[&Transfer],
    seals: &SealKeys,
) -> Result<Vec<Transfer>, Failure> {
    if wanted.is_empty() {
        return Ok(vec![]);
    }
    let ids: Vec<i64> = wanted.iter().map(|transfer| transfer.id().get()).collect();
    let rows = within(SealedRow::load_many(connection, ids)).await;
    let rows = rows.flatten().map_err(Failure::NotCommitted)?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let transfer = row.prove(seals)?;
        found.insert(transfer.id(), transfer);
    }
    let fault = |id: TransferId, what: &str| inconsistent("transfers", format!("id {id} {what}"));
    let mut landed = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let id = wanted.id();
        let transfer = found.get(&id).ok_or_else(|| fault(id, "is gone"))?;
        if !transfer.is_same_request(wanted) {
            return Err(fault(id, "was given to two transfers").into());
        }
        landed.push(transfer.clone());
    }
    Ok(landed)
}
