//! Acting on transfers: only on what was seen, only by whoever may, and with word of what will happen.

use bursar_domain::{
    ActorId, Command, Commit, Kind, PayoutRoute, Reason, Stage, Status, UserStatus,
};
use bursar_ports::{CommitOutcome, Permission, TransferStore};
use bursar_testkit::build;

use crate::{
    browser::Browser,
    world::{ALICE, BOB, NOW, OLGA, OTTO, World, operator, reader, visitor},
};

#[actix_web::test]
async fn the_button_says_exactly_what_will_happen_and_that_happens() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    world.fees("btc", 10_000);
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let browser = Browser::of(&world, operator(OLGA));
    let page = browser.get("/console/queue").await.ok();
    let text = page.text();
    let sentence = "Pays out 0.25 BTC of alice, and takes a fee of 0.0001 BTC.";
    assert!(text.contains(sentence), "{text}");
    let back = "Pays nothing out: 0.2501 BTC that is held goes back to alice.";
    assert!(text.contains(back), "{text}");
    let done = browser
        .press(&page, &format!("/console/transfers/{id}/confirm"), &[])
        .await;
    assert_eq!(done.leads(), format!("/console/queue#t{id}"));
    assert_eq!(world.transfer(id).await.status(), Status::Completed);
    let mut again = Browser::of(&world, operator(OLGA));
    again.cookies = done.cookies();
    let page = again.get("/console/queue").await.ok();
    let told = format!("Transfer {id} is confirmed and paid out.");
    assert!(page.text().contains(&told), "{}", page.text());
    assert_eq!(page.cookies(), "bursar_flash=", "it is told once");
}

#[actix_web::test]
async fn what_changed_since_it_was_seen_is_not_acted_upon() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let browser = Browser::of(&world, operator(OLGA));
    let seen = browser.get("/console/queue").await.ok();
    let other = Browser::of(&world, operator(OTTO));
    let cancel = format!("/console/transfers/{id}/cancel");
    other
        .press(&seen_by(&other).await, &cancel, &[])
        .await
        .leads();
    let late = browser
        .press(&seen, &format!("/console/transfers/{id}/confirm"), &[])
        .await;
    assert_eq!(late.status, 409);
    let text = late.text();
    assert!(text.contains("This is not what you saw any more"), "{text}");
    assert!(text.contains("is now Canceled by otto"), "{text}");
    assert_eq!(world.transfer(id).await.status(), Status::Canceled);
}

async fn seen_by(browser: &Browser<'_>) -> crate::browser::Page {
    browser.get("/console/queue").await.ok()
}

#[actix_web::test]
async fn another_rows_digest_confirms_nothing() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    world.fund(BOB, "btc", "1").await;
    let one = world.withdrawal(ALICE, "btc", "0.25").await;
    let other = world.withdrawal(BOB, "btc", "0.25").await;
    let browser = Browser::of(&world, operator(OLGA));
    let seen = seen_by(&browser).await;
    let of_one = seen
        .document()
        .form_leading_to(&format!("/console/transfers/{one}/confirm"));
    let fields: Vec<(&str, &str)> = of_one
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let answer = browser
        .post(&format!("/console/transfers/{other}/confirm"), &fields)
        .await;
    assert_eq!(answer.status, 409);
    for id in [one, other] {
        assert_eq!(
            world.transfer(id).await.status(),
            Status::AwaitingConfirmation
        );
    }
}

#[actix_web::test]
async fn of_two_who_confirm_at_once_one_is_told() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let (olga, otto) = (
        Browser::of(&world, operator(OLGA)),
        Browser::of(&world, operator(OTTO)),
    );
    let (one, other) = (seen_by(&olga).await, seen_by(&otto).await);
    let path = format!("/console/transfers/{id}/confirm");
    assert_eq!(olga.press(&one, &path, &[]).await.status, 303);
    let late = otto.press(&other, &path, &[]).await;
    assert_eq!(late.status, 409);
    assert!(late.text().contains("by olga"), "{}", late.text());
}

