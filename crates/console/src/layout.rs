//! What stands round every page.

use actix_web::{HttpResponse, HttpResponseBuilder, body::BoxBody, http::header};
use maud::{DOCTYPE, Markup, html};

use crate::{Visitor, assets};

/// A whole page: its title, and what is on it, beginning with its `h1`.
pub fn page(visitor: Option<&Visitor>, title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Bursar" }
                link rel="stylesheet" href=(assets::css_url());
                script src=(assets::js_url()) defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the page" }
                header {
                    a href="/console" { "Bursar" }
                    @if let Some(visitor) = visitor {
                        span { (visitor.operator) }
                    }
                }
                main id="main" tabindex="-1" { (body) }
            }
        }
    }
}

/// Sends a page.
pub(crate) fn respond(mut answer: HttpResponseBuilder, page: Markup) -> HttpResponse<BoxBody> {
    answer
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .body(page.into_string())
}
