//! Operators at work, each before a real browser.

use std::time::Duration;

use bursar_postgres::testing::TestDatabase;
use serde_json::{Value, json};

use super::{
    super::{
        books::Books,
        client::Client,
        exchange::{DEPOSIT, Exchange, Trader, WAIT, WITHDRAW},
        receiver::Receiver,
        service::Service,
    },
    browser::{Operator, operator},
    chromium::{Chromium, Window},
};

const EVERYTHING: &str =
    "backoffice_read,backoffice_write,backoffice_confirm,backoffice_approve,admin";

/// An exchange with two users and two operators.
pub(super) struct Office {
    pub(super) database: TestDatabase,
    pub(super) service: Service,
    pub(super) exchange: Exchange,
    pub(super) chromium: Chromium,
    anna: Operator,
    ben: Operator,
}

impl Office {
    pub(super) async fn open() -> Self {
        let database = TestDatabase::create().await;
        let service = Service::start(database.url()).await;
        let exchange = Exchange::open(database.url(), &service.client(), 2).await;
        for trader in &exchange.traders {
            for (asset, amount) in [("usd", "1000"), ("btc", "5")] {
                exchange
                    .fund(&service.client(), trader, asset, amount)
                    .await;
            }
        }
        Self {
            anna: Operator::create(database.url(), "anna", EVERYTHING).await,
            ben: Operator::create(database.url(), "ben", EVERYTHING).await,
            database,
            service,
            exchange,
            chromium: Chromium::start(),
        }
    }

    pub(super) fn alice(&self) -> &Trader {
        &self.exchange.traders[0]
    }

    fn api(&self) -> Client {
        self.service.client().with(&self.exchange.backoffice)
    }

    /// Somebody wants money out; the number of the transfer.
    pub(super) async fn withdrawal(&self, amount: &str, callback: Option<&str>) -> String {
        let body = json!({
            "userId": self.alice().id, "assetId": "usd", "amount": amount, "callbackUrl": callback,
        });
        self.api()
            .post(WITHDRAW, body.to_string())
            .await
            .ok()
            .name()
    }

    pub(super) async fn anna(&self) -> Window {
        self.sit_down(&self.anna).await
    }

    pub(super) async fn ben(&self) -> Window {
        self.sit_down(&self.ben).await
    }

    async fn sit_down(&self, who: &Operator) -> Window {
        let window = self.chromium.browser(&self.service).await;
        window.sign_in(who).await;
        window
    }

    async fn story(&self, id: &str) -> Value {
        self.exchange.story(&self.service.client(), id).await
    }

    async fn assert_is(&self, id: &str, status: &str) {
        assert_eq!(self.story(id).await["status"], status, "transfer {id}");
    }

    pub(super) async fn close(self) {
        self.service.stopped().await;
    }
}

fn row(id: &str) -> String {
    format!("#rows li[data-id=\"{id}\"]")
}

