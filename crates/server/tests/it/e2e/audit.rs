//! The audit finds what it is there to find: books that are tampered with do not pass.

use bursar_audit::Rule;
use bursar_postgres::testing::TestDatabase;
use serde_json::json;

use super::{
    books::Books,
    exchange::{Exchange, INTERNAL, WAIT, WITHDRAW},
    service::Service,
};

/// What somebody does to the books, how it is undone, and what the audit says of it.
const TAMPERED: [(&str, &str, Rule); 8] = [
    (
        "UPDATE book_main.accounts SET seq = seq + 1 WHERE id = 1",
        "UPDATE book_main.accounts SET seq = seq - 1 WHERE id = 1",
        Rule::NumberedWithoutGap,
    ),
    (
        "UPDATE book_main.accounts SET available = available + 1 WHERE id = 1",
        "UPDATE book_main.accounts SET available = available - 1 WHERE id = 1",
        Rule::SumsToZero,
    ),
    (
        "UPDATE book_main.accounts SET available = available - 1, held = held + 1 WHERE id = 1",
        "UPDATE book_main.accounts SET available = available + 1, held = held - 1 WHERE id = 1",
        Rule::BalanceIsItsEntries,
    ),
    (
        "UPDATE book_main.entries SET available_delta = available_delta + 1 WHERE account_id = 1",
        "UPDATE book_main.entries SET available_delta = available_delta - 1 WHERE account_id = 1",
        Rule::SumsToZero,
    ),
    (
        "UPDATE book_main.entries SET transfer_id = transfer_id + 100 WHERE account_id = 1",
        "UPDATE book_main.entries SET transfer_id = transfer_id - 100 WHERE account_id = 1",
        Rule::MovesWhatItSays,
    ),
    (
        "UPDATE book_main.entries SET available_after = available_after + 1 WHERE seq = 1",
        "UPDATE book_main.entries SET available_after = available_after - 1 WHERE seq = 1",
        Rule::FollowsFromTheLast,
    ),
    (
        "UPDATE book_main.transfers SET amount = amount + 1 WHERE state = 'AwaitingConfirmation'",
        "UPDATE book_main.transfers SET amount = amount - 1 WHERE state = 'AwaitingConfirmation'",
        Rule::HeldIsOpen,
    ),
    (
        "UPDATE book_main.transfers SET state = 'Pending' WHERE state = 'Success'",
        "UPDATE book_main.transfers SET state = 'Success' WHERE state = 'Pending'",
        Rule::MovesWhatItSays,
    ),
];

#[tokio::test]
async fn books_that_are_wrong_do_not_pass() {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 2).await;
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    exchange.fund(&client, alice, "btc", "1").await;
    let body = json!({"userId": alice.id, "assetId": "btc", "amount": "0.25"});
    let backoffice = client.with(&exchange.backoffice);
    backoffice.post(WITHDRAW, body.to_string()).await.ok();
    let body = json!({"currency_code": "btc", "amount": "0.5", "recipient": bob.id});
    let trading = client.with(&alice.token);
    let sent = trading.post_with(INTERNAL, body.to_string(), &[WAIT]).await;
    assert_eq!(sent.ok().text_of("status"), "success");
    // It would put some of it right.
    service.stopped().await;

    let books = Books::of(database.url());
    books.audit().await;
    for (tamper, undo, expected) in TAMPERED {
        books.tampered(tamper).await;
        let found: Vec<_> = books
            .faults()
            .await
            .into_iter()
            .map(|one| one.rule)
            .collect();
        assert!(found.contains(&expected), "{tamper}: {found:?}");
        books.tampered(undo).await;
        books.audit().await;
    }
}
