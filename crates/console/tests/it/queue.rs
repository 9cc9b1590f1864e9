//! The queue: its order, its pages, and who is at what.

use crate::{
    browser::Browser,
    markup::Document,
    world::{ALICE, BOB, OLGA, OTTO, World, operator},
};

fn rows(document: &Document) -> Vec<String> {
    let items = document
        .all("li")
        .filter_map(|(_, tag)| tag.attribute("data-id"));
    items.map(str::to_owned).collect()
}

#[actix_web::test]
async fn rows_come_by_age_or_value_and_of_one_asset() {
    let world = World::new();
    world.fund(ALICE, "btc", "10").await;
    world.fund(BOB, "eth", "10").await;
    let mut ids = vec![];
    for (user, asset, amount) in [
        (ALICE, "btc", "0.5"),
        (BOB, "eth", "3"),
        (ALICE, "btc", "1"),
    ] {
        ids.push(world.withdrawal(user, asset, amount).await.to_string());
        world.clock.advance_ms(1_000);
    }
    let browser = Browser::of(&world, operator(OLGA));
    let list = async |path: &str| rows(&browser.get(path).await.ok().document());
    let [half, eth, one] = [&ids[0], &ids[1], &ids[2]].map(Clone::clone);
    let by_age = list("/console/queue").await;
    assert_eq!(by_age, [half.clone(), eth.clone(), one.clone()]);
    // What nobody said the worth of comes last.
    let by_value = list("/console/queue?sort=value").await;
    assert_eq!(by_value, [one.clone(), half.clone(), eth.clone()]);
    assert_eq!(list("/console/queue?asset=btc").await, [half, one]);
    assert_eq!(browser.get("/console/queue?sort=size").await.status, 400);
    assert_eq!(browser.get("/console/queue?after=x").await.status, 400);
}

#[actix_web::test]
async fn pages_follow_each_other_without_a_gap_or_a_repetition() {
    let world = World::new();
    world.fund(ALICE, "btc", "10000").await;
    let mut ids = vec![];
    for _ in 0..53 {
        ids.push(world.withdrawal(ALICE, "btc", "1").await.to_string());
        world.clock.advance_ms(1_000);
    }
    let browser = Browser::of(&world, operator(OLGA));
    for sort in ["age", "value"] {
        let first = browser
            .get(&format!("/console/queue?sort={sort}"))
            .await
            .ok()
            .document();
        let next = first
            .all("a")
            .find(|(_, tag)| tag.attribute("rel") == Some("next"));
        let next = next
            .expect("there is more")
            .1
            .attribute("href")
            .unwrap()
            .to_owned();
        let second = browser.get(&next).await.ok().document();
        let mut all = [rows(&first), rows(&second)].concat();
        all.sort_by_key(|id| id.parse::<i64>().unwrap());
        assert_eq!(all, ids, "{sort}");
    }
}

#[actix_web::test]
async fn who_takes_a_row_has_it_and_others_see_that() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let (olga, otto) = (
        Browser::of(&world, operator(OLGA)),
        Browser::of(&world, operator(OTTO)),
    );
    let take = format!("/console/transfers/{id}/take");
    let both = (
        olga.get("/console/queue").await.ok(),
        otto.get("/console/queue").await.ok(),
    );
    assert_eq!(
        olga.press(&both.0, &take, &[]).await.leads(),
        format!("/console/queue#t{id}"),
        "the row is the one that is looked at next"
    );
    let late = otto.press(&both.1, &take, &[]).await;
    assert_eq!(late.status, 409);
    assert!(late.text().contains("olga has taken it"), "{}", late.text());
    let seen = otto.get("/console/queue").await.ok();
    assert!(seen.text().contains("olga until 10:55"), "{}", seen.text());
    assert!(!seen.document().offers(&take));
    let own = olga.get("/console/queue").await.ok();
    assert!(own.text().contains("Yours until 10:55"), "{}", own.text());
    // Whoever acts on what another one has is asked once more.
    let confirm = format!("/console/transfers/{id}/confirm");
    let to = otto.press(&seen, &confirm, &[]).await.leads();
    let second = otto.get(&to).await.ok();
    assert!(
        second.text().contains("olga has taken it until 10:55"),
        "{}",
        second.text()
    );
    let let_go = format!("/console/transfers/{id}/let-go");
    olga.press(&own, &let_go, &[]).await.leads();
    let seen = otto.get("/console/queue").await.ok();
    assert!(seen.document().offers(&take));
}
