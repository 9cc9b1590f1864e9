//! A transfer's page: everything about it in one place.

use bursar_domain::{AccountKey, Entry, FeeSchedule, Kind, Operation, Rules, Status};
use bursar_ports::{AuditRecord, CallbackAttempt, CallbackRecord, CallbackState};
use bursar_testkit::{build, fakes::locked};
use uuid::Uuid;

use crate::{
    browser::Browser,
    world::{ALICE, NOW, OLGA, World, operator},
};

/// An exchange need not have the asset in which limits over all assets are counted.
#[actix_web::test]
async fn a_transfer_has_a_page_where_the_root_asset_is_not_there() {
    let world = World::empty();
    world.put_asset("btc", 8);
    world.put_user(ALICE, "alice");
    let id = world.fund(ALICE, "btc", "1").await;
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get(&format!("/console/transfers/{id}")).await.ok();
    let text = page.text();
    assert!(
        text.contains("No limit binds transfers of this kind"),
        "{text}"
    );
}

#[actix_web::test]
async fn a_withdrawal_tells_who_did_what_and_what_moved() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    world.fees("btc", 10_000);
    let id = world
        .withdrawal_noted(ALICE, "btc", "0.25", Some("for <b>rent</b>"))
        .await;
    world.clock.advance_ms(60_000);
    world.confirm("carla", id).await;
    let btc = build::asset_id("btc");
    let line = |held: i128, at| Entry {
        account: AccountKey::user(ALICE, btc),
        seq: 2,
        transfer: id,
        available_delta: 0,
        held_delta: held,
        available_after: 74_990_000,
        held_after: 25_010_000,
        at,
    };
    *locked(&world.query.entries) = vec![
        line(25_010_000, NOW),
        line(-25_010_000, NOW.plus_micros(60_000_000)),
    ];
    *locked(&world.audit_log.records) = vec![AuditRecord {
        id: Uuid::from_u128(1),
        at: NOW.plus_micros(60_000_000),
        actor: "carla".to_owned(),
        credential: "session:17".to_owned(),
        request_id: "request-9".to_owned(),
        address: "192.0.2.1".to_owned(),
        action: "withdrawal.confirm".to_owned(),
        target: format!("transfer:{id}"),
        before: None,
        after: None,
    }];
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get(&format!("/console/transfers/{id}")).await.ok();
    let text = page.text();
    for words in [
        "Completed",
        "Created: 0.25 BTC by exchange",
        "Held: 0.2501 BTC",
        "Confirmed by carla",
        "session:17, request request-9",
        "Hold ended: 0.2501 BTC",
        "It costs 0.0001 BTC, as was decided when it was made.",
        "one BTC was 50000 USD, said a feed",
        "It was worth 12500 USD when it was made",
        "for <b>rent</b>",
        "Nobody was told.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let asked = locked(&world.audit_log.asked)
        .clone()
        .expect("the log is read");
    assert_eq!(asked.target, Some(format!("transfer:{id}")));
    assert!(
        page.body
            .contains(&format!("href=\"/console/users/{ALICE}\""))
    );
}

#[actix_web::test]
async fn the_details_of_a_row_are_in_the_words_of_the_page() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    world.fees("btc", 10_000);
    let id = world
        .withdrawal_noted(ALICE, "btc", "0.25", Some("for <b>rent</b>"))
        .await;
    world.confirm("carla", id).await;
    let browser = Browser::of(&world, operator(OLGA));
    let path = format!("/console/transfers/{id}");
    let details = browser.get(&format!("{path}/details")).await.ok();
    assert!(details.header("content-type").starts_with("text/html"));
    let document = details.document();
    assert_eq!(document.all("html").count() + document.all("h1").count(), 0);
    let text = details.text();
    for words in [
        "Withdrawal0.25 BTC Completed",
        "Fee0.0001 BTC",
        "for <b>rent</b>",
        "Nobody was told.",
        "Ended",
        "The whole story of transfer",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // What both say, they say alike.
    let page = browser.get(&path).await.ok();
    let shared = |body: &str| {
        let (_, rest) = body
            .split_once("<dt>From</dt>")
            .expect("it is from somebody");
        rest.split_once("by <bdi>")
            .expect("somebody made it")
            .0
            .to_owned()
    };
    assert_eq!(shared(&details.body), shared(&page.body));
    for link in [
        path.clone(),
        format!("{path}#books"),
        format!("{path}#told"),
    ] {
        assert!(details.body.contains(&format!("href=\"{link}\"")), "{link}");
    }
    let none = browser.get("/console/transfers/999/details").await;
    assert_eq!(none.status, 404);
    let stranger = Browser::stranger(&world);
    stranger.get(&format!("{path}/details")).await.leads();
}

