use secrecy::ExposeSecret as _;

use super::*;
use crate::config::{
    Config, ConfigErrors,
    tests::{complaints, with},
};

const SECRET: &str = "what-the-provider-gave";

/// All that is needed, with this issuer and callback, and more.
fn text(issuer: &str, callback: &str, more: &str) -> String {
    format!(
        "[oidc]\nissuer = \"{issuer}\"\nclient_id = \"console\"\nclient_secret = \"{SECRET}\"\n\
         redirect_url = \"{callback}\"\n{more}"
    )
}

fn good(more: &str) -> String {
    text(
        "https://id.example.com/realms/x/",
        &format!("https://bursar.example.com{CALLBACK}"),
        more,
    )
}

fn loaded(pairs: &[(&str, &str)], text: &str) -> Result<Config, ConfigErrors> {
    with(pairs, text)
}

#[track_caller]
fn refused(pairs: &[(&str, &str)], text: &str, said: &str) {
    let all = complaints(pairs, text);
    assert!(
        all.iter().any(|one| one.starts_with(said)),
        "{said}: {all:?}"
    );
    assert!(!all.join(" ").contains(SECRET), "{all:?}");
}

#[test]
fn without_an_issuer_operators_have_passwords() {
    let config = loaded(&[], "").unwrap();
    assert!(config.provider.is_none() && config.console.password_sign_in);
    for line in [
        "client_id = \"x\"",
        "client_secret = \"x\"",
        "redirect_url = \"https://x.example/console/sign-in/provider/callback\"",
        "label = \"x\"",
        "acr = \"x\"",
    ] {
        refused(
            &[],
            &format!("[oidc]\n{line}\n"),
            "oidc.issuer: is required with oidc.",
        );
    }
    // These have values without anybody's word.
    let text = "[oidc]\nalgorithms = [\"ES256\"]\nscopes = [\"openid\", \"profile\"]\n";
    assert_eq!(
        loaded(&[], text).unwrap().warnings,
        [
            "oidc.algorithms (from bursar.toml, line 2) changes nothing: there is no identity provider without oidc.issuer",
            "oidc.scopes (from bursar.toml, line 3) changes nothing: there is no identity provider without oidc.issuer",
        ]
    );
}

#[test]
fn a_provider_is_all_that_it_needs_and_the_issuer_stays_as_it_is_spelled() {
    let provider = loaded(&[], &good("")).unwrap().provider.unwrap();
    assert_eq!(provider.label, "id.example.com");
    let oidc = provider.oidc;
    assert_eq!(oidc.issuer, "https://id.example.com/realms/x/");
    assert_eq!(oidc.client_secret.expose_secret(), SECRET);
    assert_eq!(oidc.algorithms, [JwksAlgorithm::Rs256]);
    assert_eq!((oidc.scopes, oidc.acr), (vec!["openid".to_owned()], None));
    assert!(!oidc.allow_http);
    let more = "label = \"Example ID\"\nalgorithms = [\"ES256\", \"EdDSA\"]\n\
                scopes = [\"openid\", \"profile\"]\nacr = \"phr\"\n[console]\n\
                password_sign_in = false\n";
    let config = loaded(&[], &good(more)).unwrap();
    let provider = config.provider.unwrap();
    assert_eq!(provider.label, "Example ID");
    let oidc = provider.oidc;
    assert_eq!(
        oidc.algorithms,
        [JwksAlgorithm::Es256, JwksAlgorithm::EdDsa]
    );
    assert_eq!((oidc.scopes.len(), oidc.acr.as_deref()), (2, Some("phr")));
    assert!(!config.console.password_sign_in);
    // To the byte: with or without a slash.
    let bare = text(
        "https://id.example.com",
        &format!("https://b.example{CALLBACK}"),
        "",
    );
    let issuer = loaded(&[], &bare).unwrap().provider.unwrap().oidc.issuer;
    assert_eq!(issuer, "https://id.example.com");
}

#[test]
fn what_is_missing_or_does_not_fit_is_named() {
    let alone = "[oidc]\nissuer = \"https://id.example.com\"\n";
    for said in ["oidc.client_id", "oidc.client_secret", "oidc.redirect_url"] {
        refused(&[], alone, &format!("{said}: is required with oidc.issuer"));
    }
    for (more, said) in [
        ("algorithms = []", "oidc.algorithms: has none"),
        (
            "algorithms = [\"HS256\"]",
            "oidc.algorithms: \"HS256\" is none of",
        ),
        (
            "algorithms = [\"none\"]",
            "oidc.algorithms: \"none\" is none of",
        ),
        (
            "scopes = [\"profile\"]",
            "oidc.scopes: does not have openid",
        ),
        ("scopes = [\"openid profile\"]", "oidc.scopes: "),
        ("acr = \"a b\"", "oidc.acr: "),
        ("label = \"\"", "oidc.label: "),
    ] {
        refused(&[], &good(&format!("{more}\n")), said);
    }
    for callback in [
        "https://bursar.example.com/console",
        "https://bursar.example.com/console/sign-in/provider/callback/",
        "https://bursar.example.com/x/console/sign-in/provider/callback",
        "https://bursar.example.com/console/sign-in/provider/callback?x",
        "http://bursar.example.com/console/sign-in/provider/callback",
        "/console/sign-in/provider/callback",
    ] {
        let text = text("https://id.example.com", callback, "");
        refused(&[], &text, "oidc.redirect_url: ");
    }
    for issuer in [
        "id.example.com",
        "http://id.example.com",
        "https://id.example.com?x=1",
        "https://user@id.example.com",
        "https://id.example.com#x",
    ] {
        let text = text(issuer, &format!("https://b.example{CALLBACK}"), "");
        refused(&[], &text, "oidc.issuer: ");
    }
}

#[test]
fn plain_http_is_for_a_developer_s_machine() {
    let text = text(
        "http://localhost:9000",
        &format!("http://127.0.0.1:8080{CALLBACK}"),
        "",
    );
    refused(&[], &text, "oidc.issuer: ");
    let developing = ("BURSAR_PROFILE", "development");
    let provider = loaded(&[developing], &text).unwrap().provider.unwrap();
    assert!(provider.oidc.allow_http);
    let secure = ("BURSAR_CONSOLE_SECURE_COOKIES", "true");
    refused(
        &[developing, secure],
        &text,
        "oidc.redirect_url: is plain http",
    );
}

#[test]
fn what_leaves_nobody_or_too_many_a_way_in_is_refused() {
    let off = ("BURSAR_CONSOLE_PASSWORD_SIGN_IN", "false");
    refused(&[off], "", "console.password_sign_in: ");
    let jwt = |audience: &str| {
        good(&format!(
            "[jwt]\nissuer = \"https://id.example.com/realms/x/\"\naudience = [\"{audience}\"]\n\
             algorithms = [\"RS256\"]\njwks_url = \"https://id.example.com/jwks\"\n"
        ))
    };
    refused(
        &[],
        &jwt("console"),
        "oidc.client_id: is in jwt.audience too",
    );
    assert!(loaded(&[], &jwt("bursar-api")).is_ok());
}
