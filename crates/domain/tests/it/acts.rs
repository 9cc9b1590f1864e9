//! What people and operators do to an exchange, at random.

use bursar_domain::{Amount, Command, FeeSchedule, Limits, PayoutRoute, Reason, UserStatus};
use proptest::{prelude::*, sample::Index};

use crate::{
    exchange::USERS,
    rulebook::{SECOND, approve, confirm_by_gateway, percent, reject},
    sample::{amount, cancel, confirm},
};

/// Something that somebody does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Starts a transfer: kind 0 to 2; recipients beyond the users are unknown.
    Open {
        kind: u8,
        user: usize,
        recipient: usize,
        asset: usize,
        units: i128,
        fee: i128,
        /// Whether the schedule sets the fee instead.
        pays_fee: bool,
        /// Whether anybody knows what the asset is worth.
        rated: bool,
        at_once: bool,
        key: Option<u8>,
    },
    /// Sends a command to some transfer that exists.
    Command {
        which: Index,
        command: Command,
        key: Option<u8>,
    },
    /// Takes some transfer back that went through: so many per mille of it, or all that is left.
    Reverse {
        which: Index,
        share: Option<i128>,
        returns_fee: bool,
    },
    /// Sends some earlier commit again, unchanged.
    Repeat { which: Index },
    /// Changes what operators want.
    Rule(Rule),
    /// Changes a user's status.
    Status(usize, UserStatus),
    /// Moves the clock from where it is, also backwards.
    Clock(i64),
}

/// Something that operators want from now on.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// What transfers of a kind and asset cost.
    Fee(u8, usize, FeeSchedule),
    /// How much may be moved; scope 0 and 1 are assets, 2 is the root asset.
    Limits(u8, usize, Limits),
    /// Whether nothing moves.
    ReadOnly(bool),
    /// Whether an asset does not leave.
    Outgoing(usize, bool),
}

const HOUR: i64 = 3_600 * 1_000_000;

fn units() -> impl Strategy<Value = i128> {
    let most = Amount::MAX.units();
    prop_oneof![20 => 1..1_000_i128, 1 => (most - 5)..=most, 1 => Just(most / 2)]
}

fn open() -> impl Strategy<Value = Act> {
    let who = (0_u8..3, 0..USERS.len(), 0..=USERS.len(), 0..2_usize);
    let fee = prop_oneof![3 => Just(0_i128), 2 => 1..40_i128, 1 => units()];
    let often = || proptest::bool::weighted(0.95);
    let how = (
        (units(), fee, any::<bool>(), often(), any::<bool>()),
        proptest::option::weighted(0.3, 0_u8..6),
    );
    (who, how).prop_map(
        |((kind, user, recipient, asset), ((units, fee, pays_fee, rated, at_once), key))| {
            Act::Open {
                kind,
                user,
                recipient,
                asset,
                units,
                fee,
                pays_fee,
                rated,
                at_once,
                key,
            }
        },
    )
}

/// Who reviews is now and then somebody who may not.
fn reviewer() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(SECOND), 1 => Just("operator"), 1 => Just("confirmer")]
}

fn route() -> impl Strategy<Value = PayoutRoute> {
    prop_oneof![Just(PayoutRoute::Manual), Just(PayoutRoute::Gateway)]
}

fn command() -> impl Strategy<Value = Act> {
    let command = prop_oneof![
        4 => Just(Command::Settle),
        3 => Just(confirm(None)),
        3 => Just(confirm_by_gateway(None)),
        4 => (reviewer(), route()).prop_map(|(by, route)| approve(by, route)),
        1 => reviewer().prop_map(reject),
        2 => Just(Command::PaidOut),
        2 => Just(cancel(None)),
        1 => Just(Command::Expire),
        1 => Just(Command::Fail { reason: Reason::PayoutRefused }),
    ];
    let key = proptest::option::weighted(0.2, 0_u8..6);
    (any::<Index>(), command, key).prop_map(|(which, command, key)| Act::Command {
        which,
        command,
        key,
    })
}

fn reverse() -> impl Strategy<Value = Act> {
    let share = proptest::option::of(1..=1_000_i128);
    (any::<Index>(), share, any::<bool>()).prop_map(|(which, share, returns_fee)| Act::Reverse {
        which,
        share,
        returns_fee,
    })
}

fn fee() -> impl Strategy<Value = FeeSchedule> {
    let bounds = (0..40_i128, proptest::option::of(0..40_i128));
    (0..=10_i128, bounds, 0..20_i128).prop_map(|(share, (min, span), absolute)| FeeSchedule {
        min: amount(min),
        max: span.map(|span| amount(min + span)),
        absolute: amount(absolute),
        ..percent(share)
    })
}

/// Limits that always count, so that they may be changed at any time; mostly they bind nobody.
fn limits() -> impl Strategy<Value = Limits> {
    let most = || prop_oneof![2 => Just(Amount::MAX), 2 => (0..2_500_i128).prop_map(amount)];
    let maybe = |often, most: i128| proptest::option::weighted(often, (0..most).prop_map(amount));
    let each = (maybe(0.2, 100), maybe(0.2, 2_000), maybe(0.6, 500));
    (each, most(), most()).prop_map(|((min_amount, max_amount, above), daily, monthly)| Limits {
        min_amount,
        max_amount,
        daily: Some(daily),
        monthly: Some(monthly),
        approval_above: above,
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let seldom = || proptest::bool::weighted(0.3);
    prop_oneof![
        3 => (0_u8..3, 0..2_usize, fee()).prop_map(|(kind, asset, fee)| Rule::Fee(kind, asset, fee)),
        6 => (0_u8..3, 0..3_usize, limits())
            .prop_map(|(kind, scope, limits)| Rule::Limits(kind, scope, limits)),
        1 => seldom().prop_map(Rule::ReadOnly),
        2 => (0..2_usize, seldom()).prop_map(|(asset, stopped)| Rule::Outgoing(asset, stopped)),
    ]
}

fn clock() -> impl Strategy<Value = Act> {
    let by = prop_oneof![
        2 => -2_000_i64..5_000,
        2 => 0..30 * HOUR,
        1 => 0..31 * 24 * HOUR,
        1 => -2 * HOUR..0,
    ];
    by.prop_map(Act::Clock)
}

pub(crate) fn acts() -> impl Strategy<Value = Vec<Act>> {
    let status = proptest::sample::select(UserStatus::ALL.as_slice());
    let act = prop_oneof![
        20 => open(),
        20 => command(),
        4 => reverse(),
        4 => any::<Index>().prop_map(|which| Act::Repeat { which }),
        4 => rule().prop_map(Act::Rule),
        2 => (0..USERS.len(), status).prop_map(|(user, status)| Act::Status(user, status)),
        3 => clock(),
    ];
    let rules = proptest::collection::vec(rule().prop_map(Act::Rule), 0..8);
    let acts = proptest::collection::vec(act, 1..90);
    (rules, acts).prop_map(|(rules, acts)| rules.into_iter().chain(acts).collect())
}
