//! Pages for what could not be done: what happened, and what to do about it.

use actix_web::http::StatusCode;
use bursar_app::{Conflict, Error, FieldError, Missing, Original};
use bursar_ports::{StoreError, chain};
use maud::{Markup, html};

use crate::links::said;

/// Where the store keeps transfers, as it says it.
const TRANSFERS: &str = "transfers";

/// Why there is no other page.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A use case said no.
    App(Error),
    /// What is there is not what the operator saw.
    Overtaken {
        /// What is there now, for people.
        now: Markup,
        /// Where to look at it.
        link: String,
    },
    /// The rules make something else of it than the operator was promised; this is where to look again.
    OtherRules(String),
    /// There is no such page.
    NoPage,
    /// The address asks for what cannot be.
    BadAddress,
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::App(error.into())
    }
}

impl Fault {
    /// A field of a form that is not what it must be.
    pub(crate) fn invalid(field: &str, detail: impl Into<String>) -> Self {
        let code = format!("{field}.invalid");
        Self::App(Error::Invalid(vec![FieldError::new(field, code, detail)]))
    }

    /// Why somebody does something, which must be said, in at most so many characters.
    pub(crate) fn said_why<'t>(
        field: &str,
        text: Option<&'t String>,
        max: usize,
    ) -> Result<&'t str, Self> {
        let text = said(text).filter(|text| text.chars().count() <= max);
        text.ok_or_else(|| Self::invalid(field, format!("say why, in at most {max} characters")))
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::App(error) => status(error),
            Self::Overtaken { .. } | Self::OtherRules(_) => StatusCode::CONFLICT,
            Self::NoPage => StatusCode::NOT_FOUND,
            Self::BadAddress => StatusCode::BAD_REQUEST,
        }
    }

    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::App(error) => title(error),
            Self::Overtaken { .. } | Self::OtherRules(_) => "This is not what you saw any more",
            Self::NoPage => "There is no such page",
            Self::BadAddress => "This address asks for something that cannot be",
        }
    }

    /// Tells the log what the page leaves to it.
    pub(crate) fn log(&self) {
        if let Self::App(Error::Store(error @ StoreError::Inconsistent { .. })) = self {
            tracing::error!(cause = chain(error), "what is stored contradicts itself");
        } else if let Self::App(Error::Internal(cause)) = self {
            tracing::error!(cause, "internal error");
        }
    }

    /// The page, beginning with its heading.
    pub(crate) fn body(&self) -> Markup {
        html! {
            h1 { (self.title()) }
            (self.notice())
            @match self {
                Self::Overtaken { link, .. } | Self::OtherRules(link) => {
                    p { a class="button" href=(link) { "Look at it as it is now" } }
                }
                Self::App(_) | Self::NoPage | Self::BadAddress => {
                    p { a class="button" href="/console/queue" { "To the queue" } }
                }
            }
        }
    }

    /// What happened, as it stands on a page.
    pub(crate) fn notice(&self) -> Markup {
        html! { div class="notice bad" role="alert" { (self.what_happened()) } }
    }

    fn what_happened(&self) -> Markup {
        match self {
            Self::App(error) => told(error),
            Self::Overtaken { now, .. } => html! {
                p { strong { "Nothing was done." } " Somebody or something changed it since your page was made." }
                p { (now) }
            },
            Self::OtherRules(_) => html! {
                p { strong { "Nothing was done." } " The rules changed since your page was made, and something else would come of it now." }
            },
            Self::NoPage => html! {
                p { "The address is none of the console’s, or what it names is not there. Check it, or begin at the queue." }
            },
            Self::BadAddress => html! {
                p { "A part of the address cannot be read. Begin at the queue, or use the search." }
            },
        }
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        Error::Forbidden(_) | Error::NoUser | Error::SameOperator => StatusCode::FORBIDDEN,
        Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::Invalid(_) => StatusCode::BAD_REQUEST,
        Error::Conflict(_)
        | Error::TakenByOther(_)
        | Error::KeyReused { .. }
        | Error::Overtaken
        | Error::ScaleInUse
        | Error::UsernameTaken
        | Error::EmailTaken
        | Error::AddressBookCodeTaken
        | Error::AddressBookFull => StatusCode::CONFLICT,
        Error::Refused { .. } | Error::OverLimit { .. } | Error::BulkRefused { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Error::EventsPruned { .. } | Error::EventsAhead { .. } => StatusCode::GONE,
        Error::ReadOnly
        | Error::Store(
            StoreError::Overloaded
            | StoreError::Standby
            | StoreError::Unavailable(_)
            | StoreError::OutcomeUnknown(_),
        )
        | Error::OutcomeUnknown { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Error::Store(StoreError::Inconsistent { .. }) | Error::Internal(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

fn title(error: &Error) -> &'static str {
    match error {
        Error::Unauthenticated(_) => "You are signed out",
        Error::Forbidden(_) | Error::NoUser => "You may not do this",
        Error::SameOperator => "Somebody else must say so",
        Error::NotFound(_) => "It is not there",
        Error::RateLimited(_) => "Too often",
        Error::Invalid(_) => "Some of this cannot be",
        Error::Conflict(Conflict::DigestMismatch) | Error::Overtaken => {
            "This is not what you saw any more"
        }
        Error::Conflict(_) => "It is too late for that",
        Error::TakenByOther(_) => "Somebody else is at it",
        Error::KeyReused { .. }
        | Error::ScaleInUse
        | Error::UsernameTaken
        | Error::EmailTaken
        | Error::AddressBookCodeTaken
        | Error::AddressBookFull => "Something is in the way",
        Error::Refused { .. } | Error::OverLimit { .. } | Error::BulkRefused { .. } => {
            "The rules say no"
        }
        Error::EventsPruned { .. } => "That is too long ago",
        Error::EventsAhead { .. } => "That has not happened",
        Error::ReadOnly => "Nothing moves right now",
        Error::OutcomeUnknown { .. } | Error::Store(StoreError::OutcomeUnknown(_)) => {
            "It is not known yet what came of it"
        }
        Error::Store(StoreError::Overloaded) => "Too much is asked at once",
        Error::Store(StoreError::Standby | StoreError::Unavailable(_)) => {
            "The database does not answer"
        }
        Error::Store(StoreError::Inconsistent {
            table: TRANSFERS, ..
        }) => "Nothing proves this transfer",
        Error::Store(StoreError::Inconsistent { .. }) | Error::Internal(_) => {
            "Something is wrong with Bursar"
        }
    }
}

fn told(error: &Error) -> Markup {
    match error {
        Error::Forbidden(permission) => html! {
            p { "Your account lacks the permission " code { (permission.as_str()) } ". Nothing was done. Ask whoever runs the operators’ accounts for it, if it is part of your work." }
        },
        Error::NoUser => {
            html! { p { "This is about a user’s own money, and you are an operator." } }
        }
        Error::Unauthenticated(_) => html! { p { "Sign in again. Nothing was done." } },
        Error::SameOperator => html! {
            p { "You made or confirmed this transfer, so you cannot be the second one to look at it. Nothing was done. Ask another operator." }
        },
        Error::NotFound(missing) => {
            html! { p { (missing.noun()) " does not exist. " (where_to_look(*missing)) } }
        }
        Error::RateLimited(_) => {
            html! { p { "Wait some seconds, then do it again. Nothing was done." } }
        }
        Error::Invalid(fields) => wrong_fields(fields),
        Error::Conflict(conflict) => html! {
            p { (conflict.message()) " Nothing was done by you. Look at it as it is now." }
        },
        Error::TakenByOther(taken) => html! {
            p { bdi { (taken.by.as_str()) } " has taken it for some minutes. Nothing was done. Take another one, or wait until it is free again." }
        },
        Error::KeyReused { .. } => {
            html! { p { "The same request was made before with other contents. Nothing was done." } }
        }
        Error::Overtaken => {
            html! { p { "Somebody or something changed it since your page was made. Nothing was done. Look at it as it is now." } }
        }
        Error::ScaleInUse => {
            html! { p { "The asset has accounts already, so its decimals stay as they are. Nothing was changed." } }
        }
        Error::UsernameTaken
        | Error::EmailTaken
        | Error::AddressBookCodeTaken
        | Error::AddressBookFull => {
            html! { p { (error) ". Nothing was changed." } }
        }
        Error::Refused { reason, .. } | Error::OverLimit { reason, .. } => html! {
            p { (reason.message()) " Nothing moved. " code { (reason.code()) } }
        },
        Error::BulkRefused { .. } => {
            html! { p { "Not all of it can be done, so none of it was." } }
        }
        Error::EventsPruned { .. } => {
            html! { p { "Events of that time are not kept any more. Load the page again." } }
        }
        Error::EventsAhead { .. } => {
            html! { p { "The database knows nothing of it, or no more. Load the page again." } }
        }
        Error::ReadOnly => html! {
            p { "An operator stopped everything. Nothing was done. " a href="/console/rules" { "See who and why" } "." }
        },
        Error::OutcomeUnknown { transfer, .. } => html! {
            p { "The connection was lost at the moment of writing. Do not repeat it before you have looked: it may have been done." }
            @if let Original::Id(id) = transfer { p { a href={ "/console/transfers/" (id) } { "Look at transfer " (id) } } }
        },
        Error::Store(error) => told_of_store(error),
        Error::Internal(_) => in_the_log(),
    }
}

fn told_of_store(error: &StoreError) -> Markup {
    match error {
        StoreError::OutcomeUnknown(_) => html! {
            p { "It broke off in the middle of writing. Look before you repeat it: it may have been done, or one half of it, which doing it again completes." }
        },
        StoreError::Overloaded => html! { p { "Nothing was done. Try again in a minute." } },
        StoreError::Standby | StoreError::Unavailable(_) => html! {
            p { "Nothing was done. Wait a moment and load the page again; if it stays so, call whoever runs the service." }
        },
        StoreError::Inconsistent {
            table: TRANSFERS,
            detail,
        } => unproven(detail),
        StoreError::Inconsistent { .. } => in_the_log(),
    }
}

fn in_the_log() -> Markup {
    html! {
        p { "The details are in the service’s log. Call whoever runs the service, and tell when it happened." }
    }
}

/// A transfer that is not what Bursar wrote, or may not be. Whoever has to look into it needs to know which
/// and why; who sees this has signed in.
fn unproven(detail: &str) -> Markup {
    html! {
        p { "What is stored of a transfer is not what Bursar wrote there, or nothing proves that it is: " code { (detail) } "." }
        p { "Nothing goes on from it: it is not settled, confirmed, canceled, paid out, expired or taken back, and no callback tells of it. The lists show it as it is stored." }
        p { "Call whoever runs the service, and tell what stands here. The operations guide says what to do, under “Transfers that nothing proves”: a master key that is missing is put back, and one that somebody changed is an incident." }
    }
}

fn wrong_fields(fields: &[FieldError]) -> Markup {
    html! {
        p { "Nothing was done. Mend this where it was typed, and send it again:" }
        ul { @for field in fields { li { strong { (field.field) } ": " (field.detail) } } }
    }
}

const fn where_to_look(missing: Missing) -> &'static str {
    match missing {
        Missing::User => "Search the users by name or email.",
        Missing::Asset | Missing::Currency | Missing::Rate => "The assets are listed under Rules.",
        Missing::Transfer => "Search the transfers by what you know of it.",
        Missing::Token | Missing::AccessKey => "It is listed on its user’s page, if it is there.",
        Missing::CallbackSecret | Missing::Callback => "The callbacks are listed by state.",
        Missing::AddressBookEntry => "Its owner has removed it.",
        Missing::Stop => "Somebody has lifted it already.",
        Missing::Operator | Missing::OperatorSession => {
            "Operators and their sessions are listed under Operators."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_of_a_transfer_is_told_and_of_nothing_else() {
        let page = |table| {
            let fault = Fault::App(Error::Store(StoreError::Inconsistent {
                table,
                detail: "id 7: its seal does not fit".to_owned(),
            }));
            assert_eq!(fault.status(), StatusCode::INTERNAL_SERVER_ERROR);
            fault.body().into_string()
        };
        let told = page("transfers");
        for words in [
            "Nothing proves this transfer",
            "id 7: its seal does not fit",
        ] {
            assert!(told.contains(words), "{told}");
        }
        let told = page("operators");
        assert!(!told.contains("id 7") && told.contains("log"), "{told}");
    }

    #[test]
    fn a_database_that_has_too_much_to_do_is_not_told_as_a_silent_one() {
        let fault = Fault::App(Error::Store(StoreError::Overloaded));
        assert_eq!(fault.status(), StatusCode::SERVICE_UNAVAILABLE);
        let told = fault.body().into_string();
        for words in [
            "Too much is asked at once",
            "Nothing was done. Try again in a minute.",
        ] {
            assert!(told.contains(words), "{told}");
        }
    }
}
