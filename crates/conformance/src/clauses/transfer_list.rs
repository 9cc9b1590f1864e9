//! §1, the list of all users' transfers: what a row is and how pages go on.

use serde_json::{Value, json};

use crate::{
    answer::{Answer, keys, raw_rows, text},
    clause::clauses,
    scene::{CONFIRM, DEPOSIT, Scene, TRANSFERS, User, and, finish, open},
};

clauses! { "1.6 The list of all transfers",
    "Documented: response fields": a_row_has_nineteen_keys_in_order
        = "A row has the nineteen documented keys in their order.",
    "Documented: `id` number, `transferId` string; decision: both name the transfer": a_row_names_its_transfer_twice
        = "`id` is the transfer's id as a number, `transferId` the same as a string.",
    "Documented: `userName`, `email`, `userRole` (obsolete), `userRoles`": a_row_names_its_user
        = "A row carries the user's id, name, email and roles; `userRole` is the first role or `\"\"`.",
    "Documented: `errorDetails`; decision: `\"\"` when none": a_row_without_trouble_has_empty_error_details
        = "`errorDetails` is `\"\"` when nothing went wrong, `comment` `\"\"` when there is none.",
    "Documented: `type`: Deposit or Withdraw; decision: Withdrawal everywhere": a_row_says_withdrawal
        = "`type` is `Deposit` or `Withdrawal` in the list too.",
    "Documented: in the platform root asset; decision: by the rate of its creation": root_figures_use_the_rate_of_creation
        = "`amountInRootAsset` and `feeInRootAsset` use the rate at creation, whatever it becomes; `rootAsset` names the asset.",
    "Decision: null when no rate was known": root_figures_are_null_without_a_rate
        = "Without a rate at creation both figures are `null`.",
    "Documented: title \"completed transfers\"; decision: all statuses": without_a_status_all_are_listed
        = "Without `status` open and finished transfers are listed.",
    "Documented: deposits and withdrawals": internal_transfers_are_not_listed
        = "Transfers between users are not in the back office's list.",
    "Decision: newest first": the_list_is_newest_first = "The list is newest first: `createdAt`, then `id`, descending.",
    "Documented: `cursor`: zero-based page number": the_list_has_pages
        = "`cursor` or `page` is the page from zero: pages join without a gap or a row twice; past the end is `[]`.",
    "Documented: consult the pageSize of a previous response": the_list_tells_its_size_in_headers
        = "`X-Page-Size`, `X-Total-Count` and `X-Total-Pages` tell the size, `X-Next-Cursor` the next page while there is one.",
}

/// The list of one user's transfers with this further query.
async fn list(scene: &Scene, user: &User, query: &str) -> Answer {
    let path = format!("{TRANSFERS}?userId={}{query}", user.id);
    scene.reader().get(&path).await.ok()
}

async fn only(scene: &Scene, user: &User) -> Value {
    let rows = list(scene, user, "").await.rows();
    assert_eq!(rows.len(), 1);
    rows.into_iter().next().expect("there is one")
}

fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().filter_map(|row| row["id"].as_i64()).collect()
}

async fn a_row_has_nineteen_keys_in_order(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let answer = list(&scene, &user, "").await;
    let rows = raw_rows(&answer.text);
    let expected = [
        "userId",
        "userName",
        "email",
        "userRole",
        "userRoles",
        "comment",
        "id",
        "asset",
        "transferId",
        "type",
        "status",
        "amount",
        "fee",
        "errorDetails",
        "createdAt",
        "updatedAt",
        "amountInRootAsset",
        "feeInRootAsset",
        "rootAsset",
    ];
    let found: Vec<_> = rows.iter().map(|row| keys(row)).collect();
    assert_eq!(found, [expected]);
}

async fn a_row_names_its_transfer_twice(scene: Scene) {
    let user = scene.user().await;
    let id = scene.fund(&user, "btc", "1").await.id();
    let row = only(&scene, &user).await;
    assert_eq!(
        (&row["id"], &row["transferId"]),
        (&json!(id), &json!(id.to_string()))
    );
}

async fn a_row_names_its_user(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let row = only(&scene, &user).await;
    let found = ["userId", "userName", "email", "userRole"].map(|name| text(&row, name));
    assert_eq!(found, [&*user.id, &user.name, &user.email, "trader"]);
    assert_eq!(row["userRoles"], json!(["trader"]));
    let body = json!({"username": user.name, "email": "", "roles": [], "status": "Active"});
    let path = format!("/admin/v1/users/{}", user.id);
    scene.admin().put(&path, body).await.ok();
    let row = only(&scene, &user).await;
    assert_eq!((&row["email"], &row["userRole"]), (&json!(""), &json!("")));
    assert_eq!(row["userRoles"], json!([]));
}

