//! Who did what.

use bursar_ports::{AuditFilter, AuditRecord};

use super::READERS;
use crate::{App, Error, Grant};

impl App {
    /// Rows of the audit log, newest first (time, then id, both descending).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_audit(
        &self,
        grant: &Grant,
        filter: AuditFilter,
    ) -> Result<Vec<AuditRecord>, Error> {
        grant.require_any(&READERS)?;
        Ok(self.ports.audit_log.list(filter).await?)
    }
}

#[cfg(test)]
mod tests;
