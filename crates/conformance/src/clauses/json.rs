//! §0, JSON.

use serde_json::json;

use crate::{
    clause::clauses,
    scene::{DEPOSIT, INTERNAL, NOBODY, Scene, TRANSFERS, and, open, send, unique},
};

clauses! { "0.1 JSON",
    "Decision: JSON is UTF-8": a_body_that_is_not_utf8_is_refused
        = "A body with a byte sequence that is not UTF-8 is 400 `json.malformed`, also inside a string.",
    "Decision: a documented body is one JSON object": a_body_that_is_no_object_is_refused
        = "A list, a string and nothing at all are no bodies: 400 `json.object_required` or `json.malformed`.",
    "Decision: a key given twice has no meaning": a_key_given_twice_is_refused
        = "A member given twice is 400 `json.duplicate_key`, even with equal values.",
    "Decision: the back office matches names without regard to case, so two spellings are one name": two_spellings_of_one_name_are_a_key_given_twice
        = "In the back office `amount` and `AMOUNT` in one body are 400 `json.duplicate_key`.",
    "Documented: deposit names the field `assetID`, withdraw `assetId`": backoffice_bodies_match_in_any_case
        = "Names in back-office bodies match without regard to case.",
    "Decision: as in bodies": backoffice_queries_match_in_any_case
        = "Names in back-office queries match without regard to case.",
    "Decision: internal transfers know one spelling": internal_names_match_exactly
        = "Names in internal-transfer bodies match exactly: `Amount` is not `amount`.",
    "Decision: clients may send more than is known": unknown_keys_are_ignored_by_the_documented_apis
        = "Unknown members and parameters are ignored by both documented APIs.",
    "Decision: operators learn of slips at once": unknown_keys_are_refused_by_the_admin_api
        = "Unknown members are 400 `field.unknown` in the admin API, unknown parameters 400 `parameter.unknown`.",
}

async fn a_body_that_is_not_utf8_is_refused(scene: Scene) {
    for body in [b"{\"a\":\"\xc3\x28\"}".to_vec(), b"{}\xff".to_vec()] {
        let answer = scene.office().post_bytes(DEPOSIT, body).await;
        answer.refused(400, "json.malformed");
    }
}

async fn a_body_that_is_no_object_is_refused(scene: Scene) {
    for (body, code) in [
        ("[]", "json.object_required"),
        ("\"text\"", "json.object_required"),
        ("1", "json.object_required"),
        ("{", "json.malformed"),
        ("", "json.malformed"),
        ("{} {}", "json.malformed"),
    ] {
        scene.office().post(DEPOSIT, body).await.refused(400, code);
    }
}

async fn a_key_given_twice_is_refused(scene: Scene) {
    let user = scene.user().await;
    let body = open(&user, "btc", "1").to_string();
    let twice = body.replace("\"amount\":\"1\"", "\"amount\":\"1\",\"amount\":\"1\"");
    let answer = scene.office().post(DEPOSIT, twice).await;
    answer.refused(400, "json.duplicate_key");
    let body = send("btc", "1", NOBODY).to_string();
    let twice = body.replace("\"amount\":\"1\"", "\"amount\":\"1\",\"amount\":\"1\"");
    let answer = user.own.post(INTERNAL, twice).await;
    answer.refused(400, "json.duplicate_key");
}

async fn two_spellings_of_one_name_are_a_key_given_twice(scene: Scene) {
    let user = scene.user().await;
    let body = and(open(&user, "btc", "1"), "AMOUNT", "1");
    let answer = scene.office().post(DEPOSIT, body).await;
    answer.refused(400, "json.duplicate_key");
}

async fn backoffice_bodies_match_in_any_case(scene: Scene) {
    let user = scene.user().await;
    let body = json!({
        "USERID": user.id, "assetID": "btc", "Amount": "1", "COMMENT": "any case",
        "CallbackURL": "",
    });
    let id = scene.office().post(DEPOSIT, body).await.ok().id();
    let row = scene.row(&user, id, "Completed").await;
    assert_eq!(row["comment"], "any case");
}

async fn backoffice_queries_match_in_any_case(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let path = format!("{TRANSFERS}?USERID={}&PAGESIZE=1", user.id);
    let rows = scene.reader().get(&path).await.ok().rows();
    assert_eq!(rows.len(), 1);
}

async fn internal_names_match_exactly(scene: Scene) {
    let user = scene.user().await;
    let body = json!({"currency_code": "btc", "Amount": "1", "recipient": NOBODY});
    let answer = user.own.post(INTERNAL, body).await;
    answer.refused(400, "amount.missed");
}

async fn unknown_keys_are_ignored_by_the_documented_apis(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let body = and(open(&user, "btc", "1"), "colour", "blue");
    scene.office().post(DEPOSIT, body).await.ok();
    let body = and(send("btc", "1", &other.id), "colour", "blue");
    user.own.post(INTERNAL, body).await.ok();
    let path = format!("{TRANSFERS}?userId={}&colour=blue", user.id);
    scene.reader().get(&path).await.ok();
    user.own.get("/internal-transfer?colour=blue").await.ok();
}

async fn unknown_keys_are_refused_by_the_admin_api(scene: Scene) {
    let body = json!({
        "subject": unique("token"), "permissions": ["backoffice_read"], "ttl_seconds": 60,
        "colour": "blue",
    });
    let answer = scene.admin().post("/admin/v1/tokens", body).await;
    let answer = answer.refused(400, "field.unknown");
    assert_eq!(
        answer.wrong(),
        [("colour".to_owned(), "field.unknown".to_owned())]
    );
    let answer = scene.admin().get("/admin/v1/users?colour=blue").await;
    answer.refused(400, "parameter.unknown");
}
