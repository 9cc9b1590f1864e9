//! Freezing a user, and letting it go on.

use actix_web::{HttpResponse, web};
use bursar_app::Error;
use bursar_domain::{User, UserStatus};
use bursar_ports::{Expected, Permission};
use maud::{Markup, html};
use serde::Deserialize;

use super::read_id;
use crate::{
    Posted,
    desk::{Desk, Reply},
    fault::Fault,
    flash::Done,
    forms,
    links::said,
};

/// The longest reason, in characters.
const REASON_MAX: usize = 500;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    status: Option<String>,
    reason: Option<String>,
    was: Option<String>,
    /// Of the status that is to end.
    revision: Option<String>,
}

impl Wanted {
    /// The freeze that was shown: another one looks the same, and must not be lifted for it.
    fn freeze(&self) -> Result<Expected<i64>, Fault> {
        let revision: Option<i64> = said(self.revision.as_ref()).and_then(|text| text.parse().ok());
        let exactly = revision.map(Expected::Exactly);
        exactly.ok_or_else(|| Fault::invalid("revision", "load the page again"))
    }
}

pub(crate) async fn change(
    desk: Desk,
    id: web::Path<String>,
    posted: Posted<Wanted>,
) -> HttpResponse {
    desk.answer(carry_out(&desk, &id, &posted.form).await)
}

async fn carry_out(desk: &Desk, id: &str, wanted: &Wanted) -> Result<Reply, Fault> {
    let grant = desk.grant(Permission::Admin)?;
    let id = read_id(id)?;
    let (active, frozen) = (UserStatus::Active, UserStatus::Frozen);
    let goes = (said(wanted.was.as_ref()), said(wanted.status.as_ref()));
    let (was, status, shown, done) = match goes {
        // Whoever freezes errs on the safe side.
        (Some("Active"), Some("Frozen")) => (active, frozen, Expected::Anything, Done::Frozen),
        (Some("Frozen"), Some("Active")) => (frozen, active, wanted.freeze()?, Done::Unfrozen),
        (_, _) => {
            return Err(Fault::invalid(
                "status",
                "goes from Active to Frozen, or back",
            ));
        }
    };
    let reason = Fault::said_why("reason", wanted.reason.as_ref(), REASON_MAX)?;
    let app = desk.app();
    let link = format!("/console/users/{id}");
    let set = app.set_user_status(&grant, id, was, status, shown, reason);
    match set.await {
        Ok(_) => Ok(Reply::done(done, link)),
        Err(Error::Overtaken) => {
            let user = app.find_user(&grant, id).await?;
            // Whoever pressed twice has done it.
            if user.status == status {
                return Ok(Reply::done(done, link));
            }
            Err(Fault::Overtaken {
                now: now(user.status),
                link,
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// What there is instead of what was shown.
fn now(status: UserStatus) -> Markup {
    match status {
        // Only who wanted to end a freeze is told of one.
        UserStatus::Frozen => html! { "The user was stopped anew, and stays Frozen." },
        UserStatus::Active | UserStatus::Terminated => {
            html! { "The user is now " (status.as_str()) "." }
        }
    }
}

pub(super) async fn section(desk: &Desk, user: &User) -> Result<Markup, Fault> {
    if !desk.may(Permission::Admin) {
        return Ok(html! {});
    }
    let grant = desk.grant(Permission::Admin)?;
    Ok(html! {
        section aria-labelledby="status" {
            @match user.status {
                UserStatus::Active => {
                    h2 id="status" { "Freeze" }
                    (form(desk, user, None, UserStatus::Frozen, "Freeze the user", "danger",
                        "Nothing comes in or goes out from the moment you press it, not even what is under way, but for a payout that the gateway was asked for before; what is held stays held."))
                }
                UserStatus::Frozen => {
                    @let freeze = desk.app().status_revision(&grant, user.id).await?;
                    h2 id="status" { "Unfreeze" }
                    (form(desk, user, Some(freeze), UserStatus::Active, "Unfreeze the user", "primary",
                        "Money comes in and goes out again from the moment you press it."))
                }
                UserStatus::Terminated => {
                    h2 id="status" { "Terminated" }
                    p { "The user is stopped for good. Whoever must undo that does so through the admin API." }
                }
            }
        }
    })
}

fn form(
    desk: &Desk,
    user: &User,
    freeze: Option<i64>,
    to: UserStatus,
    label: &str,
    class: &str,
    sentence: &str,
) -> Markup {
    html! {
        form class="filters" method="post" action={ "/console/users/" (user.id) "/status" } {
            (forms::csrf(&desk.visitor))
            input type="hidden" name="status" value=(to.as_str());
            input type="hidden" name="was" value=(user.status.as_str());
            @if let Some(revision) = freeze { input type="hidden" name="revision" value=(revision); }
            div class="wide" {
                label for="s-reason" { "Why, for the audit log" }
                input id="s-reason" name="reason" type="text" required maxlength=(REASON_MAX) autocomplete="off";
            }
            div class="send wide" {
                button class={ "act " (class) } { b { (label) } " " span { (sentence) } }
            }
        }
    }
}
