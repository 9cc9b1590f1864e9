//! What an attempt tells of the receiver.

use bursar_ports::{Delivered, Undelivered};

/// What an attempt told of the receiver, and so of what else waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reception {
    /// It took the callback.
    Taken,
    /// It is there, and wants this one not, or not so.
    Refused,
    /// It is not there, or can take nothing now.
    Away,
    /// It was not asked.
    Unheard,
}

const REQUEST_TIMEOUT: u16 = 408;
const TOO_MANY_REQUESTS: u16 = 429;
const SERVER_FAULTS: std::ops::RangeInclusive<u16> = 500..=599;

impl Reception {
    /// What an outcome tells.
    pub(crate) fn of(outcome: Result<Delivered, Undelivered>) -> Self {
        match outcome {
            Ok(_) => Self::Taken,
            Err(Undelivered::Answered { http_status, .. }) => match http_status {
                REQUEST_TIMEOUT | TOO_MANY_REQUESTS => Self::Away,
                fault if SERVER_FAULTS.contains(&fault) => Self::Away,
                _ => Self::Refused,
            },
            Err(Undelivered::Timeout | Undelivered::Connect | Undelivered::Broken) => Self::Away,
            Err(Undelivered::Forbidden) => Self::Unheard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_cannot_take_anything_is_away() {
        let answered = |http_status| {
            Err(Undelivered::Answered {
                http_status,
                retry_after_ms: None,
            })
        };
        for (outcome, reception) in [
            (Ok(Delivered { http_status: 204 }), Reception::Taken),
            (answered(301), Reception::Refused),
            (answered(400), Reception::Refused),
            (answered(404), Reception::Refused),
            (answered(410), Reception::Refused),
            (answered(408), Reception::Away),
            (answered(429), Reception::Away),
            (answered(500), Reception::Away),
            (answered(503), Reception::Away),
            (answered(599), Reception::Away),
            (answered(600), Reception::Refused),
            (Err(Undelivered::Timeout), Reception::Away),
            (Err(Undelivered::Connect), Reception::Away),
            (Err(Undelivered::Broken), Reception::Away),
            (Err(Undelivered::Forbidden), Reception::Unheard),
        ] {
            assert_eq!(Reception::of(outcome), reception, "{outcome:?}");
        }
    }
}
