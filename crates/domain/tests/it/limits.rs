//! What limits refuse, and what they say of it.

use bursar_domain::{
    AssetId, Kind, Limit, Limits, NewTransfer, OverLimit, Reason, Room, Scale, Timestamp,
    ledger::{Applied, Books, Verdict},
};

use crate::{
    rulebook::{opened, rated, reason_of, set_limits, settle_at, usd, used},
    sample::{ALICE, NOW, amount, applied, balance, books_with, btc, new, settle},
};

pub(crate) const DAY: i64 = 24 * 3_600 * 1_000_000;

/// The kinds of which past transfers count.
pub(crate) const ROLLING: [Kind; 2] = [Kind::Withdrawal, Kind::Internal];

/// Of an asset in its own units, and of all in the root asset, in which one unit is worth two.
pub(crate) const SCOPES: [(bool, i128); 2] = [(true, 1), (false, 2)];

pub(crate) fn scope(of_asset: bool) -> Option<AssetId> {
    of_asset.then(btc)
}

pub(crate) fn rated_new(number: i64, units: i128) -> NewTransfer {
    rated(new(number, units, 0))
}

/// A transfer that is judged by the limits at once.
pub(crate) fn send(
    books: &mut Books,
    kind: Kind,
    number: i64,
    units: i128,
    now: Timestamp,
) -> Verdict {
    let change = opened(kind, rated_new(number, units)).settled_at_once();
    settle_at(books, change, now)
}

pub(crate) fn most_in(window: Limit, units: i128) -> Limits {
    match window {
        Limit::MinAmount => Limits {
            min_amount: Some(amount(units)),
            ..Limits::default()
        },
        Limit::MaxAmount => Limits {
            max_amount: Some(amount(units)),
            ..Limits::default()
        },
        Limit::Daily => Limits {
            daily: Some(amount(units)),
            ..Limits::default()
        },
        Limit::Monthly => Limits {
            monthly: Some(amount(units)),
            ..Limits::default()
        },
    }
}

fn room(of_asset: bool, limit: Limit, left: i128, returns_at: Option<Timestamp>) -> Room {
    let over = OverLimit {
        limit,
        left: amount(left),
        returns_at,
    };
    let (asset, decimals) = if of_asset { (btc(), 8) } else { (usd(), 2) };
    let scale = Scale::try_new(decimals).expect("at most 18");
    Room { over, asset, scale }
}

/// A transfer that a limit refuses; an internal one is recorded as rejected.
fn assert_over(kind: Kind, verdict: Verdict, reason: Reason, room: Room) {
    if kind == Kind::Internal {
        let Applied { next, entries, .. } = applied(verdict);
        assert_eq!(next.reason(), Some(reason), "{kind:?}");
        assert_eq!(entries, [], "{kind:?}");
    } else {
        assert_eq!(verdict, Verdict::OverLimit { reason, room }, "{kind:?}");
    }
}

#[test]
fn the_least_and_the_most_of_one_transfer_bind_every_kind_in_both_scopes() {
    for kind in Kind::ALL {
        for (of_asset, worth) in SCOPES {
            for (limit, reason, within, beyond) in [
                (Limit::MinAmount, Reason::LimitMinAmount, 40, 39),
                (Limit::MaxAmount, Reason::LimitMaxAmount, 40, 41),
            ] {
                let mut books = books_with(1_000);
                let bound = 40 * worth;
                set_limits(&mut books, kind, scope(of_asset), most_in(limit, bound));
                let admitted = send(&mut books, kind, 1, within, NOW);
                assert_eq!(reason_of(&admitted), None, "{kind:?} {limit:?}");
                let before = books.accounts.get(&crate::sample::world()).copied();
                let refused = send(&mut books, kind, 2, beyond, NOW);
                assert_over(kind, refused, reason, room(of_asset, limit, bound, None));
                assert_eq!(books.accounts.get(&crate::sample::world()).copied(), before);
            }
        }
    }
}

#[test]
fn what_was_moved_in_the_window_counts_until_it_has_left_it() {
    for kind in ROLLING {
        for (of_asset, worth) in SCOPES {
            for (limit, reason, window) in [
                (Limit::Daily, Reason::LimitDaily, DAY),
                (Limit::Monthly, Reason::LimitMonthly, 30 * DAY),
            ] {
                let mut books = books_with(1_000);
                let most = most_in(limit, 100 * worth);
                set_limits(&mut books, kind, scope(of_asset), most);
                let first = applied(send(&mut books, kind, 1, 70, NOW)).next;
                let returns_at = first.parts().created_at.plus_micros(window);
                let before = returns_at.plus_micros(-1);
                let refused = send(&mut books, kind, 2, 31, before);
                let left = room(of_asset, limit, 30 * worth, Some(returns_at));
                assert_over(kind, refused, reason, left);
                let fits = send(&mut books, kind, 3, 30, before);
                assert_eq!(reason_of(&fits), None, "{kind:?} {limit:?}");
                let returned = send(&mut books, kind, 4, 70, returns_at);
                assert_eq!(reason_of(&returned), None, "{kind:?} {limit:?}");
                let never = send(&mut books, kind, 5, 101, returns_at);
                assert_over(kind, never, reason, room(of_asset, limit, 0, None));
            }
        }
    }
}

