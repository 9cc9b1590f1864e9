//! Hears of what other replicas write.

use std::time::Duration;

use bursar_postgres::PgChanges;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::outage::Outage;

/// How long to wait before trying again.
const RETRY: Duration = Duration::from_secs(2);

/// Listens until told to stop. Meanwhile what is in memory of users and credentials is as old as
/// other replicas' last write of it, and else it is read again every few seconds.
pub async fn hear_changes(changes: PgChanges, stop: CancellationToken) {
    let over = Some("other replicas' changes are heard of again");
    let mut outage = Outage::new("other replicas' changes are not heard of at once", over);
    loop {
        let listening = changes.listen(|| outage.end());
        let Some(Err(error)) = stop.run_until_cancelled(listening).await else {
            return;
        };
        outage.meet(&error);
        if stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
            return;
        }
    }
}
