//! What every page works with: who is looking, how they like it, and how an answer is made.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder,
    dev::Payload,
    http::{Method, StatusCode, Uri, header},
    web,
};
use bursar_app::{App, Grant, READERS};
use bursar_domain::Timestamp;
use bursar_ports::Permission;
use maud::Markup;

use crate::{
    Console, SignInFirst, Visitor,
    fault::Fault,
    flash::Done,
    layout::{self, Frame, Place},
    prefs::Prefs,
    words::Clock,
};

/// A visitor at work.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) console: web::Data<Console>,
    pub(crate) visitor: Visitor,
    pub(crate) prefs: Prefs,
    flash: Option<Done>,
    /// The address of the page: what was asked for or, where a form was sent, where it stood.
    pub(crate) here: String,
    /// What had happened before the page's data was read: it may show more, and never less.
    pub(crate) since: i64,
}

/// What a handler answers.
pub(crate) enum Reply {
    /// A page.
    Page(Place, String, Markup),
    /// The form was done: on to this page, which says so.
    Done(Done, String),
    /// On to another page.
    Goto(String),
    /// Something that is no page.
    Other(HttpResponse),
}

impl Reply {
    /// A page with this title.
    pub(crate) fn page(place: Place, title: impl Into<String>, body: Markup) -> Self {
        Self::Page(place, title.into(), body)
    }

    /// What was done, told on this page.
    pub(crate) fn done(done: Done, to: impl Into<String>) -> Self {
        Self::Done(done, to.into())
    }
}

impl FromRequest for Desk {
    type Error = SignInFirst;
    type Future = Pin<Box<dyn Future<Output = Result<Self, SignInFirst>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let visitor = Visitor::extract(request);
        let console = request.app_data::<web::Data<Console>>().cloned();
        let prefs = Prefs::of(request);
        let flash = Done::told(request);
        let here = here(request).unwrap_or_else(|| "/console".to_owned());
        Box::pin(async move {
            let visitor = visitor.await?;
            let console = console.ok_or_else(SignInFirst::nowhere)?;
            Ok(Self {
                since: console.live().last(),
                console,
                visitor,
                prefs,
                flash,
                here,
            })
        })
    }
}

impl Desk {
    pub(crate) fn app(&self) -> &App {
        self.console.app()
    }

    /// A permission, if the operator has it.
    pub(crate) fn grant(&self, permission: Permission) -> Result<Grant, Fault> {
        Ok(self.visitor.principal.grant(permission)?)
    }

    /// Leave to look.
    pub(crate) fn reader(&self) -> Result<Grant, Fault> {
        Ok(self.visitor.principal.grant_any(&READERS)?)
    }

    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.visitor.may(permission)
    }

    pub(crate) fn may_any(&self, permissions: &[Permission]) -> bool {
        permissions.iter().any(|permission| self.may(*permission))
    }

    pub(crate) fn may_read(&self) -> bool {
        self.may_any(&READERS)
    }

    /// Whether cookies travel over TLS alone.
    fn is_secure(&self) -> bool {
        self.console.settings().secure_cookies
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.app().now()
    }

    /// How times are told on this page.
    pub(crate) fn clock(&self) -> Clock {
        Clock {
            zone: self.prefs.zone,
            now: self.now(),
        }
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, reply: Result<Reply, Fault>) -> HttpResponse {
        match reply {
            Ok(Reply::Page(place, title, body)) => {
                self.send(HttpResponse::Ok(), place, &title, &body)
            }
            Ok(Reply::Done(done, to)) => {
                let mut answer = HttpResponse::SeeOther();
                if let Some(cookie) = done.cookie(self.is_secure()) {
                    answer.insert_header((header::SET_COOKIE, cookie));
                }
                answer.insert_header((header::LOCATION, to)).finish()
            }
            Ok(Reply::Goto(to)) => HttpResponse::SeeOther()
                .insert_header((header::LOCATION, to))
                .finish(),
            Ok(Reply::Other(response)) => response,
            Err(fault) => {
                fault.log();
                let answer = HttpResponse::build(fault.status());
                self.send(answer, Place::Elsewhere, fault.title(), &fault.body())
            }
        }
    }

    /// A page with a status of its own.
    pub(crate) fn page_with(
        &self,
        status: StatusCode,
        place: Place,
        title: &str,
        body: &Markup,
    ) -> Reply {
        Reply::Other(self.send(HttpResponse::build(status), place, title, body))
    }

    fn send(
        &self,
        mut answer: HttpResponseBuilder,
        place: Place,
        title: &str,
        body: &Markup,
    ) -> HttpResponse {
        if self.flash.is_some()
            && let Some(cookie) = Done::forget(self.is_secure())
        {
            answer.insert_header((header::SET_COOKIE, cookie));
        }
        let frame = Frame {
            visitor: Some(&self.visitor),
            may_read: self.may_read(),
            prefs: self.prefs,
            place,
            flash: self.flash,
            here: &self.here,
            onward: None,
        };
        layout::respond(answer, layout::framed(&frame, title, body))
    }
}

/// Where somebody is. The address of a form is no page by itself, so that one is told by the browser.
fn here(request: &HttpRequest) -> Option<String> {
    if [Method::GET, Method::HEAD].contains(request.method()) {
        return request.uri().path_and_query().map(ToString::to_string);
    }
    let from = request.headers().get(header::REFERER)?.to_str().ok()?;
    let from = from.parse::<Uri>().ok()?;
    own_path(from.path_and_query()?.as_str()).map(str::to_owned)
}

/// An address of the console's own, and of nobody else's.
pub(crate) fn own_path(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/console")?;
    let own = rest.is_empty() || rest.starts_with(['/', '?']);
    let clean = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (own && clean).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_addresses_are_gone_back_to() {
        for own in ["/console", "/console?x=1", "/console/queue?sort=age"] {
            assert_eq!(own_path(own), Some(own));
        }
        for other in [
            "",
            "/",
            "//evil.example/console",
            "https://evil.example",
            "/consoles",
            "/console/\r\nX: y",
            "/console\\evil",
        ] {
            assert_eq!(own_path(other), None, "{other}");
        }
    }
}
