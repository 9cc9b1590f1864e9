//! What goes to the server and comes back, pipelined.
//!
//! The futures of one round trip are polled in the order they stand here, and each sends its
//! statement when it is first polled, because every statement is prepared and nothing else can make
//! it wait: the connection is used by one batch alone, and the caller lifts tokio's budget.

mod read;
mod write;

use std::{future::Future, time::Duration};

use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};

pub(super) use self::{
    read::lock_and_read,
    write::{Last, Trouble, Written, flatten, write, write_ahead, write_last},
};

/// How long either round trip may take. Longer than the statement timeout, so that it ends only
/// what the server does not answer any more.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(6);

/// A statement that is only sent when there is something in it.
async fn when<T: Default>(
    wanted: bool,
    query: impl Future<Output = QueryResult<T>>,
) -> QueryResult<T> {
    if wanted {
        query.await
    } else {
        Ok(T::default())
    }
}

/// Ends what the server does not answer any more. The connection must then be dropped.
pub(super) async fn within<T>(round_trip: impl Future<Output = T>) -> QueryResult<T> {
    within_longer(ROUND_TRIP_MAX, round_trip).await
}

/// The same for what may take longer.
pub(super) async fn within_longer<T>(
    time: Duration,
    round_trip: impl Future<Output = T>,
) -> QueryResult<T> {
    tokio::time::timeout(time, round_trip)
        .await
        .map_err(|elapsed| {
            DieselError::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand,
                Box::new(elapsed.to_string()),
            )
        })
}
