//! Operators of the console and their sessions, to the byte.

use std::net::Ipv4Addr;

use bursar_app::{Caller, NewOperator, Origin, Principal, SignIn, TotpSecret};
use bursar_ports::{OperatorSession, Password, Permission};
use uuid::Uuid;

use crate::world::{Answer, NOW, OPERATOR, Sent, World};

const PASSWORD: &str = "correct horse battery";

/// Makes an operator.
async fn employ(world: &World, name: &str) -> TotpSecret {
    let principal = Principal {
        subject: "the command line".to_owned(),
        user: None,
        permissions: vec![Permission::Admin],
        requests_per_minute: None,
        origin: Origin {
            credential: "local".to_owned(),
            request_id: "request-0".to_owned(),
            address: "-".to_owned(),
        },
    };
    let grant = principal.grant(Permission::Admin).expect("it may");
    let new = NewOperator {
        name: name.to_owned(),
        permissions: vec![Permission::BackofficeRead, Permission::BackofficeConfirm],
        password: Password(PASSWORD.to_owned()),
    };
    let made = world.app.create_operator(&grant, new).await;
    made.expect("the name is free").totp
}

/// Makes an operator, who signs in.
pub(crate) async fn sign_in(world: &World, name: &str) -> OperatorSession {
    let totp = employ(world, name).await;
    let given = SignIn {
        name: name.to_owned(),
        password: Password(PASSWORD.to_owned()),
        code: totp.code_at(NOW),
        user_agent: "Mozilla/5.0".to_owned(),
        caller: Caller {
            request_id: "request-0".to_owned(),
            address: Some(Ipv4Addr::new(203, 0, 113, 7).into()),
        },
    };
    let opened = world.app.sign_in(given).await;
    opened.expect("the code is right").session
}

async fn get(world: &World, path: &str) -> Answer {
    let path = format!("/admin/v1/operators{path}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await
}

async fn end(world: &World, name: &str, id: &str) -> Answer {
    let path = format!("/admin/v1/operators/{name}/sessions/{id}");
    let sent = Sent::new(actix_web::http::Method::DELETE, &path);
    world.send(sent.bearer(OPERATOR)).await
}

#[actix_web::test]
async fn operators_are_listed_page_by_page() {
    let world = World::new();
    for name in ["ben@example.com", "anna", "carl"] {
        employ(&world, name).await;
    }
    let first = get(&world, "?limit=2").await.ok();
    let names = |answer: &Answer| -> Vec<String> {
        let data = answer.member("data");
        let rows = data.as_array().expect("a list").iter();
        rows.map(|row| row["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(names(&first), ["anna", "ben@example.com"]);
    let anna = r#"{"data":[{"name":"anna","status":"active","permissions":["backoffice_read","backoffice_confirm"],"second_factor":"waiting","failures":0,"next_try_at":null,"created_at":"2021-04-09T10:50:40.116485Z"},"#;
    assert!(first.body.starts_with(anna), "{}", first.body);
    let cursor = first.text("next_cursor");
    let second = get(&world, &format!("?limit=2&cursor={cursor}")).await.ok();
    assert_eq!(names(&second), ["carl"]);
    assert!(second.member("next_cursor").is_null());
}

#[actix_web::test]
async fn a_session_is_listed_until_somebody_ends_it() {
    let world = World::new();
    let session = sign_in(&world, "anna@example.com").await;
    let path = "/anna@example.com/sessions";
    let listed = get(&world, path).await.ok();
    let expected = format!(
        r#"{{"data":[{{"id":"{}","created_at":"2021-04-09T10:50:40.116485Z","last_seen_at":"2021-04-09T10:50:40.116485Z","expires_at":"2021-04-09T22:50:40.116485Z","address":"203.0.113.7","user_agent":"Mozilla/5.0"}}],"next_cursor":null}}"#,
        session.id
    );
    assert_eq!(listed.body, expected);
    let encoded = get(&world, "/anna%40example.com/sessions").await.ok();
    assert_eq!(encoded.body, expected);
    let id = session.id.to_string();
    for _ in 0..2 {
        let ended = end(&world, "anna@example.com", &id).await;
        assert_eq!((ended.status, ended.body.as_str()), (204, ""));
    }
    assert_eq!(
        get(&world, path).await.ok().body,
        r#"{"data":[],"next_cursor":null}"#
    );
    assert_eq!(world.operators.sessions()[0].ended_at, Some(NOW));
    let audited = world.operators.audited();
    let ends = audited
        .iter()
        .filter(|draft| draft.action == "operator.end_session");
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 1, "what changes nothing is not told");
    assert_eq!(ends[0].target, "operator:anna@example.com");
    assert_eq!(ends[0].actor.as_str(), "operator");
}

#[actix_web::test]
async fn who_and_what_is_not_there_is_told() {
    let world = World::new();
    let session = sign_in(&world, "anna").await;
    let id = session.id.to_string();
    let unknown = get(&world, "/ben/sessions").await;
    assert_eq!(unknown.refusal(), (404, "operator.unknown".into()));
    for (name, id) in [("ben", id.as_str()), ("anna", &Uuid::nil().to_string())] {
        let refused = end(&world, name, id).await;
        assert_eq!(refused.refusal(), (404, "session.unknown".into()), "{name}");
    }
    let refused = end(&world, "anna", "x").await;
    assert_eq!(refused.refusal(), (400, "id.invalid".into()));
    for (path, code) in [
        ("?name=anna", "parameter.unknown"),
        ("?limit=0", "limit.out_of_range"),
        ("?cursor=x", "cursor.invalid"),
        ("/anna/sessions?limit=1", "parameter.unknown"),
    ] {
        let refused = get(&world, path).await;
        assert_eq!(refused.refusal(), (400, code.into()), "{path}");
    }
    let token = "bur_reader";
    world.put_token(token, "rita", None, &[Permission::BackofficeRead]);
    for path in ["", "/anna/sessions"] {
        let path = format!("/admin/v1/operators{path}");
        let refused = world.send(Sent::get(&path).bearer(token)).await;
        assert_eq!(refused.refusal(), (403, "permission.missing".into()));
    }
}
