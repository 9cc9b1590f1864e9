//! Forms: what every one of them carries, and what is read from it.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, ResponseError, body::BoxBody, dev::Payload,
    http::StatusCode, web,
};
use maud::{Markup, html};
use serde::{Deserialize, de::DeserializeOwned};
use subtle::ConstantTimeEq;

use crate::{SignInFirst, Visitor, layout};

/// The longest form that is read, in bytes.
const BYTES_MAX: usize = 64 * 1024;

/// The field that proves that a form is from one of our own pages.
pub fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf); }
}

/// A form of a visitor's own page. Whoever takes it as an argument is not called for any other.
#[derive(Clone, Debug)]
pub struct Posted<T> {
    /// Who sent it.
    pub visitor: Visitor,
    /// What it says.
    pub form: T,
}

#[derive(Deserialize)]
struct Token {
    csrf: Option<String>,
}

impl<T: DeserializeOwned + 'static> FromRequest for Posted<T> {
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refused>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let visitor = Visitor::extract(request);
        let body = web::Payload::from_request(request, payload);
        Box::pin(async move {
            let visitor = visitor.await?;
            let body = body.await.map_err(|_| Refused::Unreadable)?;
            let read = body.to_bytes_limited(BYTES_MAX).await;
            let read = read
                .map_err(|_| Refused::TooLong)?
                .map_err(|_| Refused::Unreadable)?;
            let text = std::str::from_utf8(&read).map_err(|_| Refused::Unreadable)?;
            if holds_nul(text) {
                return Err(Refused::Unreadable);
            }
            let token = web::Query::<Token>::from_query(text).map_err(|_| Refused::Unreadable)?;
            let sent = token.into_inner().csrf.unwrap_or_default();
            let same = sent.as_bytes().ct_eq(visitor.csrf.as_bytes());
            if visitor.csrf.is_empty() || !bool::from(same) {
                return Err(Refused::Foreign);
            }
            let form = web::Query::<T>::from_query(text).map_err(|_| Refused::Unreadable)?;
            Ok(Self {
                visitor,
                form: form.into_inner(),
            })
        })
    }
}

/// Whether something that was encoded for an address has the null character in it, which no text of the
/// database can hold, and no browser sends.
pub(crate) fn holds_nul(encoded: &str) -> bool {
    encoded.contains("%00") || encoded.contains('\0')
}

/// Why a form is not looked at. Nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody has signed in.
    #[error(transparent)]
    SignedOut(#[from] SignInFirst),
    /// It does not come from one of this session's pages.
    #[error("the form is not from a page of this session")]
    Foreign,
    /// It is longer than any of ours.
    #[error("the form is too long")]
    TooLong,
    /// It is none of ours.
    #[error("the form cannot be read")]
    Unreadable,
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignedOut(first) => first.status_code(),
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unreadable => StatusCode::BAD_REQUEST,
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let (title, what_to_do) = match self {
            Self::SignedOut(first) => return first.error_response(),
            Self::Foreign => (
                "This form is out of date",
                "It was not made by a page of your session. Open the page again and repeat what you wanted to do.",
            ),
            Self::TooLong => (
                "That is too much text",
                "Go back, shorten what you wrote, and send it again.",
            ),
            Self::Unreadable => (
                "This form cannot be read",
                "Something is missing from it. Open the page again and repeat what you wanted to do.",
            ),
        };
        let body = html! {
            h1 { (title) }
            p { "Nothing was done. " (what_to_do) }
            p { a class="button" href="/console" { "To the overview" } }
        };
        let answer = HttpResponse::build(self.status_code());
        layout::respond(answer, layout::page(None, title, body))
    }
}
