//! §4, what waits for operators, and how things stand.

use serde_json::{Value, json};

use crate::{
    answer::{MICROS, keys, shape, text},
    clause::clauses,
    scene::{CONFIRM, Scene, eventually, finish, unique},
};

clauses! { "4.5 The queue and the overview",
    "Decision: oldest first, or by value": the_queue_comes_by_age_or_by_value
        = "`GET /queue` lists withdrawals that nobody has confirmed, the oldest first or with `sort=value` what is worth most in the root asset, each with `root_value` and `taken`.",
    "Decision: a lease that others see": what_is_taken_is_told_to_others
        = "`POST /transfers/{id}/take` answers `by`, `since`, `until`; while it holds another operator gets 409 `transfer.taken` with `taken`, and the queue shows it.",
    "Decision: nobody is kept from acting": whoever_acts_ends_a_taking
        = "Whoever confirms a withdrawal need not have taken it; it has left the queue then, and cannot be taken.",
    "Decision: let go": what_is_let_go_can_be_taken
        = "`POST /transfers/{id}/let-go` is 204, also when repeated, and another operator may take it at once.",
    "Decision: figures at a glance": the_overview_tells_what_moved
        = "`GET /overview` tells `at`, `waiting`, `volumes`, `callbacks`, `books`; a deposit is in the last piece of every period soon after it succeeded.",
    "Decision: figures at a glance": hosts_of_callbacks_are_listed
        = "`GET /callbacks/hosts` lists hosts in their order.",
    "Decision: out-of-range values are refused by name": wrong_parameters_of_the_queue_are_named
        = "Malformed parameters of the queue and the overview are 400 under their own names, unknown ones 400 `parameter.unknown`.",
}

/// An asset of the clause's own that is worth this much.
async fn rated(scene: &Scene, asset: &str, rate: &str) {
    scene.asset(asset, 8, true, true).await;
    let path = format!("/admin/v1/rates/{asset}");
    let put = scene.admin().put(&path, json!({"rate": rate})).await;
    put.ok();
}

async fn queue(scene: &Scene, query: &str) -> Vec<Value> {
    let path = format!("/admin/v1/queue?limit=200&{query}");
    let data = scene.reader().get(&path).await.ok().get("data");
    data.as_array().expect("data is a list").clone()
}

async fn the_queue_comes_by_age_or_by_value(scene: Scene) {
    rated(&scene, "cf-queue", "2").await;
    let user = scene.rich("cf-queue", "9").await;
    let mut held = vec![];
    for amount in ["1", "3", "2"] {
        held.push(scene.withdrawal(&user, "cf-queue", amount).await.id());
    }
    for (sort, order) in [("age", [0, 1, 2]), ("value", [1, 2, 0])] {
        let rows = queue(&scene, &format!("asset=cf-queue&sort={sort}")).await;
        let found = rows.iter().map(|row| row["id"].as_i64());
        let ours = found.flatten().filter(|id| held.contains(id));
        let expected = order.map(|place: usize| held.get(place).copied());
        let expected: Vec<i64> = expected.into_iter().flatten().collect();
        assert_eq!(ours.collect::<Vec<_>>(), expected, "{sort}");
    }
    let rows = queue(&scene, "asset=cf-queue&sort=value").await;
    let first = rows.first().expect("something waits");
    assert_eq!(text(&first["root_value"], "amount"), "6");
    assert!(first["taken"].is_null());
}

async fn what_is_taken_is_told_to_others(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let id = scene.withdrawal(&user, "btc", "1").await.id();
    let one = scene.token(None, &["backoffice_confirm"]).await;
    let other = scene.token(None, &["backoffice_approve"]).await;
    let path = format!("/admin/v1/transfers/{id}/take");
    let taken = one.post(&path, json!({})).await.ok();
    assert_eq!(keys(&taken.text), ["by", "since", "until"]);
    assert_eq!(shape(&taken.text("until")), MICROS);
    let refused = other.post(&path, json!({})).await;
    assert_eq!(refused.get("taken")["by"], taken.get("by"));
    refused.refused(409, "transfer.taken");
    let again = one.post(&path, json!({})).await.ok();
    assert_eq!(again.text("since"), taken.text("since"));
    assert!(again.text("until") >= taken.text("until"));
    let rows = queue(&scene, "asset=btc").await;
    let row = rows.iter().find(|row| row["id"] == id);
    if let Some(row) = row {
        assert_eq!(row["taken"]["by"], taken.get("by"));
    } else {
        assert_eq!(rows.len(), 200, "it waits, and is not among the oldest");
    }
}

