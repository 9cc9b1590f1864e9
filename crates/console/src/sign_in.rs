//! Signing in and out, and one's own sessions. All of it works without script.

mod next;
mod own_sessions;
mod page;
mod provider;

use std::time::{Duration, Instant};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{LOCATION, RETRY_AFTER, SET_COOKIE},
    web::{self, Data, ServiceConfig},
};
use bursar_app::{OpenedSession, SignIn, SignInError, csrf_token};
use bursar_ports::Password;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use self::{
    next::own_page,
    page::{Form, Note},
};
use crate::{
    Console, Posted, Visitor,
    cookies::Cookie,
    layout,
    session::{self, caller},
};

/// How long a refusal takes at least: how long it took to find out tells nothing.
const REFUSAL_TIME: Duration = Duration::from_millis(500);
/// Where somebody goes who was signed in.
const HOME: &str = "/console";
pub(crate) const SIGN_IN: &str = "/console/sign-in";

pub(crate) fn routes(service: &mut ServiceConfig) {
    service
        .service(
            web::resource("/sign-in")
                .route(web::get().to(show))
                .route(web::post().to(sign_in)),
        )
        .route("/sign-out", web::post().to(sign_out))
        .configure(provider::routes)
        .configure(own_sessions::routes);
}

#[derive(Deserialize)]
struct Asked {
    next: Option<String>,
}

/// The form.
async fn show(
    console: Data<Console>,
    request: HttpRequest,
    asked: Option<web::Query<Asked>>,
) -> HttpResponse {
    let asked = asked.and_then(|asked| asked.into_inner().next);
    let next = asked.as_deref().and_then(own_page);
    if request.extensions().get::<Visitor>().is_some() {
        return onward(next);
    }
    let form = Form {
        next: next.unwrap_or_default(),
        name: "",
        note: next.map(|_| Note::SignInFirst),
    };
    answer(&console, &request, HttpResponse::Ok(), &form)
}

#[derive(Deserialize)]
struct Sent {
    csrf: Option<String>,
    name: Option<String>,
    password: Option<String>,
    code: Option<String>,
    next: Option<String>,
}

async fn sign_in(console: Data<Console>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let began = Instant::now();
    if !console.settings().password_sign_in {
        let form = Form::with(Note::NoPasswords);
        return answer(&console, &request, HttpResponse::Forbidden(), &form);
    }
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let sent = web::Query::<Sent>::from_query(text).map(web::Query::into_inner);
    let Ok(sent) = sent else {
        let form = Form::with(Note::OutOfDate);
        return answer(&console, &request, HttpResponse::BadRequest(), &form);
    };
    let name = sent.name.unwrap_or_default();
    let form = Form {
        next: sent.next.as_deref().and_then(own_page).unwrap_or_default(),
        name: &name,
        note: None,
    };
    if !is_of_this_browser(&console, &request, sent.csrf.as_deref().unwrap_or_default()) {
        let form = form.noting(Note::OutOfDate);
        return answer(&console, &request, HttpResponse::Forbidden(), &form);
    }
    let given = SignIn {
        name: name.clone(),
        password: Password(sent.password.unwrap_or_default()),
        code: sent.code.unwrap_or_default(),
        user_agent: user_agent(&request),
        caller: caller(&request),
    };
    match console.app().sign_in(given).await {
        Ok(opened) => {
            let answer = onward(Some(form.next).filter(|next| !next.is_empty()));
            settle_in(&console, &request, &opened, answer).await
        }
        Err(SignInError::Refused) => {
            tokio::time::sleep(REFUSAL_TIME.saturating_sub(began.elapsed())).await;
            let form = form.noting(Note::Refused);
            answer(&console, &request, HttpResponse::Unauthorized(), &form)
        }
        Err(SignInError::TooManyTries { retry_after_s }) => {
            let form = form.noting(Note::TooManyTries(retry_after_s));
            let mut builder = HttpResponse::TooManyRequests();
            builder.insert_header((RETRY_AFTER, retry_after_s.to_string()));
            answer(&console, &request, builder, &form)
        }
        Err(SignInError::Trouble(error)) => {
            tracing::error!(%error, "nobody can sign in");
            session::unavailable()
        }
    }
}

/// Lets an operator in: the session's token is new, and whatever session the browser had ends.
async fn settle_in(
    console: &Console,
    request: &HttpRequest,
    opened: &OpenedSession,
    mut answer: HttpResponse,
) -> HttpResponse {
    let is_secure = console.settings().secure_cookies;
    if let Some(old) = Cookie::Session.of(request.headers(), is_secure)
        && let Err(error) = console.app().sign_out(&old, &caller(request)).await
    {
        tracing::warn!(%error, "the browser's earlier session was not ended");
    }
    let cookies = [
        Cookie::Session.set(&opened.token, is_secure),
        Cookie::Form.forget(is_secure),
    ];
    for cookie in cookies.into_iter().flatten() {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
    answer
}

#[derive(Deserialize)]
struct Nothing {}

async fn sign_out(
    console: Data<Console>,
    request: HttpRequest,
    _posted: Posted<Nothing>,
) -> HttpResponse {
    let is_secure = console.settings().secure_cookies;
    if let Some(token) = Cookie::Session.of(request.headers(), is_secure)
        && let Err(error) = console.app().sign_out(&token, &caller(&request)).await
    {
        tracing::error!(%error, "a session cannot be ended");
        return session::unavailable();
    }
    leave(&console)
}

/// Shows the way out: the browser forgets the session.
pub(crate) fn leave(console: &Console) -> HttpResponse {
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((LOCATION, SIGN_IN));
    if let Some(cookie) = Cookie::Session.forget(console.settings().secure_cookies) {
        answer.insert_header((SET_COOKIE, cookie));
    }
    answer.finish()
}

fn onward(next: Option<&str>) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, next.unwrap_or(HOME)))
        .finish()
}

/// The page with the form, tied to the browser that asks by a cookie that it may have already.
fn answer(
    console: &Console,
    request: &HttpRequest,
    mut builder: HttpResponseBuilder,
    form: &Form<'_>,
) -> HttpResponse {
    let is_secure = console.settings().secure_cookies;
    let had = Cookie::Form.of(request.headers(), is_secure);
    let token = had.unwrap_or_else(|| {
        let token = BASE64URL_NOPAD.encode(&console.app().random_bytes());
        if let Some(cookie) = Cookie::Form.set(&token, is_secure) {
            builder.insert_header((SET_COOKIE, cookie));
        }
        token
    });
    let body = page::body(form, &csrf_token(&token), console.settings());
    layout::respond(builder, layout::page(None, "Sign in", body))
}

/// Whether a form was made for the browser that sends it.
fn is_of_this_browser(console: &Console, request: &HttpRequest, sent: &str) -> bool {
    let token = Cookie::Form.of(request.headers(), console.settings().secure_cookies);
    token.is_some_and(|token| {
        let expected = csrf_token(&token);
        expected.as_bytes().ct_eq(sent.as_bytes()).into()
    })
}

fn user_agent(request: &HttpRequest) -> String {
    let header = request.headers().get(actix_web::http::header::USER_AGENT);
    let text = header.and_then(|value| value.to_str().ok());
    text.unwrap_or_default().to_owned()
}