async fn a_row_without_trouble_has_empty_error_details(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    let row = only(&scene, &user).await;
    assert_eq!(
        (&row["errorDetails"], &row["comment"]),
        (&json!(""), &json!(""))
    );
}

async fn a_row_says_withdrawal(scene: Scene) {
    let user = scene.rich("btc", "1").await;
    scene.withdrawal(&user, "btc", "1").await;
    let rows = list(&scene, &user, "").await.rows();
    let kinds: Vec<_> = rows.iter().map(|row| text(row, "type")).collect();
    assert_eq!(kinds, ["Withdrawal", "Deposit"]);
}

async fn root_figures_use_the_rate_of_creation(scene: Scene) {
    scene.asset("cf-rated", 8, true, true).await;
    let user = scene.user().await;
    let rate = async |rate: &str| {
        let body = json!({"rate": rate});
        scene
            .admin()
            .put("/admin/v1/rates/cf-rated", body)
            .await
            .ok();
    };
    rate("12.5").await;
    let first = scene.fund(&user, "cf-rated", "2").await.id();
    rate("100").await;
    let row = scene.row(&user, first, "Completed").await;
    let found = ["amountInRootAsset", "feeInRootAsset"].map(|name| text(&row, name));
    assert_eq!(found, ["25", "0"]);
    let root = text(&row, "rootAsset");
    scene
        .reader()
        .get(&format!("/admin/v1/assets/{root}"))
        .await
        .ok();
}

async fn root_figures_are_null_without_a_rate(scene: Scene) {
    scene.asset("cf-unrated", 8, true, true).await;
    let user = scene.rich("cf-unrated", "2").await;
    let row = only(&scene, &user).await;
    assert_eq!(
        (&row["amountInRootAsset"], &row["feeInRootAsset"]),
        (&json!(null), &json!(null))
    );
}

async fn without_a_status_all_are_listed(scene: Scene) {
    let user = scene.rich("btc", "3").await;
    scene.withdrawal(&user, "btc", "1").await;
    let held = scene.withdrawal(&user, "btc", "1").await.id();
    scene.office().post(CONFIRM, finish(&user, held)).await.ok();
    let rows = list(&scene, &user, "").await.rows();
    let statuses: Vec<_> = rows.iter().map(|row| text(row, "status")).collect();
    assert_eq!(statuses, ["Completed", "AwaitingConfirmation", "Completed"]);
}

async fn internal_transfers_are_not_listed(scene: Scene) {
    let (user, other) = (scene.rich("btc", "3").await, scene.user().await);
    scene.paid(&user, &other, "btc", "1").await;
    assert_eq!(list(&scene, &user, "").await.rows().len(), 1);
    assert_eq!(list(&scene, &other, "").await.rows().len(), 0);
}

async fn the_list_is_newest_first(scene: Scene) {
    let user = scene.user().await;
    let mut made = vec![];
    for _ in 0..4 {
        made.insert(0, scene.fund(&user, "btc", "1").await.id());
    }
    assert_eq!(ids(&list(&scene, &user, "").await.rows()), made);
}

async fn the_list_has_pages(scene: Scene) {
    let user = scene.user().await;
    let mut made = vec![];
    for _ in 0..5 {
        made.insert(0, scene.fund(&user, "btc", "1").await.id());
    }
    for name in ["cursor", "page"] {
        let mut seen = vec![];
        for page in 0..4 {
            let query = format!("&pageSize=2&{name}={page}");
            let rows = list(&scene, &user, &query).await.rows();
            assert_eq!(rows.len(), [2, 2, 1, 0][page]);
            seen.extend(ids(&rows));
        }
        assert_eq!(seen, made);
    }
    let path = format!("{TRANSFERS}?cursor=-1");
    scene
        .reader()
        .get(&path)
        .await
        .refused(400, "cursor.invalid");
}

async fn the_list_tells_its_size_in_headers(scene: Scene) {
    let user = scene.user().await;
    for _ in 0..5 {
        let body = and(open(&user, "btc", "1"), "comment", "one of five");
        scene.office().waiting().post(DEPOSIT, body).await.ok();
    }
    for (size, page, pages, next) in [
        ("2", 0, "3", Some("1")),
        ("2", 1, "3", Some("2")),
        ("2", 2, "3", None),
        ("2", 3, "3", None),
        ("5", 0, "1", None),
    ] {
        let query = format!("&pageSize={size}&cursor={page}");
        let answer = list(&scene, &user, &query).await;
        assert_eq!(answer.header("x-page-size"), Some(size));
        assert_eq!(answer.header("x-total-count"), Some("5"));
        assert_eq!(answer.header("x-total-pages"), Some(pages));
        assert_eq!(answer.header("x-next-cursor"), next, "{query}");
        assert_eq!(answer.header("x-total-count-estimated"), None);
    }
}
