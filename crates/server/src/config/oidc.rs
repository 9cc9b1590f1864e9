//! Settings of the identity provider: all that it needs, or none.

use bursar_jwt::JwksAlgorithm;
use bursar_oidc::OidcConfig;
use secrecy::SecretString;
use url::Url;

use super::{
    ConsoleConfig, JwtConfig, Profile,
    jwt::text,
    parse,
    reader::{Parsed, Reader},
    setting::{Setting, console as console_setting, oidc as setting},
};

/// Where the provider sends browsers back to, below the console's address.
const CALLBACK: &str = "/console/sign-in/provider/callback";
/// The longest label, in characters.
const LABEL_MAX: usize = 64;

/// An identity provider, and what its button says.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The provider.
    pub oidc: OidcConfig,
    /// What the button says.
    pub label: String,
}

/// What is given, each value well-formed by itself.
struct Given {
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    redirect_url: Option<Url>,
    label: Option<String>,
    acr: Option<String>,
}

/// The settings; `Some(None)` when there is no provider, `None` = wrong.
#[expect(
    clippy::option_option,
    reason = "wrong, missing and given are three things"
)]
pub(super) fn load(
    read: &mut Reader<'_>,
    profile: Option<Profile>,
) -> Option<Option<ProviderConfig>> {
    let issuer = read.optional(&setting::ISSUER, issuer(profile));
    let client_id = read.optional(&setting::CLIENT_ID, text);
    let client_secret = read.optional(&setting::CLIENT_SECRET, secret);
    let redirect_url = read.optional(&setting::REDIRECT_URL, redirect_url(profile));
    let label = read.optional(&setting::LABEL, label);
    let algorithms = read.list(&setting::ALGORITHMS, algorithm);
    let scopes = read.list(&setting::SCOPES, scope);
    let acr = read.optional(&setting::ACR, scope);
    let given = Given {
        client_id: client_id?,
        client_secret: client_secret?,
        redirect_url: redirect_url?,
        label: label?,
        acr: acr?,
    };
    let (algorithms, scopes) = (algorithms?, scopes?);
    let Some((issuer, host)) = issuer? else {
        let how = [&setting::ALGORITHMS, &setting::SCOPES];
        read.idle(&how, "there is no identity provider without oidc.issuer");
        return given.refuse_without_issuer(read).then_some(None);
    };
    if algorithms.is_empty() {
        read.refuse(&setting::ALGORITHMS, "has none");
        return None;
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        read.refuse(&setting::SCOPES, "does not have openid");
        return None;
    }
    given.require_all(read);
    Some(Some(ProviderConfig {
        label: given.label.unwrap_or(host),
        oidc: OidcConfig {
            issuer,
            client_id: given.client_id?,
            client_secret: given.client_secret?,
            redirect_url: given.redirect_url?,
            algorithms,
            scopes,
            acr: given.acr,
            allow_http: profile == Some(Profile::Development),
        },
    }))
}

impl Given {
    /// Refuses what is of no use without an issuer; whether there is nothing of it.
    fn refuse_without_issuer(&self, read: &mut Reader<'_>) -> bool {
        let given: [(&Setting, bool); 5] = [
            (&setting::CLIENT_ID, self.client_id.is_some()),
            (&setting::CLIENT_SECRET, self.client_secret.is_some()),
            (&setting::REDIRECT_URL, self.redirect_url.is_some()),
            (&setting::LABEL, self.label.is_some()),
            (&setting::ACR, self.acr.is_some()),
        ];
        let Some((first, _)) = given.into_iter().find(|(_, given)| *given) else {
            return true;
        };
        read.refuse(&setting::ISSUER, &format!("is required with {}", first.key));
        false
    }

    /// Says all that is missing.
    fn require_all(&self, read: &mut Reader<'_>) {
        for (setting, missing) in [
            (&setting::CLIENT_ID, self.client_id.is_none()),
            (&setting::CLIENT_SECRET, self.client_secret.is_none()),
            (&setting::REDIRECT_URL, self.redirect_url.is_none()),
        ] {
            if missing {
                read.refuse(setting, "is required with oidc.issuer");
            }
        }
    }
}

/// Refuses what does not go together with other settings.
pub(super) fn refuse_conflicts(
    read: &mut Reader<'_>,
    provider: Option<&ProviderConfig>,
    console: Option<&ConsoleConfig>,
    jwt: Option<&JwtConfig>,
) {
    let signs_in = console.is_none_or(|console| console.password_sign_in);
    let Some(ProviderConfig { oidc, .. }) = provider else {
        if !signs_in {
            let detail = "is false without oidc.issuer: nobody could sign in";
            read.refuse(&console_setting::PASSWORD_SIGN_IN, detail);
        }
        return;
    };
    let is_secure = console.is_some_and(|console| console.secure_cookies);
    if is_secure && oidc.redirect_url.scheme() == "http" {
        let detail = "is plain http, over which console.secure_cookies lets nobody sign in";
        read.refuse(&setting::REDIRECT_URL, detail);
    }
    // What says who signed in must open no API.
    if jwt.is_some_and(|jwt| jwt.issuer == oidc.issuer && jwt.audiences.contains(&oidc.client_id)) {
        let detail = "is in jwt.audience too: register a client of its own for the console";
        read.refuse(&setting::CLIENT_ID, detail);
    }
}

fn secret(text: &str) -> Parsed<SecretString> {
    let plain = text.chars().all(|c| !c.is_control()) && text.trim() == text;
    if plain && (1..=1_024).contains(&text.len()) {
        Ok(SecretString::from(text))
    } else {
        Err("is not a text of 1 to 1,024 bytes without blanks round it".to_owned())
    }
}

fn label(text: &str) -> Parsed<String> {
    let fits = (1..=LABEL_MAX).contains(&text.chars().count());
    if fits && !text.trim().is_empty() && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("is not a text of 1 to 64 characters".to_owned())
    }
}

/// A scope or the like: blanks stand between several.
fn scope(text: &str) -> Parsed<String> {
    let fits = (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        Ok(text.to_owned())
    } else {
        Err("is not a name without blanks".to_owned())
    }
}

fn algorithm(text: &str) -> Parsed<JwksAlgorithm> {
    JwksAlgorithm::ALL
        .into_iter()
        .find(|one| one.as_str() == text)
        .ok_or_else(|| "is none of RS256, ES256 and EdDSA".to_owned())
}

/// As it is spelled, for it must be that to the byte, and its host.
fn issuer(profile: Option<Profile>) -> impl Fn(&str) -> Parsed<(String, String)> {
    move |text| {
        let url = parse::private_url(text, profile)?;
        if url.query().is_some() {
            return Err("has a query".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        Ok((text.to_owned(), host.to_owned()))
    }
}

fn redirect_url(profile: Option<Profile>) -> impl Fn(&str) -> Parsed<Url> {
    move |text| {
        let url = parse::private_url(text, profile)?;
        if url.path() != CALLBACK || url.query().is_some() {
            return Err(format!("does not end in {CALLBACK}"));
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests;
