//! §4, who did what.

use serde_json::{Value, json};

use super::admin_ledger::{export, lines};
use crate::{
    answer::{MICROS, keys, members, shape, text},
    clause::clauses,
    scene::{CANCEL, CONFIRM, Scene, and, finish, unique},
};

const LIST: &str = "/admin/v1/audit";

clauses! { "4.5 Who did what",
    "Decision: who did what": a_change_is_told_with_who_and_how
        = "A row of `GET /audit` is `id`, `at`, `actor`, `credential`, `request_id`, `address`, `action`, `target`, `before`, `after`.",
    "Decision: who did what": a_transfers_rows_are_what_operators_did_to_it
        = "Deposits, withdrawals, confirmations and cancellations have a row each; what is refused or repeated has none, and neither have users' own transfers.",
    "Decision: who did what": the_log_has_no_secrets
        = "Neither a token nor a secret is ever in the log.",
    "Decision: filters": the_log_has_its_filters
        = "`actor`, `action`, `target`, `from` and `to` filter, also together, the newest row first.",
    "Decision: keyset cursor": the_log_goes_on_by_cursor
        = "The cursor of the log goes on without a gap or a row twice.",
    "Decision: the same filters as a stream": an_export_of_the_log_is_the_list
        = "`/audit.jsonl` and `/audit.csv` have the rows of `GET /audit` with the same filters, then how many there are of each action, then `end`.",
}

/// The rows about a target, the newest first.
async fn about(scene: &Scene, target: &str) -> Vec<Value> {
    let path = format!("{LIST}?target={target}");
    let data = scene.reader().get(&path).await.ok().get("data");
    data.as_array().expect("data is a list").clone()
}

async fn a_change_is_told_with_who_and_how(scene: Scene) {
    let user = scene.user().await;
    let request = unique("request");
    let body = json!({
        "username": user.name, "email": user.email, "roles": ["trader"], "status": "Frozen",
    });
    let admin = scene.admin().with("x-request-id", &request);
    let path = format!("/admin/v1/users/{}", user.id);
    admin.put(&path, body).await.ok();
    let rows = about(&scene, &format!("user:{}", user.id)).await;
    let [frozen, created] = &rows[..] else {
        panic!("it was made and frozen: {rows:?}");
    };
    let expected = [
        "id",
        "at",
        "actor",
        "credential",
        "request_id",
        "address",
        "action",
        "target",
        "before",
        "after",
    ];
    let page = scene.reader().get(&format!("{LIST}?limit=1")).await.ok();
    let data = members(&page.text)
        .into_iter()
        .find(|(name, _)| name == "data");
    let (_, data) = data.expect("there is data");
    let row = data.trim_matches(['[', ']']);
    assert_eq!(keys(row), expected);
    assert_eq!(shape(&text(frozen, "at")), MICROS);
    assert_eq!(text(frozen, "action"), "user.put");
    assert_eq!(text(frozen, "request_id"), request);
    for name in ["actor", "credential", "address"] {
        assert!(!text(frozen, name).is_empty(), "{name}");
        assert_eq!(frozen[name], created[name], "{name}");
    }
    assert_eq!(created["before"], json!(null));
    assert_eq!(frozen["before"], created["after"]);
    assert_eq!(frozen["before"]["status"], "Active");
    assert_eq!(frozen["after"]["status"], "Frozen");
}

async fn a_transfers_rows_are_what_operators_did_to_it(scene: Scene) {
    let (user, other) = (scene.rich("btc", "9").await, scene.user().await);
    let held = scene.withdrawal(&user, "btc", "2").await.id();
    let office = scene.office();
    for _ in 0..2 {
        office.post(CONFIRM, finish(&user, held)).await.ok();
    }
    let refused = office.post(CANCEL, finish(&user, held)).await;
    refused.refused(409, "transfer.already_completed");
    scene.paid(&user, &other, "btc", "1").await;
    let rows = about(&scene, &format!("transfer:{held}")).await;
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let after = &row["after"];
            (
                text(row, "action"),
                text(after, "status"),
                text(after, "amount"),
            )
        })
        .collect();
    let expected = [
        ("withdrawal.confirm", "Completed", "2"),
        ("withdrawal.create", "AwaitingConfirmation", "2"),
    ];
    let expected = expected
        .map(|(action, status, amount)| (action.to_owned(), status.to_owned(), amount.to_owned()));
    assert_eq!(told, expected);
    let before = rows.first().map(|row| text(&row["before"], "status"));
    assert_eq!(before.as_deref(), Some("AwaitingConfirmation"));
    let own = format!("/admin/v1/transfers?user_id={}&kind=internal", user.id);
    let own = scene.reader().get(&own).await.ok().get("data");
    assert_eq!(
        about(&scene, &format!("transfer:{}", own[0]["id"])).await,
        [json!(null); 0]
    );
}

