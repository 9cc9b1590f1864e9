use super::*;
use crate::config::tests::{complaints, with};

/// Thirty-two bytes of 7.
const SECRET: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn text(url: &str, secret: &str) -> String {
    format!("[payout]\nurl = \"{url}\"\nsecret = \"{secret}\"\n")
}

#[test]
fn without_a_gateway_whoever_confirms_sees_to_it() {
    assert!(with(&[], "").unwrap().payout.is_none());
    // This says how, not whether.
    let config = with(&[], "[payout]\ntimeout_ms = 500\n").unwrap();
    assert!(config.payout.is_none());
    let told = "payout.timeout_ms (from bursar.toml, line 2) changes nothing: there is no gateway \
                without payout.url";
    assert_eq!(config.warnings, [told]);
}

#[test]
fn a_gateway_is_a_url_and_a_secret() {
    let url = "https://payouts.example.com/orders";
    let config = with(&[], &text(url, SECRET)).unwrap().payout.unwrap();
    assert_eq!(config.url.as_str(), url);
    assert_eq!(config.secret, CallbackSecret([7; 32]));
    assert_eq!(config.timeout, Duration::from_secs(10));
}

#[test]
fn one_without_the_other_is_refused() {
    let url = "[payout]\nurl = \"https://payouts.example.com/\"\n";
    let secret = format!("[payout]\nsecret = \"{SECRET}\"\n");
    for (text, said) in [(url.to_owned(), "payout.secret"), (secret, "payout.url")] {
        let said_all = complaints(&[], &text);
        assert!(
            said_all.iter().any(|one| one.contains(said)),
            "{said_all:?}"
        );
        let whole = said_all.join(" ");
        assert!(!whole.contains(SECRET), "{whole}");
    }
}

#[test]
fn orders_go_over_tls_or_stay_on_this_machine() {
    let load = |profile: &str, url: &str| {
        let variables = [("BURSAR_PROFILE", profile)];
        with(&variables, &text(url, SECRET)).is_ok()
    };
    for url in [
        "https://10.0.0.7/orders",
        "https://payouts.internal:8443/",
        "http://127.0.0.1:9000/",
        "http://[::1]:9000/",
        "http://localhost:9000/",
    ] {
        assert!(load("production", url), "{url}");
    }
    for url in ["http://10.0.0.7/orders", "http://payouts.example.com/"] {
        assert!(!load("production", url), "{url}");
        assert!(load("development", url), "{url}");
    }
    for url in [
        "",
        "payouts.example.com",
        "ftp://payouts.example.com/",
        "https://user@payouts.example.com/",
        "https://:secret@payouts.example.com/",
        "https://payouts.example.com/#part",
    ] {
        assert!(!load("development", url), "{url}");
    }
}

#[test]
fn a_secret_has_its_form() {
    for secret in [
        "x",
        "whsec_",
        "whsec_BwcH",
        "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
    ] {
        let text = text("https://payouts.example.com/", secret);
        let said = complaints(&[], &text).join(" ");
        assert!(said.contains("payout.secret"), "{said}");
    }
}
