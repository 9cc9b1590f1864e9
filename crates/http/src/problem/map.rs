//! From the application's errors to problems. Every error is named, so a new one cannot be
//! forgotten here.

use actix_web::http::StatusCode;
use bursar_app::{AuthError, Conflict, Error, ItemError, Missing, Original, RateLimited, Taken};
use bursar_domain::{ItemRefusal, Reason};
use bursar_ports::{Permission, StoreError, chain};

use super::{Extension, Problem};
use crate::line_budget::LineBudget;

/// What a 401 asks for.
const CHALLENGE: &str = "Bearer";
/// What a 401 asks for after a token that is no good (RFC 6750).
const CHALLENGE_INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";

/// A store that is away is away for everybody.
static UNAVAILABLE: LineBudget = LineBudget::new();

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthenticated(error) => unauthenticated(error),
            Error::Forbidden(permission) => forbidden(permission),
            Error::NoUser => Self::new(
                StatusCode::FORBIDDEN,
                "user.required",
                "The credential belongs to no user, and this is about a user's own money.",
            ),
            Error::NotFound(missing) => not_found(missing),
            Error::RateLimited(refused) => rate_limited(refused),
            Error::Invalid(errors) => Self::invalid(errors),
            Error::Conflict(conflict) => conflicting(conflict),
            Error::TakenByOther(taken) => taken_by_other(&taken),
            Error::Refused { reason, replayed } => refused(reason, replayed),
            Error::OverLimit { reason, room } => {
                refused(reason, false).extended(Extension::Room(room))
            }
            Error::ReadOnly => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "service.read_only",
                "Nothing moves right now, by an operator's word. Nothing happened.",
            )
            .extended(Extension::NotExecuted),
            Error::SameOperator => Self::new(
                StatusCode::FORBIDDEN,
                "approval.same_operator",
                "Whoever made or confirmed a transfer cannot be its second operator.",
            ),
            Error::BulkRefused { results, replayed } => bulk_refused(results, replayed),
            Error::KeyReused { original, fields } => key_reused(original, fields),
            Error::EventsPruned { oldest } => events_pruned(oldest),
            Error::EventsAhead { last } => events_ahead(last),
            Error::ScaleInUse => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "asset.scale_in_use",
                "The asset is in use, so its scale cannot change.",
            ),
            Error::UsernameTaken => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "username.taken",
                "Another user has this username.",
            ),
            Error::EmailTaken => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "email.taken",
                "Another user has this email.",
            ),
            Error::AddressBookCodeTaken => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "address_book_code.taken",
                "Another entry of your address book has this code.",
            ),
            Error::AddressBookFull => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "address_book.full",
                "Your address book is full: remove an entry first.",
            ),
            Error::Store(error) => store(&error, None),
            Error::OutcomeUnknown { transfer, source } => store(&source, Some(transfer)),
            // No endpoint expects anything of what it replaces.
            Error::Overtaken => Self::from(Error::Internal("nothing was expected here")),
            Error::Internal(cause) => {
                tracing::error!(cause, "internal error");
                Self::internal()
            }
        }
    }
}

fn events_pruned(oldest: i64) -> Problem {
    Problem::new(
        StatusCode::GONE,
        "events.pruned",
        format!("The oldest event that is kept has the number {oldest}."),
    )
}

fn events_ahead(last: i64) -> Problem {
    Problem::new(
        StatusCode::GONE,
        "events.ahead",
        format!("No event has this number; the last one has the number {last}."),
    )
}

impl From<ItemError> for Problem {
    fn from(error: ItemError) -> Self {
        match error {
            ItemError::Invalid(errors) => Self::invalid(errors),
            error @ ItemError::AddressBookMismatch => Error::from(error).into(),
            ItemError::NotFound(missing) => not_found(missing),
            ItemError::Refused(reason) => refused(reason, false),
            ItemError::NotExecuted => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                ItemRefusal::NOT_EXECUTED,
                "This transfer was to be made with all others or not at all.",
            ),
        }
    }
}

