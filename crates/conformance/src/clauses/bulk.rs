//! §2, many transfers at once.

use serde_json::{Value, json};

use crate::{
    answer::{keys, text},
    clause::clauses,
    scene::{NOBODY, Scene, and, send, unique},
};

const BULK: &str = "/internal-transfer/bulk";

clauses! { "2.8 Bulk",
    "Decision: `{\"results\": […]}` in order": results_come_in_the_order_of_the_items
        = "The answer is `{\"results\": […]}` with one result for each item, in their order, each a transfer as a create answers it.",
    "Decision: independent by default": independent_items_stand_alone
        = "Without `atomic` items that cannot be executed are problems or rejections in their place, and the others are executed.",
    "Decision: wrong in form are problems with status 400 in their place": malformed_items_are_problems_in_their_place
        = "A malformed item is a problem with its `status`, `code` and `errors` in its place.",
    "Decision: 400 only when it is not a list of 1 to 1,000": a_bulk_is_a_list_of_1_to_1000
        = "No list, an empty one and one of 1,001 are 400; 1,000 are taken.",
    "Decision: all or none": an_atomic_bulk_is_all_or_none
        = "With `atomic` one item that cannot be executed refuses all: 422 `bulk.refused` with `results`, and nothing is kept.",
    "Decision: all or none": an_atomic_bulk_that_can_be_executed_is
        = "With `atomic` a bulk that can be executed is, every transfer of it.",
    "Decision: one idempotency key for the whole": a_bulk_has_one_key
        = "A bulk repeated with its key answers the same transfers with `Idempotent-Replayed: true`; another bulk with the key is 422 `idempotency.key_reused`.",
    "Decision: settled in the order of the list": later_items_may_spend_nothing_twice
        = "Items are judged in their order: the one for which the money no longer suffices is rejected.",
    "Decision: the call of a user": a_bulk_needs_allow_transfer
        = "A bulk needs `allow_transfer` of a user.",
}

fn bulk(transfers: &[Value]) -> Value {
    json!({"transfers": transfers})
}

async fn results_come_in_the_order_of_the_items(scene: Scene) {
    let (user, other) = (scene.rich("btc", "9").await, scene.user().await);
    let items = ["0.1", "0.2", "0.3"].map(|amount| send("btc", amount, &other.id));
    let answer = user.own.waiting().post(BULK, bulk(&items)).await.ok();
    assert_eq!(keys(&answer.text), ["results"]);
    let results = answer.get("results");
    let results = results.as_array().expect("results are a list");
    let amounts: Vec<_> = results.iter().map(|one| text(one, "amount")).collect();
    assert_eq!(amounts, ["0.10000000", "0.20000000", "0.30000000"]);
    for result in results {
        let path = format!("/internal-transfer/{}", text(result, "code"));
        assert_eq!(user.own.get(&path).await.ok().json(), *result);
    }
    assert_eq!(scene.balance(&other, "BTC").await.0, "0.60000000");
}

/// The status of each result: of the transfer, or of the problem.
fn outcomes(answer: &crate::answer::Answer) -> Vec<String> {
    let results = answer.get("results");
    let results = results.as_array().expect("results are a list").iter();
    results
        .map(|one| match one["status"].as_str() {
            Some(status) => status.to_owned(),
            None => text(one, "code"),
        })
        .collect()
}

async fn independent_items_stand_alone(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let items = vec![
        send("btc", "0.5", &other.id),
        send("cf-none", "1", &other.id),
        send("btc", "5", &other.id),
        send("btc", "0.1", NOBODY),
        send("btc", "0.1", &user.id),
        send("btc", "0.5", &other.id),
    ];
    let answer = user.own.waiting().post(BULK, bulk(&items)).await.ok();
    let expected = [
        "success",
        "currency.unknown",
        "rejected",
        "rejected",
        "recipient.is_sender",
        "success",
    ];
    assert_eq!(outcomes(&answer), expected);
    assert_eq!(scene.balance(&other, "BTC").await.0, "1.00000000");
}

async fn malformed_items_are_problems_in_their_place(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let items = vec![
        send("btc", "0", &other.id),
        send("btc", "0.5", &other.id),
        json!({}),
    ];
    let answer = user.own.waiting().post(BULK, bulk(&items)).await.ok();
    assert_eq!(
        outcomes(&answer),
        ["amount.zero", "success", "request.invalid"]
    );
    let first = answer.get("results")[0].clone();
    assert_eq!(
        (&first["status"], &first["errors"][0]["field"]),
        (&json!(400), &json!("amount"))
    );
}

