//! The sign-in form.

use maud::{Markup, html};

use crate::ConsoleSettings;

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
    NoPasswords,
    ProviderAway,
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

pub(super) fn body(form: &Form<'_>, csrf: &str, settings: &ConsoleSettings) -> Markup {
    html! {
        h1 { "Sign in" }
        @if let Some(note) = form.note { (said(note)) }
        @if let Some(label) = &settings.provider { (provider(form, csrf, label)) }
        @if settings.password_sign_in {
            @if settings.provider.is_some() { h2 { "Or with a password" } }
            (passwords(form, csrf))
        }
    }
}

/// The button that leads to the identity provider.
fn provider(form: &Form<'_>, csrf: &str, label: &str) -> Markup {
    html! {
        form class="with-provider" action="/console/sign-in/provider" method="post" {
            input type="hidden" name="csrf" value=(csrf);
            @if !form.next.is_empty() {
                input type="hidden" name="next" value=(form.next);
            }
            p { button class="primary" { "Sign in with " (label) } }
        }
    }
}

fn passwords(form: &Form<'_>, csrf: &str) -> Markup {
    html! {
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

pub(super) fn said(note: Note) -> Markup {
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
        Note::NoPasswords => html! {
            div class="notice bad" role="alert" {
                p { strong { "Passwords open nothing here." } " Sign in with the button below." }
            }
        },
        Note::ProviderAway => html! {
            div class="notice bad" role="alert" {
                p { strong { "The place where you would sign in does not answer." } " Wait a moment, and press the button again." }
            }
        },
        Note::TooManyTries(seconds) => html! {
            div class="notice bad" role="alert" {
                p { strong { "There were too many tries from your network." } " Try again in " (seconds) " seconds." }
            }
        },
    }
}
