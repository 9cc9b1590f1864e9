//! §4, what the admin API has today: lists, assets and users.

use serde_json::{Value, json};

use crate::{
    answer::{keys, raw_rows, text},
    clause::clauses,
    scene::{Scene, open, unique},
};

clauses! { "4.1 Operating it",
    "Decision: lists are `{\"data\", \"next_cursor\"}`": admin_lists_have_data_and_a_cursor
        = "Lists are `{\"data\": […], \"next_cursor\": …}`; `limit` is 1 to 200, and the cursor goes on without a gap or a row twice.",
    "Decision: an opaque cursor": a_forged_cursor_is_refused
        = "A cursor of another list, or an invented one, is 400 `cursor.invalid`.",
    "Decision: reads need `admin` or `backoffice_read`": readers_read_and_do_not_write
        = "`backoffice_read` reads assets, users, balances, rates and stories, and writes nothing; credentials need `admin`.",
    "Decision: `PUT` creates or replaces and is repeatable": a_put_creates_or_replaces
        = "A `PUT` of an asset, a user or a rate creates or replaces it, answers it, and may be repeated.",
    "Decision: `{\"name\",\"scale\",\"can_deposit\",\"can_withdraw\",\"can_transfer\"}`": an_asset_has_its_members
        = "An asset is `id`, `name`, `scale` and its three flags.",
    "Decision: the scale is fixed once used": a_scale_in_use_cannot_change
        = "The scale of an asset that has accounts cannot fall: 422 `asset.scale_in_use`.",
    "Decision: `{\"username\",\"email\",\"roles\",\"status\"}`": a_user_has_its_members
        = "A user is `id`, `username`, `email`, `roles` and `status`, one of `Active`, `Frozen`, `Terminated`.",
    "Decision: `GET /users?search=`": users_are_found_by_a_part_of_their_name
        = "`search` finds users by a part of username or email, in any case.",
    "Decision: errors everywhere alike": admin_errors_are_problems
        = "Malformed ids are 400, unknown things 404, unknown members 400, as everywhere.",
}

async fn admin_lists_have_data_and_a_cursor(scene: Scene) {
    let mark = unique("page");
    for number in 0..5 {
        let user = scene.user().await;
        let body = json!({
            "username": format!("{mark}-{number}"), "email": "", "roles": [], "status": "Active",
        });
        scene
            .admin()
            .put(&format!("/admin/v1/users/{}", user.id), body)
            .await
            .ok();
    }
    let first = format!("/admin/v1/users?search={mark}&limit=2");
    let (mut path, mut seen, mut sizes) = (first.clone(), vec![], vec![]);
    loop {
        let page = scene.reader().get(&path).await.ok();
        assert_eq!(keys(&page.text), ["data", "next_cursor"]);
        let rows = page.get("data");
        let rows = rows.as_array().expect("data is a list");
        sizes.push(rows.len());
        seen.extend(rows.iter().map(|row| text(row, "username")));
        let next = page.get("next_cursor");
        let Some(cursor) = next.as_str() else {
            break assert_eq!(next, Value::Null);
        };
        path = format!("{first}&cursor={cursor}");
    }
    seen.sort();
    let expected: Vec<_> = (0..5).map(|number| format!("{mark}-{number}")).collect();
    assert_eq!((seen, sizes), (expected, vec![2, 2, 1]));
    for limit in ["0", "201", "-1"] {
        let answer = scene
            .reader()
            .get(&format!("/admin/v1/users?limit={limit}"))
            .await;
        answer.refused(400, "limit.out_of_range");
    }
}

async fn a_forged_cursor_is_refused(scene: Scene) {
    let page = scene.reader().get("/admin/v1/assets?limit=1").await.ok();
    let cursor = page.text("next_cursor");
    for (list, cursor) in [
        ("users", &*cursor),
        ("assets", "x"),
        ("users", "bm90aGluZw"),
    ] {
        let answer = scene
            .reader()
            .get(&format!("/admin/v1/{list}?cursor={cursor}"))
            .await;
        answer.refused(400, "cursor.invalid");
    }
}

