//! §1, callbacks of deposits and withdrawals.

use crate::{
    answer::{Answer, keys, members},
    clause::clauses,
    receiver::Receiver,
    scene::{CANCEL, CONFIRM, DEPOSIT, Scene, User, WITHDRAW, and, finish, open},
};

clauses! { "1.4 Callbacks of the back office", needs Callbacks,
    "Documented: deposit, callback fields": a_deposits_callback_has_eight_keys_in_order
        = "A deposit's callback has exactly `Amount`, `Status`, `Asset`, `Type`, `Id`, `CreatedAt`, `Fee`, `ErrorDetails`, in this order.",
    "Documented: withdraw, confirm, cancel, callback fields": a_withdrawals_callback_names_its_transfer_id
        = "Callbacks of withdrawals have `TransferId` in place of `Id`.",
    "Documented: `Amount`: 1.0": callback_amounts_are_exact_numbers
        = "`Amount` and `Fee` are exact JSON numbers with at least one decimal and no exponent.",
    "Documented: the samples of confirm and cancel show `Amount` 0.0; decision: the real amount": a_finished_withdrawals_callback_has_the_real_amount
        = "`Amount` of a confirm's and a cancel's callback is the real amount.",
    "Documented: `ErrorDetails` null": error_details_are_null_when_all_is_well
        = "`ErrorDetails` is `null` when nothing went wrong.",
    "Decision: the same bytes everywhere": callback_times_are_those_of_the_answer
        = "`CreatedAt` is the answer's `createdAt`, byte for byte.",
    "Documented: the creation URL": a_deposit_is_told_once_when_it_is_final
        = "A deposit's URL gets `Completed` once.",
    "Documented: AwaitingConfirmation in withdraw's callback": a_withdrawals_own_url_is_told_every_state
        = "A withdrawal's own URL gets `AwaitingConfirmation`, then the final state.",
    "Documented: confirm and cancel have a `callbackUrl`": a_finishing_url_is_told_the_result
        = "The URL of a confirm or cancel gets that operation's result and nothing else.",
    "Decision: equal URLs get one delivery": equal_urls_get_one_delivery
        = "A confirm with the withdrawal's own URL makes one delivery, not two.",
    "Documented: cancel, Failed: transfer cancellation failed": a_refused_finish_is_told_to_its_own_url
        = "A refused confirm or cancel sends `Failed` with `ErrorDetails` to its own URL only; the transfer is untouched.",
    "Decision: a URL not yet used for that operation": a_repeated_confirm_tells_a_new_url
        = "A repeated confirm tells a URL that was not yet used for it, and no other.",
}

struct Told {
    receiver: Receiver,
    user: User,
}

impl Told {
    async fn new(scene: &Scene) -> Self {
        Self {
            receiver: Receiver::start().await,
            user: scene.rich("eth", "10").await,
        }
    }

    async fn open(&self, scene: &Scene, path: &str, amount: &str, url: &str) -> Answer {
        let body = open(&self.user, "eth", amount);
        let body = and(body, "callbackUrl", self.receiver.url(url));
        scene.office().post(path, body).await.ok()
    }

    async fn finish(&self, scene: &Scene, path: &str, id: i64, url: &str) -> Answer {
        let body = and(
            finish(&self.user, id),
            "callbackUrl",
            self.receiver.url(url),
        );
        scene.office().post(path, body).await
    }
}

/// The body of a callback.
fn body(of: &Answer, amount: &str, status: &str, error: &str) -> String {
    let kind = of.text("type");
    let id = if kind == "Deposit" {
        "Id"
    } else {
        "TransferId"
    };
    format!(
        r#"{{"Amount":{amount},"Status":"{status}","Asset":"eth","Type":"{kind}","{id}":{},"CreatedAt":"{}","Fee":0.0,"ErrorDetails":{error}}}"#,
        of.id(),
        of.text("createdAt"),
    )
}

async fn a_deposits_callback_has_eight_keys_in_order(scene: Scene) {
    let told = Told::new(&scene).await;
    told.open(&scene, DEPOSIT, "1", "/a").await;
    let bodies = told.receiver.exactly("/a", 1).await;
    let expected = [
        "Amount",
        "Status",
        "Asset",
        "Type",
        "Id",
        "CreatedAt",
        "Fee",
        "ErrorDetails",
    ];
    assert_eq!(
        bodies.iter().map(|body| keys(body)).collect::<Vec<_>>(),
        [expected]
    );
}

async fn a_withdrawals_callback_names_its_transfer_id(scene: Scene) {
    let told = Told::new(&scene).await;
    let held = told.open(&scene, WITHDRAW, "1", "/a").await;
    let bodies = told.receiver.exactly("/a", 1).await;
    let expected = [
        "Amount",
        "Status",
        "Asset",
        "Type",
        "TransferId",
        "CreatedAt",
        "Fee",
        "ErrorDetails",
    ];
    assert_eq!(
        bodies.iter().map(|body| keys(body)).collect::<Vec<_>>(),
        [expected]
    );
    assert_eq!(bodies, [body(&held, "1.0", "AwaitingConfirmation", "null")]);
}

