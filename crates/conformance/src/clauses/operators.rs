//! §4, the operators of the console and their sessions.

use std::collections::BTreeSet;

use serde_json::Value;
use uuid::Uuid;

use crate::{
    answer::{Answer, MICROS, keys, shape, text},
    clause::clauses,
    scene::Scene,
};

clauses! { "4.5 Operators of the console",
    "Decision: accounts are the command line's": operators_are_listed_by_name
        = "`GET /operators` lists every operator once, by name, each with `status`, `permissions` and whether its second factor was used; it needs `admin`.",
    "Decision: a lost laptop is shut out by a colleague": sessions_of_operators_are_listed
        = "`GET /operators/{name}/sessions` lists the open sessions with when, from where and with what; an unknown operator is 404 `operator.unknown`.",
    "Decision: revocable": what_is_no_session_cannot_be_ended
        = "`DELETE /operators/{name}/sessions/{id}` of what is no session of the operator is 404 `session.unknown`, of a malformed id 400 `id.invalid`; it needs `admin`.",
}

const OPERATORS: &str = "/admin/v1/operators";

fn rows(answer: &Answer) -> Vec<Value> {
    let data = answer.get("data");
    data.as_array().expect("data is a list").clone()
}

async fn operators_are_listed_by_name(scene: Scene) {
    let mut names = vec![];
    let mut path = format!("{OPERATORS}?limit=200");
    loop {
        let page = scene.admin().get(&path).await.ok();
        for row in rows(&page) {
            assert_eq!(
                keys(&row.to_string()).len(),
                7,
                "nothing but what is told: {row}"
            );
            assert!(["active", "disabled"].contains(&&*text(&row, "status")));
            assert!(["used", "waiting"].contains(&&*text(&row, "second_factor")));
            assert_eq!(shape(&text(&row, "created_at")), MICROS);
            names.push(text(&row, "name"));
        }
        match page.get("next_cursor").as_str() {
            Some(next) => path = format!("{OPERATORS}?limit=200&cursor={next}"),
            None => break,
        }
    }
    let all = names.len();
    let names: BTreeSet<String> = names.into_iter().collect();
    assert_eq!(names.len(), all, "nobody stands twice");
    let refused = scene.reader().get(OPERATORS).await;
    refused.refused(403, "permission.missing");
    let refused = scene.admin().get(&format!("{OPERATORS}?name=x")).await;
    refused.refused(400, "parameter.unknown");
}

async fn sessions_of_operators_are_listed(scene: Scene) {
    let operators = scene.admin().get(OPERATORS).await.ok();
    for operator in rows(&operators) {
        let path = format!("{OPERATORS}/{}/sessions", text(&operator, "name"));
        let sessions = scene.admin().get(&path).await.ok();
        for session in rows(&sessions) {
            let members = [
                "id",
                "created_at",
                "last_seen_at",
                "expires_at",
                "address",
                "user_agent",
            ];
            assert_eq!(keys(&session.to_string()).len(), members.len());
            assert!(members.iter().all(|name| session.get(name).is_some()));
            assert_eq!(shape(&text(&session, "last_seen_at")), MICROS);
        }
    }
    let path = format!("{OPERATORS}/nobody-has-this-name/sessions");
    let refused = scene.admin().get(&path).await;
    refused.refused(404, "operator.unknown");
    let refused = scene.reader().get(&path).await;
    refused.refused(403, "permission.missing");
}

async fn what_is_no_session_cannot_be_ended(scene: Scene) {
    let path = |id: &str| format!("{OPERATORS}/nobody-has-this-name/sessions/{id}");
    let nil = Uuid::nil().to_string();
    let refused = scene.admin().delete(&path(&nil)).await;
    refused.refused(404, "session.unknown");
    let refused = scene.admin().delete(&path("x")).await;
    refused.refused(400, "id.invalid");
    let refused = scene.reader().delete(&path(&nil)).await;
    refused.refused(403, "permission.missing");
}
