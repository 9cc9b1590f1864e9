//! Transfers taken back: each kind, its callbacks, once by key, and never more than there was.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    callbacks::{Scene, told},
    client::Answer,
    exchange::{CONFIRM, DEPOSIT, Exchange, WITHDRAW},
};

async fn reverse(scene: &Scene, id: &str, key: &str, body: &Value) -> Answer {
    let admin = scene.service.client().with(&scene.exchange.admin);
    let path = format!("/admin/v1/transfers/{id}/reverse");
    let key = [("idempotency-key", key)];
    admin.post_with(&path, body.to_string(), &key).await
}

async fn balances(scene: &Scene) -> [String; 2] {
    let client = scene.service.client();
    let [alice, bob] = &scene.exchange.traders[..] else {
        panic!("two users");
    };
    [
        Exchange::balance(&client, alice, "BTC").await.0,
        Exchange::balance(&client, bob, "BTC").await.0,
    ]
}

/// The numeric id of an internal transfer.
async fn id_of(scene: &Scene, sent: &Answer) -> String {
    let admin = scene.service.client().with(&scene.exchange.admin);
    let path = format!("/admin/v1/transfers?code={}", sent.name());
    let found = admin.get(&path).await.ok().json();
    found["data"][0]["id"].to_string()
}

#[tokio::test]
async fn each_kind_is_taken_back_with_its_fee_and_its_url_hears_of_it() {
    let scene = Scene::set().await;
    let client = scene.service.client();
    for kind in ["deposit", "withdrawal", "internal"] {
        let path = format!("/fees/{kind}/btc");
        let rule = json!({"percent": "10"});
        scene.exchange.rule(&client, &path, &rule).await;
    }
    let all = json!({"return_fee": true, "comment": "A mistake."});

    let deposit = scene.open(DEPOSIT, "1", "/deposit").await;
    scene.books.settled().await;
    scene.books.delivered().await;
    assert_eq!(balances(&scene).await[0], "10.90000000");
    let back = reverse(&scene, &deposit.name(), "a", &all).await.ok();
    assert_eq!(back.text_of("kind"), "withdrawal");
    assert_eq!(balances(&scene).await[0], "10.00000000");
    scene.books.delivered().await;
    let bodies = scene.receiver.bodies("/deposit");
    let first = told(&deposit, "1.0", "Completed", None).replace("\"Fee\":0.0", "\"Fee\":0.1");
    assert_eq!(bodies[0], first);
    let told_of_it = format!("\"TransferId\":{}", back.name());
    assert!(
        bodies[1..].iter().any(|body| body.contains(&told_of_it)),
        "{bodies:?}"
    );

    let held = scene.open(WITHDRAW, "1", "/withdrawal").await;
    scene.finish(CONFIRM, &held.name(), "").await.ok();
    assert_eq!(balances(&scene).await[0], "8.90000000");
    let back = reverse(&scene, &held.name(), "b", &all).await.ok();
    assert_eq!(back.text_of("kind"), "deposit");
    assert_eq!(balances(&scene).await[0], "10.00000000");
    scene.books.delivered().await;
    let bodies = scene.receiver.bodies("/withdrawal");
    let told_of_it = format!("\"Id\":{}", back.name());
    assert!(
        bodies.iter().any(|body| body.contains(&told_of_it)),
        "{bodies:?}"
    );

    let sent = scene.send("2", "/sent").await;
    assert_eq!(balances(&scene).await, ["7.80000000", "2.00000000"]);
    let id = id_of(&scene, &sent).await;
    let back = reverse(&scene, &id, "c", &all).await.ok();
    assert_eq!(back.text_of("kind"), "internal");
    assert_eq!(balances(&scene).await, ["10.00000000", "0.00000000"]);
    let earned = "SELECT sum(available) FROM book_main.accounts WHERE owner_kind = 'fees'";
    assert_eq!(scene.books.number(earned).await, 0);
    scene.books.delivered().await;
    let bodies = scene.receiver.bodies("/sent");
    assert!(
        bodies
            .iter()
            .any(|body| body.contains(&back.text_of("code"))),
        "{bodies:?}"
    );
    scene.books.audit().await;
}

#[tokio::test]
async fn parallel_reversals_never_come_to_more_than_the_original() {
    let scene = Scene::set().await;
    let deposit = scene.open(DEPOSIT, "1", "/deposit").await.name();
    scene.books.settled().await;
    let body = json!({"amount": "0.3", "return_fee": false, "comment": "A part."});
    let racing = (0..16).map(|number| {
        let (scene, deposit, body) = (&scene, &deposit, &body);
        async move { reverse(scene, deposit, &format!("key-{number}"), body).await }
    });
    let answers = join_all(racing).await;
    let made: Vec<&Answer> = answers.iter().filter(|one| one.status == 200).collect();
    for refused in answers.iter().filter(|one| one.status != 200) {
        // Many at once may also keep getting in each other's way; nothing happened then.
        let code = refused.text_of("code");
        let fine = ["reversal.exceeds_original", "transfer.busy"].contains(&code.as_str());
        assert!(fine, "{}", refused.text);
    }
    assert!((1..=3).contains(&made.len()), "{answers:?}");
    let story = scene
        .exchange
        .story(&scene.service.client(), &deposit)
        .await;
    assert_eq!(story["reversals"].as_array().unwrap().len(), made.len());
    let rest = json!({"return_fee": false, "comment": "The rest."});
    let first = reverse(&scene, &deposit, "rest", &rest).await.ok();
    assert_eq!(balances(&scene).await[0], "10.00000000");
    let again = reverse(&scene, &deposit, "rest", &rest).await.ok();
    assert!(again.is_replayed());
    assert_eq!(again.name(), first.name());
    let more = reverse(&scene, &deposit, "more", &rest).await;
    more.refused(422, "reversal.exceeds_original");
    scene.books.audit().await;
}