/// Whoever said yes before it failed by itself did not end it.
#[actix_web::test]
async fn who_said_no_is_named_and_nobody_for_what_failed_by_itself() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    world.second_operator_above(Kind::Withdrawal, "btc", 1_000_000);
    let otto = Browser::of(&world, operator(OTTO));
    let (by, digest) = (ActorId::new("rita"), [7; 32]);
    let approve = Command::Approve {
        by: by.clone(),
        digest,
        route: PayoutRoute::Gateway,
    };
    for (commands, now, why) in [
        (
            vec![Command::Expire],
            "is now Failed since",
            "No second operator approved the transfer in time. approval.expired",
        ),
        (
            vec![approve, build::fail(Reason::PayoutRefused)],
            "is now Failed since",
            "The payout was refused. payout.refused",
        ),
        (
            vec![Command::Reject { by, digest }],
            "is now Failed by rita since",
            "The second operator rejected the transfer. approval.rejected",
        ),
    ] {
        let id = world.withdrawal(ALICE, "btc", "0.25").await;
        world.confirm(OLGA, id).await;
        let seen = otto.get("/console/queue?work=approvals").await.ok();
        for command in commands {
            let change = build::step(&world.transfer(id).await, &command, NOW);
            let made = world.store.commit(vec![Commit::new(change)]).await;
            let is_made = matches!(made.as_deref(), Ok([CommitOutcome::Committed(_)]));
            assert!(is_made, "{made:?}");
        }
        let path = format!("/console/transfers/{id}/approve");
        let late = otto.press(&seen, &path, &[]).await;
        assert_eq!(late.status, 409);
        let text = late.text();
        assert!(text.contains(now) && text.contains(why), "{text}");
    }
}

#[actix_web::test]
async fn who_presses_twice_is_told_that_it_is_done() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let confirmed = world.withdrawal(ALICE, "btc", "0.25").await;
    let canceled = world.withdrawal(ALICE, "btc", "0.25").await;
    let olga = Browser::of(&world, operator(OLGA));
    let seen = seen_by(&olga).await;
    let path = |id, act| format!("/console/transfers/{id}/{act}");
    for (id, act, flash) in [
        (confirmed, "confirm", "bursar_flash=confirmed."),
        (canceled, "cancel", "bursar_flash=canceled."),
    ] {
        for _ in 0..2 {
            let done = olga.press(&seen, &path(id, act), &[]).await;
            assert_eq!(done.leads(), format!("/console/queue#t{id}"));
            assert!(done.cookies().starts_with(flash), "{}", done.cookies());
        }
    }
    // What she did is not taken for what she did not do.
    for path in [path(confirmed, "cancel"), path(canceled, "confirm")] {
        assert_eq!(olga.press(&seen, &path, &[]).await.status, 409);
    }
}

#[actix_web::test]
async fn what_the_button_promised_is_what_happens_or_nothing_does() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let olga = Browser::of(&world, operator(OLGA));
    let seen = seen_by(&olga).await;
    world.second_operator_above(Kind::Withdrawal, "btc", 1_000_000);
    let path = format!("/console/transfers/{id}/confirm");
    let late = olga.press(&seen, &path, &[]).await;
    assert_eq!(late.status, 409);
    let text = late.text();
    assert!(text.contains("The rules changed since"), "{text}");
    assert_eq!(
        world.transfer(id).await.status(),
        Status::AwaitingConfirmation
    );
    // What goes back goes back whatever the rules say.
    let cancel = format!("/console/transfers/{id}/cancel");
    let done = olga.press(&seen, &cancel, &[]).await;
    assert_eq!(done.leads(), format!("/console/queue#t{id}"));
}

#[actix_web::test]
async fn an_approval_that_moves_nothing_is_not_praised() {
    let world = World::new();
    world.second_operator_above(Kind::Deposit, "btc", 1_000_000);
    let id = world.fund(ALICE, "btc", "0.25").await;
    let otto = Browser::of(&world, operator(OTTO));
    let seen = otto.get("/console/queue?work=approvals").await.ok();
    world.store.put_user(ALICE, UserStatus::Frozen);
    let approve = format!("/console/transfers/{id}/approve");
    let done = otto.press(&seen, &approve, &[]).await;
    assert_eq!(world.transfer(id).await.status(), Status::Failed);
    let mut again = Browser::of(&world, operator(OTTO));
    again.cookies = done.cookies();
    let text = again.get("/console/queue").await.ok().text();
    let told = format!("Transfer {id} has failed although you approved it");
    assert!(text.contains(&told), "{text}");
}

#[actix_web::test]
async fn a_yes_counts_for_what_was_asked_and_not_for_what_came_up_since() {
    let world = World::new();
    world.fund(ALICE, "btc", "10").await;
    let id = world.withdrawal(ALICE, "btc", "5").await;
    let (olga, otto) = (
        Browser::of(&world, operator(OLGA)),
        Browser::of(&world, operator(OTTO)),
    );
    let path = format!("/console/transfers/{id}/confirm");
    let to = olga.press(&seen_by(&olga).await, &path, &[]).await.leads();
    let second = olga.get(&to).await.ok();
    let take = format!("/console/transfers/{id}/take");
    otto.press(&seen_by(&otto).await, &take, &[]).await.leads();
    let to = olga.press(&second, &path, &[]).await.leads();
    assert!(to.contains("/second-look?"), "{to}");
    let third = olga.get(&to).await.ok();
    assert!(third.text().contains("otto has taken it until"));
    assert_eq!(
        world.transfer(id).await.status(),
        Status::AwaitingConfirmation
    );
    assert_eq!(
        olga.press(&third, &path, &[]).await.leads(),
        format!("/console/queue#t{id}")
    );
    assert_eq!(world.transfer(id).await.status(), Status::Completed);
}

