//! Two replicas on one database and one Redis keep the limits together, and what holds while Redis
//! is away.

use std::time::{Duration, Instant, SystemTime};

use bursar_postgres::testing::TestDatabase;
use bursar_testkit::RedisServer;
use data_encoding::HEXLOWER;
use futures_util::{StreamExt, future::join_all, stream};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::{
    client::{Answer, Client},
    eventually,
    exchange::{Exchange, INTERNAL, Trader, WAIT},
    service::Service,
};

/// How many requests are under way at once.
const AT_ONCE: usize = 16;
/// How far ahead requests are signed, of the five seconds that are allowed: so they are good for longest.
const AHEAD: Duration = Duration::from_secs(4);
/// For how long they are surely good then.
const GOOD_FOR: Duration = Duration::from_secs(8);

struct Scene {
    services: [Service; 2],
    exchange: Exchange,
    redis: RedisServer,
    // Last: nothing may use it when it is dropped.
    database: TestDatabase,
}

impl Scene {
    async fn set(internal_per_minute: &str) -> Self {
        let redis = RedisServer::start();
        let database = TestDatabase::create().await;
        let url = redis.url();
        let settings = [
            ("BURSAR_LIMITS_REDIS_URL", url.as_str()),
            // Long: on a busy machine only a Redis that is gone should count as away.
            ("BURSAR_LIMITS_REDIS_TIMEOUT_MS", "10000"),
            ("BURSAR_LIMITS_REPLICAS", "2"),
            ("BURSAR_LIMITS_INTERNAL_PER_MINUTE", internal_per_minute),
        ];
        let services = Service::pair(database.url(), &settings).await;
        let client = services[0].client();
        let exchange = Exchange::open(database.url(), &client, 2).await;
        exchange
            .fund(&client, &exchange.traders[0], "btc", "10")
            .await;
        Self {
            services,
            exchange,
            redis,
            database,
        }
    }

    /// One of the replicas, by turns.
    fn replica(&self, number: usize) -> Client {
        self.services[number % self.services.len()].client()
    }

    fn alice(&self) -> &Trader {
        &self.exchange.traders[0]
    }

    fn transfer(&self) -> String {
        let bob = &self.exchange.traders[1].id;
        json!({"currency_code": "btc", "amount": "0.001", "recipient": bob}).to_string()
    }

    /// An access key of Alice's.
    async fn key(&self) -> Key {
        let body = json!({"user_id": self.alice().id, "permissions": ["allow_transfer"]});
        let admin = self.replica(0).with(&self.exchange.admin);
        let issued = admin.post("/admin/v1/access-keys", body.to_string()).await;
        let issued = issued.ok();
        Key {
            access_key: issued.text_of("access_key"),
            secret_key: issued.text_of("secret_key"),
        }
    }

    /// Waits until a replica has logged something so often.
    async fn is_logged(&self, number: usize, what: &str, times: usize) {
        eventually(what, async || {
            let log = self.services[number].log();
            (log.matches(what).count() == times).then_some(())
        })
        .await;
    }

    async fn end(self) {
        for service in self.services {
            service.stopped().await;
        }
        self.database.close().await.unwrap();
    }
}

struct Key {
    access_key: String,
    secret_key: String,
}

impl Key {
    /// A transfer, signed for soon.
    #[expect(clippy::disallowed_methods, reason = "the service goes by this clock")]
    fn sign(&self, body: &str) -> Signed {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let timestamp = (now.unwrap() + AHEAD).as_millis().to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret_key.as_bytes()).unwrap();
        mac.update(format!("{}{INTERNAL}{timestamp}{body}", self.access_key).as_bytes());
        Signed {
            access_key: self.access_key.clone(),
            timestamp,
            signature: HEXLOWER.encode(&mac.finalize().into_bytes()),
            body: body.to_owned(),
        }
    }
}

struct Signed {
    access_key: String,
    timestamp: String,
    signature: String,
    body: String,
}

impl Signed {
    async fn post(&self, client: &Client) -> Answer {
        let headers = [
            ("x-access-key", self.access_key.as_str()),
            ("x-timestamp", &self.timestamp),
            ("x-signature", &self.signature),
        ];
        client
            .post_with(INTERNAL, self.body.clone(), &headers)
            .await
    }
}

