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
