//! Who hears callbacks, and what they answer.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bursar_app::Keyring;
use bursar_domain::{Status, TransferId};
use bursar_ports::{Delivered, Notification, Notifier, Undelivered};
use serde_json::Value;

use crate::{bank::Bank, world::World};

/// How many receivers there are.
pub(crate) const RECEIVERS: u64 = 4;

/// What a receiver heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) url: String,
    pub(crate) webhook_id: String,
    pub(crate) transfer: TransferId,
    pub(crate) status: Status,
    pub(crate) error: Option<String>,
    /// Whether Bursar need not tell it again: it was taken, or the receiver is gone for good.
    pub(crate) settled: bool,
}

/// All receivers.
pub(crate) struct Receivers {
    pub(crate) bank: Arc<Bank>,
    pub(crate) keyring: Arc<Keyring>,
    heard: Mutex<Vec<Heard>>,
}

/// What a receiver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Takes,
    TakesSlowly,
    Fails,
    IsGone,
    IsSilent,
    TakesAndBreaksOff,
}

impl Receivers {
    pub(crate) fn new(bank: Arc<Bank>, keyring: Arc<Keyring>) -> Arc<Self> {
        Arc::new(Self {
            bank,
            keyring,
            heard: Mutex::default(),
        })
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// What a POST tells, judged at once: nothing may be told that is not committed.
    fn hear(&self, notification: &Notification) -> usize {
        let body: Value = serde_json::from_str(&notification.body).unwrap();
        let transfer = self.transfer_of(&body);
        let status = body.get("status").or_else(|| body.get("Status")).unwrap();
        let status = Status::from_name(status.as_str().unwrap()).unwrap();
        let error = body.get("ErrorDetails").and_then(Value::as_str);
        let heard = Heard {
            url: notification.url.clone(),
            webhook_id: notification.webhook_id.clone(),
            transfer,
            status,
            error: error.map(str::to_owned),
            settled: false,
        };
        let told = format!("{} of {transfer} at {}", status.as_str(), heard.url);
        self.bank
            .world
            .note(format_args!("POST {} {told}", heard.webhook_id));
        let drafts = self.bank.books.callbacks(transfer);
        let is_due = drafts
            .iter()
            .any(|draft| (&draft.url, draft.status) == (&heard.url, status));
        // A refused operation is told as failed, whatever the transfer is.
        let is_true = self.bank.was(transfer, status) || heard.error.is_some();
        if !is_due || !is_true {
            let wrong = format!("R6: told {told}, which was not committed");
            self.bank.world.complain(wrong);
        }
        let mut all = self.heard.lock().unwrap();
        all.push(heard);
        all.len() - 1
    }

    fn transfer_of(&self, body: &Value) -> TransferId {
        if let Some(code) = body.get("code").and_then(Value::as_str) {
            return self.keyring.read_transfer_code(code).unwrap().0;
        }
        let id = body.get("Id").or_else(|| body.get("TransferId")).unwrap();
        TransferId::try_new(id.as_i64().unwrap()).unwrap()
    }

    fn settle(&self, number: usize) {
        self.heard.lock().unwrap()[number].settled = true;
    }

    fn manner(&self) -> Manner {
        if self.bank.world.is_mended() {
            return Manner::Takes;
        }
        match self.bank.world.throw(|dice| dice.below(100)) {
            0..=9 => Manner::Fails,
            10..=11 => Manner::IsGone,
            12..=17 => Manner::IsSilent,
            18..=23 => Manner::TakesAndBreaksOff,
            24..=33 => Manner::TakesSlowly,
            _ => Manner::Takes,
        }
    }
}

/// One replica's way to the receivers.
pub(crate) struct ReplicaNotifier {
    pub(crate) receivers: Arc<Receivers>,
    pub(crate) replica: usize,
}

#[async_trait]
impl Notifier for ReplicaNotifier {
    async fn notify(&self, notification: Notification) -> Result<Delivered, Undelivered> {
        let world = &self.receivers.bank.world;
        World::pause().await;
        if world.fault(50) {
            world.see("receiver refused the connection");
            return Err(Undelivered::Connect);
        }
        let number = self.receivers.hear(&notification);
        World::pause().await;
        let manner = self.receivers.manner();
        world.note(format_args!("the receiver {manner:?}"));
        let answered = |http_status| Undelivered::Answered {
            http_status,
            retry_after_ms: None,
        };
        let outcome = match manner {
            Manner::Takes => Ok(()),
            Manner::TakesSlowly => {
                world.nap(14_000).await;
                Ok(())
            }
            Manner::Fails => Err(answered(500)),
            Manner::IsGone => {
                world.see("receiver gone for good");
                self.receivers.settle(number);
                Err(answered(410))
            }
            Manner::IsSilent => {
                world.see("receiver silent");
                world.sleep_ms(15_000).await;
                Err(Undelivered::Timeout)
            }
            Manner::TakesAndBreaksOff => {
                world.see("receiver took it, and its answer was lost");
                Err(Undelivered::Broken)
            }
        };
        if outcome.is_ok() {
            self.receivers.settle(number);
        }
        let when = "died between POST and mark";
        world.may_die(self.replica, 30, when).await;
        outcome.map(|()| Delivered { http_status: 200 })
    }
}
