//! §1, the list of all users' transfers: its filters.

use serde_json::Value;

use crate::{
    answer::text,
    clause::clauses,
    scene::{CANCEL, CONFIRM, Scene, TRANSFERS, User, finish},
};

clauses! { "1.7 Filters of the list",
    "Documented: `from`, `to`": the_list_is_bounded_by_time = "`from` and `to` bound `createdAt`, inclusively.",
    "Documented: the username or email (to return entries matching this string)": search_finds_parts_of_name_and_email
        = "`search` finds a part of a username or an email, in any case.",
    "Decision: names of other versions": search_has_aliases
        = "`filter`, `username`, `userName` and `email` mean `search`.",
    "Decision: who matches nobody lists nothing": a_search_for_nobody_is_empty
        = "A search that matches nobody, a wildcard of SQL among them, is `[]`.",
    "Documented: `userId`": the_list_is_filtered_by_user
        = "`userId` lists one user's transfers; an unknown user's are `[]`.",
    "Documented: `pageSize` in the 1—999 range": page_size_is_bounded
        = "`pageSize` or `limit` is 1 to 999, 100 by default; outside it is 400 `pageSize.out_of_range`.",
    "Documented: `status`; decision: all five, any case": the_list_is_filtered_by_status
        = "`status` filters by each of the five statuses, in any case; `Cancelled` means `Canceled`.",
    "Documented: `type`; decision: `Withdraw` too": the_list_is_filtered_by_type
        = "`type` filters by `Deposit` and `Withdrawal`, in any case; `Withdraw` means `Withdrawal`.",
    "Decision: what is no value is refused": unknown_values_of_filters_are_refused
        = "Any other status or type is 400 `status.invalid` or `type.invalid`.",
    "Decision: all filters hold together": filters_combine = "Several filters hold at once.",
}

/// No rows.
const NONE: [&str; 0] = [];

async fn list(scene: &Scene, query: &str) -> Vec<Value> {
    let path = format!("{TRANSFERS}?{query}");
    scene.reader().get(&path).await.ok().rows()
}

/// The pairs of type and status of a user's transfers with this further query.
async fn kinds(scene: &Scene, user: &User, query: &str) -> Vec<String> {
    let rows = list(scene, &format!("userId={}&{query}", user.id)).await;
    let pairs = rows
        .iter()
        .map(|row| (text(row, "type"), text(row, "status")));
    pairs
        .map(|(kind, status)| format!("{kind} {status}"))
        .collect()
}

/// A user with a deposit and three withdrawals: open, completed and canceled.
async fn varied(scene: &Scene) -> User {
    let user = scene.rich("btc", "9").await;
    scene.withdrawal(&user, "btc", "1").await;
    for path in [CONFIRM, CANCEL] {
        let held = scene.withdrawal(&user, "btc", "1").await.id();
        scene.office().post(path, finish(&user, held)).await.ok();
    }
    user
}

async fn the_list_is_bounded_by_time(scene: Scene) {
    let user = varied(&scene).await;
    let all = list(&scene, &format!("userId={}", user.id)).await;
    let times: Vec<_> = all.iter().map(|row| text(row, "createdAt")).collect();
    let [newest, _, third, _] = &times[..] else {
        panic!("four were made: {times:?}");
    };
    let between = format!("userId={}&from={third}&to={newest}", user.id);
    assert_eq!(list(&scene, &between).await.len(), 3);
    let until = format!("userId={}&to={third}", user.id);
    assert_eq!(list(&scene, &until).await.len(), 2);
}

async fn search_finds_parts_of_name_and_email(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let part = user.name.get(3..).expect("names are longer").to_uppercase();
    let inside = part.get(5..30).expect("names are longer").to_owned();
    for search in [&user.name, &user.email, &part, &inside] {
        let rows = list(&scene, &format!("search={search}")).await;
        assert_eq!(rows.len(), 1, "{search}");
        assert!(rows.iter().all(|row| row["userId"] == *user.id));
    }
}