#[test]
fn deposits_are_not_held_against_rolling_limits() {
    let mut books = books_with(0);
    let limits = Limits {
        daily: Some(amount(10)),
        monthly: Some(amount(10)),
        ..Limits::default()
    };
    for (of_asset, _) in SCOPES {
        set_limits(&mut books, Kind::Deposit, scope(of_asset), limits);
    }
    for number in 1..4 {
        let verdict = send(&mut books, Kind::Deposit, number, 11, NOW);
        assert_eq!(reason_of(&verdict), None);
    }
    assert_eq!(balance(&books, ALICE), (33, 0));
    assert_eq!(used(&books, Kind::Deposit, Some(btc())), 0);
    let change = opened(Kind::Deposit, rated_new(9, 11));
    assert_eq!(change.usage_keys(&books.rules), [], "no store need read it");
}

#[test]
fn a_limit_is_for_its_kind_its_asset_and_its_user_alone() {
    let mut books = books_with(1_000);
    let daily = most_in(Limit::Daily, 50);
    set_limits(&mut books, Kind::Withdrawal, Some(btc()), daily);
    set_limits(
        &mut books,
        Kind::Withdrawal,
        Some(usd()),
        most_in(Limit::MaxAmount, 1),
    );
    assert_eq!(
        reason_of(&send(&mut books, Kind::Withdrawal, 1, 50, NOW)),
        None
    );
    assert_eq!(
        reason_of(&send(&mut books, Kind::Internal, 2, 60, NOW)),
        None
    );
    let bobs = bursar_domain::Transfer::withdrawal(new(3, 50, 0), crate::sample::BOB);
    assert_eq!(reason_of(&settle(&mut books, bobs.expect("it fits"))), None);
    let hers = send(&mut books, Kind::Withdrawal, 4, 1, NOW);
    assert_eq!(reason_of(&hers), Some(Reason::LimitDaily));
}

#[test]
fn the_asset_is_judged_before_the_root_asset_and_both_must_have_room() {
    for (of_asset, of_root, reason, left) in [
        (
            50,
            200,
            Reason::LimitDaily,
            room(true, Limit::Daily, 50, None),
        ),
        (
            200,
            100,
            Reason::LimitDaily,
            room(false, Limit::Daily, 100, None),
        ),
        (
            50,
            100,
            Reason::LimitDaily,
            room(true, Limit::Daily, 50, None),
        ),
    ] {
        let mut books = books_with(1_000);
        let daily = |most| most_in(Limit::Daily, most);
        set_limits(&mut books, Kind::Withdrawal, Some(btc()), daily(of_asset));
        set_limits(&mut books, Kind::Withdrawal, None, daily(of_root));
        let refused = send(&mut books, Kind::Withdrawal, 1, 51, NOW);
        assert_over(Kind::Withdrawal, refused, reason, left);
        assert_eq!(used(&books, Kind::Withdrawal, Some(btc())), 0);
        assert_eq!(used(&books, Kind::Withdrawal, None), 0);
    }
}

#[test]
fn all_assets_count_together_in_the_root_asset() {
    let mut books = crate::exchange::Exchange::new().books;
    for asset in crate::exchange::assets() {
        let new = NewTransfer {
            asset,
            ..new(i64::from(asset == btc()) + 1, 100, 0)
        };
        let credit = bursar_domain::Transfer::deposit(new, ALICE).expect("no fee");
        assert_eq!(
            reason_of(&settle(&mut books, credit.settled_at_once())),
            None
        );
    }
    set_limits(
        &mut books,
        Kind::Withdrawal,
        None,
        most_in(Limit::Daily, 100),
    );
    let hold = |number, asset, units| {
        opened(
            Kind::Withdrawal,
            NewTransfer {
                asset,
                ..rated_new(number, units)
            },
        )
    };
    assert_eq!(reason_of(&settle(&mut books, hold(3, btc(), 30))), None);
    assert_eq!(reason_of(&settle(&mut books, hold(4, usd(), 15))), None);
    let over = settle(&mut books, hold(5, btc(), 6));
    assert_eq!(reason_of(&over), Some(Reason::LimitDaily));
    assert_eq!(used(&books, Kind::Withdrawal, None), 90);
}

#[test]
fn what_has_no_value_in_the_root_asset_is_refused_where_that_is_limited() {
    let limits = [
        Limit::MinAmount,
        Limit::MaxAmount,
        Limit::Daily,
        Limit::Monthly,
    ];
    for kind in Kind::ALL {
        for limit in limits {
            let is_judged =
                kind != Kind::Deposit || matches!(limit, Limit::MinAmount | Limit::MaxAmount);
            let mut books = books_with(1_000);
            set_limits(&mut books, kind, None, most_in(limit, 1));
            let change = opened(kind, new(1, 100, 0)).settled_at_once();
            let reason = is_judged.then_some(Reason::RateUnknown);
            assert_eq!(
                reason_of(&settle(&mut books, change)),
                reason,
                "{kind:?} {limit:?}"
            );
        }
        let mut books = books_with(1_000);
        set_limits(&mut books, kind, None, Limits::default());
        let change = opened(kind, new(1, 100, 0)).settled_at_once();
        let unlimited = reason_of(&settle(&mut books, change));
        assert_eq!(
            unlimited, None,
            "{kind:?}: limits that are none ask for no rate"
        );
    }
}
