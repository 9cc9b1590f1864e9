//! From what the driver reports to what the ports promise.

use bursar_ports::StoreError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Whether an error says that the connection is gone, so that nothing more can be learned on it.
pub(crate) fn is_disconnect(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection,
            _
        ) | DieselError::BrokenTransactionManager
    )
}

/// Whether the server takes no writes (25006), as one that has become a standby.
pub(crate) fn is_read_only(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _)
    )
}

/// Whether repeating the transaction is the cure (40001).
pub(crate) fn is_serialization_failure(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _)
    )
}

/// Whether the server refuses a transaction for what it is about: data, or a row that is not to be had.
pub(crate) fn is_refused(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else {
        return false;
    };
    cause.downcast_ref::<DieselError>().is_some_and(|error| {
        matches!(error, DieselError::DatabaseError(..))
            && !is_disconnect(error)
            && !is_read_only(error)
            && !is_serialization_failure(error)
    })
}

/// A read or a change outside the batch engine that failed: nothing happened.
pub(crate) fn unavailable(error: DieselError) -> StoreError {
    StoreError::Unavailable(error.into())
}

/// A row that fits no value of the domain.
pub(crate) fn inconsistent(table: &'static str, detail: impl Into<String>) -> StoreError {
    StoreError::Inconsistent {
        table,
        detail: detail.into(),
    }
}
