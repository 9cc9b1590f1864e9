//! Rules as operators set them, and what second operators and gateways do by them.

use std::sync::Arc;

use bursar_domain::{
    ActorId, AssetId, BigDecimal, Change, Command, Commit, FeeSchedule, Kind, Limits, NewTransfer,
    PayoutRoute, Percent, Recipient, RootRate, Rules, Scale, Terms, Timestamp, Transfer, Unit,
    Usage, UsageKey,
    ledger::{self, Books, Verdict},
};

use crate::{
    exchange::USERS,
    sample::{ALICE, BOB, amount, asset_id, books_with, btc, new, payment_with_fee},
};

/// Who approves and rejects; neither "operator", who makes transfers, nor "confirmer".
pub(crate) const SECOND: &str = "second";
/// What second operators are shown, digested.
pub(crate) const DIGEST: [u8; 32] = [9; 32];

/// The root asset of [`rated`].
pub(crate) fn usd() -> AssetId {
    asset_id("usd")
}

pub(crate) fn change_rules(books: &mut Books, change: impl FnOnce(&mut Rules)) {
    let rules = Arc::make_mut(&mut books.rules);
    rules.revision += 1;
    change(rules);
}

/// Sets what transfers of a kind cost.
pub(crate) fn set_fee(books: &mut Books, kind: Kind, fee: FeeSchedule) {
    change_rules(books, |rules| {
        rules.fees.insert((kind, btc()), fee);
    });
}

/// Sets a limit, of [`btc`] or in the root asset, and reads what each user has used of it.
pub(crate) fn set_limits(books: &mut Books, kind: Kind, asset: Option<AssetId>, limits: Limits) {
    change_rules(books, |rules| {
        rules.limits.insert((kind, asset), limits);
    });
    for user in USERS {
        let key = UsageKey { user, kind, asset };
        books.usage.entry(key).or_default();
    }
}

/// Sets in which unit the limits over all assets are; none is one that nobody remembers.
pub(crate) fn set_root_unit(books: &mut Books, kind: Kind, unit: Option<Unit>) {
    change_rules(books, |rules| {
        rules.root_units = unit.map(|unit| (kind, unit)).into_iter().collect();
    });
}

/// Sets beyond which amount of [`btc`] a second operator must approve.
pub(crate) fn set_approval(books: &mut Books, kind: Kind, above: i128) {
    let limits = Limits {
        approval_above: Some(amount(above)),
        ..Limits::default()
    };
    set_limits(books, kind, Some(btc()), limits);
}

/// Alice has 1000; deposits and withdrawals above this need a second operator.
pub(crate) fn strict_books(above: i128) -> Books {
    let mut books = books_with(1_000);
    for kind in [Kind::Deposit, Kind::Withdrawal] {
        set_approval(&mut books, kind, above);
    }
    books
}

pub(crate) fn set_outgoing_stop(books: &mut Books, stopped: bool) {
    change_rules(books, |rules| {
        rules.stops.outgoing = stopped.then(btc).into_iter().collect();
    });
}

pub(crate) fn set_read_only(books: &mut Books, read_only: bool) {
    change_rules(books, |rules| rules.stops.read_only = read_only);
}

/// What Alice has used of a limit, of the 30 days together.
pub(crate) fn used(books: &Books, kind: Kind, asset: Option<AssetId>) -> i128 {
    let user = ALICE;
    let key = UsageKey { user, kind, asset };
    let uses = books.usage.get(&key).map(Usage::uses).unwrap_or_default();
    uses.iter().map(|(_, amount)| amount.units()).sum()
}

/// The same price for every amount.
pub(crate) fn flat(units: i128) -> FeeSchedule {
    FeeSchedule {
        absolute: amount(units),
        ..FeeSchedule::default()
    }
}

/// So many whole percent.
pub(crate) fn percent(whole: i128) -> FeeSchedule {
    FeeSchedule {
        percent: Percent::try_from_parts(whole * 100_000_000).expect("at most a hundred"),
        ..FeeSchedule::default()
    }
}

/// A new transfer that costs what the schedule says.
pub(crate) fn priced(number: i64, units: i128) -> NewTransfer {
    NewTransfer {
        terms: Terms {
            pays_fee: true,
            ..Terms::default()
        },
        ..new(number, units, 0)
    }
}

/// An asset's smallest unit.
pub(crate) fn unit(asset: AssetId, decimals: u8) -> Unit {
    Unit {
        asset,
        scale: Scale::try_new(decimals).expect("at most 18"),
    }
}

/// The same with a rate by which one unit is worth two cents of the root asset.
pub(crate) fn rated(new: NewTransfer) -> NewTransfer {
    rated_in(new, unit(usd(), 2))
}

/// The same with this unit for the cents.
pub(crate) fn rated_in(new: NewTransfer, unit: Unit) -> NewTransfer {
    let rate = RootRate {
        asset: unit.asset,
        scale: unit.scale,
        rate: BigDecimal::from(2_000_000),
        source: None,
        rated_at: None,
    };
    NewTransfer {
        root_rate: Some(rate),
        ..new
    }
}

/// A transfer of Alice's; internal ones go to Bob.
pub(crate) fn opened(kind: Kind, new: NewTransfer) -> Change {
    match kind {
        Kind::Deposit => Transfer::deposit(new, ALICE).expect("the fee is less"),
        Kind::Withdrawal => Transfer::withdrawal(new, ALICE).expect("the sum fits"),
        Kind::Internal => payment_with_fee(new, ALICE, Recipient::Id(BOB)),
    }
}

pub(crate) fn settle_at(books: &mut Books, change: Change, now: Timestamp) -> Verdict {
    ledger::settle(books, &[Commit::new(change)], now).remove(0)
}

/// What a refusal or rejection is for; none when all went well.
pub(crate) fn reason_of(verdict: &Verdict) -> Option<bursar_domain::Reason> {
    match verdict {
        Verdict::Applied(applied) => applied.next.reason(),
        Verdict::Refused { reason }
        | Verdict::OverLimit { reason, .. }
        | Verdict::RefusalReplayed { reason } => Some(*reason),
        Verdict::Landed
        | Verdict::Replayed { .. }
        | Verdict::KeyReused { .. }
        | Verdict::Stale { .. }
        | Verdict::ReadOnly => panic!("neither applied nor refused: {verdict:?}"),
    }
}

pub(crate) fn approve(by: &str, route: PayoutRoute) -> Command {
    Command::Approve {
        by: ActorId::new(by),
        digest: DIGEST,
        route,
    }
}

pub(crate) fn reject(by: &str) -> Command {
    Command::Reject {
        by: ActorId::new(by),
        digest: DIGEST,
    }
}

/// A confirm that a gateway is to pay out.
pub(crate) fn confirm_by_gateway(url: Option<&str>) -> Command {
    Command::Confirm {
        by: ActorId::new("confirmer"),
        callback_url: url.map(str::to_owned),
        route: PayoutRoute::Gateway,
        approval_expires_at: None,
    }
}
