//! Every point of a batch's course and of a callback's, everything that may happen there, and every
//! operation that passes it: nothing is lost, nothing happens twice, and what passes by itself passes
//! unnoticed.

mod written_ahead;

use std::collections::HashSet;

use bursar_postgres::{faults::Point, testing::TestDatabase};
use serde_json::{Value, json};

use super::{
    books::Books,
    call::{Call, Told},
    client::Client,
    eventually,
    exchange::{BULK, CANCEL, CONFIRM, DEPOSIT, Exchange, INTERNAL, Trader, WITHDRAW},
    load::{assert_same, assert_told, repeat},
    receiver::Receiver,
    service::{SINGLE_WRITER, Service, ready, strikes_in},
    trial::{forget, save},
    verify::{SEALED, verified},
};

/// What money requests do, and whether the caller waits until it is final.
const OPERATIONS: [(&str, bool); 8] = [
    (DEPOSIT, true),
    (DEPOSIT, false),
    (WITHDRAW, true),
    (CONFIRM, true),
    (CANCEL, true),
    (INTERNAL, true),
    (INTERNAL, false),
    (BULK, true),
];

/// Where a batch of a request that comes alone passes.
const OF_BATCHES: [Point; 6] = [
    Point::Taken,
    Point::AccountsKnown,
    Point::Locked,
    Point::Decided,
    Point::Written,
    Point::Committed,
];

const OF_CALLBACKS: [Point; 3] = [
    Point::CallbacksClaimed,
    Point::CallbackTried,
    Point::CallbackRecorded,
];

/// What happens there.
const ACTS: [&str; 6] = ["abort", "panic", "sleep", "refused", "40001", "lost"];

/// How often a cell is tried until the request itself was under way when somebody was struck.
const TRIES_MAX: usize = 10;

/// Whether the process does not outlive it.
fn is_lethal(act: &str) -> bool {
    matches!(act, "abort" | "panic")
}

/// What is committed is refused no more: such errors come before.
fn is_possible(point: Point, act: &str) -> bool {
    point != Point::Committed || !matches!(act, "refused" | "40001")
}

/// One service that is struck, again and again.
struct Scene {
    /// What its report is called.
    name: &'static str,
    url: String,
    settings: &'static [(&'static str, &'static str)],
    service: Option<Service>,
    exchange: Exchange,
    receiver: Receiver,
    books: Books,
    cells: usize,
    /// How many of them the log says were struck.
    hit: usize,
    /// How many requests were made, each with a note of its own.
    requests: usize,
    /// How many of them end a withdrawal.
    ends: usize,
    /// The notes of those that make two transfers.
    bulks: HashSet<String>,
    _database: TestDatabase,
}

impl Scene {
    async fn set(name: &'static str, settings: &'static [(&'static str, &'static str)]) -> Self {
        forget(name);
        let database = TestDatabase::create().await;
        let url = database.url().to_owned();
        let service = Service::start_with(&url, settings).await;
        let client = ready(&service).await;
        let exchange = Exchange::open(&url, &client, 3).await;
        exchange.fund_all(&client, "1000").await;
        Self {
            name,
            books: Books::of(&url),
            url,
            settings,
            service: Some(service),
            exchange,
            receiver: Receiver::start().await,
            cells: 0,
            hit: 0,
            requests: 0,
            ends: 0,
            bulks: HashSet::new(),
            _database: database,
        }
    }

    fn client(&self) -> Client {
        self.service.as_ref().unwrap().client()
    }

    /// Chooses what happens at a point.
    async fn arm(&self, point: Point, actions: &str) {
        self.service.as_ref().unwrap().arm(point, actions).await;
    }

    /// How often this process says that whoever came to the point was struck.
    fn strikes(&self, point: Point, act: &str) -> usize {
        self.service.as_ref().unwrap().strikes(point, act)
    }

    /// Whoever came to the point was struck, once more than `before`.
    async fn struck(&self, point: Point, act: &str, before: usize) {
        let what = format!("{act} at {}", point.name());
        eventually(&what, async || {
            (self.strikes(point, act) > before).then_some(())
        })
        .await;
    }