#[actix_web::test]
async fn a_dead_callback_shows_every_attempt_and_is_delivered_again() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    let callback = Uuid::from_u128(5);
    let attempt = |outcome: &str, status| CallbackAttempt {
        at: NOW,
        duration_ms: 12,
        http_status: status,
        outcome: outcome.to_owned(),
    };
    *locked(&world.callback_log.callbacks) = vec![CallbackRecord {
        id: callback,
        transfer: id,
        kind: Kind::Deposit,
        operation: Operation::Settle,
        url: "https://example.com/hook".to_owned(),
        status: Status::Completed,
        state: CallbackState::Dead,
        created_at: NOW,
        next_attempt_at: None,
        attempts: vec![attempt("timeout", None), attempt("answered", Some(500))],
    }];
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get(&format!("/console/transfers/{id}")).await.ok();
    let text = page.text();
    assert!(
        text.contains("2 attempts, the last one: answered with 500"),
        "{text}"
    );
    let path = format!("/console/callbacks/{callback}/replay");
    let done = browser.press(&page, &path, &[]).await;
    assert_eq!(done.leads(), format!("/console/transfers/{id}"));
    let audited = locked(&world.callback_log.audited);
    assert_eq!(audited[0].credential, "session:olga");
}

#[actix_web::test]
async fn a_transfer_is_taken_back_once_however_often_it_is_sent() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get(&format!("/console/transfers/{id}")).await.ok();
    assert!(
        page.text().contains("Debits alice the amount at once"),
        "{}",
        page.text()
    );
    let path = format!("/console/transfers/{id}/reverse");
    let silent = browser.press(&page, &path, &[("amount", "0.4")]).await;
    assert_eq!(silent.status, 400);
    assert!(
        silent.text().contains("comment: say why"),
        "{}",
        silent.text()
    );
    let fields = [("amount", "0.4"), ("comment", "a mistake")];
    let done = browser.press(&page, &path, &fields).await;
    assert_eq!(done.leads(), format!("/console/transfers/{id}"));
    let again = browser.press(&page, &path, &fields).await;
    assert_eq!(
        again.cookies(),
        done.cookies(),
        "it is told of the same one"
    );
    let form = page.document().form_leading_to(&path);
    let kept = form
        .iter()
        .filter(|(name, _)| name == "csrf" || name == "digest");
    let mut wish: Vec<(&str, &str)> = kept.map(|(name, value)| (&**name, &**value)).collect();
    wish.extend([("once", "0123456789abcdef"), fields[0], fields[1]]);
    let other = browser.post(&path, &wish).await;
    assert_eq!(
        other.status, 409,
        "the page it was sent from is out of date"
    );
    assert_eq!(
        world.transfer(id).await.parts().reversed,
        build::amount(40_000_000)
    );
    let page = browser.get(&format!("/console/transfers/{id}")).await.ok();
    assert!(
        page.text().contains("Taken back: 0.4 BTC by transfer"),
        "{}",
        page.text()
    );
    // Its own page says with which credential it was made.
    let made = world.store.transfers();
    let made = made.iter().find(|one| one.parts().reversal.is_some());
    let reversal = made.expect("it was made").id();
    *locked(&world.audit_log.records) = vec![AuditRecord {
        id: Uuid::from_u128(1),
        at: NOW,
        actor: OLGA.to_owned(),
        credential: "session:17".to_owned(),
        request_id: "request-9".to_owned(),
        address: "192.0.2.1".to_owned(),
        action: "transfer.reverse".to_owned(),
        target: format!("transfer:{reversal}"),
        before: None,
        after: None,
    }];
    let path = format!("/console/transfers/{reversal}");
    let text = browser.get(&path).await.ok().text();
    assert!(text.contains("session:17, request request-9"), "{text}");
}

