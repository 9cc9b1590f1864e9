//! §1, the history of one user.

use serde_json::Value;

use crate::{
    answer::{keys, raw_rows, text},
    clause::clauses,
    scene::{CONFIRM, HISTORY, NOBODY, Scene, User, finish},
};

clauses! { "1.5 A user's history",
    "Documented: deposits and withdrawals made on a user trading account": history_has_deposits_and_withdrawals
        = "The history holds the user's deposits and withdrawals and nobody else's.",
    "Documented: a list of objects": history_is_a_bare_array_of_eight_keys
        = "The answer is a bare array of the eight-key objects.",
    "Documented: the sample shows the newest first": history_is_newest_first
        = "Rows are newest first: `createdAt`, then `id`, both descending.",
    "Documented: transfers/account/": history_is_there_with_and_without_the_last_slash
        = "The path may end in a slash or not.",
    "Documented: `userId` required": history_needs_a_user
        = "Without `userId` it is 400 `userId.missed`, with a malformed one `userId.invalid`.",
    "Documented: a Not Found error is returned": history_of_an_unknown_user_is_404
        = "An unknown user is 404 `user.unknown`.",
    "Decision: a known user without transfers": history_of_a_new_user_is_empty
        = "A user without transfers has `[]`.",
    "Documented: `startDate`; decision: `endDate`": history_is_bounded_by_time
        = "`startDate` and `endDate` bound `createdAt`, inclusively.",
    "Documented: 100 by default, 1 to view only the latest": history_has_a_limit
        = "`limit` is 100 by default; 1 shows the latest transfer alone.",
    "Decision: names of other versions": history_limit_has_aliases = "`count` and `pageSize` mean `limit`.",
    "Decision: 1 to 999": history_limit_is_bounded
        = "A limit outside 1 to 999 is 400 `limit.out_of_range`, no number 400 `limit.invalid`.",
    "Decision: a zero-based page": history_has_pages
        = "`cursor` is the page, from zero: pages join without a gap or a row twice, and past the end is `[]`.",
    "Decision: a parameter has one value": a_parameter_given_twice_is_refused
        = "A parameter given twice, under one name or two of its names, is 400 `parameter.duplicate`.",
    "Decision: an empty parameter is none": an_empty_parameter_is_none
        = "An empty optional parameter is the same as none.",
}

/// The history of a user with this further query.
async fn history(scene: &Scene, user: &User, query: &str) -> Vec<Value> {
    let path = format!("{HISTORY}?userId={}{query}", user.id);
    scene.reader().get(&path).await.ok().rows()
}

fn ids(rows: &[Value]) -> Vec<i64> {
    let ids = rows.iter().map(|row| row["id"].as_i64());
    ids.map(|id| id.expect("an id is a number")).collect()
}

/// A user with this many deposits, and their ids, newest first.
async fn busy(scene: &Scene, deposits: usize) -> (User, Vec<i64>) {
    let user = scene.user().await;
    let mut made = vec![];
    for _ in 0..deposits {
        made.insert(0, scene.fund(&user, "btc", "1").await.id());
    }
    (user, made)
}

