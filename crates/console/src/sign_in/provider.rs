//! Signing in at the exchange's identity provider.
//!
//! What is begun here ends here, in the same browser: a cookie of ten minutes holds what everything
//! else is derived from, and the page to go on to. It is `SameSite=Lax`, because the provider sends the
//! browser back; it is forgotten then, whatever comes of it.
//!
//! Neither way is a redirect. To the provider, because `form-action` of the pages' policy holds for all
//! redirects after a form, and nobody here knows which other places a provider leads through. Back,
//! because a browser sends no `SameSite=Strict` cookie, such as the session's, along redirects that
//! another site began. A page that leads on by itself is a new beginning, which is our own.

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{RETRY_AFTER, SET_COOKIE},
    web::{self, Data, ServiceConfig},
};
use bursar_app::{
    BegunSignIn, OpenedSession, ProviderAnswer, ProviderSeed, ProviderSignIn, ProviderSignInError,
};
use data_encoding::BASE64URL_NOPAD;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    HOME, SIGN_IN, answer, is_of_this_browser,
    next::own_page,
    onward,
    page::{Form, Note, said},
    settle_in, user_agent,
};
use crate::{
    Console, Visitor,
    cookies::Cookie,
    layout,
    session::{self, caller},
    visitor::escaped,
};

pub(super) fn routes(service: &mut ServiceConfig) {
    service
        .route("/sign-in/provider", web::post().to(begin))
        .route("/sign-in/provider/callback", web::get().to(end));
}

#[derive(Deserialize)]
struct Sent {
    csrf: Option<String>,
    next: Option<String>,
}

/// Leads to the provider.
async fn begin(console: Data<Console>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Some(label) = console.settings().provider.as_deref() else {
        return session::no_page();
    };
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let sent = web::Query::<Sent>::from_query(text).map(web::Query::into_inner);
    let (csrf, next) = sent.map_or((None, None), |sent| (sent.csrf, sent.next));
    let form = Form {
        next: next.as_deref().and_then(own_page).unwrap_or_default(),
        name: "",
        note: None,
    };
    if request.extensions().get::<Visitor>().is_some() {
        return onward(Some(form.next).filter(|next| !next.is_empty()));
    }
    if !is_of_this_browser(&console, &request, csrf.as_deref().unwrap_or_default()) {
        let form = form.noting(Note::OutOfDate);
        return answer(&console, &request, HttpResponse::Forbidden(), &form);
    }
    if let Ok(begun) = console.app().begin_provider_sign_in().await {
        return lead_away(&console, label, &begun, form.next);
    }
    let form = form.noting(Note::ProviderAway);
    let builder = HttpResponse::ServiceUnavailable();
    answer(&console, &request, builder, &form)
}

fn lead_away(console: &Console, label: &str, begun: &BegunSignIn, next: &str) -> HttpResponse {
    let mut builder = HttpResponse::Ok();
    let kept = Kept::text(&begun.seed, next);
    if let Some(cookie) = Cookie::Provider.set(&kept, console.settings().secure_cookies) {
        builder.insert_header((SET_COOKIE, cookie));
    }
    let title = format!("On to {label}");
    let page = layout::passage(&title, &begun.location, &title);
    layout::respond(builder, page)
}

/// What a browser keeps while it is at the provider.
struct Kept {
    seed: ProviderSeed,
    next: Option<String>,
}