/// Nobody gives back more of a deposit than came in.
#[actix_web::test]
async fn of_a_deposit_with_a_fee_what_was_credited_is_taken_back() {
    let world = World::new();
    world.rule_book.put(|rules: &mut Rules| {
        let schedule = FeeSchedule {
            absolute: build::amount(10_000_000),
            ..FeeSchedule::default()
        };
        let key = (Kind::Deposit, build::asset_id("btc"));
        rules.fees.insert(key, schedule);
    });
    let id = world.fund(ALICE, "btc", "1").await;
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get(&format!("/console/transfers/{id}")).await.ok();
    let text = page.text();
    for words in [
        "Debits alice what was credited, the amount less its share of the fee, at once",
        "Empty: all that is left, 1, of which 0.9 was credited.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let path = format!("/console/transfers/{id}/reverse");
    let fields = [("comment", "a mistake")];
    browser.press(&page, &path, &fields).await.leads();
    let made = world.store.transfers();
    let made = made.iter().find(|one| one.parts().reversal.is_some());
    let reversal = made.expect("it was made").parts();
    assert_eq!(reversal.amount, build::amount(90_000_000));
}

/// Whoever has to mend something finds the rest as it was typed, and can send it.
#[actix_web::test]
async fn a_reversal_that_is_refused_stays_in_its_form() {
    let world = World::new();
    let id = world.fund(ALICE, "btc", "1").await;
    let browser = Browser::of(&world, operator(OLGA));
    let story = format!("/console/transfers/{id}");
    let path = format!("{story}/reverse");
    let mut page = browser.get(&story).await.ok();
    for (amount, status, words) in [
        ("0,4", 400, "amount: must be a plain decimal number"),
        ("0.000000001", 400, "amount: must have at most 8 decimals"),
        ("2", 422, "More would be reversed than is left"),
    ] {
        let why = "a \"mistake\"";
        let fields = [("amount", amount), ("fee", "yes"), ("comment", why)];
        let refused = browser.press(&page, &path, &fields).await;
        assert_eq!(refused.status, status, "{amount}: {}", refused.body);
        assert!(refused.text().contains(words), "{}", refused.text());
        let document = refused.document();
        let says = |id: &str, attribute: &str| {
            let mut inputs = document.all("input").map(|(_, tag)| tag);
            let field = inputs.find(|tag| tag.attribute("id") == Some(id));
            field.expect("it is there").attribute(attribute)
        };
        assert_eq!(says("r-amount", "value"), Some(amount));
        let is_wrong = (status == 400).then_some("true");
        assert_eq!(says("r-amount", "aria-invalid"), is_wrong);
        assert_eq!(says("r-comment", "value"), Some(why));
        assert!(says("r-fee", "checked").is_some());
        // Its address can be asked for by nothing but the form.
        assert!(!refused.body.contains("data-live"));
        page = refused;
    }
    let fields = [("amount", "0.4"), ("comment", "a mistake")];
    let done = browser.press(&page, &path, &fields).await;
    assert_eq!(done.leads(), story);
}

#[actix_web::test]
async fn what_names_no_transfer_has_no_page() {
    let world = World::new();
    let browser = Browser::of(&world, operator(OLGA));
    for id in ["999", "0", "-1", "x", "9007199254740993"] {
        let page = browser.get(&format!("/console/transfers/{id}")).await;
        assert_eq!(page.status, 404, "{id}");
    }
}
