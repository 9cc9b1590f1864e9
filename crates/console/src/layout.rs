//! What stands round every page.

use actix_web::{HttpResponse, HttpResponseBuilder, body::BoxBody, http::header};
use bursar_ports::Permission;
use maud::{DOCTYPE, Markup, html};

use crate::{
    Visitor, assets,
    flash::Done,
    forms,
    prefs::{Prefs, Theme, Zone},
};

/// A part of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Queue,
    Transfers,
    Users,
    Callbacks,
    Rules,
    Audit,
    Integrity,
    Operators,
    /// None of those that the navigation leads to.
    Elsewhere,
}

/// The navigation, with the letter that leads there after `g`.
const PLACES: [(Place, &str, &str, &str); 9] = [
    (Place::Overview, "Overview", "/console", "o"),
    (Place::Queue, "Queue", "/console/queue", "q"),
    (Place::Transfers, "Transfers", "/console/transfers", "t"),
    (Place::Users, "Users", "/console/users", "u"),
    (Place::Callbacks, "Callbacks", "/console/callbacks", "c"),
    (Place::Rules, "Rules", "/console/rules", "r"),
    (Place::Audit, "Audit", "/console/audit", "a"),
    (Place::Integrity, "Integrity", "/console/integrity", "i"),
    (Place::Operators, "Operators", "/console/operators", "p"),
];

/// What a page stands in.
pub(crate) struct Frame<'a> {
    pub(crate) visitor: Option<&'a Visitor>,
    /// Whether there is anything that the visitor may look at.
    pub(crate) may_read: bool,
    pub(crate) prefs: Prefs,
    pub(crate) place: Place,
    pub(crate) flash: Option<Done>,
    /// The address of the page.
    pub(crate) here: &'a str,
    /// Where the browser goes on to by itself.
    pub(crate) onward: Option<&'a str>,
}

impl<'a> Frame<'a> {
    /// A page that is no part of the console.
    fn alone(visitor: Option<&'a Visitor>) -> Self {
        Self {
            visitor,
            may_read: false,
            prefs: Prefs::default(),
            place: Place::Elsewhere,
            flash: None,
            here: "/console",
            onward: None,
        }
    }
}

/// A whole page: its title, and what is on it, beginning with its `h1`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a body is written where it is passed"
)]
pub fn page(visitor: Option<&Visitor>, title: &str, body: Markup) -> Markup {
    framed(&Frame::alone(visitor), title, &body)
}

/// A page that leads on by itself, and by a link where that is switched off.
pub(crate) fn passage(title: &str, to: &str, link: &str) -> Markup {
    let frame = Frame {
        onward: Some(to),
        ..Frame::alone(None)
    };
    let body = html! {
        h1 { (title) }
        p { a class="button primary" href=(to) { (link) } }
    };
    framed(&frame, title, &body)
}

pub(crate) fn framed(frame: &Frame<'_>, title: &str, body: &Markup) -> Markup {
    let theme = match frame.prefs.theme {
        Theme::System => None,
        Theme::Light | Theme::Dark => Some(frame.prefs.theme.as_str()),
    };
    let zone = (frame.prefs.zone == Zone::Browser).then_some("browser");
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[theme] data-zone=[zone] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content=(theme.unwrap_or("light dark"));
                @if let Some(to) = frame.onward {
                    meta http-equiv="refresh" content={ "0; url=" (to) };
                }
                title { (title) " · Bursar" }
                link rel="icon" href=(assets::icon_url()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::css_url());
                script src=(assets::js_url()) defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the page" }
                @match frame.visitor {
                    Some(visitor) => {
                        (bar(frame, visitor))
                        main id="main" tabindex="-1" {
                            (flash(frame.flash))
                            (body)
                        }
                        (foot(frame, visitor))
                    }
                    None => main id="main" class="alone" tabindex="-1" { p class="brand" { "Bursar" } (body) }
                }
            }
        }
    }
}

/// Whether the navigation leads there: not to what would be refused.
fn shows(visitor: &Visitor, place: Place) -> bool {
    place != Place::Operators || visitor.may(Permission::Admin)
}

fn bar(frame: &Frame<'_>, visitor: &Visitor) -> Markup {
    html! {
        header class="bar" {
            a class="brand" href="/console" { "Bursar" }
            @if frame.may_read {
                nav aria-label="Console" {
                    ul {
                        @for (place, name, href, key) in PLACES.into_iter().filter(|(place, ..)| shows(visitor, *place)) {
                            @let current = (place == frame.place).then_some("page");
                            li { a href=(href) aria-current=[current] data-key=(key) { (name) } }
                        }
                    }
                }
                form class="find" action="/console/transfers" method="get" role="search" {
                    label class="sr" for="find" { "Find a transfer" }
                    input id="find" type="search" name="q" maxlength="320" autocomplete="off" placeholder="Id, code, email, 0.25 btc …";
                }
            }
            div class="who" {
                a href="/console/sessions" title="Your sessions" { (visitor.operator) }
                form action="/console/sign-out" method="post" {
                    (forms::csrf(visitor))
                    button class="quiet" { "Sign out" }
                }
            }
        }
    }
}

/// A table that may be wider than the window, and is then scrolled by pointer and keyboard.
pub(crate) fn wide(label: &str, table: &Markup) -> Markup {
    html! { div class="scroll" tabindex="0" role="group" aria-label=(label) { (table) } }
}

fn flash(done: Option<Done>) -> Markup {
    html! {
        @if let Some(done) = done {
            p class=(if done.is_good() { "notice good" } else { "notice bad" }) role="status" {
                span aria-hidden="true" { (if done.is_good() { "✓ " } else { "✗ " }) }
                @if let Some(id) = done.transfer() {
                    a href={ "/console/transfers/" (id) } { "Transfer " (id) } " "
                }
                (done.sentence())
            }
        }
    }
}

fn foot(frame: &Frame<'_>, visitor: &Visitor) -> Markup {
    let zone = frame.prefs.zone;
    html! {
        footer class="foot" {
            form action="/console/settings" method="post" {
                (forms::csrf(visitor))
                input type="hidden" name="back" value=(frame.here);
                label for="theme" { "Theme" }
                select id="theme" name="theme" {
                    @for theme in Theme::ALL {
                        option value=(theme.as_str()) selected[theme == frame.prefs.theme] { (theme_word(theme)) }
                    }
                }
                label for="zone" { "Times in" }
                select id="zone" name="zone" {
                    @for choice in Zone::choices() {
                        option value=(choice.name()) selected[choice == zone] { (choice.label()) }
                    }
                }
                button class="quiet" { "Apply" }
                span class="muted" id="zone-now" {
                    @match zone {
                        Zone::Browser => "Times are in UTC.",
                        Zone::Offset(_) => { "Times are in " (zone.label()) "." }
                    }
                }
            }
            p { a href="/console/help" { "Keyboard and help" } }
        }
    }
}

const fn theme_word(theme: Theme) -> &'static str {
    match theme {
        Theme::System => "As the system",
        Theme::Light => "Light",
        Theme::Dark => "Dark",
    }
}

/// Sends a page.
pub(crate) fn respond(mut answer: HttpResponseBuilder, page: Markup) -> HttpResponse<BoxBody> {
    answer
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .body(page.into_string())
}