async fn readers_read_and_do_not_write(scene: Scene) {
    let user = scene.user().await;
    let story = scene.fund(&user, "btc", "1").await.id();
    for path in [
        "/admin/v1/assets".to_owned(),
        "/admin/v1/assets/btc".to_owned(),
        format!("/admin/v1/users/{}", user.id),
        format!("/admin/v1/balances?user_id={}", user.id),
        "/admin/v1/balances?owner=system".to_owned(),
        "/admin/v1/rates/btc".to_owned(),
        format!("/admin/v1/transfers/{story}"),
    ] {
        scene.reader().get(&path).await.ok();
        user.own.get(&path).await.refused(403, "permission.missing");
    }
    for path in ["/admin/v1/tokens", "/admin/v1/access-keys"] {
        scene
            .reader()
            .get(path)
            .await
            .refused(403, "permission.missing");
        scene
            .reader()
            .post(path, "{}")
            .await
            .refused(403, "permission.missing");
    }
    for path in [
        "/admin/v1/assets/btc",
        "/admin/v1/users/x",
        "/admin/v1/rates/btc",
    ] {
        scene
            .reader()
            .put(path, "{}")
            .await
            .refused(403, "permission.missing");
    }
}

async fn a_put_creates_or_replaces(scene: Scene) {
    let user = scene.user().await;
    let path = format!("/admin/v1/users/{}", user.id);
    let body =
        json!({"username": user.name, "email": "", "roles": ["vip", "trader"], "status": "Active"});
    let first = scene.admin().put(&path, body.clone()).await.ok();
    let again = scene.admin().put(&path, body).await.ok();
    assert_eq!(first.text, again.text);
    assert_eq!(first.text, scene.reader().get(&path).await.ok().text);
    assert_eq!(first.get("roles"), json!(["vip", "trader"]));
}

async fn an_asset_has_its_members(scene: Scene) {
    scene.asset("cf-shape", 3, true, true).await;
    let one = scene.reader().get("/admin/v1/assets/cf-shape").await.ok();
    let expected = r#"{"id":"cf-shape","name":"cf-shape","scale":3,"can_deposit":true,"can_withdraw":true,"can_transfer":true}"#;
    assert_eq!(one.text, expected);
    let upper = scene.reader().get("/admin/v1/assets/CF-SHAPE").await.ok();
    assert_eq!(upper.text, expected);
    let all = scene.reader().get("/admin/v1/assets?limit=200").await.ok();
    assert!(raw_rows(&all.get("data").to_string()).len() >= 4);
    scene
        .reader()
        .get("/admin/v1/assets/cf-none")
        .await
        .refused(404, "asset.unknown");
}

async fn a_scale_in_use_cannot_change(scene: Scene) {
    scene.asset("cf-scale", 8, true, true).await;
    scene.rich("cf-scale", "1").await;
    let body = json!({
        "name": "cf-scale", "scale": 7,
        "can_deposit": true, "can_withdraw": true, "can_transfer": true,
    });
    let answer = scene.admin().put("/admin/v1/assets/cf-scale", body).await;
    answer.refused(422, "asset.scale_in_use");
}

async fn a_user_has_its_members(scene: Scene) {
    let user = scene.user().await;
    let path = format!("/admin/v1/users/{}", user.id);
    let one = scene.reader().get(&path).await.ok();
    assert_eq!(
        keys(&one.text),
        ["id", "username", "email", "roles", "status"]
    );
    for status in ["Frozen", "Terminated", "Active"] {
        scene.put_user(&user, status).await;
        assert_eq!(scene.reader().get(&path).await.ok().text("status"), status);
    }
    let body = json!({"username": user.name, "email": "", "roles": [], "status": "Asleep"});
    scene
        .admin()
        .put(&path, body)
        .await
        .refused(400, "status.invalid");
}

async fn users_are_found_by_a_part_of_their_name(scene: Scene) {
    let user = scene.user().await;
    let part = user.name.get(8..).expect("names are longer").to_uppercase();
    for search in [&part, &user.email] {
        let page = scene
            .reader()
            .get(&format!("/admin/v1/users?search={search}"))
            .await
            .ok();
        let rows = page.get("data");
        let ids: Vec<_> = rows
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| text(row, "id"))
            .collect();
        assert_eq!(ids, std::slice::from_ref(&user.id));
    }
}

async fn admin_errors_are_problems(scene: Scene) {
    for (path, status, code) in [
        ("/admin/v1/users/x", 400, "id.invalid"),
        ("/admin/v1/transfers/x", 400, "id.invalid"),
        (
            "/admin/v1/transfers/9007199254740991",
            404,
            "transfer.unknown",
        ),
        (
            "/admin/v1/users/99999999-9999-4999-8999-999999999999",
            404,
            "user.unknown",
        ),
        ("/admin/v1/balances", 400, "user_id.missed"),
    ] {
        scene.reader().get(path).await.refused(status, code);
    }
    let body = open(&scene.user().await, "btc", "1");
    let answer = scene.admin().post("/admin/v1/tokens", body).await;
    answer.refused(400, "request.invalid");
}
