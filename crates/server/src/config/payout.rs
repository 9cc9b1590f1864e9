//! Settings of payouts: a gateway with all that it needs, or none.

use std::time::Duration;

use bursar_app::read_callback_secret;
use bursar_ports::CallbackSecret;
use url::{Host, Url};

use super::{
    Profile, parse,
    reader::{Parsed, Reader},
    setting::payout as setting,
};

/// The gateway that pays withdrawals out.
#[derive(Clone, Debug)]
pub struct PayoutConfig {
    /// Where payouts are ordered.
    pub url: Url,
    /// What both sides sign with.
    pub secret: CallbackSecret,
    /// How long a whole try may take.
    pub timeout: Duration,
}

/// The settings; `Some(None)` when there is no gateway, `None` = wrong.
#[expect(
    clippy::option_option,
    reason = "wrong, missing and given are three things"
)]
pub(super) fn load(
    read: &mut Reader<'_>,
    profile: Option<Profile>,
) -> Option<Option<PayoutConfig>> {
    let url = read.optional(&setting::URL, gateway_url(profile));
    let secret = read.optional(&setting::SECRET, secret);
    let timeout = read.value(&setting::TIMEOUT, parse::millis(100, 60_000));
    match (url?, secret?) {
        (None, None) => {
            timeout?;
            read.idle(
                &[&setting::TIMEOUT],
                "there is no gateway without payout.url",
            );
            Some(None)
        }
        (Some(url), Some(secret)) => Some(Some(PayoutConfig {
            url,
            secret,
            timeout: timeout?,
        })),
        (Some(_), None) => {
            read.refuse(&setting::SECRET, "is required with payout.url");
            None
        }
        (None, Some(_)) => {
            read.refuse(&setting::URL, "is required with payout.secret");
            None
        }
    }
}

fn secret(text: &str) -> Parsed<CallbackSecret> {
    read_callback_secret(text).ok_or_else(|| "is not whsec_ and the base64 of 32 bytes".to_owned())
}

/// Orders tell who gets how much, and an answer moves money: they go over TLS, or stay on this
/// machine. Whoever develops may do without.
fn gateway_url(profile: Option<Profile>) -> impl Fn(&str) -> Parsed<Url> {
    move |text| {
        let url = Url::parse(text).map_err(|_| "is not an absolute URL".to_owned())?;
        let at_home = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let developing = profile == Some(Profile::Development);
        let safe = url.scheme() == "https" || (url.scheme() == "http" && (at_home || developing));
        if !safe {
            return Err("is not an https URL (http to this machine, or in development)".to_owned());
        }
        let credentials = !url.username().is_empty() || url.password().is_some();
        if credentials || url.fragment().is_some() {
            return Err("has a user, a password or a fragment".to_owned());
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests;
