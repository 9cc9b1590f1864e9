//! What confirming or approving a transfer would come to right now.

use std::sync::Arc;

use bursar_domain::{PayoutRoute, Rules, Transfer};

use super::READERS;
use crate::{App, Error, Grant};

/// What confirming or approving would come to, as long as nobody changes the rules.
#[derive(Clone, Debug)]
pub struct Forecast {
    rules: Arc<Rules>,
    route: PayoutRoute,
}

impl Forecast {
    /// Whether a second operator is asked once a withdrawal is confirmed.
    #[must_use]
    pub fn asks_second(&self, transfer: &Transfer) -> bool {
        self.rules.asks_second(transfer)
    }

    /// The rules themselves.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What pays a withdrawal out that nothing stands in the way of any more.
    pub const fn route(&self) -> PayoutRoute {
        self.route
    }
}

impl App {
    /// What the rules in force make of what is confirmed or approved now.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn forecast(&self, grant: &Grant) -> Result<Forecast, Error> {
        grant.require_any(&READERS)?;
        Ok(Forecast {
            rules: self.ports.rule_book.rules().await?,
            route: self.settings.transfers.payout,
        })
    }
}

#[cfg(test)]
mod tests;