#[actix_web::test]
async fn a_form_of_another_session_does_nothing() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let browser = Browser::of(&world, operator(OLGA));
    let digest = seen_by(&browser).await.document();
    let fields = digest.form_leading_to(&format!("/console/transfers/{id}/confirm"));
    let digest = fields
        .iter()
        .find(|(name, _)| name == "digest")
        .expect("it has one");
    for token in [
        None,
        Some(""),
        Some("token-of-otto"),
        Some("token-of-olga "),
    ] {
        let mut sent = vec![("digest", digest.1.as_str())];
        sent.extend(token.map(|token| ("csrf", token)));
        let answer = browser
            .post(&format!("/console/transfers/{id}/confirm"), &sent)
            .await;
        assert_eq!(answer.status, 403, "{token:?}");
    }
    assert_eq!(
        world.transfer(id).await.status(),
        Status::AwaitingConfirmation
    );
}

/// No text of the database holds it, and no browser sends it.
#[actix_web::test]
async fn the_null_character_is_refused_before_anybody_is_asked() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let browser = Browser::of(&world, operator(OLGA));
    let sent = [("csrf", "token-of-olga"), ("comment", "a\0b")];
    let answer = browser.post("/console/transfers/1/reverse", &sent).await;
    assert_eq!(answer.status, 400);
    for path in ["/console/audit?actor=%00", "/console/users?search=a%00"] {
        assert_eq!(browser.get(path).await.status, 400, "{path}");
    }
}

#[actix_web::test]
async fn whoever_may_not_is_refused_before_anything_is_looked_at() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let rita = Browser::of(&world, reader("rita"));
    for act in ["confirm", "cancel", "approve", "reject"] {
        let path = format!("/console/transfers/{id}/{act}");
        let answer = rita.post(&path, &[("csrf", "token-of-rita")]).await;
        assert_eq!(answer.status, 403, "{act}");
        assert!(answer.text().contains("lacks the permission"), "{act}");
    }
    let text = rita.get("/console/queue").await.ok().text();
    assert!(text.contains("may look at it, and not act on it"), "{text}");
    assert_eq!(
        world.transfer(id).await.version(),
        bursar_domain::Version::FIRST
    );
}

#[actix_web::test]
async fn much_money_is_looked_at_twice() {
    let world = World::new();
    world.fund(ALICE, "btc", "10").await;
    // At 50,000 USD, two are exactly what is confirmed at one look, and a bit more is not.
    let little = world.withdrawal(ALICE, "btc", "2").await;
    let much = world.withdrawal(ALICE, "btc", "2.1").await;
    let browser = Browser::of(&world, operator(OLGA));
    let seen = seen_by(&browser).await;
    let path = format!("/console/transfers/{little}/confirm");
    assert_eq!(
        browser.press(&seen, &path, &[]).await.leads(),
        format!("/console/queue#t{little}")
    );
    let path = format!("/console/transfers/{much}/confirm");
    let to = browser.press(&seen, &path, &[]).await.leads();
    assert!(
        to.starts_with(&format!("/console/transfers/{much}/second-look?")),
        "{to}"
    );
    assert_eq!(
        world.transfer(much).await.status(),
        Status::AwaitingConfirmation
    );
    let second = browser.get(&to).await.ok();
    assert!(
        second
            .text()
            .contains("It is worth more than what is confirmed at one look.")
    );
    assert!(second.text().contains("Pays out 2.1 BTC of alice"));
    assert_eq!(
        browser.press(&second, &path, &[]).await.leads(),
        format!("/console/queue#t{much}")
    );
    assert_eq!(world.transfer(much).await.status(), Status::Completed);
}

#[actix_web::test]
async fn nothing_moves_by_looking() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let browser = Browser::of(&world, operator(OLGA));
    for act in [
        "confirm", "cancel", "approve", "reject", "take", "let-go", "reverse",
    ] {
        let answer = browser.get(&format!("/console/transfers/{id}/{act}")).await;
        assert_eq!(answer.status, 404, "{act}");
    }
    assert_eq!(
        world.transfer(id).await.status(),
        Status::AwaitingConfirmation
    );
}