/// The value of a metric that has no labels, or 0.
async fn metric(client: &Client, name: &str) -> f64 {
    let text = client.get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// Lists transfers, until the limiter has judged it: before it a busy service may answer 503.
async fn list(client: &Client) -> Answer {
    eventually("the limiter judges", async || {
        let answer = client.get(INTERNAL).await;
        let is_judged = answer.header("ratelimit-policy").is_some();
        (is_judged || answer.status != 503).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn the_601st_request_in_a_minute_is_refused_whichever_replica_gets_it() {
    let scene = Scene::set("600").await;
    let answers: Vec<Answer> = stream::iter(0..620)
        .map(|number| {
            let client = scene.replica(number).with(&scene.alice().token);
            async move { list(&client).await }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let policy = Some("\"internal\";q=600;w=60");
    let mut admitted = 0;
    for answer in answers {
        assert_eq!(answer.header("ratelimit-policy"), policy);
        // What a busy service does not get round to counts as well, once it was let in.
        if [200, 503].contains(&answer.status.as_u16()) {
            admitted += 1;
        } else {
            let refused = answer.refused(429, "rate_limit.exceeded");
            let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            let standing = refused.header("ratelimit").unwrap();
            assert!(standing.starts_with("\"internal\";r=0;t="), "{standing}");
        }
    }
    assert_eq!(admitted, 600);
    for number in 0..2 {
        let client = scene.replica(number);
        // Another user and another call have limits of their own.
        let bob = &scene.exchange.traders[1];
        client.with(&bob.token).get(INTERNAL).await.ok();
        let alice = client.with(&scene.alice().token);
        alice.post(INTERNAL, scene.transfer()).await.ok();
        let name = "bursar_rate_limiter_fallback_total";
        assert!(metric(&client, name).await < 0.5);
    }
    scene.end().await;
}

#[tokio::test]
async fn a_signature_used_on_one_replica_is_refused_on_the_other() {
    let scene = Scene::set("600").await;
    let key = scene.key().await;
    for round in 0..4 {
        // Once more where it took so long that the signature was good no more.
        eventually("a round is quick enough", async || {
            let (signed, began) = (key.sign(&scene.transfer()), Instant::now());
            let first = signed.post(&scene.replica(round)).await;
            let mut again = vec![];
            for number in 0..2 {
                again.push(signed.post(&scene.replica(number)).await);
            }
            (began.elapsed() < GOOD_FOR).then(|| {
                first.ok();
                for again in again {
                    again.refused(401, "signature.replayed");
                }
            })
        })
        .await;
        // Two signatures of the same millisecond are one.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // At once, too.
    eventually("a race is quick enough", async || {
        let (signed, began) = (key.sign(&scene.transfer()), Instant::now());
        let racing = (0..8).map(|number| {
            let (signed, client) = (&signed, scene.replica(number));
            async move { signed.post(&client).await.status }
        });
        let statuses = join_all(racing).await;
        (began.elapsed() < GOOD_FOR).then(|| {
            let taken = statuses.iter().filter(|status| **status == 200).count();
            assert_eq!(taken, 1, "{statuses:?}");
        })
    })
    .await;
    scene.end().await;
}

#[tokio::test]
async fn while_redis_is_away_local_limits_hold_and_signed_posts_wait() {
    let mut scene = Scene::set("30").await;
    let key = scene.key().await;
    let up = async |client: &Client| metric(client, "bursar_redis_up").await > 0.5;
    for number in 0..2 {
        let client = scene.replica(number);
        eventually("Redis is used", async || up(&client).await.then_some(())).await;
    }
    scene.redis.kill();
    for number in 0..2 {
        let client = scene.replica(number);
        let alice = client.with(&scene.alice().token);
        for _ in 0..30 {
            alice.get(INTERNAL).await.ok();
        }
        let refused = alice.get(INTERNAL).await;
        refused.refused(429, "rate_limit.exceeded");
        let is_away = async || (!up(&client).await).then_some(());
        eventually("Redis is away", is_away).await;
        let fallbacks = metric(&client, "bursar_rate_limiter_fallback_total").await;
        assert!(fallbacks > 30.5, "{fallbacks}");

        let signed = key.sign(&scene.transfer()).post(&client).await;
        let signed = signed.refused(503, "service.unavailable");
        assert_eq!(signed.text_of("outcome"), "not_executed");
        assert!(signed.header("retry-after").is_some());
        alice.post(INTERNAL, scene.transfer()).await.ok();
        scene.is_logged(number, "Redis is away: each", 1).await;
    }
    scene.redis.start_again();
    for number in 0..2 {
        let client = scene.replica(number);
        eventually("Redis is used again", async || {
            up(&client).await.then_some(())
        })
        .await;
        let signed = key.sign(&scene.transfer());
        signed.post(&client).await.ok();
        let again = signed.post(&scene.replica(number + 1)).await;
        // The other replica may not have found it yet.
        assert!(
            [401, 503].contains(&again.status.as_u16()),
            "{}",
            again.text
        );
        scene.is_logged(number, "Redis is there: all", 2).await;
    }
    scene.end().await;
}

#[tokio::test]
async fn a_hundred_unknown_recipients_at_once_do_not_get_far_beyond_twenty() {
    let scene = Scene::set("600").await;
    let alice = scene.replica(0).with(&scene.alice().token);
    let tries = (0..100).map(|number| {
        let (alice, name) = (alice.clone(), format!("nobody{number}"));
        let body = json!({"currency_code": "btc", "amount": "0.001", "recipient": name});
        async move { alice.post_with(INTERNAL, body.to_string(), &[WAIT]).await }
    });
    let mut failed = 0;
    for answer in join_all(tries).await {
        if answer.status == 200 {
            assert_eq!(answer.text_of("reason_code"), "recipient.unavailable");
            failed += 1;
        } else {
            answer.refused(429, "rate_limit.failed_recipients");
        }
    }
    assert!((20..28).contains(&failed), "{failed}");
    // Whoever the recipient, whichever the replica.
    for number in 0..2 {
        let alice = scene.replica(number).with(&scene.alice().token);
        let refused = alice.post(INTERNAL, scene.transfer()).await;
        refused.refused(429, "rate_limit.failed_recipients");
        alice.get(INTERNAL).await.ok();
    }
    scene.end().await;
}