async fn callback_amounts_are_exact_numbers(scene: Scene) {
    let told = Told::new(&scene).await;
    for (number, (amount, is)) in [
        ("1", "1.0"),
        ("0.1", "0.1"),
        ("100", "100.0"),
        ("0.000000000000000001", "0.000000000000000001"),
        (
            "123456789012345.123456789012345678",
            "123456789012345.123456789012345678",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let url = format!("/{number}");
        told.open(&scene, DEPOSIT, amount, &url).await;
        let bodies = told.receiver.expect(&url, 1).await;
        let bodies = bodies.iter().map(|received| members(&received.body));
        let raw = |members: &[(String, String)], name: &str| {
            let found = members.iter().find(|(key, _)| key == name);
            found.map(|(_, raw)| raw.clone())
        };
        for members in bodies {
            assert_eq!(raw(&members, "Amount").as_deref(), Some(is));
            assert_eq!(raw(&members, "Fee").as_deref(), Some("0.0"));
        }
    }
}

async fn a_finished_withdrawals_callback_has_the_real_amount(scene: Scene) {
    let told = Told::new(&scene).await;
    for (path, status) in [(CONFIRM, "Completed"), (CANCEL, "Canceled")] {
        let held = scene.withdrawal(&told.user, "eth", "1.5").await;
        let url = format!("/{status}");
        told.finish(&scene, path, held.id(), &url).await.ok();
        let bodies = told.receiver.exactly(&url, 1).await;
        assert_eq!(bodies, [body(&held, "1.5", status, "null")]);
    }
}

async fn error_details_are_null_when_all_is_well(scene: Scene) {
    let told = Told::new(&scene).await;
    told.open(&scene, DEPOSIT, "1", "/a").await;
    let bodies = told.receiver.exactly("/a", 1).await;
    assert!(
        bodies
            .iter()
            .all(|body| body.ends_with(r#","ErrorDetails":null}"#))
    );
}

async fn callback_times_are_those_of_the_answer(scene: Scene) {
    let told = Told::new(&scene).await;
    let answer = told.open(&scene, DEPOSIT, "1", "/a").await;
    let expected = format!(r#""CreatedAt":"{}""#, answer.text("createdAt"));
    let bodies = told.receiver.exactly("/a", 1).await;
    assert!(
        bodies.iter().all(|body| body.contains(&expected)),
        "{bodies:?}"
    );
}

async fn a_deposit_is_told_once_when_it_is_final(scene: Scene) {
    let told = Told::new(&scene).await;
    let answer = told.open(&scene, DEPOSIT, "1", "/a").await;
    let bodies = told.receiver.exactly("/a", 1).await;
    assert_eq!(bodies, [body(&answer, "1.0", "Completed", "null")]);
}

async fn a_withdrawals_own_url_is_told_every_state(scene: Scene) {
    let told = Told::new(&scene).await;
    for (path, status) in [(CONFIRM, "Completed"), (CANCEL, "Canceled")] {
        let url = format!("/{status}");
        let held = told.open(&scene, WITHDRAW, "1", &url).await;
        told.receiver.expect(&url, 1).await;
        scene
            .office()
            .post(path, finish(&told.user, held.id()))
            .await
            .ok();
        let bodies = told.receiver.exactly(&url, 2).await;
        let begun = body(&held, "1.0", "AwaitingConfirmation", "null");
        assert_eq!(bodies, [begun, body(&held, "1.0", status, "null")]);
    }
}

async fn a_finishing_url_is_told_the_result(scene: Scene) {
    let told = Told::new(&scene).await;
    let held = told.open(&scene, WITHDRAW, "1", "/own").await;
    told.receiver.expect("/own", 1).await;
    told.finish(&scene, CONFIRM, held.id(), "/confirm")
        .await
        .ok();
    let result = body(&held, "1.0", "Completed", "null");
    assert_eq!(told.receiver.exactly("/confirm", 1).await, [result]);
    told.receiver.exactly("/own", 2).await;
}

async fn equal_urls_get_one_delivery(scene: Scene) {
    let told = Told::new(&scene).await;
    let held = told.open(&scene, WITHDRAW, "1", "/a").await;
    told.receiver.expect("/a", 1).await;
    told.finish(&scene, CONFIRM, held.id(), "/a").await.ok();
    told.receiver.exactly("/a", 2).await;
}

async fn a_refused_finish_is_told_to_its_own_url(scene: Scene) {
    let told = Told::new(&scene).await;
    for (first, then, code) in [
        (CANCEL, CONFIRM, "transfer.already_canceled"),
        (CONFIRM, CANCEL, "transfer.already_completed"),
    ] {
        let own = format!("{then}/own");
        let held = told.open(&scene, WITHDRAW, "1", &own).await;
        told.receiver.expect(&own, 1).await;
        let done = scene
            .office()
            .post(first, finish(&told.user, held.id()))
            .await
            .ok();
        let refused = told.finish(&scene, then, held.id(), then).await;
        let details = refused.refused(409, code).text("detail");
        let error = format!("{details:?}");
        let bodies = told.receiver.exactly(then, 1).await;
        assert_eq!(bodies, [body(&held, "1.0", "Failed", &error)]);
        told.receiver.exactly(&own, 2).await;
        let row = scene.row(&told.user, held.id(), &done.text("status")).await;
        assert_eq!(row["updatedAt"], done.text("updatedAt"));
    }
}

async fn a_repeated_confirm_tells_a_new_url(scene: Scene) {
    let told = Told::new(&scene).await;
    let held = scene.withdrawal(&told.user, "eth", "1").await;
    for url in ["/a", "/a", "/b"] {
        told.finish(&scene, CONFIRM, held.id(), url).await.ok();
    }
    for url in ["/a", "/b"] {
        let bodies = told.receiver.exactly(url, 1).await;
        assert_eq!(bodies, [body(&held, "1.0", "Completed", "null")]);
    }
}
