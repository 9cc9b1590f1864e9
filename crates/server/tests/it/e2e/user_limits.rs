//! Limits on what users move, kept by two replicas together, and what they say of themselves.

use std::collections::BTreeMap;

use bursar_postgres::testing::TestDatabase;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    MICROS,
    books::Books,
    client::{Answer, Client},
    eventually,
    exchange::{CANCEL, Exchange, INTERNAL, WAIT, WITHDRAW},
    service::Service,
    shape,
};

/// How many requests are under way at once.
const AT_ONCE: usize = 64;

struct Scene {
    services: [Service; 2],
    exchange: Exchange,
    books: Books,
    // Last: nothing may use it when it is dropped.
    _database: TestDatabase,
}

impl Scene {
    async fn set() -> Self {
        let database = TestDatabase::create().await;
        let services = Service::pair(database.url(), &[]).await;
        let client = services[0].client();
        let exchange = Exchange::open(database.url(), &client, 2).await;
        exchange
            .fund(&client, &exchange.traders[0], "btc", "100")
            .await;
        Self {
            services,
            exchange,
            books: Books::of(database.url()),
            _database: database,
        }
    }

    /// One of the replicas, by turns.
    fn replica(&self, number: usize) -> Client {
        self.services[number % self.services.len()].client()
    }

    async fn rule(&self, path: &str, rule: &Value) {
        self.exchange.rule(&self.replica(0), path, rule).await;
    }

    async fn withdraw(&self, replica: usize, asset: &str, amount: &str) -> Answer {
        let body = json!({
            "userId": self.exchange.traders[0].id, "assetId": asset, "amount": amount,
        });
        let backoffice = self.replica(replica).with(&self.exchange.backoffice);
        backoffice.post(WITHDRAW, body.to_string()).await
    }

    /// What the first user's limits look like to the user, once an operator sees the same.
    async fn limits(&self) -> Value {
        let alice = &self.exchange.traders[0];
        let path = format!("/admin/v1/users/{}/headroom", alice.id);
        let admin = self.replica(1).with(&self.exchange.admin);
        let shown = admin.get(&path).await.ok();
        let own = self.replica(0).with(&alice.token).get("/limits").await.ok();
        let data = own.json()["data"].clone();
        assert_eq!(data, shown.json()["data"]);
        data
    }

    async fn end(self) {
        self.books.audit().await;
        for service in self.services {
            service.stopped().await;
        }
    }
}

#[tokio::test]
async fn parallel_withdrawals_on_two_replicas_never_pass_a_limit() {
    let scene = Scene::set().await;
    // Made before there was a limit, and counted all the same.
    scene.withdraw(0, "btc", "0.4").await.ok();
    scene
        .rule("/limits/withdrawal/btc", &json!({"daily": "3"}))
        .await;
    let racing = (0..AT_ONCE).map(|number| scene.withdraw(number, "btc", "0.1"));
    let mut made = vec![];
    for answer in join_all(racing).await {
        if answer.status == 200 {
            made.push(answer.name());
            continue;
        }
        let limit = answer.refused(422, "limit.daily").json()["limit"].clone();
        assert_eq!(limit["asset"], "btc");
        assert_eq!(limit["left"], "0");
        assert_eq!(shape(limit["returns_at"].as_str().unwrap()), MICROS);
    }
    assert_eq!(made.len(), 26);
    let held = "SELECT sum(held) FROM book_main.accounts WHERE owner_kind = 'user'";
    assert_eq!(scene.books.number(held).await, 300_000_000);
    let left = json!({"limit": "3", "left": "0"});
    assert_eq!(scene.limits().await[0]["daily"], left);

    // What is cancelled is room again, on the other replica too.
    let body = json!({"userId": scene.exchange.traders[0].id, "transferId": made[0]});
    let backoffice = scene.replica(1).with(&scene.exchange.backoffice);
    backoffice.post(CANCEL, body.to_string()).await.ok();
    let left = json!({"limit": "3", "left": "0.1"});
    assert_eq!(scene.limits().await[0]["daily"], left);
    let over = scene.withdraw(0, "btc", "0.2").await;
    let over = over.refused(422, "limit.daily");
    assert_eq!(over.json()["limit"]["left"], "0.1");
    scene.withdraw(0, "btc", "0.1").await.ok();
    scene.end().await;
}

#[tokio::test]
async fn parallel_payments_on_two_replicas_never_pass_a_limit() {
    let scene = Scene::set().await;
    scene
        .rule("/limits/internal/btc", &json!({"monthly": "1"}))
        .await;
    let [alice, bob] = &scene.exchange.traders[..] else {
        panic!("two users");
    };
    let body = json!({"currency_code": "btc", "amount": "0.1", "recipient": bob.id}).to_string();
    let racing = (0..AT_ONCE).map(|number| {
        let client = scene.replica(number).with(&alice.token);
        let body = body.clone();
        async move { client.post_with(INTERNAL, body, &[WAIT]).await.ok() }
    });
    let mut became: BTreeMap<String, usize> = BTreeMap::new();
    for answer in join_all(racing).await {
        let shown = answer.json();
        let end = shown["reason_code"].as_str().unwrap_or("success");
        *became.entry(end.to_owned()).or_default() += 1;
    }
    let expected = [("limit.monthly", AT_ONCE - 10), ("success", 10)];
    let expected = expected.map(|(end, count)| (end.to_owned(), count));
    assert_eq!(became, BTreeMap::from(expected));
    let (available, _) = Exchange::balance(&scene.replica(0), bob, "BTC").await;
    assert_eq!(available, "1.00000000");
    scene.end().await;
}

#[tokio::test]
async fn one_limit_for_all_assets_counts_what_they_are_worth() {
    let scene = Scene::set().await;
    let client = scene.replica(0);
    let admin = client.with(&scene.exchange.admin);
    let alice = &scene.exchange.traders[0];
    scene.exchange.fund(&client, alice, "eth", "10").await;
    admin
        .put("/admin/v1/rates/btc", r#"{"rate": "50000"}"#)
        .await
        .ok();
    scene
        .rule("/limits/withdrawal", &json!({"daily": "100000"}))
        .await;
    // Nobody said what it is worth.
    let unrated = scene.withdraw(1, "eth", "1").await;
    unrated.refused(422, "rate.unknown");
    admin
        .put(
            "/admin/v1/rates/eth",
            r#"{"rate": "2500", "source": "a feed"}"#,
        )
        .await
        .ok();
    scene.withdraw(0, "btc", "1.5").await.ok();
    scene.withdraw(0, "eth", "4").await.ok();
    // The other replica hears of a rate within seconds.
    let over = eventually("the other replica knows the rate", async || {
        let over = scene.withdraw(1, "eth", "6.01").await;
        (over.text_of("code") != "rate.unknown").then_some(over)
    })
    .await;
    let limit = over.refused(422, "limit.daily").json()["limit"].clone();
    assert_eq!(
        (&limit["left"], &limit["asset"]),
        (&json!("15000"), &json!("usd"))
    );
    let expected = json!([{
        "kind": "withdrawal", "asset": null, "counted_in": "usd", "min_amount": null,
        "max_amount": null, "daily": {"limit": "100000", "left": "15000"}, "monthly": null,
    }]);
    assert_eq!(scene.limits().await, expected);
    let last = scene.withdraw(0, "eth", "6").await.ok();
    let story = scene.exchange.story(&client, &last.name()).await;
    let rate = &story["root_rate"];
    assert_eq!(
        (&rate["rate"], &rate["source"]),
        (&json!("2500"), &json!("a feed"))
    );
    scene.end().await;
}