fn unauthenticated(error: AuthError) -> Problem {
    let problem = |status| Problem::new(status, error.code(), sentence(&error.to_string()));
    match error {
        AuthError::IpNotAllowed => problem(StatusCode::FORBIDDEN),
        AuthError::TokenInvalid => {
            problem(StatusCode::UNAUTHORIZED).challenging(CHALLENGE_INVALID_TOKEN)
        }
        AuthError::Missing
        | AuthError::AccessKeyMissed
        | AuthError::TimestampMissed
        | AuthError::SignatureMissed
        | AuthError::AccessKeyUnknown
        | AuthError::TimestampInvalid
        | AuthError::TimestampExpired
        | AuthError::SignatureInvalid
        | AuthError::SignatureReplayed => problem(StatusCode::UNAUTHORIZED).challenging(CHALLENGE),
    }
}

fn forbidden(permission: Permission) -> Problem {
    let detail = format!("The permission {} is missing.", permission.as_str());
    Problem::new(StatusCode::FORBIDDEN, "permission.missing", detail)
}

fn rate_limited(refused: RateLimited) -> Problem {
    let RateLimited {
        limit,
        retry_after_s,
    } = refused;
    metrics::counter!("bursar_rate_limited_total", "code" => limit.code()).increment(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, limit.code(), limit.message())
        .retrying_after(retry_after_s)
}

fn not_found(missing: Missing) -> Problem {
    let detail = format!("{} does not exist.", missing.noun());
    Problem::new(StatusCode::NOT_FOUND, missing.code(), detail)
}

fn conflicting(conflict: Conflict) -> Problem {
    Problem::new(StatusCode::CONFLICT, conflict.code(), conflict.message())
}

fn taken_by_other(taken: &Taken) -> Problem {
    let (by, until) = (taken.by.as_str(), taken.until.to_micros_text());
    let detail = format!("{by} has taken it until {until}.");
    let extension = Extension::Taken(taken.clone());
    Problem::new(StatusCode::CONFLICT, "transfer.taken", detail).extended(extension)
}

fn refused(reason: Reason, replayed: bool) -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new(status, reason.code(), reason.message()).replayed(replayed)
}

fn bulk_refused(results: Vec<ItemError>, replayed: bool) -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    // Where no money moves nobody learns whose recipient it was.
    let all_stand = results
        .iter()
        .all(|result| *result == ItemError::NotExecuted);
    let detail = if all_stand {
        "Not every recipient can be paid, so nobody was."
    } else {
        "Not every transfer can be made, so none was."
    };
    let results = results.into_iter().map(Problem::from).collect();
    Problem::new(status, "bulk.refused", detail)
        .extended(Extension::Results(results))
        .replayed(replayed)
}

fn key_reused(original: Option<Original>, fields: Vec<String>) -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let detail = "The idempotency key belongs to another request.";
    Problem::new(status, "idempotency.key_reused", detail)
        .extended(Extension::KeyReused { original, fields })
}

fn store(error: &StoreError, transfer: Option<Original>) -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    match error {
        StoreError::Overloaded => {
            let detail = "There is too much to do right now. Nothing happened.";
            Problem::new(status, "service.overloaded", detail).extended(Extension::NotExecuted)
        }
        StoreError::Standby => {
            let detail = "Another replica moves the money. Nothing happened; ask that one.";
            Problem::new(status, "service.standby", detail).extended(Extension::NotExecuted)
        }
        StoreError::Unavailable(_) => {
            if let Some(left_out) = UNAVAILABLE.take() {
                tracing::error!(cause = chain(error), left_out, "the store is unavailable");
            }
            Problem::unavailable()
        }
        StoreError::OutcomeUnknown(_) => {
            tracing::error!(cause = chain(error), "the outcome of a commit is unknown");
            let detail = "It is not known whether this happened. Repeat the request, with the same \
                          Idempotency-Key if it moves money, or look whether it happened.";
            Problem::new(status, "outcome.unknown", detail)
                .extended(Extension::Unknown { transfer })
        }
        StoreError::Inconsistent { .. } => {
            tracing::error!(cause = chain(error), "what is stored contradicts itself");
            Problem::internal()
        }
    }
}

/// Errors speak in clauses; a problem's detail is a sentence.
fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    format!("{}{}.", first.to_uppercase(), chars.as_str())
}
