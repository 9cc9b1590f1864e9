//! What a sender learns about recipients (contract §2): nothing without paying.

use bursar_postgres::testing::TestDatabase;
use serde_json::json;

use super::{
    books::Books,
    client::{Answer, Client},
    eventually,
    exchange::{Exchange, INTERNAL, WAIT},
    receiver::Receiver,
    service::Service,
    shape,
};

/// The statuses of users, by names of one length, so that lengths can be compared too. Nobody is
/// called `absent`.
pub(super) const USERS: [(&str, &str, &str); 3] = [
    ("active", "00000000-0000-4000-9000-000000000001", "Active"),
    ("frozen", "00000000-0000-4000-9000-000000000002", "Frozen"),
    (
        "buried",
        "00000000-0000-4000-9000-000000000003",
        "Terminated",
    ),
];
pub(super) const ABSENT: (&str, &str) = ("absent", "00000000-0000-4000-9000-000000000004");

pub(super) struct Scene {
    pub(super) service: Service,
    exchange: Exchange,
    receiver: Receiver,
    pub(super) books: Books,
    _database: TestDatabase,
}

impl Scene {
    /// Two traders, the first one with money, and the users above.
    pub(super) async fn set() -> Self {
        let database = TestDatabase::create().await;
        let debug = [("BURSAR_LOG_LEVEL", "debug")];
        let service = Service::start_with(database.url(), &debug).await;
        let client = service.client();
        let exchange = Exchange::open(database.url(), &client, 2).await;
        exchange
            .fund(&client, &exchange.traders[0], "btc", "1")
            .await;
        let scene = Self {
            service,
            exchange,
            receiver: Receiver::start().await,
            books: Books::of(database.url()),
            _database: database,
        };
        for (name, id, status) in USERS {
            scene
                .put_user(id, name, &format!("{name}@example.com"), status)
                .await
                .ok();
        }
        scene
    }

    async fn put_user(&self, id: &str, name: &str, email: &str, status: &str) -> Answer {
        let body = json!({"username": name, "email": email, "roles": [], "status": status});
        let admin = self.service.client().with(&self.exchange.admin);
        admin
            .put(&format!("/admin/v1/users/{id}"), body.to_string())
            .await
    }

    pub(super) fn trader(&self, number: usize) -> Client {
        let trader = &self.exchange.traders[number];
        self.service.client().with(&trader.token)
    }

    /// A token for one of the users above.
    async fn token_of(&self, id: &str) -> Client {
        let body = json!({
            "subject": id, "user_id": id, "ttl_seconds": 600,
            "permissions": ["allow_transfer", "allow_balance"],
        });
        let admin = self.service.client().with(&self.exchange.admin);
        let issued = admin.post("/admin/v1/tokens", body.to_string()).await.ok();
        self.service.client().with(&issued.text_of("token"))
    }
}

pub(super) fn payment(recipient: &str, name: &str, callback_url: &str) -> String {
    let body = json!({
        "currency_code": "BTC", "amount": "0.001", "recipient": recipient,
        "custom_id": name, "note": "hello", "callback_url": callback_url,
    });
    body.to_string()
}

/// Everything that a sender sees of a transfer to `recipient`, from its creation to its callback,
/// without what differs from one transfer to the next: times, codes and what the sender chose.
async fn transcript(scene: &Scene, sender: &Client, recipient: &str, wait: bool) -> Vec<String> {
    let name = format!("{}-{wait}", recipient.replace('@', "-"));
    let path = format!("/{name}");
    let body = payment(recipient, &name, &scene.receiver.url(&path));
    let key = ("idempotency-key", name.as_str());
    let headers = if wait { vec![key, WAIT] } else { vec![key] };
    let mut seen = vec![];
    let created = sender
        .post_with(INTERNAL, body.clone(), &headers)
        .await
        .ok();
    let code = created.name();
    let show = format!("{INTERNAL}/{code}");
    let settled = eventually("the end of a transfer", async || {
        let shown = sender.get(&show).await.ok();
        (shown.text_of("status") != "pending").then_some(shown)
    })
    .await;
    let again = sender.post_with(INTERNAL, body, &headers).await.ok();
    assert!(again.is_replayed());
    let list = format!("{INTERNAL}?custom_id={name}");
    let listed = sender.get(&list).await.ok();
    for answer in [created, settled, again, listed] {
        seen.push(masked(&told(&answer), recipient, &name, &code));
    }
    for callback in scene.receiver.expect(&path, 1).await {
        let mut headers = callback.headers;
        // It follows from id, time and body, under a secret that is not the recipient's.
        if let Some(signature) = headers.get_mut("webhook-signature") {
            *signature = format!("{} bytes", signature.len());
        }
        let told = format!("{headers:?} {}", callback.body);
        seen.push(masked(&told, recipient, &name, &code));
    }
    seen
}

/// Status, headers and body. Headers have no order of their own.
pub(super) fn told(answer: &Answer) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "date")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    format!("{} {headers:?} {}", answer.status, answer.text)
}

fn masked(text: &str, recipient: &str, name: &str, code: &str) -> String {
    let text = text
        .replace(name, "NAME")
        .replace(recipient, "RECIPIENT")
        .replace(code, "CODE");
    // A webhook's id is random; everything else that still has digits are times and ports.
    let text: Vec<String> = text
        .split("\"webhook-id\": \"")
        .enumerate()
        .map(|(place, part)| match part.split_once('"') {
            Some((_, rest)) if place > 0 => rest.to_owned(),
            _ => part.to_owned(),
        })
        .collect();
    shape(&text.join(" "))
}

