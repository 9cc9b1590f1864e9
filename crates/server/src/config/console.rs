//! Settings of the console.

use std::time::Duration;

use bursar_domain::DecimalAmount;

use super::{
    parse,
    reader::{Parsed, Reader},
    setting::console as setting,
};

/// The console.
#[derive(Clone, Debug)]
pub struct ConsoleConfig {
    /// Whether it is served.
    pub enabled: bool,
    /// How long a session may be left alone.
    pub idle: Duration,
    /// How long a session lasts whatever is done with it.
    pub session: Duration,
    /// Whether browsers reach it over TLS alone.
    pub secure_cookies: bool,
    /// Beyond this much of the root asset, what is confirmed or approved is asked for once more.
    pub second_look_above: Option<DecimalAmount>,
}

impl ConsoleConfig {
    pub(super) fn load(read: &mut Reader<'_>) -> Option<Self> {
        let enabled = read.value(&setting::ENABLED, parse::boolean);
        let idle = read.value(&setting::IDLE, parse::seconds(300, 86_400));
        let session = read.value(&setting::SESSION, parse::seconds(300, 604_800));
        let secure_cookies = read.value(&setting::SECURE_COOKIES, parse::boolean);
        let second_look_above = read.optional(&setting::SECOND_LOOK_ABOVE, amount);
        Some(Self {
            enabled: enabled?,
            idle: idle?,
            session: session?,
            secure_cookies: secure_cookies?,
            second_look_above: second_look_above?,
        })
    }
}

fn amount(text: &str) -> Parsed<DecimalAmount> {
    DecimalAmount::parse(text).map_err(|error| error.to_string())
}
