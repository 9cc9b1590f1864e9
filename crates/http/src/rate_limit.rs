//! How a caller stands with the internal-transfer API, in the fields of the IETF's draft
//! "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers).

use actix_web::{
    HttpMessage,
    dev::ServiceResponse,
    http::header::{HeaderName, HeaderValue},
};
use bursar_app::Standing;

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The name of the one policy there is.
const POLICY: &str = "internal";

/// Adds the fields to an answer whose caller's standing is known, whatever it answers.
pub(crate) fn show(answer: &mut ServiceResponse) {
    let standing = answer.request().extensions().get::<Standing>().copied();
    let Some(standing) = standing else { return };
    let Standing {
        quota,
        remaining,
        reset_s,
    } = standing;
    let fields = [
        (RATELIMIT_POLICY, format!("\"{POLICY}\";q={quota};w=60")),
        (RATELIMIT, format!("\"{POLICY}\";r={remaining};t={reset_s}")),
    ];
    let headers = answer.response_mut().headers_mut();
    for (name, value) in fields {
        // Numbers and a fixed name are a value always.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