async fn search_has_aliases(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    for alias in ["filter", "username", "userName", "email", "USERNAME"] {
        let rows = list(&scene, &format!("{alias}={}", user.name)).await;
        assert_eq!(rows.len(), 1, "{alias}");
    }
    let path = format!("{TRANSFERS}?email=a&search=b");
    scene
        .reader()
        .get(&path)
        .await
        .refused(400, "parameter.duplicate");
}

async fn a_search_for_nobody_is_empty(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let wild = user.name.replace("user", "%25").replace("cf-", "__-");
    for search in ["nobody-at-all-has-this-name", &wild] {
        assert_eq!(
            list(&scene, &format!("search={search}")).await.len(),
            0,
            "{search}"
        );
    }
}

async fn the_list_is_filtered_by_user(scene: Scene) {
    let (user, other) = (varied(&scene).await, scene.rich("btc", "1").await);
    assert_eq!(list(&scene, &format!("userId={}", user.id)).await.len(), 4);
    assert_eq!(list(&scene, &format!("userId={}", other.id)).await.len(), 1);
    let nobody = format!("userId={}", crate::scene::NOBODY);
    assert_eq!(list(&scene, &nobody).await.len(), 0);
}

async fn page_size_is_bounded(scene: Scene) {
    let user = varied(&scene).await;
    for name in ["pageSize", "limit"] {
        let rows = list(&scene, &format!("userId={}&{name}=3", user.id)).await;
        assert_eq!(rows.len(), 3);
        for size in ["0", "1000", "-1"] {
            let answer = scene
                .reader()
                .get(&format!("{TRANSFERS}?{name}={size}"))
                .await;
            answer.refused(400, "pageSize.out_of_range");
        }
    }
    let path = format!("{TRANSFERS}?userId={}", user.id);
    let answer = scene.reader().get(&path).await.ok();
    assert_eq!(answer.header("x-page-size"), Some("100"));
    list(&scene, &format!("userId={}&pageSize=999", user.id)).await;
}

async fn the_list_is_filtered_by_status(scene: Scene) {
    let user = varied(&scene).await;
    for (status, expected) in [
        (
            "AwaitingConfirmation",
            &["Withdrawal AwaitingConfirmation"][..],
        ),
        ("awaitingconfirmation", &["Withdrawal AwaitingConfirmation"]),
        ("Completed", &["Withdrawal Completed", "Deposit Completed"]),
        ("COMPLETED", &["Withdrawal Completed", "Deposit Completed"]),
        ("Canceled", &["Withdrawal Canceled"]),
        ("Cancelled", &["Withdrawal Canceled"]),
        ("Failed", &[]),
        ("Pending", &[]),
    ] {
        let found = kinds(&scene, &user, &format!("status={status}")).await;
        assert_eq!(found, expected, "{status}");
    }
}

async fn the_list_is_filtered_by_type(scene: Scene) {
    let user = varied(&scene).await;
    for (kind, count) in [
        ("Deposit", 1),
        ("deposit", 1),
        ("Withdrawal", 3),
        ("WITHDRAWAL", 3),
        ("Withdraw", 3),
        ("withdraw", 3),
    ] {
        let found = kinds(&scene, &user, &format!("type={kind}")).await;
        assert_eq!(found.len(), count, "{kind}");
    }
}

async fn unknown_values_of_filters_are_refused(scene: Scene) {
    for (query, code) in [
        ("status=Done", "status.invalid"),
        ("status=success", "status.invalid"),
        ("type=Internal", "type.invalid"),
        ("type=Witdrawal", "type.invalid"),
    ] {
        let answer = scene.reader().get(&format!("{TRANSFERS}?{query}")).await;
        answer.refused(400, code);
    }
}

async fn filters_combine(scene: Scene) {
    let user = varied(&scene).await;
    let query = format!(
        "search={}&type=Withdrawal&status=Completed&pageSize=1",
        user.name
    );
    let found = kinds(&scene, &user, &query).await;
    assert_eq!(found, ["Withdrawal Completed"]);
    let query = format!("search={}&type=Deposit&status=Canceled", user.name);
    assert_eq!(kinds(&scene, &user, &query).await, NONE);
}