#[tokio::test]
async fn a_withdrawal_is_confirmed_by_keyboard_alone() {
    let office = Office::open().await;
    let (first, second) = (
        office.withdrawal("12.50", None).await,
        office.withdrawal("7", None).await,
    );
    let anna = office.anna().await;
    // To the queue, to the second row, its button, and once more.
    anna.press("gq").await;
    anna.find(&row(&second)).await;
    anna.press("jj").await;
    anna.press("c").await;
    let sentence = "Pays out 7 USD of trader0";
    let button = anna.run("return document.activeElement.innerText").await;
    assert!(button.as_str().unwrap().contains(sentence), "{button}");
    office.assert_is(&second, "AwaitingConfirmation").await;
    anna.press("c").await;
    anna.is_told_of(&second).await;
    office.assert_is(&second, "Completed").await;
    office.assert_is(&first, "AwaitingConfirmation").await;
    // And the other one is canceled.
    anna.find(&row(&first)).await;
    anna.press("jxx").await;
    anna.is_told_of(&first).await;
    office.assert_is(&first, "Canceled").await;

    // The log says who it was, in which session and which request.
    let log = office.service.client().with(&office.exchange.admin);
    let log = log.get("/admin/v1/audit?limit=50").await.ok().json();
    for (action, id) in [
        ("withdrawal.confirm", &second),
        ("withdrawal.cancel", &first),
    ] {
        let mut rows = log["data"].as_array().unwrap().iter();
        let row = rows.find(|row| row["action"] == action).unwrap();
        assert_eq!(row["actor"], "anna", "{row}");
        assert_eq!(row["target"], format!("transfer:{id}"), "{row}");
        let credential = row["credential"].as_str().unwrap();
        assert!(credential.starts_with("session:"), "{row}");
        assert_eq!(row["request_id"].as_str().unwrap().len(), 32, "{row}");
    }
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn of_two_operators_at_one_row_one_wins_and_the_other_is_told() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let (anna, ben) = (office.anna().await, office.ben().await);
    for window in [&anna, &ben] {
        // A window that hears of nothing until it is too late.
        window.without_script().await;
        window.open("/console/queue").await;
        window.click(&format!("{} summary", row(&id))).await;
    }
    anna.click(&format!("{} button[data-key=c]", row(&id)))
        .await;
    anna.is_told_of(&id).await;
    office.assert_is(&id, "Completed").await;
    ben.click(&format!("{} button[data-key=x]", row(&id))).await;
    ben.sees("Completed").await;
    office.assert_is(&id, "Completed").await;
    assert_eq!(office.story(&id).await["confirmed_by"], "anna");
    anna.close().await;
    ben.close().await;
    office.close().await;
}

#[tokio::test]
async fn who_is_at_a_row_is_seen_by_the_others() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let (anna, ben) = (office.anna().await, office.ben().await);
    anna.open("/console/queue").await;
    anna.press("jtt").await;
    anna.sees("Yours until").await;
    ben.open("/console/queue").await;
    ben.sees("anna until").await;
    // Whoever goes on nevertheless is asked once more.
    ben.press("jcc").await;
    ben.sees("anna has taken it until").await;
    office.assert_is(&id, "AwaitingConfirmation").await;
    anna.click(&format!("{} summary", row(&id))).await;
    anna.press("tt").await;
    anna.sees("is free for others again").await;
    ben.open("/console/queue").await;
    ben.press("jcc").await;
    ben.is_told_of(&id).await;
    office.assert_is(&id, "Completed").await;
    anna.close().await;
    ben.close().await;
    office.close().await;
}

