//! What payments over HTTP take of the processors.

use super::service::Service;
use crate::{load::Turn, processor};

/// Processor seconds until now.
pub(super) struct Spent {
    service: f64,
    database: f64,
    client: f64,
}

impl Spent {
    pub(super) fn until_now(service: &Service, database: i32) -> anyhow::Result<Self> {
        Ok(Self {
            service: processor::seconds_of(&service.process_id().to_string())?,
            database: processor::seconds_of_family(database)?,
            client: processor::seconds_of("self")?,
        })
    }
}

/// What payments took of the processors.
#[derive(Default)]
pub(super) struct Costs {
    payments: f64,
    service: f64,
    database: f64,
    client: f64,
}

#[expect(clippy::float_arithmetic, reason = "figures for people")]
impl Costs {
    pub(super) fn add(&mut self, before: &Spent, after: &Spent, turn: &Turn) {
        self.payments += f64::from(turn.made);
        self.service += after.service - before.service;
        self.database += after.database - before.database;
        self.client += after.client - before.client;
    }

    pub(super) fn print(&self, connections: u32) {
        let each = |seconds: f64| seconds * 1e6 / self.payments;
        println!(
            "\neach settled payment at {connections} connections, µs of processor time: \
             service {:.0}, database {:.0}, client {:.0}",
            each(self.service),
            each(self.database),
            each(self.client)
        );
    }
}