async fn history_has_deposits_and_withdrawals(scene: Scene) {
    let (user, other) = (scene.user().await, scene.user().await);
    let deposit = scene.fund(&user, "btc", "5").await.id();
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    scene.fund(&other, "btc", "5").await;
    scene.paid(&user, &other, "btc", "1").await;
    scene.office().post(CONFIRM, finish(&user, held)).await.ok();
    let rows = history(&scene, &user, "").await;
    assert_eq!(ids(&rows), [held, deposit]);
    let kinds: Vec<_> = rows
        .iter()
        .map(|row| (text(row, "type"), text(row, "status")))
        .collect();
    let expected = [("Withdrawal", "Completed"), ("Deposit", "Completed")];
    assert_eq!(kinds, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

async fn history_is_a_bare_array_of_eight_keys(scene: Scene) {
    let (user, _) = busy(&scene, 1).await;
    scene.withdrawal(&user, "btc", "1").await;
    let answer = scene
        .reader()
        .get(&format!("{HISTORY}?userId={}", user.id))
        .await
        .ok();
    let rows = raw_rows(&answer.text);
    assert_eq!(rows.len(), 2);
    for row in rows {
        let expected = [
            "id",
            "asset",
            "type",
            "status",
            "amount",
            "fee",
            "createdAt",
            "updatedAt",
        ];
        assert_eq!(keys(&row), expected);
    }
}

async fn history_is_newest_first(scene: Scene) {
    let (user, made) = busy(&scene, 4).await;
    let rows = history(&scene, &user, "").await;
    assert_eq!(ids(&rows), made);
    let times: Vec<_> = rows.iter().map(|row| text(row, "createdAt")).collect();
    assert!(
        times.is_sorted_by(|newer, older| newer >= older),
        "{times:?}"
    );
}

async fn history_is_there_with_and_without_the_last_slash(scene: Scene) {
    let (user, _) = busy(&scene, 1).await;
    let slashed = scene
        .reader()
        .get(&format!("{HISTORY}?userId={}", user.id))
        .await
        .ok();
    let bare = HISTORY.trim_end_matches('/');
    let bare = scene
        .reader()
        .get(&format!("{bare}?userId={}", user.id))
        .await
        .ok();
    assert_eq!(slashed.text, bare.text);
}

async fn history_needs_a_user(scene: Scene) {
    for (query, code) in [
        ("", "userId.missed"),
        ("?userId=", "userId.missed"),
        ("?userId=alice", "userId.invalid"),
    ] {
        let answer = scene.reader().get(&format!("{HISTORY}{query}")).await;
        answer.refused(400, code);
    }
}

async fn history_of_an_unknown_user_is_404(scene: Scene) {
    let answer = scene
        .reader()
        .get(&format!("{HISTORY}?userId={NOBODY}"))
        .await;
    answer.refused(404, "user.unknown");
}

async fn history_of_a_new_user_is_empty(scene: Scene) {
    let user = scene.user().await;
    let answer = scene
        .reader()
        .get(&format!("{HISTORY}?userId={}", user.id))
        .await
        .ok();
    assert_eq!(answer.text, "[]");
}

async fn history_is_bounded_by_time(scene: Scene) {
    let (user, made) = busy(&scene, 3).await;
    let rows = history(&scene, &user, "").await;
    let middle = text(rows.get(1).expect("there are three"), "createdAt");
    let [newest, at, oldest] = made[..] else {
        panic!("three were made: {made:?}");
    };
    let from = history(&scene, &user, &format!("&startDate={middle}")).await;
    assert_eq!(ids(&from), [newest, at]);
    let to = history(&scene, &user, &format!("&endDate={middle}")).await;
    assert_eq!(ids(&to), [at, oldest]);
    let both = format!("&startDate={middle}&endDate={middle}");
    assert_eq!(ids(&history(&scene, &user, &both).await), [at]);
}

async fn history_has_a_limit(scene: Scene) {
    let (user, made) = busy(&scene, 101).await;
    assert_eq!(history(&scene, &user, "").await.len(), 100);
    assert_eq!(history(&scene, &user, "&limit=999").await.len(), 101);
    let latest = history(&scene, &user, "&limit=1").await;
    assert_eq!(ids(&latest), made.get(..1).expect("there are 101"));
}

async fn history_limit_has_aliases(scene: Scene) {
    let (user, _) = busy(&scene, 2).await;
    for alias in ["limit", "count", "pageSize"] {
        let rows = history(&scene, &user, &format!("&{alias}=1")).await;
        assert_eq!(rows.len(), 1, "{alias}");
    }
}

async fn history_limit_is_bounded(scene: Scene) {
    let user = scene.user().await;
    for (limit, code) in [
        ("0", "limit.out_of_range"),
        ("1000", "limit.out_of_range"),
        ("99999999999999999999", "limit.out_of_range"),
        ("-1", "limit.out_of_range"),
        ("ten", "limit.invalid"),
        ("1.5", "limit.invalid"),
    ] {
        let path = format!("{HISTORY}?userId={}&limit={limit}", user.id);
        scene.reader().get(&path).await.refused(400, code);
    }
    history(&scene, &user, "&limit=999").await;
}

async fn history_has_pages(scene: Scene) {
    let (user, made) = busy(&scene, 5).await;
    let mut seen = vec![];
    for page in 0..4 {
        let rows = history(&scene, &user, &format!("&limit=2&cursor={page}")).await;
        assert_eq!(rows.len(), [2, 2, 1, 0][page]);
        seen.extend(ids(&rows));
    }
    assert_eq!(seen, made);
    for wrong in ["-1", "x", "1.5"] {
        let path = format!("{HISTORY}?userId={}&cursor={wrong}", user.id);
        scene
            .reader()
            .get(&path)
            .await
            .refused(400, "cursor.invalid");
    }
}

async fn a_parameter_given_twice_is_refused(scene: Scene) {
    let user = scene.user().await;
    for query in ["&limit=1&limit=1", "&limit=1&count=1", "&LIMIT=1&limit=1"] {
        let path = format!("{HISTORY}?userId={}{query}", user.id);
        scene
            .reader()
            .get(&path)
            .await
            .refused(400, "parameter.duplicate");
    }
    let answer = user.own.get("/internal-transfer?limit=1&limit=2").await;
    answer.refused(400, "parameter.duplicate");
}

async fn an_empty_parameter_is_none(scene: Scene) {
    let (user, _) = busy(&scene, 1).await;
    let rows = history(&scene, &user, "&limit=&startDate=&endDate=&cursor=").await;
    assert_eq!(rows.len(), 1);
}
