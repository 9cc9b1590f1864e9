//! What callers are told when the database does not answer.

use std::sync::{Arc, Mutex};

use actix_web::http::Method;
use async_trait::async_trait;
use bursar_domain::{
    Bulk, Commit, IdempotencyKey, KeyScope, Transfer, TransferId, ledger::StoredClaim,
};
use bursar_ports::{BulkOutcome, CommitOutcome, StoreError, TransferStore};
use bursar_testkit::InMemoryStore;

use crate::{
    fakes::locked,
    world::{ALICE, ALICES, DEPOSIT, INTERNAL, OPERATOR, Sent, World},
};

/// A store that fails once, as it was told to.
struct Failing {
    inner: Arc<InMemoryStore>,
    next: Mutex<Option<StoreError>>,
}

impl Failing {
    fn check(&self) -> Result<(), StoreError> {
        locked(&self.next).take().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl TransferStore for Failing {
    async fn find(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.check()?;
        self.inner.find(id).await
    }

    async fn find_proven(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.inner.find_proven(id).await
    }

    async fn find_many(&self, ids: Vec<TransferId>) -> Result<Vec<Transfer>, StoreError> {
        self.check()?;
        self.inner.find_many(ids).await
    }

    async fn find_key(
        &self,
        scope: KeyScope,
        key: IdempotencyKey,
    ) -> Result<Option<StoredClaim>, StoreError> {
        self.inner.find_key(scope, key).await
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        self.check()?;
        self.inner.commit(batch).await
    }

    async fn rehearse(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        self.check()?;
        self.inner.rehearse(batch).await
    }

    async fn commit_bulk(&self, bulk: Bulk) -> Result<BulkOutcome, StoreError> {
        self.check()?;
        self.inner.commit_bulk(bulk).await
    }

    async fn list_unsettled(
        &self,
        older_than_ms: i64,
        limit: i64,
    ) -> Result<Vec<Transfer>, StoreError> {
        self.inner.list_unsettled(older_than_ms, limit).await
    }

    async fn list_expired(&self, limit: i64) -> Result<Vec<Transfer>, StoreError> {
        self.inner.list_expired(limit).await
    }

    fn leave_alone(&self, id: TransferId) {
        self.inner.leave_alone(id);
    }

    async fn list_reversals(&self, of: TransferId) -> Result<Vec<Transfer>, StoreError> {
        self.check()?;
        self.inner.list_reversals(of).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.check()
    }
}

fn world_that_fails(error: StoreError) -> World {
    World::over(|inner| {
        Arc::new(Failing {
            inner,
            next: Mutex::new(Some(error)),
        })
    })
}

fn secret_cause() -> bursar_ports::BoxError {
    "host=10.0.0.7 password=hunter2".into()
}

fn deposit() -> Sent {
    let body = format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":1}}"#);
    Sent::post(DEPOSIT, &body).bearer(OPERATOR)
}

fn internal() -> Sent {
    let body = r#"{"currency_code":"btc","amount":"1","recipient":"bob"}"#;
    Sent::post(INTERNAL, body).bearer(ALICES)
}

#[actix_web::test]
async fn an_overloaded_service_says_that_nothing_happened() {
    let world = world_that_fails(StoreError::Overloaded);
    let answer = world.send(deposit()).await;
    assert_eq!(
        answer.body,
        r#"{"type":"urn:bursar:problem:service.overloaded","title":"Service unavailable","status":503,"detail":"There is too much to do right now. Nothing happened.","instance":"req-1","code":"service.overloaded","outcome":"not_executed"}"#
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[actix_web::test]
async fn a_replica_that_waits_to_take_over_says_so() {
    let world = world_that_fails(StoreError::Standby);
    let answer = world.send(internal()).await;
    assert_eq!(answer.refusal(), (503, "service.standby".into()));
    assert_eq!(answer.json()["outcome"], "not_executed");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let ready = world_that_fails(StoreError::Standby);
    let answer = ready.send(Sent::new(Method::GET, "/health/ready")).await;
    assert_eq!(answer.refusal(), (503, "service.standby".into()));
}

#[actix_web::test]
async fn an_absent_database_says_that_nothing_happened_and_not_why() {
    let world = world_that_fails(StoreError::Unavailable(secret_cause()));
    let answer = world.send(deposit()).await;
    assert_eq!(answer.refusal(), (503, "service.unavailable".into()));
    assert_eq!(answer.json()["outcome"], "not_executed");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(!answer.body.contains("hunter2"));
    let ready = world_that_fails(StoreError::Unavailable(secret_cause()));
    let answer = ready.send(Sent::new(Method::GET, "/health/ready")).await;
    assert_eq!(answer.refusal(), (503, "service.unavailable".into()));
}

#[actix_web::test]
async fn a_lost_answer_names_the_transfer_that_exists_if_it_landed() {
    let world = World::new();
    world.store.lose_answers(1);
    let answer = world.send(deposit()).await;
    assert_eq!(answer.refusal(), (503, "outcome.unknown".into()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let problem = answer.json();
    assert_eq!(problem["outcome"], "unknown");
    assert_eq!(problem["transfer"], serde_json::json!({"id": 1}));
    assert!(world.transfer(1).await.is_some());

    world.store.lose_answers(1);
    let answer = world.send(internal()).await;
    assert_eq!(answer.refusal(), (503, "outcome.unknown".into()));
    let code = answer.json()["transfer"]["code"].clone();
    let path = format!("{INTERNAL}/{}", code.as_str().expect("a code"));
    let shown = world.send(Sent::get(&path).bearer(ALICES)).await.ok();
    assert_eq!(shown.json()["code"], code);
}

#[actix_web::test]
async fn a_bulk_whose_answer_is_lost_names_its_transfers_and_is_replayed() {
    let world = World::new();
    let item = r#"{"currency_code":"btc","amount":"1","recipient":"bob"}"#;
    let send = async || {
        let body = format!(r#"{{"transfers":[{item},{item}]}}"#);
        let sent = Sent::post(&format!("{INTERNAL}/bulk"), &body).bearer(ALICES);
        world.send(sent.header("Idempotency-Key", "k")).await
    };
    world.store.lose_answers(1);
    let lost = send().await;
    assert_eq!(lost.refusal(), (503, "outcome.unknown".into()));
    let named = lost.json()["transfer"]["codes"].clone();
    let told = send().await.ok();
    assert_eq!(told.header("idempotent-replayed"), Some("true"));
    let results = told.json()["results"].clone();
    assert_eq!(
        named,
        serde_json::json!([results[0]["code"], results[1]["code"]])
    );
}

#[actix_web::test]
async fn books_that_contradict_themselves_are_nobody_elses_business() {
    let world = world_that_fails(StoreError::Inconsistent {
        table: "accounts",
        detail: "hunter2".to_owned(),
    });
    let answer = world.send(deposit()).await;
    assert_eq!(
        answer.body,
        r#"{"type":"urn:bursar:problem:internal","title":"Internal error","status":500,"detail":"Something went wrong inside Bursar; the request id finds it in the logs.","instance":"req-1","code":"internal"}"#
    );
}