/// The three names of a user.
fn names(name: &str, id: &str) -> [String; 3] {
    [
        name.to_owned(),
        format!("{name}@example.com"),
        id.to_owned(),
    ]
}

#[tokio::test]
async fn unable_recipients_are_one_and_the_same_in_every_byte() {
    let scene = Scene::set().await;
    let sender = scene.trader(0);
    let absent = names(ABSENT.0, ABSENT.1);
    for wait in [false, true] {
        for (place, absent) in absent.iter().enumerate() {
            let nobody = transcript(&scene, &sender, absent, wait).await;
            assert!(
                nobody[1].contains("\"recipient.unavailable\""),
                "{nobody:?}"
            );
            assert!(
                nobody[1].contains("\"recipient\":\"RECIPIENT\""),
                "{nobody:?}"
            );
            assert_eq!(nobody.len(), 5);
            for (name, id, status) in USERS {
                if status != "Active" {
                    let recipient = &names(name, id)[place];
                    let seen = transcript(&scene, &sender, recipient, wait).await;
                    assert_eq!(seen, nobody, "{recipient}");
                }
            }
        }
    }
    scene.books.audit().await;
}

#[tokio::test]
async fn reasons_of_the_sender_come_first_whoever_the_recipient_is() {
    let scene = Scene::set().await;
    // The second trader has no money.
    let sender = scene.trader(1);
    let mut seen = vec![];
    for wait in [false, true] {
        let mut all = vec![];
        for (name, id) in USERS
            .map(|(name, id, _)| (name, id))
            .into_iter()
            .chain([ABSENT])
        {
            for recipient in names(name, id) {
                // Lengths differ between the kinds of names only.
                let seen = transcript(&scene, &sender, &recipient, wait).await;
                all.push((recipient.len(), seen));
            }
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 3, "{all:#?}");
        seen.extend(all);
    }
    for (_, transcript) in seen {
        assert!(
            transcript[1].contains("\"balance.insufficient\""),
            "{transcript:?}"
        );
    }
    // Nothing was made for any of them.
    let made = "SELECT count(*) FROM book_main.accounts WHERE owner::text LIKE '%-9000-%'";
    assert_eq!(scene.books.number(made).await, 0);
    let trader = &scene.exchange.traders[1];
    let frozen = scene.put_user(&trader.id, "trader1", "", "Frozen").await;
    frozen.ok();
    for recipient in ["active", "frozen", "absent"] {
        let body = payment(recipient, "x", "");
        let answer = sender.post_with(INTERNAL, body, &[WAIT]).await.ok();
        assert_eq!(
            answer.json()["reason_code"],
            "account.frozen",
            "{recipient}"
        );
    }
    scene.books.audit().await;
}

#[tokio::test]
async fn a_name_means_one_user_in_any_case_and_turns_into_an_id_only_by_paying() {
    let scene = Scene::set().await;
    let sender = scene.trader(0);
    let (name, id, _) = USERS[0];
    for typed in [
        "ACTIVE".to_owned(),
        "Active@Example.COM".to_owned(),
        id.to_uppercase(),
        id.replace('-', ""),
        name.to_owned(),
    ] {
        let pending = sender.post(INTERNAL, payment(&typed, "", "")).await.ok();
        let shown = if typed.contains('@') || typed.eq_ignore_ascii_case(name) {
            typed.as_str()
        } else {
            id
        };
        assert_eq!(pending.text_of("recipient"), shown);
        let paid = sender
            .post_with(INTERNAL, payment(&typed, "", ""), &[WAIT])
            .await;
        assert_eq!(paid.ok().text_of("recipient"), id, "{typed}");
    }
    let own = &scene.exchange.traders[0].id;
    for typed in [own, &own.to_uppercase(), "TRADER0", "Trader0@example.com"] {
        let answer = sender.post(INTERNAL, payment(typed, "", "")).await;
        answer.refused(422, "recipient.is_sender");
    }
    scene.books.settled().await;
    scene.books.audit().await;
}

#[tokio::test]
async fn names_that_could_mean_two_users_are_refused() {
    let scene = Scene::set().await;
    let (_, id, _) = USERS[0];
    let put = async |name: &str, email: &str| scene.put_user(id, name, email, "Active").await;
    for (name, code) in [
        ("a@b", "username.invalid"),
        // Somebody's id, and one that somebody may get.
        (USERS[1].1, "username.is_id"),
        (ABSENT.1, "username.is_id"),
        (&ABSENT.1.to_uppercase().replace('-', ""), "username.is_id"),
    ] {
        put(name, "").await.refused(400, code);
    }
    put("FROZEN", "").await.refused(422, "username.taken");
    put("active", "Frozen@Example.com")
        .await
        .refused(422, "email.taken");
    // One's own id is no harm.
    put(id, "").await.ok();
}

#[tokio::test]
async fn what_failed_never_shows_in_the_recipient_s_list() {
    let scene = Scene::set().await;
    let sender = scene.trader(0);
    let (name, id, _) = USERS[1];
    for recipient in names(name, id) {
        let body = payment(&recipient, "", "");
        let answer = sender.post_with(INTERNAL, body, &[WAIT]).await.ok();
        assert_eq!(answer.text_of("status"), "rejected");
    }
    let body = payment("active", "", "").replace("0.001", "1000");
    let answer = sender.post_with(INTERNAL, body, &[WAIT]).await.ok();
    assert_eq!(answer.text_of("status"), "rejected");
    scene
        .put_user(id, name, "frozen@example.com", "Active")
        .await
        .ok();
    for id in [id, USERS[0].1] {
        let recipient = scene.token_of(id).await;
        assert_eq!(recipient.get(INTERNAL).await.ok().text, "[]");
    }
}
