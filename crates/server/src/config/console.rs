//! Settings of the console.

use std::time::Duration;

use super::{Reader, parse, setting::console as setting};

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
}

impl ConsoleConfig {
    pub(super) fn load(read: &mut Reader<'_>) -> Option<Self> {
        let enabled = read.value(&setting::ENABLED, parse::boolean);
        let idle = read.value(&setting::IDLE, parse::seconds(300, 86_400));
        let session = read.value(&setting::SESSION, parse::seconds(300, 604_800));
        let secure_cookies = read.value(&setting::SECURE_COOKIES, parse::boolean);
        Some(Self {
            enabled: enabled?,
            idle: idle?,
            session: session?,
            secure_cookies: secure_cookies?,
        })
    }
}
