//! How an operator likes the console to look: its theme, and the zone of its times. Kept in cookies,
//! which say nothing about anybody.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web,
};
use serde::Deserialize;

use crate::{
    Posted,
    desk::{self, Desk},
};

const THEME: &str = "bursar_theme";
const ZONE: &str = "bursar_zone";
/// A year.
const KEPT_SECONDS: u32 = 31_536_000;
/// The furthest that clocks are from UTC, in minutes.
const OFFSET_MAX: i32 = 14 * 60;

/// Light, dark, or as the system has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system has it.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == name)
    }
}

/// How far local clocks are ahead of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Zone {
    /// The browser's zone where script runs, and UTC where none does.
    #[default]
    Browser,
    /// So many minutes, whatever the time of the year.
    Offset(i32),
}

impl Zone {
    /// The zone of this name: `browser`, or minutes.
    fn from_name(name: &str) -> Option<Self> {
        if name == "browser" {
            return Some(Self::Browser);
        }
        let minutes = name.parse::<i32>().ok()?;
        // The cookie says what it likes: not every number has an absolute value.
        let is_near = (-OFFSET_MAX..=OFFSET_MAX).contains(&minutes);
        is_near.then_some(Self::Offset(minutes))
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Browser => "browser".to_owned(),
            Self::Offset(minutes) => minutes.to_string(),
        }
    }

    /// What people call it.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Browser => "Browser’s zone".to_owned(),
            Self::Offset(0) => "UTC".to_owned(),
            Self::Offset(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let (hours, rest) = (minutes.abs().div_euclid(60), minutes.abs().rem_euclid(60));
                format!("UTC{sign}{hours}:{rest:02}")
            }
        }
    }

    /// How many minutes to add to UTC.
    pub(crate) const fn minutes(self) -> i32 {
        match self {
            Self::Browser => 0,
            Self::Offset(minutes) => minutes,
        }
    }

    /// The zones that can be chosen: whole hours, and those that clocks are set to beside them.
    pub(crate) fn choices() -> impl Iterator<Item = Self> {
        const BESIDE: [i32; 6] = [-210, 210, 270, 330, 345, 570];
        let mut minutes: Vec<i32> = (-12..=14)
            .map(|hour: i32| hour.saturating_mul(60))
            .collect();
        minutes.extend(BESIDE);
        minutes.sort_unstable();
        std::iter::once(Self::Browser).chain(minutes.into_iter().map(Self::Offset))
    }
}

/// What an operator chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefs {
    pub(crate) theme: Theme,
    pub(crate) zone: Zone,
}

impl Prefs {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let theme = cookie(request, THEME).and_then(Theme::from_name);
        let zone = cookie(request, ZONE).and_then(Zone::from_name);
        Self {
            theme: theme.unwrap_or_default(),
            zone: zone.unwrap_or_default(),
        }
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let headers = request.headers().get_all(header::COOKIE);
    let pairs = headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(named, value)| (named == name).then_some(value))
}

/// Sets a cookie that every page of the console gets. Its value is one of our own words.
pub(crate) fn set_cookie(
    name: &str,
    value: &str,
    seconds: u32,
    is_secure: bool,
) -> Option<HeaderValue> {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!(
        "{name}={value}; Path=/console; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    );
    HeaderValue::from_str(&text).ok()
}

#[derive(Deserialize)]
pub(crate) struct Chosen {
    theme: Option<String>,
    zone: Option<String>,
    back: Option<String>,
}

/// Keeps what was chosen, and goes back to where that was.
pub(crate) async fn keep(desk: Desk, posted: Posted<Chosen>) -> HttpResponse {
    let is_secure = desk.console.settings().secure_cookies;
    let chosen = posted.form;
    let back = chosen.back.as_deref().and_then(desk::own_path);
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((header::LOCATION, back.unwrap_or("/console")));
    let theme = chosen.theme.as_deref().and_then(Theme::from_name);
    let zone = chosen.zone.as_deref().and_then(Zone::from_name);
    let cookies = [
        theme.and_then(|theme| set_cookie(THEME, theme.as_str(), KEPT_SECONDS, is_secure)),
        zone.and_then(|zone| set_cookie(ZONE, &zone.name(), KEPT_SECONDS, is_secure)),
    ];
    for cookie in cookies.into_iter().flatten() {
        answer.append_header((header::SET_COOKIE, cookie));
    }
    answer.finish()
}

pub(crate) fn routes(service: &mut web::ServiceConfig) {
    service.route("/settings", web::post().to(keep));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zones_that_clocks_are_set_to_are_zones() {
        for zone in Zone::choices() {
            assert_eq!(Zone::from_name(&zone.name()), Some(zone));
        }
        for name in ["-841", "841", "-2147483648", "2147483648", "", "utc"] {
            assert_eq!(Zone::from_name(name), None, "{name}");
        }
    }
}
