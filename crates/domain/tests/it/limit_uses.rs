//! What counts as used of the limits, when, and what is given back.

use bursar_domain::{
    Command, Kind, Limit, Limits, PayoutRoute, Reason, Status, UsageKey,
    ledger::{Books, Verdict},
};

use crate::{
    keys::{amount_claim, keyed},
    limits::{DAY, ROLLING, SCOPES, most_in, rated_new, scope, send},
    rulebook::{
        SECOND, approve, confirm_by_gateway, opened, reason_of, reject, set_limits, settle_at, used,
    },
    sample::{
        ALICE, NOW, amount, applied, balance, books_with, btc, cancel, confirm, id, new, settle,
        settle_all, step,
    },
};

const HOUR: i64 = 3_600 * 1_000_000;

/// What ends a withdrawal.
type Ending = (&'static str, Vec<Command>, Status);

fn endings() -> Vec<Ending> {
    let refused = Command::Fail {
        reason: Reason::PayoutRefused,
    };
    let gateway = || confirm_by_gateway(None);
    let approved = approve(SECOND, PayoutRoute::Manual);
    let (failed, done) = (Status::Failed, Status::Completed);
    vec![
        ("cancelled", vec![cancel(None)], Status::Canceled),
        ("failed", vec![refused.clone()], failed),
        ("expired", vec![Command::Expire], failed),
        ("payout failed", vec![gateway(), refused.clone()], failed),
        ("paid out", vec![gateway(), Command::PaidOut], done),
        ("confirmed", vec![confirm(None)], done),
        (
            "to approve",
            vec![confirm(None)],
            Status::AwaitingConfirmation,
        ),
        ("approved", vec![confirm(None), approved], done),
        ("rejected", vec![confirm(None), reject(SECOND)], failed),
        ("not approved", vec![confirm(None), Command::Expire], failed),
        ("unapproved failed", vec![confirm(None), refused], failed),
        (
            "cancelled late",
            vec![confirm(None), cancel(None)],
            Status::Canceled,
        ),
    ]
}

#[test]
fn room_comes_back_with_the_hold_and_with_nothing_else() {
    for (what, commands, status) in endings() {
        let needs_approval = commands.len() == 2 && commands[0] == confirm(None)
            || status == Status::AwaitingConfirmation;
        let mut books = books_with(1_000);
        for (of_asset, worth) in SCOPES {
            let limits = Limits {
                approval_above: needs_approval.then(|| amount(10)),
                ..most_in(Limit::Daily, 100 * worth)
            };
            set_limits(&mut books, Kind::Withdrawal, scope(of_asset), limits);
        }
        let mut transfer = applied(send(&mut books, Kind::Withdrawal, 1, 70, NOW)).next;
        assert_eq!(used(&books, Kind::Withdrawal, Some(btc())), 70, "{what}");
        for command in &commands {
            let change = step(&transfer, command);
            let hours_later = NOW.plus_micros(5 * HOUR);
            transfer = applied(settle_at(&mut books, change, hours_later)).next;
        }
        assert_eq!(transfer.status(), status, "{what}");
        let returned = matches!(status, Status::Failed | Status::Canceled);
        let left = if returned { 0 } else { 70 };
        assert_eq!(used(&books, Kind::Withdrawal, Some(btc())), left, "{what}");
        assert_eq!(used(&books, Kind::Withdrawal, None), 2 * left, "{what}");
        assert_eq!(balance(&books, ALICE).0, 1_000 - left, "{what}");
        let again = send(
            &mut books,
            Kind::Withdrawal,
            2,
            70,
            NOW.plus_micros(6 * HOUR),
        );
        assert_eq!(reason_of(&again).is_none(), returned, "{what}");
    }
}

#[test]
fn what_is_refused_or_rejected_uses_nothing() {
    for kind in ROLLING {
        let mut books = books_with(10);
        set_limits(&mut books, kind, Some(btc()), most_in(Limit::Daily, 100));
        let verdict = send(&mut books, kind, 1, 11, NOW);
        assert_eq!(reason_of(&verdict), Some(Reason::BalanceInsufficient));
        assert_eq!(used(&books, kind, Some(btc())), 0, "{kind:?}");
        let verdict = send(&mut books, kind, 2, 10, NOW);
        assert_eq!(reason_of(&verdict), None, "{kind:?}");
        assert_eq!(used(&books, kind, Some(btc())), 10, "{kind:?}");
    }
}

#[test]
fn an_internal_transfer_is_judged_and_counted_when_it_settles() {
    let mut books = books_with(1_000);
    set_limits(
        &mut books,
        Kind::Internal,
        Some(btc()),
        most_in(Limit::Daily, 100),
    );
    let open = |books: &mut Books, number| {
        applied(settle(books, opened(Kind::Internal, new(number, 60, 0)))).next
    };
    let (first, second) = (open(&mut books, 1), open(&mut books, 2));
    assert_eq!(used(&books, Kind::Internal, Some(btc())), 0);
    let day_later = NOW.plus_micros(DAY);
    let settled = settle_at(&mut books, step(&first, &Command::Settle), day_later);
    assert_eq!(reason_of(&settled), None);
    let over = settle_at(&mut books, step(&second, &Command::Settle), day_later);
    assert_eq!(reason_of(&over), Some(Reason::LimitDaily));
    let still = send(
        &mut books,
        Kind::Internal,
        3,
        60,
        day_later.plus_micros(HOUR),
    );
    assert_eq!(
        reason_of(&still),
        Some(Reason::LimitDaily),
        "it counts from then on"
    );
}

#[test]
fn each_item_of_a_batch_sees_what_the_ones_before_it_used() {
    for kind in ROLLING {
        let mut books = books_with(1_000);
        set_limits(&mut books, kind, Some(btc()), most_in(Limit::Daily, 100));
        let changes = [60, 41, 40, 1]
            .into_iter()
            .zip(1..)
            .map(|(units, number)| opened(kind, new(number, units, 0)).settled_at_once())
            .collect();
        let verdicts = settle_all(&mut books, changes);
        let reasons: Vec<_> = verdicts.iter().map(reason_of).collect();
        let over = Some(Reason::LimitDaily);
        assert_eq!(reasons, [None, over, None, over], "{kind:?}");
        assert_eq!(used(&books, kind, Some(btc())), 100);
    }
}

#[test]
fn a_store_that_forgot_to_read_what_was_used_moves_no_money() {
    for kind in ROLLING {
        for (of_asset, _) in SCOPES {
            let mut books = books_with(1_000);
            set_limits(
                &mut books,
                kind,
                scope(of_asset),
                most_in(Limit::Daily, 100),
            );
            books.usage.clear();
            let verdict = send(&mut books, kind, 1, 1, NOW);
            assert_eq!(reason_of(&verdict), Some(Reason::AssetDisabled), "{kind:?}");
            assert_eq!(balance(&books, ALICE), (1_000, 0));
        }
    }
}

#[test]
fn a_key_remembers_which_limit_refused_also_when_it_no_longer_does() {
    let mut books = books_with(1_000);
    let daily = |most| most_in(Limit::Daily, most);
    set_limits(&mut books, Kind::Withdrawal, Some(btc()), daily(50));
    let hold = |number| opened(Kind::Withdrawal, rated_new(number, 60));
    let refused = keyed(&mut books, hold(1), amount_claim("60"));
    assert!(matches!(refused, Verdict::OverLimit { .. }), "{refused:?}");
    set_limits(&mut books, Kind::Withdrawal, Some(btc()), daily(100));
    let reason = Reason::LimitDaily;
    let again = keyed(&mut books, hold(2), amount_claim("60"));
    assert_eq!(again, Verdict::RefusalReplayed { reason });
    assert_eq!(balance(&books, ALICE), (1_000, 0));
}

#[test]
fn a_store_is_told_what_it_must_read_to_judge_count_and_give_back() {
    let mut books = books_with(1_000);
    let daily = most_in(Limit::Daily, 100);
    let withdrawals = |asset| UsageKey {
        user: ALICE,
        kind: Kind::Withdrawal,
        asset,
    };
    let own = vec![withdrawals(Some(btc())), withdrawals(None)];
    let open = opened(Kind::Withdrawal, rated_new(1, 10));
    assert_eq!(open.usage_keys(&books.rules), [], "nothing is limited");
    for (of_asset, _) in SCOPES {
        set_limits(&mut books, Kind::Withdrawal, scope(of_asset), daily);
    }
    let under_way = step(&open.next, &confirm_by_gateway(None));
    let refused = Command::Fail {
        reason: Reason::PayoutRefused,
    };
    for (change, keys) in [
        (step(&open.next, &cancel(None)), &own),
        (step(&open.next, &Command::Expire), &own),
        (step(&under_way.next, &refused), &own),
        (step(&open.next, &confirm(None)), &vec![]),
        (step(&under_way.next, &Command::PaidOut), &vec![]),
        (
            opened(Kind::Internal, rated_new(2, 10)).settled_at_once(),
            &vec![],
        ),
        (open, &own),
        (under_way, &vec![]),
    ] {
        assert_eq!(change.usage_keys(&books.rules), *keys, "{change:?}");
    }
    let one_by_one = most_in(Limit::MaxAmount, 100);
    set_limits(&mut books, Kind::Withdrawal, None, one_by_one);
    let open = opened(Kind::Withdrawal, rated_new(3, 10));
    assert_eq!(open.usage_keys(&books.rules), [withdrawals(Some(btc()))]);
}

#[test]
fn ending_what_was_made_before_the_limit_gives_nothing_back() {
    let mut books = books_with(1_000);
    let early = applied(send(&mut books, Kind::Withdrawal, 1, 90, NOW)).next;
    set_limits(
        &mut books,
        Kind::Withdrawal,
        Some(btc()),
        most_in(Limit::Daily, 100),
    );
    let later = NOW.plus_micros(HOUR);
    let verdict = send(&mut books, Kind::Withdrawal, 2, 100, later);
    assert_eq!(reason_of(&verdict), None);
    let canceled = settle_at(&mut books, step(&early, &cancel(None)), later);
    assert_eq!(reason_of(&canceled), None);
    assert_eq!(used(&books, Kind::Withdrawal, Some(btc())), 100);
    let over = send(&mut books, Kind::Withdrawal, 3, 1, later);
    assert_eq!(reason_of(&over), Some(Reason::LimitDaily));
    assert!(!books.versions.contains_key(&id(3)));
}
