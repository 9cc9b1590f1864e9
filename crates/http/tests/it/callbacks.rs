//! `/admin/v1/callbacks`: the list, to the byte, and replay.

use bursar_domain::{Kind, Operation, Status, Timestamp};
use bursar_ports::{CallbackAttempt, CallbackRecord, CallbackState, Replayable};
use bursar_testkit::build;
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::locked,
    world::{Answer, NOW, OPERATOR, Sent, World},
};

const STAMP: &str = "2021-04-09T10:50:40.116485Z";
const LIST: &str = "/admin/v1/callbacks";

pub(crate) fn callback(number: u128, state: CallbackState) -> CallbackRecord {
    CallbackRecord {
        id: Uuid::from_u128(number),
        transfer: build::transfer_id(7),
        kind: Kind::Internal,
        operation: Operation::Settle,
        url: "https://example.com/".to_owned(),
        status: Status::Success,
        state,
        created_at: NOW,
        next_attempt_at: None,
        attempts: vec![CallbackAttempt {
            at: NOW,
            duration_ms: 10_000,
            http_status: None,
            outcome: "timeout".to_owned(),
        }],
    }
}

/// A world with dead letter 2 and the overtaken 1.
fn world() -> World {
    let world = World::new();
    *locked(&world.callback_log.callbacks) = vec![
        callback(2, CallbackState::Dead),
        callback(1, CallbackState::Cancelled),
    ];
    world
}

fn body(number: u128, state: &str, next_attempt_at: &str) -> String {
    let id = Uuid::from_u128(number);
    format!(
        r#"{{"id":"{id}","transfer_id":7,"operation":"settle","url":"https://example.com/","status":"success","state":"{state}","created_at":"{STAMP}","next_attempt_at":{next_attempt_at},"attempts":[{{"at":"{STAMP}","duration_ms":10000,"http_status":null,"outcome":"timeout"}}]}}"#
    )
}

async fn get(world: &World, path: &str) -> Answer {
    world.send(Sent::get(path).bearer(OPERATOR)).await
}

async fn post(world: &World, path: &str, body: &str) -> Answer {
    world.send(Sent::post(path, body).bearer(OPERATOR)).await
}

#[actix_web::test]
async fn callbacks_are_listed_with_what_was_tried() {
    let world = world();
    let list = get(&world, LIST).await.ok();
    let (dead, cancelled) = (body(2, "dead", "null"), body(1, "cancelled", "null"));
    let expected = format!(r#"{{"data":[{dead},{cancelled}],"next_cursor":null}}"#);
    assert_eq!(list.body, expected);
    let one = get(&world, &format!("{LIST}/{}", Uuid::from_u128(2))).await;
    assert_eq!(one.ok().body, dead);
}

#[actix_web::test]
async fn filters_and_the_place_are_passed_on() {
    let world = world();
    let path = format!("{LIST}?state=DEAD&transfer_id=7&limit=1");
    let first = get(&world, &path).await.ok().json();
    assert_eq!(first["data"].as_array().map(Vec::len), Some(1));
    let asked = locked(&world.callback_log.asked).clone().unwrap();
    assert_eq!(asked.state, Some(CallbackState::Dead));
    assert_eq!(asked.transfer, Some(build::transfer_id(7)));
    assert_eq!((asked.after, asked.limit), (None, 2));
    let cursor = first["next_cursor"].as_str().unwrap();
    get(&world, &format!("{path}&cursor={cursor}")).await.ok();
    let asked = locked(&world.callback_log.asked).clone().unwrap();
    let place = asked.after.unwrap();
    assert_eq!((place.created_at, place.id), (NOW, Uuid::from_u128(2)));
    let other = get(&world, &format!("{LIST}?cursor={cursor}")).await;
    assert_eq!(other.refusal(), (400, "cursor.invalid".into()));
}

#[actix_web::test]
async fn what_is_wrong_is_named() {
    let world = world();
    for (query, code) in [
        ("state=gone", "state.invalid"),
        ("transfer_id=x", "transfer_id.invalid"),
        ("limit=201", "limit.out_of_range"),
    ] {
        let answer = get(&world, &format!("{LIST}?{query}")).await;
        assert_eq!(answer.refusal(), (400, code.into()), "{query}");
    }
    for (body, code) in [
        (json!({"state": "dead"}), "since.missed"),
        (json!({"since": "2021-04-09T10:00:00Z"}), "state.missed"),
        (
            json!({"since": "yesterday", "state": "dead"}),
            "since.invalid",
        ),
        (json!({"since": STAMP, "state": "pending"}), "state.invalid"),
        (
            json!({"since": STAMP, "state": "dead", "x": 1}),
            "field.unknown",
        ),
    ] {
        let answer = post(&world, &format!("{LIST}/replay"), &body.to_string()).await;
        assert_eq!(answer.refusal(), (400, code.into()), "{body}");
    }
    assert_eq!(*locked(&world.callback_log.replayed), None);
    for path in [format!("{LIST}/x"), format!("{LIST}/x/replay")] {
        let answer = if path.ends_with("replay") {
            post(&world, &path, "").await
        } else {
            get(&world, &path).await
        };
        assert_eq!(answer.refusal(), (400, "id.invalid".into()), "{path}");
    }
}

#[actix_web::test]
async fn one_is_replayed_unless_it_is_overtaken() {
    let world = world();
    let replay = async |number: u128| {
        let path = format!("{LIST}/{}/replay", Uuid::from_u128(number));
        post(&world, &path, "").await
    };
    let due = body(2, "pending", &format!("\"{STAMP}\""));
    assert_eq!(replay(2).await.ok().body, due);
    let overtaken = (409, "callback.overtaken".into());
    assert_eq!(replay(1).await.refusal(), overtaken);
    let unknown = (404, "callback.unknown".into());
    assert_eq!(replay(3).await.refusal(), unknown);
}

#[actix_web::test]
async fn all_since_a_time_are_replayed() {
    let world = world();
    let since = "2021-04-09T10:00:00Z";
    for (state, which) in [
        ("dead", Replayable::Dead),
        ("Succeeded", Replayable::Succeeded),
    ] {
        let body = json!({"since": since, "state": state}).to_string();
        let answer = post(&world, &format!("{LIST}/replay"), &body).await.ok();
        assert_eq!(answer.body, r#"{"replayed":3}"#);
        let asked = locked(&world.callback_log.replayed).unwrap();
        assert_eq!(asked, (which, Timestamp::parse(since).unwrap()));
    }
}
