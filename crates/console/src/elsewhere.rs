//! Whoever follows a link from a chat, a mail or a ticket.
//!
//! Browsers send cookies that are `SameSite=Strict` along with nothing that another site begins, so
//! whoever follows such a link looks like somebody who has not signed in. They get a page that asks
//! for the same address once more: now it is the console's own page that asks, and the cookies come.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{HeaderName, HeaderValue, SET_COOKIE},
    },
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{cookies::Cookie, desk::own_path, layout, prefs, sign_in::SIGN_IN};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// The cookie that says for some seconds which address was asked for again; another site's links
/// bring it.
const ASKED: &str = "bursar_asked";

/// The page that asks again, for what a link of another site asks for.
pub(crate) fn again(request: &HttpRequest, is_secure: bool) -> Option<HttpResponse> {
    let says = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
    let is_link = says(SITE) == Some(b"cross-site") && says(MODE) == Some(b"navigate");
    if !is_link || request.method() != Method::GET {
        return None;
    }
    let address = own_path(request.uri().path_and_query()?.as_str())?;
    // Below the sign-in is what brings people back from elsewhere, which looks after itself.
    let rest = address.strip_prefix(SIGN_IN);
    let is_returning = rest.is_some_and(|rest| rest.starts_with('/'));
    // Where the cookie comes all the same there is nothing to ask again for.
    let is_in = Cookie::Session.of(request.headers(), is_secure).is_some();
    // Whatever a browser says the second time, nobody is asked for ever.
    let mark = mark(address);
    let was_asked = prefs::cookie(request, ASKED) == Some(&mark);
    if is_returning || is_in || was_asked {
        return None;
    }
    let asked = format!("{ASKED}={mark}; Path=/console; Max-Age=5; HttpOnly; SameSite=Lax");
    let mut answer = HttpResponse::Ok();
    answer.insert_header((SET_COOKIE, asked));
    let page = layout::passage("You followed a link", address, "Go on to the page");
    Some(layout::respond(answer, page))
}

/// What the browser remembers of an address for some seconds.
fn mark(address: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(address.as_bytes()))
}
