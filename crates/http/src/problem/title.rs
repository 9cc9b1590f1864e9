//! The short words for each status. They never change with the occurrence.

use actix_web::http::StatusCode;

pub(super) fn of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "Invalid request",
        401 => "Not authenticated",
        403 => "Not allowed",
        404 => "Not found",
        405 => "Method not allowed",
        409 => "The state forbids it",
        410 => "Not kept any more",
        413 => "Body too large",
        415 => "Unsupported media type",
        422 => "Refused",
        429 => "Too many requests",
        503 => "Service unavailable",
        _ => "Internal error",
    }
}
