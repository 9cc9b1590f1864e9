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
    /// Whether a password and a code open a session.
    pub password_sign_in: bool,
}

impl ConsoleConfig {
    pub(super) fn load(read: &mut Reader<'_>) -> Option<Self> {
        let enabled = read.value(&setting::ENABLED, parse::boolean);
        let idle = read.value(&setting::IDLE, parse::seconds(300, 86_400));
        let session = read.value(&setting::SESSION, parse::seconds(300, 604_800));
        let secure_cookies = read.value(&setting::SECURE_COOKIES, parse::boolean);
        let second_look_above = read.optional(&setting::SECOND_LOOK_ABOVE, amount);
        let password_sign_in = read.value(&setting::PASSWORD_SIGN_IN, parse::boolean);
        Some(Self {
            enabled: enabled?,
            idle: idle?,
            session: session?,
            secure_cookies: secure_cookies?,
            second_look_above: second_look_above?,
            password_sign_in: password_sign_in?,
        })
    }
}

fn amount(text: &str) -> Parsed<DecimalAmount> {
    DecimalAmount::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use crate::config::tests::with;

    #[test]
    fn in_production_cookies_travel_over_tls_alone_unless_somebody_says_otherwise() {
        let console = |pairs: &[(&str, &str)]| with(pairs, "").unwrap().console;
        let standard = console(&[]);
        assert!(standard.enabled && standard.secure_cookies);
        assert_eq!(
            (standard.idle.as_secs(), standard.session.as_secs()),
            (1_800, 43_200)
        );
        assert_eq!(standard.second_look_above, None);
        assert!(!console(&[("BURSAR_PROFILE", "development")]).secure_cookies);
        assert!(!console(&[("BURSAR_CONSOLE_SECURE_COOKIES", "false")]).secure_cookies);
        assert!(!console(&[("BURSAR_CONSOLE_ENABLED", "false")]).enabled);
    }

    #[test]
    fn what_no_session_can_be_is_refused() {
        for (variable, value, said) in [
            ("BURSAR_CONSOLE_IDLE_S", "299", "console.idle_s"),
            ("BURSAR_CONSOLE_SESSION_S", "604801", "console.session_s"),
            (
                "BURSAR_CONSOLE_SECOND_LOOK_ABOVE",
                "much",
                "console.second_look_above",
            ),
        ] {
            let error = with(&[(variable, value)], "").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