#[tokio::test]
async fn a_search_is_a_link_and_its_file_is_that_view() {
    let office = Office::open().await;
    let wanted = [
        office.withdrawal("31.01", None).await,
        office.withdrawal("31.02", None).await,
    ];
    let _other = office.withdrawal("50", None).await;
    let anna = office.anna().await;
    anna.write("#find", "31.01 usd").await;
    anna.press("\u{E007}").await;
    anna.find(&format!("#rows [data-id=\"{}\"]", wanted[0]))
        .await;
    let link = "/console/transfers?kind=withdrawal&asset=usd&min=31&max=32";
    anna.open(link).await;
    let shown = "return [...document.querySelectorAll('#rows [data-id]')].map(r => r.dataset.id)";
    let shown = anna.run(shown).await;
    assert_eq!(shown, json!([wanted[1], wanted[0]]));
    let file = anna
        .come_to(
            "const done = arguments[arguments.length - 1];
             const link = [...document.querySelectorAll('a')].find(a => a.href.includes('.csv'));
             fetch(link.href).then(r => r.text()).then(done);",
        )
        .await;
    let lines: Vec<&str> = file.as_str().unwrap().lines().collect();
    assert!(
        lines[0].contains("id") && lines[0].contains("amount"),
        "{lines:?}"
    );
    let is_of =
        |line: &&str, id: &String| line.split(',').any(|field| field.trim_matches('"') == id);
    assert!(
        is_of(&lines[1], &wanted[1]) && is_of(&lines[2], &wanted[0]),
        "{lines:?}"
    );
    assert!(lines[1].contains("31.02") && !lines.iter().any(|line| line.contains("50.00")));
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn a_dead_callback_is_sent_again() {
    let office = Office::open().await;
    let receiver = Receiver::start().await;
    let id = office
        .withdrawal("12.50", Some(&receiver.url("/hook")))
        .await;
    receiver.expect("/hook", 1).await;
    let books = Books::of(office.database.url());
    // Else what came of the attempt is written over it.
    books.delivered().await;
    books
        .tampered("UPDATE book_main.callbacks SET state = 'dead', next_attempt_at = NULL")
        .await;
    let anna = office.anna().await;
    anna.open(&format!("/console/transfers/{id}")).await;
    anna.click("form[action*=\"/replay\"] button, button[formaction*=\"/replay\"]")
        .await;
    receiver.expect("/hook", 2).await;
    anna.find("header.bar").await;
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn a_user_who_is_frozen_meanwhile_is_paid_nothing() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let anna = office.anna().await;
    anna.open("/console/queue").await;
    anna.press("jc").await;
    let ben = office.ben().await;
    ben.open(&format!("/console/users/{}", office.alice().id))
        .await;
    let reason = "textarea[name=reason], input[name=reason]";
    ben.write(reason, "Asked by the police").await;
    ben.click("form[action$=\"/status\"] button").await;
    ben.sees("The user is frozen").await;
    anna.press("c").await;
    anna.sees("frozen").await;
    let status = office.story(&id).await["status"].clone();
    assert_ne!(status, "Completed");
    anna.close().await;
    ben.close().await;
    office.close().await;
}

#[tokio::test]
async fn a_second_window_hears_of_what_is_new() {
    let office = Office::open().await;
    let anna = office.anna().await;
    anna.open("/console/queue").await;
    anna.sees("Nothing waits.").await;
    // It listens before anything happens.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let id = office.withdrawal("12.50", None).await;
    anna.sees("1 new").await;
    anna.click("#news a").await;
    anna.find(&row(&id)).await;
    // What somebody else confirms can no longer be acted upon here.
    let ben = office.ben().await;
    ben.open("/console/queue").await;
    ben.press("jcc").await;
    ben.is_told_of(&id).await;
    anna.sees("Changed meanwhile").await;
    anna.click(&format!("{} summary", row(&id))).await;
    let button = format!("{} button[data-key=c]", row(&id));
    assert!(!anna.is_enabled(&button).await);
    anna.close().await;
    ben.close().await;
    office.close().await;
}

#[tokio::test]
async fn a_form_on_another_site_changes_nothing() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let anna = office.anna().await;
    let target = format!("{}/console/transfers/{id}/confirm", anna.base);
    anna.open_elsewhere(&format!(
        "data:text/html,<form method=post action=\"{target}\"><button id=go>Win</button></form>"
    ))
    .await;
    anna.click("#go").await;
    anna.sees("This came from another site").await;
    office.assert_is(&id, "AwaitingConfirmation").await;
    // Who is signed in still is, and somebody who takes the session away is obeyed at once.
    anna.open("/console/queue").await;
    anna.find(&row(&id)).await;
    let out = operator(office.database.url(), &["disable", "anna"]).await;
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    anna.press("jcc").await;
    anna.sees("Sign in").await;
    office.assert_is(&id, "AwaitingConfirmation").await;
    anna.close().await;
    office.close().await;
}

#[tokio::test]
async fn everything_goes_without_script() {
    let office = Office::open().await;
    let id = office.withdrawal("12.50", None).await;
    let anna = office.chromium.browser(&office.service).await;
    anna.without_script().await;
    anna.sign_in(&office.anna).await;
    anna.click("nav a[href=\"/console/queue\"]").await;
    anna.click(&format!("{} summary", row(&id))).await;
    anna.click(&format!("{} button[data-key=c]", row(&id)))
        .await;
    anna.is_told_of(&id).await;
    office.assert_is(&id, "Completed").await;
    anna.close().await;
    office.close().await;
}

/// A deposit for somebody, which settles at once.
pub(super) async fn deposit(office: &Office, amount: &str) -> String {
    let body = json!({"userId": office.alice().id, "assetId": "btc", "amount": amount});
    let made = office
        .api()
        .post_with(DEPOSIT, body.to_string(), &[WAIT])
        .await;
    made.ok().name()
}
