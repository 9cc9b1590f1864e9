//! Where each sequencer stands. Its row is a lease: whoever has locked it goes on from there, others pass
//! by.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::schema::sequencers;

/// Takes the lease until the end of the transaction, and says the number that comes next; none when
/// somebody else has it.
pub(crate) async fn lease(
    connection: &mut AsyncPgConnection,
    name: &str,
) -> QueryResult<Option<i64>> {
    sequencers::table
        .filter(sequencers::name.eq(name))
        .select(sequencers::next_number)
        .for_update()
        .skip_locked()
        .first(connection)
        .await
        .optional()
}

/// Moves on to the number that comes next now, under the lease.
pub(crate) async fn move_on(
    connection: &mut AsyncPgConnection,
    name: &str,
    next: i64,
) -> QueryResult<()> {
    diesel::update(sequencers::table.filter(sequencers::name.eq(name)))
        .set(sequencers::next_number.eq(next))
        .execute(connection)
        .await?;
    Ok(())
}