async fn the_log_has_no_secrets(scene: Scene) {
    let body = json!({
        "subject": unique("token"), "permissions": ["backoffice_read"], "ttl_seconds": 60,
    });
    let issued = scene.admin().post("/admin/v1/tokens", body).await.ok();
    let id = issued.text("id");
    let revoke = format!("/admin/v1/tokens/{id}");
    assert_eq!(scene.admin().delete(&revoke).await.status, 204);
    let rows = about(&scene, &format!("token:{id}")).await;
    let actions: Vec<_> = rows.iter().map(|row| text(row, "action")).collect();
    assert_eq!(actions, ["token.revoke", "token.issue"]);
    let everything = json!(rows).to_string();
    assert!(!everything.contains(&issued.text("token")), "{everything}");
    assert!(!everything.contains("hash"), "{everything}");
}

async fn the_log_has_its_filters(scene: Scene) {
    let user = scene.user().await;
    scene.put_user(&user, "Frozen").await;
    let target = format!("user:{}", user.id);
    let rows = about(&scene, &target).await;
    let [newest, oldest] = &rows[..] else {
        panic!("it was made and frozen: {rows:?}");
    };
    let actor = text(newest, "actor").replace(' ', "%20");
    for (filter, expected) in [
        (format!("actor={actor}"), &rows[..]),
        ("actor=nobody-at-all".to_owned(), &[]),
        ("action=user.put".to_owned(), &rows),
        ("action=asset.put".to_owned(), &[]),
        (format!("from={}", text(newest, "at")), &rows[..1]),
        (format!("to={}", text(oldest, "at")), &rows[1..]),
    ] {
        let path = format!("{LIST}?target={target}&{filter}");
        let found = scene.reader().get(&path).await.ok().get("data");
        assert_eq!(found, json!(expected), "{filter}");
    }
}

async fn the_log_goes_on_by_cursor(scene: Scene) {
    let user = scene.user().await;
    for status in ["Frozen", "Active", "Terminated", "Active"] {
        scene.put_user(&user, status).await;
    }
    let target = format!("user:{}", user.id);
    let rows = about(&scene, &target).await;
    assert_eq!(rows.len(), 5);
    let (mut found, mut cursor) = (vec![], String::new());
    loop {
        let path = format!("{LIST}?target={target}&limit=2{cursor}");
        let page = scene.reader().get(&path).await.ok();
        found.extend(page.get("data").as_array().expect("a list").clone());
        match page.get("next_cursor").as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, rows);
}

async fn an_export_of_the_log_is_the_list(scene: Scene) {
    let user = scene.user().await;
    scene.put_user(&user, "Frozen").await;
    let target = format!("user:{}", user.id);
    let rows = about(&scene, &target).await;
    assert_eq!(rows.len(), 2);
    let query = format!("target={target}&action=user.put");
    let exported = lines(&export(&scene, &format!("audit.jsonl?{query}")).await);
    let mut expected: Vec<_> = rows
        .into_iter()
        .map(|row| and(row, "record", "audit"))
        .collect();
    expected.push(json!({"record": "total", "action": "user.put", "count": 2}));
    assert_eq!(exported, expected);
    let csv = export(&scene, &format!("audit.csv?{query}")).await.text;
    // A line of names, what JSON Lines have, and the end.
    assert_eq!(csv.matches("\r\n").count(), exported.len() + 2);
    assert!(csv.starts_with("record,id,at,actor,credential,request_id,address,action,"));
    assert!(csv.ends_with("\r\nend,,,,,,,,,,,2\r\n"), "{csv}");
    let wrong = scene.reader().get(&format!("{LIST}.csv?limit=1")).await;
    wrong.refused(400, "parameter.unknown");
}