async fn a_bulk_is_a_list_of_1_to_1000(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let mut answers = vec![];
    for body in [
        json!({}),
        json!({"transfers": {}}),
        json!({"transfers": []}),
    ] {
        answers.push(user.own.post(BULK, body).await);
    }
    let many = vec![send("btc", "0.00000001", &other.id); 1_001];
    answers.push(user.own.post(BULK, bulk(&many)).await);
    for answer in answers {
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(
            answer.text("code").starts_with("transfers."),
            "{}",
            answer.text
        );
    }
    // The limit of requests counts items: a key of one's own has room for all of them.
    let body = json!({
        "user_id": user.id, "permissions": ["allow_transfer"], "requests_per_minute": 1_000,
    });
    let issued = scene.admin().post("/admin/v1/access-keys", body).await.ok();
    let key = crate::signing::AccessKey {
        name: issued.text("access_key"),
        secret: issued.text("secret_key"),
    };
    let most = bulk(many.get(1..).expect("there are more")).to_string();
    let client = scene.stranger().signed(&key, BULK, &most).waiting();
    let answer = client.post(BULK, &most).await.ok();
    assert!(outcomes(&answer).iter().all(|one| one == "success"));
    assert_eq!(scene.balance(&other, "BTC").await.0, "0.00001000");
}

async fn an_atomic_bulk_is_all_or_none(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    for wrong in [
        send("btc", "5", &other.id),
        send("cf-none", "1", &other.id),
        send("btc", "0", &other.id),
    ] {
        let items = vec![send("btc", "0.5", &other.id), wrong];
        let body = and(bulk(&items), "atomic", true);
        let answer = user.own.post(BULK, body).await.refused(422, "bulk.refused");
        assert_eq!(outcomes(&answer).len(), 2);
    }
    assert_eq!(scene.balance(&user, "BTC").await.0, "1.00000000");
    assert_eq!(user.own.get("/internal-transfer").await.ok().text, "[]");
}

async fn an_atomic_bulk_that_can_be_executed_is(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let items = vec![
        send("btc", "0.5", &other.id),
        send("btc", "0.5", &other.email),
    ];
    let body = and(bulk(&items), "atomic", true);
    let answer = user.own.post(BULK, body).await.ok();
    assert_eq!(outcomes(&answer), ["success", "success"]);
    assert_eq!(scene.balance(&user, "BTC").await.0, "0.00000000");
}

async fn a_bulk_has_one_key(scene: Scene) {
    let (user, other) = (scene.rich("btc", "9").await, scene.user().await);
    let own = user.own.key(&unique("key")).waiting();
    let items = vec![send("btc", "1", &other.id), send("cf-none", "1", &other.id)];
    let first = own.post(BULK, bulk(&items)).await.ok();
    let again = own.post(BULK, bulk(&items)).await.ok();
    assert!(again.is_replayed() && !first.is_replayed());
    assert_eq!(outcomes(&again), outcomes(&first));
    assert_eq!(again.get("results")[0], first.get("results")[0]);
    let answer = own.post(BULK, bulk(&[send("btc", "2", &other.id)])).await;
    answer.refused(422, "idempotency.key_reused");
    assert_eq!(scene.balance(&other, "BTC").await.0, "1.00000000");
}

async fn later_items_may_spend_nothing_twice(scene: Scene) {
    let (user, other) = (scene.rich("btc", "1").await, scene.user().await);
    let items = ["0.6", "0.6", "0.4"].map(|amount| send("btc", amount, &other.id));
    let answer = user.own.waiting().post(BULK, bulk(&items)).await.ok();
    assert_eq!(outcomes(&answer), ["success", "rejected", "success"]);
}

async fn a_bulk_needs_allow_transfer(scene: Scene) {
    let user = scene.user().await;
    let reading = scene.token(Some(&user.id), &["allow_balance"]).await;
    reading
        .post(BULK, "{}")
        .await
        .refused(403, "permission.missing");
    scene
        .office()
        .post(BULK, "{}")
        .await
        .refused(403, "permission.missing");
    scene
        .stranger()
        .post(BULK, "{}")
        .await
        .refused(401, "credentials.missing");
}
