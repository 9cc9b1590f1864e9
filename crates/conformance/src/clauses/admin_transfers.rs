//! §4, the list of every transfer.

use serde_json::Value;

use crate::{
    answer::text,
    clause::clauses,
    scene::{CONFIRM, INTERNAL, Scene, User, and, finish, send},
};

const LIST: &str = "/admin/v1/transfers";

clauses! { "4.3 Every transfer",
    "Decision: every kind": the_admin_list_has_every_kind
        = "`GET /admin/v1/transfers` lists deposits, withdrawals and internal transfers, the newest first.",
    "Decision: filters": the_admin_list_has_its_filters
        = "`kind`, `status`, `user_id`, `search`, `asset`, `min_amount`, `max_amount`, `custom_id`, `code` and `id` filter, also together.",
    "Decision: filters": the_admin_list_is_bounded_by_time
        = "`created_from` and `created_to` bound the creation, inclusively.",
    "Decision: keyset cursor": the_admin_list_goes_on_by_cursor
        = "The cursor goes on without a gap or a row twice, also while transfers are being made.",
    "Decision: a cursor belongs to its query": a_cursor_of_another_query_is_refused
        = "A cursor with other filters, and one that was changed, is 400 `cursor.invalid`.",
    "Decision: out-of-range values are refused by name": wrong_filters_of_the_admin_list_are_named
        = "Malformed filters are 400 under their own names, unknown ones 400 `parameter.unknown`.",
}

async fn list(scene: &Scene, query: &str) -> (Vec<Value>, Option<String>) {
    let page = scene.reader().get(&format!("{LIST}?{query}")).await.ok();
    let rows = page.get("data").as_array().expect("data is a list").clone();
    (rows, page.get("next_cursor").as_str().map(str::to_owned))
}

/// A user with one transfer of each kind.
async fn varied(scene: &Scene) -> (User, User) {
    let (user, other) = (scene.rich("btc", "9").await, scene.user().await);
    let held = scene.withdrawal(&user, "btc", "2").await.id();
    scene.office().post(CONFIRM, finish(&user, held)).await.ok();
    let body = and(send("btc", "1", &other.id), "custom_id", &*user.name);
    user.own.waiting().post(INTERNAL, body).await.ok();
    (user, other)
}

async fn the_admin_list_has_every_kind(scene: Scene) {
    let (user, other) = varied(&scene).await;
    let (rows, _) = list(&scene, &format!("user_id={}", user.id)).await;
    let kinds: Vec<_> = rows.iter().map(|row| text(row, "kind")).collect();
    assert_eq!(kinds, ["internal", "withdrawal", "deposit"]);
    let (received, _) = list(&scene, &format!("user_id={}", other.id)).await;
    assert_eq!(received.len(), 1);
}

async fn the_admin_list_has_its_filters(scene: Scene) {
    let (user, _) = varied(&scene).await;
    let mine = format!("user_id={}", user.id);
    let (all, _) = list(&scene, &mine).await;
    let [internal, withdrawal, deposit] = &all[..] else {
        panic!("three were made: {all:?}");
    };
    for (filter, expected) in [
        ("kind=deposit".to_owned(), vec![deposit]),
        ("kind=internal".to_owned(), vec![internal]),
        ("status=success".to_owned(), vec![internal]),
        ("status=Completed".to_owned(), vec![withdrawal, deposit]),
        ("status=Failed".to_owned(), vec![]),
        ("asset=BTC".to_owned(), vec![internal, withdrawal, deposit]),
        ("asset=eth".to_owned(), vec![]),
        (
            "asset=btc&min_amount=2".to_owned(),
            vec![withdrawal, deposit],
        ),
        (
            "asset=btc&max_amount=2".to_owned(),
            vec![internal, withdrawal],
        ),
        (
            "asset=btc&min_amount=2&max_amount=2".to_owned(),
            vec![withdrawal],
        ),
        (format!("custom_id={}", user.name), vec![internal]),
        (format!("code={}", text(internal, "code")), vec![internal]),
        (format!("id={}", deposit["id"]), vec![deposit]),
        (
            format!("search={}&kind=withdrawal", user.name),
            vec![withdrawal],
        ),
    ] {
        let (rows, _) = list(&scene, &format!("{mine}&{filter}")).await;
        assert_eq!(rows.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}

async fn the_admin_list_is_bounded_by_time(scene: Scene) {
    let (user, _) = varied(&scene).await;
    let mine = format!("user_id={}", user.id);
    let (all, _) = list(&scene, &mine).await;
    let at = text(all.get(1).expect("three were made"), "created_at");
    for (bounds, count) in [
        (format!("created_from={at}"), 2),
        (format!("created_to={at}"), 2),
        (format!("created_from={at}&created_to={at}"), 1),
        ("created_from=2999-01-01".to_owned(), 0),
    ] {
        let (rows, _) = list(&scene, &format!("{mine}&{bounds}")).await;
        assert_eq!(rows.len(), count, "{bounds}");
    }
}

async fn the_admin_list_goes_on_by_cursor(scene: Scene) {
    let user = scene.user().await;
    let mut made = vec![];
    for _ in 0..5 {
        made.insert(0, scene.fund(&user, "btc", "1").await.id());
    }
    let mine = format!("user_id={}&limit=2", user.id);
    let (mut query, mut seen) = (mine.clone(), vec![]);
    loop {
        let (rows, next) = list(&scene, &query).await;
        seen.extend(rows.iter().filter_map(|row| row["id"].as_i64()));
        // What comes in meanwhile is newer than all that is still to come.
        scene.fund(&user, "btc", "1").await;
        match next {
            Some(cursor) => query = format!("{mine}&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, made);
}

async fn a_cursor_of_another_query_is_refused(scene: Scene) {
    let (user, other) = varied(&scene).await;
    let (_, cursor) = list(&scene, &format!("user_id={}&limit=1", user.id)).await;
    let cursor = cursor.expect("there are more");
    let flipped: String = cursor.chars().rev().collect();
    for query in [
        format!("user_id={}&limit=1&cursor={cursor}", other.id),
        format!("user_id={}&kind=deposit&cursor={cursor}", user.id),
        format!("user_id={}&limit=1&cursor={flipped}", user.id),
        format!("user_id={}&limit=1&cursor={cursor}x", user.id),
    ] {
        let answer = scene.reader().get(&format!("{LIST}?{query}")).await;
        answer.refused(400, "cursor.invalid");
    }
}

async fn wrong_filters_of_the_admin_list_are_named(scene: Scene) {
    for (query, code) in [
        ("kind=gift", "kind.invalid"),
        ("status=done", "status.invalid"),
        ("user_id=x", "user_id.invalid"),
        ("asset=no%20such", "asset.invalid"),
        ("id=0", "id.invalid"),
        ("created_from=x", "created_from.invalid"),
        ("limit=201", "limit.out_of_range"),
        ("cursor=x", "cursor.invalid"),
        ("colour=blue", "parameter.unknown"),
    ] {
        scene
            .reader()
            .get(&format!("{LIST}?{query}"))
            .await
            .refused(400, code);
    }
}
