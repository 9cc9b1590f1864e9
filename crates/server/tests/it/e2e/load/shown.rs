//! What another replica says of a transfer as soon as somebody was told of it: it is there, and has come
//! as far as was told.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bursar_audit::Rule;
use reqwest::{StatusCode, header::HeaderMap};

use super::{
    super::{
        call::Told,
        client::{Answer, Client},
        sound::require,
    },
    is_final,
};

/// Asks this replica for the transfer that somebody was told of, if it was one. Who answers nothing, or
/// cannot serve, has said nothing of it.
pub(super) async fn shown(told: &Told, replica: &Client, admin: &str) -> Option<Answer> {
    let answer = told.answer.as_ref().filter(|answer| answer.status == 200)?;
    let (path, token) = told.call.shown_at(answer.names().first()?, admin)?;
    let shown = replica.with(token).try_get(&path).await.ok()?;
    (shown.status != 503).then_some(shown)
}

/// Whatever was shown agrees with what somebody had been told before. Gives how much was shown.
pub(in crate::e2e) fn assert_shown<'t>(history: impl IntoIterator<Item = &'t Told>) -> usize {
    let mut count = 0;
    for told in history {
        if let (Some(answer), Some(shown)) = (&told.answer, &told.shown) {
            assert_as_far(told.call.key(), answer, shown);
            count += 1;
        }
    }
    count
}

/// What was final stays what it is; anything else may have become anything since.
fn assert_as_far(key: &str, answer: &Answer, shown: &Answer) {
    let said = || format!("{key}: told {}, and shown {}", answer.text, shown.text);
    let is_there = shown.status == 200 && shown.names() == answer.names();
    require(is_there, Rule::AnsweredIsThere, said);
    let (told, is) = (answer.statuses(), shown.statuses());
    let is_as_far = told.iter().all(|told| !is_final(told)) || told == is;
    require(is_as_far, Rule::OneOrder, said);
}

#[test]
fn what_is_not_shown_or_behind_what_was_told_is_named() {
    let answer = |status: u16, body: &str| Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        text: body.to_owned(),
    };
    let said = |told: &str, status: u16, body: &str| {
        let (told, shown) = (answer(200, told), answer(status, body));
        let judged = || assert_as_far("a", &told, &shown);
        let judged = catch_unwind(AssertUnwindSafe(judged));
        judged.map_err(|said| said.downcast_ref::<String>().unwrap().clone())
    };
    let held = r#"{"id": 7, "status": "AwaitingConfirmation"}"#;
    let ended = r#"{"id": 7, "status": "Completed", "code": null}"#;
    assert_eq!(said(held, 200, held), Ok(()));
    assert_eq!(said(held, 200, ended), Ok(()));
    assert_eq!(said(ended, 200, ended), Ok(()));
    let other = r#"{"id": 7, "status": "Canceled"}"#;
    let another = r#"{"id": 8, "status": "Completed"}"#;
    for (status, body, rule) in [
        (200, held, "violated A18"),
        (200, other, "violated A18"),
        (200, another, "violated A7"),
        (404, "{}", "violated A7"),
    ] {
        let said = said(ended, status, body).expect_err("nobody has found out what is wrong");
        assert!(said.starts_with(rule), "{said}");
    }
}
