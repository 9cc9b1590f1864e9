//! The sign-in form.

use maud::{Markup, html};

/// What the form is filled with.
pub(super) struct Form<'a> {
    /// Where it leads, or nothing.
    pub(super) next: &'a str,
    /// The name that was typed.
    pub(super) name: &'a str,
    /// What is said above it.
    pub(super) note: Option<Note>,
}

/// What is said above the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    SignInFirst,
    OutOfDate,
    Refused,
    TooManyTries(u32),
}

impl Form<'_> {
    /// An empty one that says this.
    pub(super) const fn with(note: Note) -> Self {
        Self {
            next: "",
            name: "",
            note: Some(note),
        }
    }

    /// The same, saying this.
    pub(super) fn noting(self, note: Note) -> Self {
        Self {
            note: Some(note),
            ..self
        }
    }
}

pub(super) fn body(form: &Form<'_>, csrf: &str) -> Markup {
    html! {
        h1 { "Sign in" }
        @if let Some(note) = form.note { (said(note)) }
        form class="sign-in" action="/console/sign-in" method="post" {
            input type="hidden" name="csrf" value=(csrf);
            @if !form.next.is_empty() {
                input type="hidden" name="next" value=(form.next);
            }
            p {
                label for="name" { "Name" }
                input id="name" name="name" type="text" value=(form.name) required maxlength="64" autocomplete="username" autocapitalize="none" spellcheck="false" autofocus[form.name.is_empty()];
            }
            p {
                label for="password" { "Password" }
                input id="password" name="password" type="password" required maxlength="1024" autocomplete="current-password" autofocus[!form.name.is_empty()];
            }
            p {
                label for="code" { "Code" }
                input id="code" name="code" type="text" inputmode="numeric" pattern="[0-9 ]{6,7}" required maxlength="7" autocomplete="one-time-code" aria-describedby="code-help";
                span id="code-help" class="muted" { "Six digits, from your authenticator. Each is good once." }
            }
            p { button class="primary" { "Sign in" } }
        }
    }
}

fn said(note: Note) -> Markup {
    match note {
        Note::SignInFirst => html! {
            p class="notice" role="status" { "Sign in, and you go on to the page that you asked for." }
        },
        Note::OutOfDate => html! {
            div class="notice bad" role="alert" {
                p { strong { "The form was out of date." } " This one is new: fill it in again. If that does not help, let the browser keep cookies of this page." }
            }
        },
        Note::Refused => html! {
            div class="notice bad" role="alert" {
                p { strong { "That was not accepted." } " Check the name, the password and the code; wait for the next code if you have used this one." }
                p { "After several failures nothing is accepted for a while, fifteen minutes at most, not even what is right. Whoever administers Bursar can help sooner." }
            }
        },
        Note::TooManyTries(seconds) => html! {
            div class="notice bad" role="alert" {
                p { strong { "There were too many tries from your network." } " Try again in " (seconds) " seconds." }
            }
        },
    }
}
