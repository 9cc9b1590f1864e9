//! What is worth more than one operator's word: a second one must approve it.

use serde_json::json;

use super::{
    callbacks::{Scene, told},
    client::{Answer, Client},
    exchange::{CANCEL, CONFIRM, DEPOSIT, Exchange, WAIT, WITHDRAW},
};

/// A scene with a policy on deposits and withdrawals above 1 btc, and three operators.
struct Policy {
    scene: Scene,
    maker: Client,
    confirmer: Client,
    second: Client,
}

impl Policy {
    async fn set() -> Self {
        let scene = Scene::set().await;
        let client = scene.service.client();
        let rule = json!({"approval_above": "1"});
        for kind in ["deposit", "withdrawal"] {
            let path = format!("/limits/{kind}/btc");
            scene.exchange.rule(&client, &path, &rule).await;
        }
        // Each may do everything, so that only who did what decides.
        let all = [
            "backoffice_write",
            "backoffice_confirm",
            "backoffice_approve",
        ];
        let exchange = &scene.exchange;
        Self {
            maker: exchange.operator(&client, "maker", &all).await,
            confirmer: exchange.operator(&client, "confirmer", &all).await,
            second: exchange.operator(&client, "second", &all).await,
            scene,
        }
    }

    async fn open(&self, path: &str, amount: &str, callbacks: &str) -> Answer {
        let body = json!({
            "userId": self.scene.exchange.traders[0].id, "assetId": "btc", "amount": amount,
            "callbackUrl": self.scene.receiver.url(callbacks),
        });
        let answer = self.maker.post_with(path, body.to_string(), &[WAIT]).await;
        answer.ok()
    }

    async fn finish(&self, path: &str, id: &str, callbacks: &str) -> Answer {
        let body = json!({
            "userId": self.scene.exchange.traders[0].id, "transferId": id,
            "callbackUrl": self.scene.receiver.url(callbacks),
        });
        self.confirmer
            .post_with(path, body.to_string(), &[WAIT])
            .await
    }

    /// A withdrawal of 2 btc that somebody confirmed, and that now waits.
    async fn confirmed(&self, own: &str, confirm: &str) -> Answer {
        let held = self.open(WITHDRAW, "2", own).await;
        let waits = self.finish(CONFIRM, &held.name(), confirm).await.ok();
        assert_eq!(waits.text_of("status"), "AwaitingConfirmation");
        assert_eq!(waits.header("preference-applied"), None);
        held
    }

    async fn review(&self, who: &Client, word: &str, id: &str, body: &str) -> Answer {
        let path = format!("/admin/v1/transfers/{id}/{word}");
        who.post(&path, body).await
    }

    async fn balance(&self) -> (String, String) {
        let client = self.scene.service.client();
        Exchange::balance(&client, &self.scene.exchange.traders[0], "BTC").await
    }

    async fn digest(&self, id: &str) -> String {
        let client = self.scene.service.client();
        let story = self.scene.exchange.story(&client, id).await;
        assert_eq!(story["stage"], "approval");
        story["approval_digest"].as_str().unwrap().to_owned()
    }
}

fn balance(available: &str, frozen: &str) -> (String, String) {
    (available.to_owned(), frozen.to_owned())
}

#[tokio::test]
async fn a_withdrawal_above_the_policy_completes_with_a_second_operator_only() {
    let policy = Policy::set().await;
    let held = policy.confirmed("/own", "/confirm").await;
    let id = held.name();
    let shown = policy.digest(&id).await;
    for who in [&policy.maker, &policy.confirmer] {
        for word in ["approve", "reject"] {
            let answer = policy.review(who, word, &id, "{}").await;
            answer.refused(403, "approval.same_operator");
        }
    }
    // Somebody changed it behind everybody's back: nobody goes on from that.
    let change = format!("UPDATE book_main.transfers SET note = concat(note, '!') WHERE id = {id}");
    policy.scene.books.rows(&change).await;
    let body = json!({"digest": shown}).to_string();
    let forged = policy.review(&policy.second, "approve", &id, &body).await;
    forged.refused(500, "internal");
    let back = "SET note = nullif(left(note, -1), '')";
    let back = format!("UPDATE book_main.transfers {back} WHERE id = {id}");
    policy.scene.books.rows(&back).await;
    // What was shown is not what would be paid.
    let other = json!({"digest": "0".repeat(shown.len())}).to_string();
    let void = policy.review(&policy.second, "approve", &id, &other).await;
    void.refused(409, "approval.digest_mismatch");
    assert_eq!(policy.balance().await, balance("8.00000000", "2.00000000"));

    let body = json!({"digest": policy.digest(&id).await}).to_string();
    let done = policy.review(&policy.second, "approve", &id, &body).await;
    assert_eq!(done.ok().text_of("status"), "Completed");
    assert_eq!(policy.balance().await, balance("8.00000000", "0.00000000"));
    let again = policy.review(&policy.second, "approve", &id, "").await;
    assert_eq!(again.ok().text_of("status"), "Completed");

    let begun = told(&held, "2.0", "AwaitingConfirmation", None);
    let ended = told(&held, "2.0", "Completed", None);
    let confirm = std::slice::from_ref(&ended);
    policy.scene.expect("/confirm", confirm).await;
    let own = policy.scene.receiver.bodies("/own");
    assert_eq!(own.last(), Some(&ended));
    assert!(own.len() == 1 || own == [begun, ended.clone()], "{own:?}");
    policy.scene.books.audit().await;
}

