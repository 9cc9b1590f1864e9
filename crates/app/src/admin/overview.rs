//! The overview: how much waits, how much moved, and whether all is well.

use bursar_domain::{Asset, Timestamp};
use bursar_ports::{CallbackLag, HostHealth, VolumeScan, Volumes, WaitingWork};

use super::READERS;
use crate::{App, BooksState, Error, Grant, OpenBreaker};

const HOUR_MICROS: i64 = 3_600_000_000;

/// Over which time volumes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Twenty-four pieces of an hour.
    Day,
    /// Twenty-eight pieces of six hours.
    Week,
    /// Thirty days.
    Month,
}

impl Period {
    /// Every period.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The name in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The period with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|period| period.as_str().eq_ignore_ascii_case(name))
    }

    /// How many hours a piece of it has.
    pub const fn hours(self) -> u32 {
        match self {
            Self::Day => 1,
            Self::Week => 6,
            Self::Month => 24,
        }
    }

    /// How many pieces it has.
    pub const fn pieces(self) -> u32 {
        match self {
            Self::Day => 24,
            Self::Week => 28,
            Self::Month => 30,
        }
    }

    /// When each of its pieces begins, the last one being the one that is under way.
    pub fn starts(self, now: Timestamp) -> Vec<Timestamp> {
        let piece = HOUR_MICROS.saturating_mul(i64::from(self.hours()));
        let last = now.as_micros().div_euclid(piece).saturating_mul(piece);
        (0..i64::from(self.pieces()))
            .rev()
            .map(|back| Timestamp::from_micros(last.saturating_sub(piece.saturating_mul(back))))
            .collect()
    }
}

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// When.
    pub at: Timestamp,
    /// What waits for operators.
    pub waiting: WaitingWork,
    /// What succeeded in the period.
    pub volumes: Volumes,
    /// When each piece of the period begins.
    pub starts: Vec<Timestamp>,
    /// Every asset.
    pub assets: Vec<Asset>,
    /// How long callbacks take.
    pub callbacks: CallbackLag,
    /// What this replica last saw of the books; none when it has not looked.
    pub books: Option<BooksState>,
}

/// A host that callbacks go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackHost {
    /// What the outbox tells of it.
    pub health: HostHealth,
    /// The breaker, if the replica that is asked has it open; another one may have met the host less
    /// often, or not at all.
    pub breaker: Option<OpenBreaker>,
}

impl App {
    /// How things stand.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn overview(&self, grant: &Grant, period: Period) -> Result<Overview, Error> {
        grant.require_any(&READERS)?;
        let at = self.now();
        let starts = period.starts(at);
        let scan = VolumeScan {
            from: starts.first().copied().unwrap_or(at),
            hours: period.hours(),
        };
        let figures = &self.ports.figures;
        Ok(Overview {
            at,
            waiting: figures.waiting().await?,
            volumes: figures.volumes(scan).await?,
            starts,
            assets: self.ports.directory.list_assets().await?,
            callbacks: figures.callback_lag(at).await?,
            books: self.ports.books_seen.last(),
        })
    }

    /// How callbacks to each host fare, in order of hosts, and whether this replica leaves it alone.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn callback_hosts(&self, grant: &Grant) -> Result<Vec<CallbackHost>, Error> {
        grant.require_any(&READERS)?;
        let hosts = self.ports.figures.callback_hosts().await?;
        let seen = &self.ports.breakers_seen;
        let with_breaker = |health: HostHealth| CallbackHost {
            breaker: seen.of(&health.host),
            health,
        };
        Ok(hosts.into_iter().map(with_breaker).collect())
    }
}

#[cfg(test)]
mod tests;
