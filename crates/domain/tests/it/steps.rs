//! What each step of a transfer demands, moves and tells.

use bursar_domain::{
    ActorId, AuditDraft, Body, Change, CodeSalt, Command, Commit, Decision, DepositState, Expected,
    Kind, NewTransfer, OnRefusal, PayoutRoute, Posting, Premise, Reason, Recipient, ReversalTerms,
    Status, Transfer, TransferParts, Version, WithdrawalState,
};

use crate::sample::{
    ALICE, BOB, NOW, account, amount, btc, cancel, confirm, deposit, fees, line, new, nobody,
    payment, payment_with_fee, step, withdrawal, world,
};

fn paid(fee: i128) -> Change {
    payment_with_fee(new(1, 100, fee), ALICE, Recipient::Id(BOB))
}

/// What a step moves, and what it should.
type Lines = (&'static str, Vec<Posting>, Vec<Posting>);

fn assert_lines(table: Vec<Lines>) {
    for (what, is, should) in table {
        assert_eq!(is, should, "{what}");
        let sum: i128 = is.iter().map(|line| line.available + line.held).sum();
        assert_eq!(sum, 0, "{what}");
    }
}

const REFUSED: Command = Command::Fail {
    reason: Reason::PayoutRefused,
};

#[test]
fn each_step_of_deposits_and_payments_moves_exactly_these_lines() {
    let settled = |change: Change| step(&change.next, &Command::Settle).postings;
    let failed = |change: Change| step(&change.next, &REFUSED).postings;
    let (a, b, w, f) = (account(ALICE), account(BOB), world(), fees());
    let credit = vec![line(w, -100, 0), line(a, 100, 0)];
    let credit_less_fee = vec![line(w, -100, 0), line(a, 97, 0), line(f, 3, 0)];
    let moved = vec![line(a, -100, 0), line(b, 100, 0)];
    let moved_and_fee = vec![line(a, -103, 0), line(b, 100, 0), line(f, 3, 0)];
    assert_lines(vec![
        ("deposit", deposit(1, 100, 3).postings, vec![]),
        ("credit", settled(deposit(1, 100, 0)), credit),
        ("credit, fee", settled(deposit(1, 100, 3)), credit_less_fee),
        ("failed deposit", failed(deposit(1, 100, 3)), vec![]),
        ("payment", paid(3).postings, vec![]),
        ("move", settled(paid(0)), moved),
        ("move, fee", settled(paid(3)), moved_and_fee),
        ("failed payment", failed(paid(3)), vec![]),
        (
            "to nobody",
            settled(payment(1, ALICE, nobody(), 100)),
            vec![],
        ),
    ]);
}

#[test]
fn each_step_of_withdrawals_moves_exactly_these_lines() {
    let after = |fee, command| step(&withdrawal(1, 100, fee).next, &command).postings;
    let (a, w, f) = (account(ALICE), world(), fees());
    let hold = |units: i128| vec![line(a, -units, units)];
    let back = |units: i128| vec![line(a, units, -units)];
    let payout = vec![line(a, 0, -100), line(w, 100, 0)];
    let payout_and_fee = vec![line(a, 0, -103), line(w, 100, 0), line(f, 3, 0)];
    assert_lines(vec![
        ("hold", withdrawal(1, 100, 0).postings, hold(100)),
        ("hold, fee", withdrawal(1, 100, 3).postings, hold(103)),
        ("payout", after(0, confirm(None)), payout),
        ("payout, fee", after(3, confirm(None)), payout_and_fee),
        ("cancel", after(0, cancel(None)), back(100)),
        ("cancel, fee", after(3, cancel(None)), back(103)),
        ("failure", after(0, REFUSED), back(100)),
        ("failure, fee", after(3, REFUSED), back(103)),
    ]);
}

/// Whatever way a transfer has gone, what it has moved is the sum of its steps.
#[test]
fn a_transfer_knows_what_its_steps_have_moved() {
    let opened = [
        deposit(1, 100, 3),
        withdrawal(1, 100, 3),
        paid(3),
        payment(1, ALICE, nobody(), 100),
    ];
    for open in opened {
        assert_steps(&open.next, &open.postings);
    }
    let parts = withdrawal(1, 100, 3).next.into_parts();
    let waiting = Transfer::from_parts(TransferParts {
        body: Body::Withdrawal {
            user: ALICE,
            state: WithdrawalState::AwaitingApproval,
        },
        ..parts
    });
    assert_steps(&waiting, &withdrawal(1, 100, 3).postings);
    let parts = deposit(1, 100, 3).next.into_parts();
    let waiting = Transfer::from_parts(TransferParts {
        body: Body::Deposit {
            user: ALICE,
            state: DepositState::AwaitingApproval,
        },
        ..parts
    });
    assert_steps(&waiting, &[]);
}

/// Whatever may happen to it next, and then once more.
fn assert_steps(transfer: &Transfer, moved: &[Posting]) {
    assert_eq!(transfer.postings_so_far(), moved);
    let (by, digest) = (ActorId::new("reviewer"), [1; 32]);
    let route = PayoutRoute::Gateway;
    let to_gateway = Command::Confirm {
        by: ActorId::new("confirmer"),
        callback_url: None,
        route,
        approval_expires_at: None,
    };
    let approve = Command::Approve {
        by: by.clone(),
        digest,
        route,
    };
    let commands = [
        Command::Settle,
        confirm(None),
        to_gateway,
        approve,
        Command::Reject { by, digest },
        Command::PaidOut,
        cancel(None),
        Command::Expire,
        REFUSED,
    ];
    for command in commands {
        if let Ok(Decision::Apply(change)) = transfer.decide(&command, NOW) {
            assert_steps(&change.next, &[moved, &change.postings].concat());
        }
    }
}

#[test]
fn a_reversal_knows_that_it_has_moved_its_own_lines() {
    let done = |open: Change, command: &Command| step(&open.next, command).next;
    for original in [
        done(deposit(1, 100, 3), &Command::Settle),
        done(withdrawal(1, 100, 3), &confirm(None)),
        done(paid(3), &Command::Settle),
    ] {
        for (covers, returns_fee) in [(None, true), (None, false), (Some(amount(40)), true)] {
            let terms = ReversalTerms {
                covers,
                returns_fee,
                salt: CodeSalt::new([1; 10]),
            };
            let reversal = original.reversal(new(2, 1, 0), terms).unwrap();
            assert_eq!(reversal.next.postings_so_far(), reversal.postings);
            // Nothing more moves on the one that was taken back.
            let linked = reversal.linked.unwrap().next;
            assert_eq!(linked.postings_so_far(), original.postings_so_far());
        }
    }
}

#[test]
fn a_deposit_demands_an_active_owner_an_open_asset_and_room_for_the_credit() {
    let change = deposit(1, 100, 3);
    let active = Premise::OwnerActive(account(ALICE));
    let room = Premise::Room {
        account: account(ALICE),
        incoming: amount(97),
    };
    let allowed = Premise::AssetAllows {
        asset: btc(),
        kind: Kind::Deposit,
    };
    assert_eq!(
        change.premises,
        [active, allowed, Premise::WithinLimits, room]
    );
    assert_eq!(
        (change.expected, change.on_refusal),
        (Expected::Absent, OnRefusal::Keep)
    );
    let settled = step(&change.next, &Command::Settle);
    assert_eq!(settled.premises, [active, room]);
    assert_eq!(settled.on_refusal, OnRefusal::Record);
    let at_once = change.settled_at_once();
    assert_eq!(
        at_once.premises,
        [active, allowed, Premise::WithinLimits, room, active, room]
    );
    assert_eq!(at_once.on_refusal, OnRefusal::Keep);
}

#[test]
fn a_withdrawal_demands_funds_for_amount_and_fee_and_a_payout_an_active_owner() {
    let change = withdrawal(1, 100, 3);
    let active = Premise::OwnerActive(account(ALICE));
    let allowed = Premise::AssetAllows {
        asset: btc(),
        kind: Kind::Withdrawal,
    };
    let funds = Premise::Funds {
        account: account(ALICE),
        needed: amount(103),
    };
    let open = Premise::OutgoingOpen(btc());
    assert_eq!(
        change.premises,
        [active, allowed, open, Premise::WithinLimits, funds]
    );
    assert_eq!(
        (change.expected, change.on_refusal),
        (Expected::Absent, OnRefusal::Keep)
    );
    let confirmed = step(&change.next, &confirm(None));
    assert_eq!(confirmed.premises, [active, open]);
    assert_eq!(confirmed.on_refusal, OnRefusal::Keep);
    let canceled = step(&change.next, &cancel(None));
    assert_eq!(canceled.premises, [], "a hold can always be given back");
    assert_eq!(
        change.clone().settled_at_once(),
        change,
        "it never settles by itself"
    );
}

#[test]
fn a_payment_demands_nothing_until_it_settles_and_then_the_sender_comes_first() {
    let change = paid(3);
    assert_eq!(change.premises, []);
    let premises = [
        Premise::OwnerActive(account(ALICE)),
        Premise::AssetAllows {
            asset: btc(),
            kind: Kind::Internal,
        },
        Premise::OutgoingOpen(btc()),
        Premise::WithinLimits,
        Premise::Funds {
            account: account(ALICE),
            needed: amount(103),
        },
        Premise::RecipientAble {
            account: Some(account(BOB)),
            incoming: amount(100),
        },
    ];
    let settled = step(&change.next, &Command::Settle);
    assert_eq!(
        (settled.premises.as_slice(), settled.on_refusal),
        (premises.as_slice(), OnRefusal::Record)
    );
    let at_once = change.settled_at_once();
    assert_eq!(
        (at_once.premises.as_slice(), at_once.on_refusal),
        (premises.as_slice(), OnRefusal::Record)
    );
    assert_eq!(at_once.expected, Expected::Absent);
    assert_eq!(at_once.next.version(), Version::FIRST);
    assert_eq!(at_once.next.status(), Status::Success);
}

#[test]
fn what_can_never_be_served_is_refused_at_once() {
    let most = bursar_domain::Amount::MAX.units();
    for (units, fee) in [(3, 3), (3, 4)] {
        let refused = Transfer::deposit(new(1, units, fee), ALICE);
        assert_eq!(refused, Err(Reason::FeeExceedsAmount));
    }
    let refused = Transfer::withdrawal(new(1, most, 1), ALICE);
    assert_eq!(refused, Err(Reason::BalanceInsufficient));
    let internal = |new: NewTransfer, to| {
        Transfer::internal(new, ALICE, to, bursar_domain::CodeSalt::new([0; 10]), None)
    };
    let alias = Recipient::Alias {
        typed: "alice".to_owned(),
        user: ALICE,
    };
    for own in [Recipient::Id(ALICE), alias] {
        assert_eq!(internal(new(1, 1, 0), own), Err(Reason::RecipientIsSender));
    }
    let refused = internal(new(1, most, 1), Recipient::Id(BOB));
    assert_eq!(refused, Err(Reason::BalanceInsufficient));
}

#[test]
fn an_alias_becomes_an_id_only_once_money_has_moved() {
    let alias = Recipient::Alias {
        typed: "bob@example.com".to_owned(),
        user: BOB,
    };
    assert_eq!(alias.shown(false), "bob@example.com");
    assert_eq!(alias.shown(true), BOB.to_string());
    assert_eq!(Recipient::Id(BOB).shown(false), BOB.to_string());
    assert_eq!(nobody().shown(false), "nobody");
    let named = [alias.typed().is_some(), nobody().typed().is_some()];
    assert_eq!((named, Recipient::Id(BOB).typed()), ([true; 2], None));
}

#[test]
fn a_request_is_known_again_whatever_became_of_its_transfer() {
    let opened = Transfer::withdrawal(new(1, 10, 1), ALICE).unwrap().next;
    let paid = step(&opened, &confirm(None));
    assert!(opened.is_same_request(&paid.next));
    let priced = Transfer::withdrawal(new(1, 10, 2), ALICE).unwrap().next;
    assert!(opened.is_same_request(&priced), "the rules set the fee");
    let mut parts = paid.next.into_parts();
    parts.reversed = amount(4);
    parts.created_at = NOW.plus_micros(1);
    parts.updated_at = NOW.plus_micros(2);
    parts.expires_at = Some(NOW.plus_micros(3));
    assert!(opened.is_same_request(&Transfer::from_parts(parts)));
    for other in [
        Transfer::withdrawal(new(2, 10, 1), ALICE),
        Transfer::withdrawal(new(1, 11, 1), ALICE),
        Transfer::withdrawal(new(1, 10, 1), BOB),
        Transfer::deposit(new(1, 10, 1), ALICE),
    ] {
        assert!(!opened.is_same_request(&other.unwrap().next));
    }
}

#[test]
fn what_changes_no_transfer_is_not_in_the_audit_log() {
    let audit = AuditDraft {
        actor: ActorId::new("anna"),
        credential: "token:1".to_owned(),
        request_id: "r".to_owned(),
        address: "192.0.2.1".to_owned(),
        action: "withdrawal.confirm",
        target: "transfer:1".to_owned(),
        before: None,
        after: None,
    };
    let audited = |change: &Change| {
        let commit = Commit {
            audit: Some(audit.clone()),
            ..Commit::new(change.clone())
        };
        commit.audited().cloned()
    };
    let opened = withdrawal(1, 10, 0);
    let paid = step(&opened.next, &confirm(None));
    let told_again = paid
        .next
        .acknowledge(&confirm(Some("https://example.com/a")), None);
    assert_eq!(audited(&opened), Some(audit.clone()));
    assert_eq!(audited(&paid), Some(audit.clone()));
    assert_eq!(audited(&told_again), None);
    assert_eq!(Commit::new(opened).audited(), None);
}