async fn whoever_acts_ends_a_taking(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let id = scene.withdrawal(&user, "btc", "1").await.id();
    let one = scene.token(None, &["backoffice_confirm"]).await;
    let path = format!("/admin/v1/transfers/{id}/take");
    one.post(&path, json!({})).await.ok();
    scene.office().post(CONFIRM, finish(&user, id)).await.ok();
    let rows = queue(&scene, "asset=btc").await;
    assert!(rows.iter().all(|row| row["id"] != id));
    let refused = one.post(&path, json!({})).await;
    refused.refused(409, "transfer.already_completed");
}

async fn what_is_let_go_can_be_taken(scene: Scene) {
    let user = scene.rich("btc", "5").await;
    let id = scene.withdrawal(&user, "btc", "1").await.id();
    let one = scene.token(None, &["backoffice_confirm"]).await;
    let other = scene.token(None, &["backoffice_confirm"]).await;
    let path = format!("/admin/v1/transfers/{id}");
    one.post(&format!("{path}/take"), json!({})).await.ok();
    for _ in 0..2 {
        let gone = one.post(&format!("{path}/let-go"), json!({})).await;
        assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    }
    other.post(&format!("{path}/take"), json!({})).await.ok();
    let refused = one.post(&format!("{path}/let-go"), json!({})).await;
    refused.refused(409, "transfer.taken");
}

async fn the_overview_tells_what_moved(scene: Scene) {
    let asset = unique("v").to_lowercase().replace('_', "-");
    let asset: String = asset.chars().take(15).collect();
    scene.asset(&asset, 8, true, true).await;
    let user = scene.user().await;
    scene.fund(&user, &asset, "1.50").await;
    for (period, pieces) in [("day", 24), ("week", 28), ("month", 30)] {
        let path = format!("/admin/v1/overview?period={period}");
        let overview = eventually("the deposit is counted", async || {
            let overview = scene.reader().get(&path).await.ok();
            let volumes = overview.get("volumes");
            let rows = volumes["data"].as_array().expect("a list").clone();
            let row = rows.into_iter().find(|row| row["asset"] == asset)?;
            assert_eq!(
                (text(&row, "kind"), text(&row, "amount")),
                ("deposit".into(), "1.5".into())
            );
            assert_eq!(row["count"], 1);
            Some(overview)
        });
        let overview = overview.await;
        let members = ["at", "waiting", "volumes", "callbacks", "books"];
        assert_eq!(keys(&overview.text), members);
        let starts = overview.get("volumes")["starts"].clone();
        assert_eq!(starts.as_array().map(Vec::len), Some(pieces));
    }
}

async fn hosts_of_callbacks_are_listed(scene: Scene) {
    let answer = scene.reader().get("/admin/v1/callbacks/hosts").await.ok();
    let data = answer.get("data");
    let rows = data.as_array().expect("data is a list").iter();
    let hosts: Vec<String> = rows.map(|row| text(row, "host")).collect();
    assert!(hosts.is_sorted(), "{hosts:?}");
}

async fn wrong_parameters_of_the_queue_are_named(scene: Scene) {
    for (path, code) in [
        ("queue?which=all", "which.invalid"),
        ("queue?sort=size", "sort.invalid"),
        ("queue?asset=!", "asset.invalid"),
        ("queue?cursor=x", "cursor.invalid"),
        ("queue?state=open", "parameter.unknown"),
        ("overview?period=year", "period.invalid"),
        ("overview?from=2021", "parameter.unknown"),
        ("callbacks/hosts?host=a", "parameter.unknown"),
    ] {
        let answer = scene.reader().get(&format!("/admin/v1/{path}")).await;
        answer.refused(400, code);
    }
}