impl Kept {
    fn text(seed: &ProviderSeed, next: &str) -> String {
        format!(
            "{}.{}",
            seed.to_text(),
            BASE64URL_NOPAD.encode(next.as_bytes())
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let (seed, next) = text.split_once('.')?;
        let next = BASE64URL_NOPAD.decode(next.as_bytes()).ok()?;
        let next = String::from_utf8(next).ok()?;
        Some(Self {
            seed: ProviderSeed::parse(seed)?,
            next: own_page(&next).map(str::to_owned),
        })
    }
}

#[derive(Default, Deserialize)]
struct Brought {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

impl Brought {
    fn answer(self) -> ProviderAnswer {
        match self.error {
            Some(error) => ProviderAnswer::Error(error),
            None => ProviderAnswer::Code {
                code: self.code.unwrap_or_default(),
                issuer: self.iss,
            },
        }
    }
}

/// Takes whoever comes back from the provider.
async fn end(console: Data<Console>, request: HttpRequest) -> HttpResponse {
    if console.settings().provider.is_none() {
        return session::no_page();
    }
    let is_secure = console.settings().secure_cookies;
    let kept = Cookie::Provider.of(request.headers(), is_secure);
    let (seed, next) = match kept.as_deref().and_then(Kept::parse) {
        Some(kept) => (Some(kept.seed), kept.next),
        None => (None, None),
    };
    // Something that is there twice is not there.
    let brought = web::Query::<Brought>::from_query(request.query_string());
    let mut brought = brought.map(web::Query::into_inner).unwrap_or_default();
    let given = ProviderSignIn {
        seed,
        state: brought.state.take().unwrap_or_default(),
        answer: brought.answer(),
        user_agent: user_agent(&request),
        caller: caller(&request),
    };
    let mut answer = match console.app().end_provider_sign_in(given).await {
        Ok(opened) => enter(&console, &request, &opened, next.as_deref()).await,
        Err(error) => refuse(&console, &error, next.as_deref()),
    };
    if let Some(cookie) = Cookie::Provider.forget(is_secure) {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
    answer
}

async fn enter(
    console: &Console,
    request: &HttpRequest,
    opened: &OpenedSession,
    next: Option<&str>,
) -> HttpResponse {
    let page = layout::passage("You are signed in", next.unwrap_or(HOME), "Go on");
    let answer = layout::respond(HttpResponse::Ok(), page);
    settle_in(console, request, opened, answer).await
}

fn refuse(console: &Console, error: &ProviderSignInError, next: Option<&str>) -> HttpResponse {
    let mut builder = status(error);
    if let ProviderSignInError::TooManyTries { retry_after_s } = error {
        builder.insert_header((RETRY_AFTER, retry_after_s.to_string()));
    }
    if let ProviderSignInError::Trouble(error) = error {
        tracing::error!(%error, "nobody can sign in");
        return session::unavailable();
    }
    let label = console.settings().provider.as_deref().unwrap_or_default();
    let back = next.map_or_else(
        || SIGN_IN.to_owned(),
        |next| format!("{SIGN_IN}?next={}", escaped(next)),
    );
    let body = html! {
        h1 { "You are not signed in" }
        (why(error, label))
        p { a class="button" href=(back) { "Back to the sign-in" } }
    };
    layout::respond(builder, layout::page(None, "Not signed in", body))
}

fn status(error: &ProviderSignInError) -> HttpResponseBuilder {
    match error {
        ProviderSignInError::NotBegun
        | ProviderSignInError::TooWeak
        | ProviderSignInError::Unlinked(_) => HttpResponse::Forbidden(),
        ProviderSignInError::Denied
        | ProviderSignInError::Failed
        | ProviderSignInError::NotAccepted
        | ProviderSignInError::Refused => HttpResponse::Unauthorized(),
        ProviderSignInError::TooManyTries { .. } => HttpResponse::TooManyRequests(),
        ProviderSignInError::Away(_) | ProviderSignInError::Trouble(_) => {
            HttpResponse::ServiceUnavailable()
        }
    }
}

/// What happened, and what to do.
fn why(error: &ProviderSignInError, label: &str) -> Markup {
    let (happened, to_do) = match error {
        ProviderSignInError::NotBegun => (
            "This sign-in was not begun in this browser, or too long ago.".to_owned(),
            "Try it here, and come back within ten minutes. If you did not begin one, somebody else may have sent you here: nothing was done.",
        ),
        ProviderSignInError::Denied => (
            format!("{label} says that the sign-in was denied."),
            "Try again if it was you who said no. If it was not, whoever administers your account there can say why.",
        ),
        ProviderSignInError::Failed => (
            format!("{label} could not sign you in."),
            "Try again. If that does not help, whoever administers Bursar finds in its log what was said.",
        ),
        ProviderSignInError::NotAccepted => (
            format!("What came back from {label} was not accepted."),
            "Try again. If that does not help, whoever administers Bursar finds the reason in its log.",
        ),
        ProviderSignInError::TooWeak => (
            format!("{label} was shown less than is asked for here."),
            "Sign in there with your second factor, and try again.",
        ),
        ProviderSignInError::Away(_) => (
            format!("{label} does not answer."),
            "Wait a moment, and try again.",
        ),
        ProviderSignInError::Unlinked(identity) => {
            return html! {
                div class="notice bad" role="alert" {
                    p { strong { (label) " knows you, but nobody here has said which operator you are." } }
                    p { "Ask whoever administers Bursar for " code { "bursar operator link NAME --subject " (quoted(&identity.subject)) } ", with your operator’s name in place of NAME." }
                    p { "You are " code { (identity.subject) } " of " code { (identity.issuer) } "." }
                }
            };
        }
        ProviderSignInError::TooManyTries { retry_after_s } => {
            return said(Note::TooManyTries(*retry_after_s));
        }
        ProviderSignInError::Refused | ProviderSignInError::Trouble(_) => {
            return said(Note::Refused);
        }
    };
    html! {
        div class="notice bad" role="alert" {
            p { strong { (happened) } " " (to_do) }
        }
    }
}

/// A word as shells take it for itself: some providers' subjects have a `|` in them.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:/".contains(&byte);
    if text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_can_be_copied_into_a_shell() {
        for (subject, word) in [
            ("248289761001", "248289761001"),
            ("auth0|5f7c", "'auth0|5f7c'"),
            ("a b", "'a b'"),
            ("x'; reboot #", "'x'\\''; reboot #'"),
            ("$(reboot)", "'$(reboot)'"),
        ] {
            assert_eq!(quoted(subject), word);
        }
    }

    #[test]
    fn what_a_browser_keeps_is_read_back_and_leads_nowhere_else() {
        let seed = BASE64URL_NOPAD.encode(&[7; 32]);
        let seed = ProviderSeed::parse(&seed).unwrap();
        let next = |next: &str| Kept::parse(&Kept::text(&seed, next)).unwrap().next;
        let own = "/console/queue?sort=age&x=1";
        assert_eq!(next(own).as_deref(), Some(own));
        for other in ["", "//evil.example", "/console/sign-in", "/admin"] {
            assert_eq!(next(other), None, "{other}");
        }
        let text = Kept::text(&seed, own);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        );
        for wrong in [
            "",
            ".",
            "x.",
            &seed.to_text(),
            &format!("{}.%", seed.to_text()),
        ] {
            assert!(Kept::parse(wrong).is_none(), "{wrong}");
        }
    }
}
