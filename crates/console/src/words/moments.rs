//! Times: in the operator's zone, and exact in UTC for machines and for the pointer that rests on them.

use bursar_domain::Timestamp;
use maud::{Markup, html};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use crate::prefs::Zone;

const MINUTES: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]");
const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const CLOCK: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]");

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const A_DAY: i64 = 24 * HOUR;

/// How times are told on a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) zone: Zone,
    pub(crate) now: Timestamp,
}

impl Clock {
    /// A time to the minute, for tables.
    pub(crate) fn time(&self, at: Timestamp) -> Markup {
        self.told(at, MINUTES, None)
    }

    /// A time to the second.
    pub(crate) fn exact(&self, at: Timestamp) -> Markup {
        self.told(at, SECONDS, Some("s"))
    }

    /// The time of the day alone, for what is hours away at most.
    pub(crate) fn hour(&self, at: Timestamp) -> Markup {
        self.told(at, CLOCK, Some("h"))
    }

    /// How long ago that was, or how long it is until then, in two units at most.
    pub(crate) fn age(&self, at: Timestamp) -> Markup {
        let utc = at.to_datetime().format(SECONDS).unwrap_or_default();
        html! {
            time datetime=(at.to_seconds_text()) title=(format!("{utc} UTC")) {
                (between(at, self.now))
            }
        }
    }

    fn local(&self, at: Timestamp) -> OffsetDateTime {
        let micros = i64::from(self.zone.minutes()).saturating_mul(60_000_000);
        at.plus_micros(micros).to_datetime()
    }

    /// The zone of the page's times stands in its head, so only what differs from UTC says it again.
    fn told(&self, at: Timestamp, form: &[BorrowedFormatItem<'_>], shape: Option<&str>) -> Markup {
        let text = self.local(at).format(form).unwrap_or_default();
        let utc = at.to_datetime().format(SECONDS).unwrap_or_default();
        let title = match self.zone {
            Zone::Browser | Zone::Offset(0) => None,
            Zone::Offset(_) => Some(format!("{utc} UTC")),
        };
        // Script that makes it local keeps its form: minutes, unless it says otherwise.
        let shape = match self.zone {
            Zone::Browser => shape,
            Zone::Offset(_) => None,
        };
        html! { time datetime=(at.to_seconds_text()) title=[title] data-t=[shape] { (text) } }
    }
}

/// The time between two moments, in two units at most.
pub(crate) fn between(one: Timestamp, other: Timestamp) -> String {
    let micros = other.as_micros().saturating_sub(one.as_micros());
    let seconds = micros.saturating_abs().div_euclid(1_000_000);
    let parts = |big: i64, small: i64| (seconds.div_euclid(big), seconds.rem_euclid(big) / small);
    let text = |(big, small): (i64, i64), names: [&str; 2]| {
        let [big_name, small_name] = names;
        if small == 0 {
            format!("{big} {big_name}")
        } else {
            format!("{big} {big_name} {small} {small_name}")
        }
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds.div_euclid(MINUTE)),
        HOUR..A_DAY => text(parts(HOUR, MINUTE), ["h", "min"]),
        _ => text(parts(A_DAY, HOUR), ["d", "h"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn ages_have_two_units_at_most() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (11_520, "3 h 12 min"),
            (90_000, "1 d 1 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(between(at(0), at(seconds)), text);
            assert_eq!(between(at(seconds), at(0)), text);
        }
    }

    #[test]
    fn a_time_is_told_in_its_zone_and_exact_in_utc() {
        let clock = |zone| Clock { zone, now: at(0) };
        let moment = Timestamp::parse("2026-11-28T23:42:56.123456Z").unwrap();
        assert_eq!(
            clock(Zone::Offset(0)).time(moment).into_string(),
            "<time datetime=\"2026-11-28T23:42:56Z\">2026-11-28 23:42</time>"
        );
        assert_eq!(
            clock(Zone::Offset(330)).exact(moment).into_string(),
            "<time datetime=\"2026-11-28T23:42:56Z\" title=\"2026-11-28 23:42:56 UTC\">2026-11-29 05:12:56</time>"
        );
        assert_eq!(
            clock(Zone::Browser).hour(moment).into_string(),
            "<time datetime=\"2026-11-28T23:42:56Z\" data-t=\"h\">23:42</time>"
        );
    }
}