#[actix_web::test]
async fn a_second_operator_approves_and_the_first_cannot() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    world.second_operator_above(Kind::Withdrawal, "btc", 1_000_000);
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let olga = Browser::of(&world, operator(OLGA));
    let seen = seen_by(&olga).await;
    assert!(
        seen.text()
            .contains("Asks a second operator to approve that 0.25 BTC of alice is paid out")
    );
    let path = format!("/console/transfers/{id}/confirm");
    let done = olga.press(&seen, &path, &[]).await;
    assert!(done.cookies().starts_with("bursar_flash=asks_second."));
    assert_eq!(world.transfer(id).await.stage(), Some(Stage::Approval));
    let approve = format!("/console/transfers/{id}/approve");
    let own = olga.get("/console/queue?work=approvals").await.ok();
    assert!(!own.document().offers(&approve));
    let otto = Browser::of(&world, operator(OTTO));
    let seen = otto.get("/console/queue?work=approvals").await.ok();
    assert!(
        seen.text().contains("Pays out 0.25 BTC of alice"),
        "{}",
        seen.text()
    );
    assert_eq!(
        otto.press(&seen, &approve, &[]).await.leads(),
        format!("/console/queue?work=approvals#t{id}")
    );
    assert_eq!(world.transfer(id).await.status(), Status::Completed);
    let found = world.store.find(id).await.unwrap().unwrap();
    assert_eq!(found.parts().review.as_ref().unwrap().by.as_str(), OTTO);
}

/// What waits for a second operator waits, whatever the policy says by then.
#[actix_web::test]
async fn a_policy_that_changes_later_keeps_nobody_from_approving() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let otto = Browser::of(&world, operator(OTTO));
    for (then, later) in [(1_000_000, 100_000_000), (20_000_000, 1_000_000)] {
        world.second_operator_above(Kind::Withdrawal, "btc", then);
        let id = world.withdrawal(ALICE, "btc", "0.25").await;
        world.confirm(OLGA, id).await;
        assert_eq!(world.transfer(id).await.stage(), Some(Stage::Approval));
        let seen = otto.get("/console/queue?work=approvals").await.ok();
        world.second_operator_above(Kind::Withdrawal, "btc", later);
        let approve = format!("/console/transfers/{id}/approve");
        let done = otto.press(&seen, &approve, &[]).await;
        assert_eq!(done.leads(), format!("/console/queue?work=approvals#t{id}"));
        assert_eq!(world.transfer(id).await.status(), Status::Completed);
    }
}

#[actix_web::test]
async fn a_deposit_that_waits_is_approved_whatever_the_policy_says_by_then() {
    let world = World::new();
    world.second_operator_above(Kind::Deposit, "btc", 1_000_000);
    let id = world.fund(ALICE, "btc", "0.25").await;
    let otto = Browser::of(&world, operator(OTTO));
    let seen = otto.get("/console/queue?work=approvals").await.ok();
    world.second_operator_above(Kind::Deposit, "btc", 100_000_000);
    let approve = format!("/console/transfers/{id}/approve");
    otto.press(&seen, &approve, &[]).await.leads();
    assert_eq!(world.transfer(id).await.status(), Status::Completed);
}

/// Whoever read that it is paid out pays it by hand: a gateway must not pay it as well.
#[actix_web::test]
async fn an_approval_that_was_to_be_paid_by_hand_orders_nothing() {
    let mut world = World::new();
    world.fund(ALICE, "btc", "1").await;
    world.second_operator_above(Kind::Withdrawal, "btc", 1_000_000);
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    world.confirm(OLGA, id).await;
    let approvals = "/console/queue?work=approvals";
    let otto = Browser::of(&world, operator(OTTO));
    let seen = otto.get(approvals).await.ok();
    assert!(seen.text().contains("Pays out 0.25 BTC of alice"));

    world.move_to_a_replica_with_a_gateway();
    let otto = Browser::of(&world, operator(OTTO));
    let approve = format!("/console/transfers/{id}/approve");
    let late = otto.press(&seen, &approve, &[]).await;
    assert_eq!(late.status, 409);
    let text = late.text();
    assert!(text.contains("The rules changed since"), "{text}");
    assert_eq!(world.transfer(id).await.stage(), Some(Stage::Approval));

    let seen = otto.get(approvals).await.ok();
    let text = seen.text();
    let sentence = "Orders the payout of 0.25 BTC of alice";
    assert!(text.contains(sentence), "{text}");
    otto.press(&seen, &approve, &[]).await.leads();
    assert_eq!(world.transfer(id).await.stage(), Some(Stage::Payout));
}

#[actix_web::test]
async fn whoever_may_confirm_alone_is_not_offered_to_cancel() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.25").await;
    let permissions = [Permission::BackofficeRead, Permission::BackofficeConfirm];
    let browser = Browser::of(&world, visitor("carla", &permissions));
    let document = seen_by(&browser).await.document();
    assert!(document.offers(&format!("/console/transfers/{id}/confirm")));
    assert!(!document.offers(&format!("/console/transfers/{id}/cancel")));
}
