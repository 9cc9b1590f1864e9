//! What happens at points, and which faults are planted.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};

use super::{Planted, Point};

/// How long a point keeps whoever reaches it, where it was told to.
const SLEEP: Duration = Duration::from_millis(500);

/// Chooses what happens at a point or whether a fault is planted, by what the crate `fail` calls
/// actions: `off`, `return`, `1*return(abort)`. A point knows `abort`, `panic`, `sleep`, and the errors
/// `refused`, `40001` and `lost`.
///
/// # Errors
/// What is wrong with the actions.
pub fn arm(name: &str, actions: &str) -> Result<(), String> {
    fail::cfg(name, actions)
}

/// What was chosen for a name; none if nothing was.
fn chosen(name: &str) -> Option<String> {
    fail::fail_point!(name, |what| Some(what.unwrap_or_default()));
    None
}

/// Does what was chosen for a point.
pub(crate) async fn reach(point: Point) -> QueryResult<()> {
    let Some(what) = chosen(point.name()) else {
        return Ok(());
    };
    tracing::warn!(point = point.name(), what, "struck");
    let kind = match what.as_str() {
        "abort" => std::process::abort(),
        "sleep" => {
            tokio::time::sleep(SLEEP).await;
            return Ok(());
        }
        "refused" => DatabaseErrorKind::Unknown,
        "40001" => DatabaseErrorKind::SerializationFailure,
        "lost" => DatabaseErrorKind::ClosedConnection,
        other => panic!("{}: {other}", point.name()),
    };
    Err(DieselError::DatabaseError(kind, Box::new(what)))
}

/// Whether anything is chosen for a point that is reached only if it is.
pub(crate) fn is_chosen(point: Point) -> bool {
    let is_listed = |(name, actions): &(String, String)| name == point.name() && actions != "off";
    fail::list().iter().any(is_listed)
}

/// Whether a fault is planted.
pub(crate) fn is_planted(fault: Planted) -> bool {
    chosen(fault.name()).is_some()
}
