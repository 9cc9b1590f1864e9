//! `/console/help`: the keyboard, and what the words mean.

use actix_web::HttpResponse;
use maud::html;

use crate::{
    desk::{Desk, Reply},
    layout::Place,
};

/// What each key does where script runs.
const KEYS: [(&str, &str); 11] = [
    ("j", "the next row"),
    ("k", "the row before"),
    ("Enter", "opens the row, or what the row leads to"),
    ("Escape", "closes the row"),
    (
        "c",
        "chooses the yes of the open row: confirm or approve. Once more, or Enter, does it.",
    ),
    (
        "x",
        "chooses the no of the open row: cancel or reject. Once more, or Enter, does it.",
    ),
    ("t", "takes the open row, or lets it go"),
    ("/", "goes to the search box"),
    ("r", "loads the page again"),
    (
        "g then a letter",
        "goes to o overview, q queue, t transfers, u users, c callbacks, r rules, a audit, i integrity, p operators",
    ),
    ("?", "this page"),
];

pub(crate) async fn show(desk: Desk) -> HttpResponse {
    let body = html! {
        h1 { "Keyboard and help" }
        section aria-labelledby="keys" {
            h2 id="keys" { "Keys" }
            p { "They do nothing while you write into a field. Everything works without them, and without script." }
            dl class="facts keys" { @for (key, what) in KEYS { dt { kbd { (key) } } dd { (what) } } }
        }
        section aria-labelledby="safe" {
            h2 id="safe" { "What keeps you from acting on the wrong row" }
            ul {
                li { "Only one row of the queue is open at a time, and its buttons say whose money they move, and how much." }
                li { "Rows never move by themselves: what is new waits behind a line that says so." }
                li { "Every button carries a digest of what you saw. If anything about the transfer is different when you press it, nothing is done and you are shown what is there now." }
                li { "For much money, and for what somebody else has taken, you are asked once more on a page of its own." }
                li { "Who takes a row has it for five minutes; others see who and until when." }
            }
        }
        section aria-labelledby="amounts" {
            h2 id="amounts" { "Amounts and times" }
            p { "Digits are grouped for the eye alone: what you copy is the exact number. Times are in the zone named at the foot of the page; rest the pointer on one to see it in UTC." }
        }
    };
    let reply = Ok(Reply::page(Place::Elsewhere, "Keyboard and help", body));
    desk.answer(reply)
}
