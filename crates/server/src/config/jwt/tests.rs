use super::*;
use crate::config::tests::{complaints, with};

const WHOLE: &str = "\
[jwt]
issuer = \"https://id.example.com/\"
audience = [\"bursar\"]
algorithms = [\"RS256\", \"EdDSA\"]
jwks_url = \"https://id.example.com/jwks\"
";
const SHARED: &str = "0123456789abcdef0123456789abcdef";

fn loaded(text: &str) -> JwtConfig {
    with(&[], text).unwrap().jwt.unwrap()
}

#[test]
fn without_any_of_them_jwts_are_not_accepted() {
    assert!(with(&[], "").unwrap().jwt.is_none());
    // These say how, not whether; whoever gave them may have meant to say whether.
    let text = "[jwt]\nleeway_seconds = 0\nuser_claim = \"sub\"\n";
    let config = with(&[("BURSAR_JWT_REFRESH_SECONDS", "60")], text).unwrap();
    assert!(config.jwt.is_none());
    assert_eq!(
        config.warnings,
        [
            "jwt.leeway_seconds (from bursar.toml, line 2) changes nothing: JWTs are not accepted without jwt.issuer",
            "jwt.user_claim (from bursar.toml, line 3) changes nothing: JWTs are not accepted without jwt.issuer",
            "jwt.refresh_seconds (from the environment, BURSAR_JWT_REFRESH_SECONDS) changes nothing: JWTs are not accepted without jwt.issuer",
        ]
    );
    let whole = format!("{WHOLE}leeway_seconds = 1\nrefresh_seconds = 60\n");
    assert_eq!(with(&[], &whole).unwrap().warnings, Vec::<String>::new());
}

#[test]
fn a_jwks_goes_with_its_algorithms() {
    let config = loaded(WHOLE);
    assert_eq!(config.issuer, "https://id.example.com/");
    assert_eq!(config.audiences, ["bursar"]);
    assert_eq!(config.leeway, Duration::from_secs(5));
    assert_eq!(config.user_claim, "user_id");
    let KeyConfig::Jwks(jwks) = config.keys else {
        panic!("a JWKS is no secret");
    };
    let url = Url::parse("https://id.example.com/jwks").unwrap();
    assert_eq!(jwks.source, JwksSource::Url(url));
    assert_eq!(
        jwks.algorithms,
        [JwksAlgorithm::Rs256, JwksAlgorithm::EdDsa]
    );
    assert_eq!(jwks.refresh, Duration::from_secs(300));

    let file = WHOLE.replace(
        "jwks_url = \"https://id.example.com/",
        "jwks_file = \"/etc/",
    );
    let KeyConfig::Jwks(jwks) = loaded(&file).keys else {
        panic!("a JWKS is no secret");
    };
    assert_eq!(jwks.source, JwksSource::File("/etc/jwks".into()));
}

#[test]
fn a_secret_goes_with_hs256_alone() {
    let variables = [
        ("BURSAR_JWT_ISSUER", "i"),
        ("BURSAR_JWT_AUDIENCE", "a, b"),
        ("BURSAR_JWT_ALGORITHMS", "HS256"),
        ("BURSAR_JWT_SECRET", SHARED),
    ];
    let config = with(&variables, "").unwrap();
    assert!(!format!("{config:?}").contains(SHARED));
    let config = config.jwt.unwrap();
    assert_eq!(config.audiences, ["a", "b"]);
    let KeyConfig::Secret(secret) = config.keys else {
        panic!("a secret is no JWKS");
    };
    assert_eq!(secret, SHARED.as_bytes());
}

#[test]
fn who_fetches_no_keys_is_told_that_it_does_not_matter_how_often() {
    let text = format!(
        "[jwt]\nissuer = \"i\"\naudience = [\"a\"]\nalgorithms = [\"HS256\"]\nsecret = \"{SHARED}\"\n\
         refresh_seconds = 60\n"
    );
    let told = "jwt.refresh_seconds (from bursar.toml, line 6) changes nothing: with jwt.secret no \
                keys are fetched";
    assert_eq!(with(&[], &text).unwrap().warnings, [told]);
}

#[test]
fn what_does_not_go_together_is_told_all_at_once() {
    assert_eq!(
        complaints(&[], "[jwt]\nleeway_seconds = 31\nissuer = \"i\"\n"),
        [
            "jwt.leeway_seconds: \"31\" is not a whole number from 0 to 30 (from bursar.toml, line 2)",
            "jwt.jwks_url: or jwt.jwks_file or jwt.secret is required where JWTs are accepted (given nowhere)",
            "jwt.audience: is required where JWTs are accepted (given nowhere)",
            "jwt.algorithms: is required where JWTs are accepted (given nowhere)",
        ]
    );
    let all = format!("{WHOLE}jwks_file = \"/etc/jwks\"\nsecret = \"{SHARED}\"\n");
    assert_eq!(
        complaints(&[], &all),
        [
            "jwt.jwks_file: cannot be given together with jwt.jwks_url (from bursar.toml, line 6)",
            "jwt.secret: cannot be given together with jwt.jwks_url (from bursar.toml, line 7)",
        ]
    );
}

#[test]
fn hs256_and_public_keys_never_meet() {
    let mixed = WHOLE.replace("EdDSA", "HS256");
    let secret = WHOLE.replace(
        "jwks_url = \"https://id.example.com/jwks\"",
        &format!("secret = \"{SHARED}\""),
    );
    let both = secret.replace("\"RS256\", \"EdDSA\"", "\"HS256\", \"RS256\"");
    for (text, source) in [(mixed, "jwks_url"), (secret, "secret"), (both, "secret")] {
        let told = complaints(&[], &text);
        assert_eq!(told.len(), 1, "{told:?}");
        let wrong = format!("jwt.algorithms: has an algorithm that does not go with jwt.{source}");
        assert!(told[0].starts_with(&wrong), "{told:?}");
    }
    let none = complaints(&[], &WHOLE.replace("EdDSA", "none"));
    assert!(none[0].contains("\"none\" is none of RS256"), "{none:?}");
}

#[test]
fn keys_come_over_tls_or_from_home() {
    let from = |url: &str, profile: &str| {
        let text = WHOLE.replace("https://id.example.com/jwks", url);
        with(&[("BURSAR_PROFILE", profile)], &text)
    };
    for (url, production, development) in [
        ("https://id.example.com:8443/jwks?a=b", true, true),
        ("http://127.0.0.1:9000/jwks", false, true),
        ("http://[::1]/jwks", false, true),
        ("http://localhost/jwks", false, true),
        ("http://id.example.com/jwks", false, false),
        ("http://localhost.example.com/jwks", false, false),
        ("http://10.0.0.1/jwks", false, false),
        ("ftp://127.0.0.1/jwks", false, false),
        ("https://user:pass@id.example.com/jwks", false, false),
        ("https://id.example.com/jwks#keys", false, false),
        ("jwks", false, false),
    ] {
        assert_eq!(from(url, "production").is_ok(), production, "{url}");
        assert_eq!(from(url, "development").is_ok(), development, "{url}");
    }
}

#[test]
fn a_short_secret_is_refused_without_being_shown() {
    let told = complaints(&[("BURSAR_JWT_SECRET", "hunter2hunter2")], "");
    assert_eq!(
        told,
        ["jwt.secret: is shorter than 32 bytes (from the environment, BURSAR_JWT_SECRET)"]
    );
}
