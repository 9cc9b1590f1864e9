//! Callbacks over a real socket, held against everything that verifies them: the reference
//! implementations of Standard Webhooks in Rust, Python and JavaScript, and the functions that
//! docs/CALLBACKS.md gives to receivers in these languages and Go.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    callbacks::{Scene, told, told_internal},
    exchange::{CANCEL, CONFIRM, DEPOSIT, WITHDRAW},
    receiver::Received,
    verifiers::{Case, Verifiers},
};

impl Scene {
    /// Issues a secret, for a user or for a client of the back office.
    async fn issue(&self, subscriber: serde_json::Value) -> String {
        let admin = self.service.client().with(&self.exchange.admin);
        let issued = admin.post("/admin/v1/callback-secrets", subscriber.to_string());
        issued.await.ok().text_of("secret")
    }

    async fn issue_to_the_office(&self) -> String {
        self.issue(json!({"subject": "backoffice"})).await
    }

    /// Every kind of callback that both APIs send, each as it arrived and as the documents have it.
    async fn every_callback(&self) -> Vec<(Received, String)> {
        let mut all = vec![];
        let deposit = self.open(DEPOSIT, "0.00000001", "/deposit").await;
        let body = told(&deposit, "0.00000001", "Completed", None);
        all.push((self.received("/deposit", 1).await, body));
        for (path, own, status) in [
            (CONFIRM, "/confirmed", "Completed"),
            (CANCEL, "/canceled", "Canceled"),
        ] {
            let held = self.open(WITHDRAW, "1", own).await;
            let begun = told(&held, "1.0", "AwaitingConfirmation", None);
            all.push((self.received(own, 1).await, begun));
            self.finish(path, &held.name(), "").await.ok();
            let ended = told(&held, "1.0", status, None);
            all.push((self.received(own, 2).await, ended));
            if path == CANCEL {
                let refused = self.finish(CONFIRM, &held.name(), "/refused").await;
                refused.refused(409, "transfer.already_canceled");
                let error = "The transfer is already canceled.";
                let failed = told(&held, "1.0", "Failed", Some(error));
                all.push((self.received("/refused", 1).await, failed));
            }
        }
        for (amount, path) in [("0.25000000", "/success"), ("1000.00000000", "/rejected")] {
            let body = told_internal(&self.send(amount, path).await, amount);
            all.push((self.received(path, 1).await, body));
        }
        all
    }

    /// The callback with this number that a path receives.
    async fn received(&self, path: &str, number: usize) -> Received {
        self.receiver.expect(path, number).await[number - 1].clone()
    }
}

/// What nobody must believe, made of what everybody must.
fn tampered(genuine: &Case) -> Vec<Case> {
    let later = genuine.timestamp.parse::<u64>().unwrap() + 1;
    let mut id = genuine.id.clone();
    let last = if id.pop() == Some('0') { '1' } else { '0' };
    id.push(last);
    let (version, signature) = genuine.signature.split_at(3);
    let mut cases = vec![
        Case {
            body: format!("{} ", genuine.body),
            ..genuine.clone()
        },
        Case {
            body: genuine.body.replacen("\"Completed\"", "\"Failed\"", 1) + "\n",
            ..genuine.clone()
        },
        Case {
            timestamp: later.to_string(),
            ..genuine.clone()
        },
        Case {
            id,
            ..genuine.clone()
        },
        Case {
            signature: format!("v2,{signature}"),
            ..genuine.clone()
        },
        Case {
            signature: format!("{version}{}", "A".repeat(43) + "="),
            ..genuine.clone()
        },
    ];
    for old in ["1000000000", "4000000000"] {
        cases.push(Case {
            timestamp: old.to_owned(),
            ..genuine.clone()
        });
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_verifies_believes_what_was_sent_and_nothing_else() {
    let scene = Scene::set().await;
    let office = scene.issue_to_the_office().await;
    let sender = &scene.exchange.traders[0].id;
    let users = scene.issue(json!({"user_id": sender})).await;
    let verifiers = tokio::task::spawn_blocking(Verifiers::set_up);
    let mut cases = vec![];
    for (received, body) in scene.every_callback().await {
        assert_eq!(received.body, body);
        let (secret, other) = if body.starts_with("{\"Amount\"") {
            (&office, &users)
        } else {
            (&users, &office)
        };
        let genuine = Case::of(&received, secret);
        assert_eq!(genuine.signature.split(' ').count(), 1);
        cases.extend(tampered(&genuine).into_iter().map(|case| (case, false)));
        // One subscriber's secret does not speak for another.
        cases.push((Case::of(&received, other), false));
        cases.push((genuine, true));
    }
    let statuses: BTreeSet<&str> = cases
        .iter()
        .filter_map(|(case, _)| case.body.split("tatus\":\"").nth(1)?.split('"').next())
        .collect();
    let documented = [
        "AwaitingConfirmation",
        "Canceled",
        "Completed",
        "Failed",
        "rejected",
        "success",
    ];
    assert_eq!(statuses, BTreeSet::from(documented));
    judge(&verifiers.await.unwrap(), cases);
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_rotation_the_old_secret_and_the_new_one_verify() {
    let scene = Scene::set().await;
    let verifiers = tokio::task::spawn_blocking(Verifiers::set_up);
    // Before anybody has asked for a secret there is one, which nobody knows.
    scene.open(DEPOSIT, "1", "/unknown").await;
    let unknown = scene.received("/unknown", 1).await;
    let first = scene.issue_to_the_office().await;
    scene.open(DEPOSIT, "1", "/first").await;
    let both = scene.received("/first", 1).await;
    let second = scene.issue_to_the_office().await;
    scene.open(DEPOSIT, "1", "/second").await;
    let rotated = scene.received("/second", 1).await;
    let mut cases = vec![
        (Case::of(&unknown, &first), false),
        (Case::of(&both, &first), true),
        (Case::of(&both, &second), false),
        (Case::of(&rotated, &first), true),
        (Case::of(&rotated, &second), true),
    ];
    for (received, signatures) in [(&unknown, 1), (&both, 2), (&rotated, 2)] {
        let sent = &received.headers["webhook-signature"];
        assert_eq!(sent.split(' ').count(), signatures, "{sent}");
    }
    // A third ends the first at once, and a secret that is ended signs nothing.
    let third = scene.issue_to_the_office().await;
    scene.open(DEPOSIT, "1", "/third").await;
    let last = scene.received("/third", 1).await;
    for (secret, good) in [(&first, false), (&second, true), (&third, true)] {
        cases.push((Case::of(&last, secret), good));
    }
    judge(&verifiers.await.unwrap(), cases);
}

fn judge(verifiers: &Verifiers, cases: Vec<(Case, bool)>) {
    let (cases, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let mut wrong = vec![];
    let all = verifiers.say(&cases);
    assert_eq!(all.len(), 7);
    for (name, said) in all {
        assert_eq!(said.len(), expected.len(), "{name}");
        let each = cases.iter().zip(&expected).zip(said);
        wrong.extend(
            each.filter(|((_, expected), said)| *expected != said)
                .map(|((case, _), said)| format!("{name} says {said} of {case:?}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
