//! From a request's headers to whoever is calling (contract §0).

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{AUTHORIZATION, HeaderMap, HeaderValue},
    },
};
use bursar_app::{App, AuthError, Error, Principal, SignedRequest};

use crate::client_address::client_address;

const X_ACCESS_KEY: &str = "x-access-key";
const X_TIMESTAMP: &str = "x-timestamp";
const X_SIGNATURE: &str = "x-signature";

/// Finds out who is calling, unless too many tries from there have failed.
pub(crate) async fn authenticate(
    app: &App,
    request: &HttpRequest,
    body: &[u8],
) -> Result<Principal, Error> {
    let Some(presented) = presented(request.headers()) else {
        return look_up(app, request, body).await;
    };
    let client = client_address(request);
    let begun = app.begin_credentials(client, presented).await?;
    let found = look_up(app, request, body).await;
    app.end_credentials(begun, &found).await;
    found
}

/// Finds out who is calling before the body has arrived, where a token tells; whoever cannot be known
/// whatever comes is refused. A signature is over the whole body: until that is there, it must be of
/// a key that is in use, and of now.
pub(crate) async fn foresee(app: &App, request: &HttpRequest) -> Result<Option<Principal>, Error> {
    let headers = request.headers();
    let token = headers.get(AUTHORIZATION).and_then(bearer);
    match signed(request, &[]) {
        Some(signed) if token.is_none() => foresee_signed(app, headers, signed).await,
        Some(_) | None => authenticate(app, request, &[]).await.map(Some),
    }
}

async fn foresee_signed(
    app: &App,
    headers: &HeaderMap,
    signed: SignedRequest,
) -> Result<Option<Principal>, Error> {
    let begun = match presented(headers) {
        Some(presented) => app.begin_credentials(signed.client, presented).await?,
        None => None,
    };
    // Nothing is used up by a look.
    let look = SignedRequest {
        changes: false,
        ..signed
    };
    match app.authenticate_signed(look).await {
        Ok(_) | Err(Error::Unauthenticated(AuthError::SignatureInvalid)) => Ok(None),
        Err(refusal) => {
            let found = Err(refusal);
            app.end_credentials(begun, &found).await;
            found.map(Some)
        }
    }
}

/// What tells one credential from another, if any was sent: of a token the token alone, so that one that
/// is written in many ways is remembered once.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let token = headers.get(AUTHORIZATION);
    match token.and_then(bearer) {
        Some(Ok(token)) => Some(token.as_bytes()),
        Some(Err(_)) => token.map(HeaderValue::as_bytes),
        None => headers.get(X_ACCESS_KEY).map(HeaderValue::as_bytes),
    }
}

/// A bearer token counts before a signature; another scheme of `Authorization` is no credential at
/// all.
async fn look_up(app: &App, request: &HttpRequest, body: &[u8]) -> Result<Principal, Error> {
    let headers = request.headers();
    if let Some(token) = headers.get(AUTHORIZATION).and_then(bearer) {
        return match token {
            Ok(token) => app.authenticate_bearer(token).await,
            Err(error) => Err(Error::Unauthenticated(error)),
        };
    }
    match signed(request, body) {
        Some(signed) => app.authenticate_signed(signed).await,
        None => Err(Error::Unauthenticated(AuthError::Missing)),
    }
}

/// The token of a `Bearer` header; none when the scheme is another one.
fn bearer(header: &HeaderValue) -> Option<Result<&str, AuthError>> {
    let bytes = header.as_bytes();
    let (scheme, token) = bytes.split_at_checked(b"Bearer".len())?;
    if !scheme.eq_ignore_ascii_case(b"Bearer") || token.first() != Some(&b' ') {
        return None;
    }
    let token = std::str::from_utf8(token).map(str::trim);
    Some(match token {
        Ok(token) if !token.is_empty() => Ok(token),
        Ok(_) | Err(_) => Err(AuthError::TokenInvalid),
    })
}

/// What an access-key request is made of, if any of its headers is there.
fn signed(request: &HttpRequest, body: &[u8]) -> Option<SignedRequest> {
    let headers = request.headers();
    let (access_key, timestamp, signature) = (
        text(headers, X_ACCESS_KEY),
        text(headers, X_TIMESTAMP),
        text(headers, X_SIGNATURE),
    );
    if access_key.is_none() && timestamp.is_none() && signature.is_none() {
        return None;
    }
    let uri = request.uri();
    let path_and_query = uri
        .path_and_query()
        .map_or(uri.path(), |both| both.as_str());
    Some(SignedRequest {
        access_key,
        timestamp,
        signature,
        path: uri.path().to_owned(),
        path_and_query: path_and_query.to_owned(),
        body: body.to_vec(),
        changes: !matches!(*request.method(), Method::GET | Method::HEAD),
        client: client_address(request),
    })
}

/// A header's text; one that is empty is the same as none, and one that is no text fits nothing.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    /// What was verified is remembered under what was presented, so nothing else may be.
    #[test]
    fn what_is_presented_is_what_is_verified() {
        let mut headers = HeaderMap::new();
        assert_eq!(presented(&headers), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        assert_eq!(presented(&headers), None);
        let key = HeaderName::from_static(X_ACCESS_KEY);
        headers.insert(key, HeaderValue::from_static("BAKALICE"));
        assert_eq!(presented(&headers), Some(&b"BAKALICE"[..]));
        for spelling in ["Bearer abc", "bEARER   abc "] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(spelling));
            assert_eq!(presented(&headers), Some(&b"abc"[..]));
        }
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer "));
        assert_eq!(presented(&headers), Some(&b"Bearer "[..]));
    }

    #[test]
    fn only_the_bearer_scheme_is_a_token() {
        let read = |header: &'static str| {
            let value = HeaderValue::from_static(header);
            bearer(&value).map(|token| token.map(str::to_owned))
        };
        assert_eq!(read("Bearer abc"), Some(Ok("abc".to_owned())));
        assert_eq!(read("bearer   abc "), Some(Ok("abc".to_owned())));
        assert_eq!(read("Bearer "), Some(Err(AuthError::TokenInvalid)));
        for header in ["", "Bearer", "Bearerabc", "Basic YTpi", "abc", "Digest x"] {
            assert_eq!(read(header), None, "{header}");
        }
    }
}