    /// Waits for the end of the process, which the log says was of this, and starts another.
    async fn start_again(&mut self, point: Point, act: &str, before: usize) {
        let ended = self.service.take().unwrap().ended().await;
        assert_ne!(ended.code, Some(0), "{}", ended.stderr);
        let strikes = strikes_in(&ended.stderr, point, act);
        assert!(
            strikes > before,
            "it died of something else: {}",
            ended.stderr
        );
        let service = Service::start_with(&self.url, self.settings).await;
        ready(&service).await;
        self.service = Some(service);
    }

    /// The key of the next request, which is its note, too, and where its callbacks go.
    fn next_key(&mut self) -> String {
        self.requests += 1;
        format!("cell{}", self.requests)
    }

    fn payment(&self, to: &Trader, key: &str) -> Value {
        json!({
            "currency_code": "BTC", "amount": "0.01", "recipient": to.id, "note": key,
            "callback_url": self.receiver.url(&format!("/{key}")),
        })
    }

    /// What a cell's request is, and everything before it.
    async fn call(&mut self, (path, waits): (&'static str, bool)) -> Call {
        let key = self.next_key();
        let [user, other, _] = &self.exchange.traders[..] else {
            panic!("there are three traders");
        };
        let url = self.receiver.url(&format!("/{key}"));
        let sent = self.payment(other, &key);
        let body = match path {
            INTERNAL => sent,
            BULK => {
                self.bulks.insert(key.clone());
                json!({"transfers": [sent, sent], "atomic": false})
            }
            CONFIRM | CANCEL => {
                let held = self.held(user, &key).await;
                self.ends += 1;
                json!({"userId": user.id, "transferId": held, "callbackUrl": url})
            }
            _ => json!({
                "userId": user.id, "assetId": "btc", "amount": "0.01", "comment": key,
                "callbackUrl": url,
            }),
        };
        let token = match path {
            INTERNAL | BULK => &user.token,
            _ => &self.exchange.backoffice,
        };
        Call::new(path, token, &key, &body, waits)
    }

    /// A withdrawal to be ended.
    async fn held(&self, user: &Trader, key: &str) -> String {
        let body = json!({
            "userId": user.id, "assetId": "btc", "amount": "0.01", "comment": key,
            "callbackUrl": self.receiver.url(&format!("/{key}held")),
        });
        let held = Call::new(
            WITHDRAW,
            &self.exchange.backoffice,
            &format!("{key}held"),
            &body,
            true,
        );
        held.send(&self.client()).await.answer.unwrap().ok().name()
    }

    /// Strikes one request.
    async fn strike(&mut self, operation: (&'static str, bool), point: Point, act: &str) {
        self.cells += 1;
        for _ in 0..TRIES_MAX {
            if self.try_strike(operation, point, act).await {
                self.hit += 1;
                return;
            }
        }
        let (path, point) = (operation.0, point.name());
        panic!("{path} {point} {act}: somebody else was struck each time");
    }

    /// Has whoever comes to the point next be struck; whether that was while a request was under way. Rarely
    /// a second settlement of the request before is struck, and this one is answered before or untouched.
    async fn try_strike(
        &mut self,
        operation: (&'static str, bool),
        point: Point,
        act: &str,
    ) -> bool {
        let call = self.call(operation).await;
        // What was answered before it was settled is settled by a batch of its own.
        self.books.settled().await;
        let before = self.strikes(point, act);
        self.arm(point, &format!("1*return({act})")).await;
        let client = self.client();
        let told = call.clone().send(&client).await;
        let cell = format!("{} {} {act}", operation.0, point.name());
        let is_in_time = if is_lethal(act) {
            self.start_again(point, act, before).await;
            !told.is_certain()
        } else {
            let is_in_time = self.strikes(point, act) > before;
            self.struck(point, act, before).await;
            self.arm(point, "off").await;
            let status = told.answer.as_ref().map(|answer| answer.status.as_u16());
            assert_eq!(status, Some(200), "{cell}: {:?}", told.answer);
            is_in_time
        };
        self.assert_once(&told, &cell).await;
        is_in_time
    }

    /// Whatever was told, the request has one effect, and always the same answer.
    async fn assert_once(&self, told: &Told, cell: &str) {
        let client = self.client();
        let first = match &told.answer {
            Some(answer) if told.is_certain() => answer.clone(),
            Some(_) | None => repeat(&told.call, &client).await,
        };
        assert_eq!(first.status, 200, "{cell}: {}", first.text);
        for _ in 0..2 {
            let again = repeat(&told.call, &client).await;
            if told.call.path() == BULK {
                assert!(again.is_replayed(), "{cell}");
                assert_eq!(codes(&first.text), codes(&again.text), "{cell}");
            } else {
                assert_same(&told.call, &first, &again);
            }
        }
    }

    /// Strikes the callback of one request.
    async fn strike_callback(&mut self, point: Point, act: &str) {
        self.cells += 1;
        let call = self.call((INTERNAL, true)).await;
        let before = self.strikes(point, act);
        self.arm(point, &format!("1*return({act})")).await;
        let sent = call.send(&self.client()).await;
        // It may die while it answers.
        if act != "abort" {
            sent.answer.unwrap().ok();
            self.struck(point, act, before).await;
        }
        // A panic while one is delivered is that delivery's own.
        if act == "abort" || (act == "panic" && point == Point::CallbacksClaimed) {
            self.start_again(point, act, before).await;
        } else {
            self.arm(point, "off").await;
        }
        self.hit += 1;
        self.books.let_leases_run_out().await;
        self.books.delivered().await;
    }

    /// Nothing is left over, missing, or there twice. What was tried is left as a report.
    async fn end(self) {
        self.books.settled().await;
        self.books.audit().await;
        self.books.let_leases_run_out().await;
        let ends_told = assert_told(&self.receiver, &self.books).await;
        assert_eq!(ends_told, self.ends);
        let notes = "SELECT note, kind, count(*) FROM book_main.transfers
            WHERE note LIKE 'cell%' GROUP BY note, kind";
        let notes = self.books.rows(notes).await;
        let named: HashSet<&str> = notes.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(named.len(), self.requests);
        // Whatever else made two made one of them twice.
        let wrong = notes.iter().find(|row| {
            let is_bulk = self.bulks.contains(&row[0]);
            row[2] != if is_bulk { "2" } else { "1" }
        });
        assert_eq!(wrong, None);
        verified(&self.url, &SEALED, 0).await;
        self.service.unwrap().stopped().await;
        let (name, cells, hit) = (self.name, self.cells, self.hit);
        println!("{name}: {cells} cells, {hit} struck; wrong in fewer than 3 of {cells} (95 %)");
        let report = json!({
            "what": name, "rounds": rounds(), "cells": cells, "struck": hit,
            "cells_gone_wrong_below": format!("3/{cells}"),
        });
        save(name, &report);
    }
}

/// The transfers of a bulk's answer.
fn codes(text: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(text).unwrap();
    let results = answer["results"].as_array().unwrap().iter();
    results.map(|one| one["code"].to_string()).collect()
}

/// How often everything is tried: once, unless `BURSAR_CHAOS_ROUNDS` says something else.
fn rounds() -> usize {
    std::env::var("BURSAR_CHAOS_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

#[test]
fn no_point_is_left_out() {
    let tried = [&OF_BATCHES[..], &[Point::WrittenAhead], &OF_CALLBACKS].concat();
    for point in Point::ALL {
        assert!(tried.contains(&point), "{}", point.name());
    }
}

/// Every operation, struck at these points.
async fn every_cell(
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
    points: &[Point],
) {
    let mut scene = Scene::set(name, settings).await;
    for _ in 0..rounds() {
        for operation in OPERATIONS {
            for point in points {
                for act in ACTS.into_iter().filter(|act| is_possible(*point, act)) {
                    scene.strike(operation, *point, act).await;
                }
            }
        }
    }
    scene.end().await;
}

#[tokio::test]
async fn whatever_happens_before_anything_is_written_is_no_harm() {
    every_cell("failpoints_before", &[], &OF_BATCHES[..3]).await;
}

#[tokio::test]
async fn whatever_happens_while_it_is_written_is_no_harm() {
    every_cell("failpoints_while", &[], &OF_BATCHES[3..]).await;
}

#[tokio::test]
async fn whatever_happens_to_a_single_writer_is_no_harm() {
    every_cell(
        "failpoints_single_writer",
        SINGLE_WRITER,
        &[Point::Locked, Point::Written, Point::Committed],
    )
    .await;
}

#[tokio::test]
async fn whatever_happens_round_a_callback_it_arrives() {
    let mut scene = Scene::set("failpoints_callbacks", &[]).await;
    for _ in 0..rounds() {
        for point in OF_CALLBACKS {
            for act in ACTS {
                scene.strike_callback(point, act).await;
            }
        }
    }
    scene.end().await;
}