#[tokio::test]
async fn a_withdrawal_that_is_rejected_or_cancelled_gives_its_hold_back() {
    let policy = Policy::set().await;
    let rejected = policy.confirmed("/own", "/confirm").await;
    let id = rejected.name();
    let answer = policy
        .review(&policy.second, "reject", &id, "{}")
        .await
        .ok();
    assert_eq!(answer.text_of("status"), "Failed");
    assert_eq!(answer.text_of("reason_code"), "approval.rejected");
    let error = "The second operator rejected the transfer.";
    let failed = told(&rejected, "2.0", "Failed", Some(error));
    policy.scene.expect("/confirm", &[failed]).await;

    let canceled = policy.confirmed("/own", "/later").await;
    let id = canceled.name();
    policy.finish(CANCEL, &id, "/cancel").await.ok();
    let late = policy.review(&policy.second, "approve", &id, "{}").await;
    late.refused(409, "transfer.already_canceled");
    let ended = told(&canceled, "2.0", "Canceled", None);
    policy
        .scene
        .expect("/cancel", std::slice::from_ref(&ended))
        .await;
    policy.scene.expect("/later", &[ended]).await;
    assert_eq!(policy.balance().await, balance("10.00000000", "0.00000000"));
    policy.scene.books.audit().await;
}

#[tokio::test]
async fn a_deposit_above_the_policy_stays_pending_until_somebody_approves() {
    let policy = Policy::set().await;
    let held = policy.open(DEPOSIT, "2", "/deposit").await;
    assert_eq!(held.text_of("status"), "Pending");
    assert_eq!(held.header("preference-applied"), None);
    let at_the_policy = policy.open(DEPOSIT, "1", "/other").await;
    assert_eq!(at_the_policy.text_of("status"), "Completed");
    assert_eq!(policy.balance().await, balance("11.00000000", "0.00000000"));
    let maker = policy
        .review(&policy.maker, "approve", &held.name(), "")
        .await;
    maker.refused(403, "approval.same_operator");
    let done = policy
        .review(&policy.second, "approve", &held.name(), "")
        .await;
    assert_eq!(done.ok().text_of("status"), "Completed");
    assert_eq!(policy.balance().await, balance("13.00000000", "0.00000000"));
    let expected = told(&held, "2.0", "Completed", None);
    policy.scene.expect("/deposit", &[expected]).await;
    policy.scene.books.audit().await;
}

#[tokio::test]
async fn an_owner_who_is_frozen_between_confirm_and_approval_is_not_paid() {
    let policy = Policy::set().await;
    let id = policy.confirmed("/own", "/confirm").await.name();
    let user = |status: &str| {
        json!({"username": "trader0", "email": "", "roles": [], "status": status}).to_string()
    };
    let client = policy.scene.service.client();
    let admin = client.with(&policy.scene.exchange.admin);
    let path = format!("/admin/v1/users/{}", policy.scene.exchange.traders[0].id);
    admin.put(&path, user("Frozen")).await.ok();
    let refused = policy.review(&policy.second, "approve", &id, "{}").await;
    refused.refused(422, "account.frozen");
    assert_eq!(policy.balance().await, balance("8.00000000", "2.00000000"));
    admin.put(&path, user("Active")).await.ok();
    let done = policy.review(&policy.second, "approve", &id, "{}").await;
    assert_eq!(done.ok().text_of("status"), "Completed");
    policy.scene.books.audit().await;
}
