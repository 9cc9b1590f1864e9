//! Histories by chance.

use bursar_domain::{Kind, UserStatus};
use proptest::{
    prelude::*,
    sample::select,
    strategy::{BoxedStrategy, Union},
};

use super::{
    BulkRequest, Command, FeePlan, Finish, LimitPlan, MOST, Rate, Request, Reversal, SCALES, Step,
    Stopped, USERS,
};

/// Amounts that are asked for and limits that are set more often than others, so that they meet.
const ROUND: [i128; 5] = [20, 100, 500, 1_000, 2_000];
/// How many operators there are.
const OPERATORS: u8 = 3;

/// What a runner can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Everything: time passes, transfers stay pending until a step settles them, gateways pay
    /// out, and as much comes in as accounts can hold.
    Store,
    /// What can be asked for: time passes and transfers settle by themselves.
    Http,
}

impl Profile {
    /// The steps with which a history may begin: rules for the others to meet.
    pub(super) fn rule() -> BoxedStrategy<Step> {
        prop_oneof![1 => rate(), 2 => fees(), 5 => limits()].boxed()
    }

    /// A step of whatever kind.
    pub(super) fn step(self) -> BoxedStrategy<Step> {
        let mut steps = vec![
            (30, self.request().prop_map(Step::New).boxed()),
            (8, again().boxed()),
            (5, self.bulk().prop_map(Step::Bulk).boxed()),
            (2, bulk_again().boxed()),
            (24, self.finish().prop_map(Step::Finish).boxed()),
            (7, reversal().prop_map(Step::Reverse).boxed()),
            (
                3,
                (user(), status())
                    .prop_map(|(user, status)| Step::User(user, status))
                    .boxed(),
            ),
            (
                2,
                (asset(), allows())
                    .prop_map(|(asset, allows)| Step::Asset(asset, allows))
                    .boxed(),
            ),
            (2, rate().boxed()),
            (4, fees().boxed()),
            (7, limits().boxed()),
            (2, stop().prop_map(Step::Stop).boxed()),
            (6, stop().prop_map(Step::Lift).boxed()),
        ];
        if self == Self::Store {
            let slots = select(vec![1_i64, 1, 2, 3, 4, 7, 50, 103]);
            steps.push((6, slots.prop_map(|slots| Step::Pass { slots }).boxed()));
            steps.push((
                4,
                any_number().prop_map(|pick| Step::Expire { pick }).boxed(),
            ));
        }
        if self == Self::Store {
            steps.push((1, self.huge_deposit().prop_map(Step::New).boxed()));
        }
        Union::new_weighted(steps).boxed()
    }

    /// So much that hardly anything fits beside it.
    fn huge_deposit(self) -> impl Strategy<Value = Request> {
        (self.request(), 100..30_000_i128).prop_map(|(request, less)| Request {
            kind: Kind::Deposit,
            asset: 0,
            amount: MOST - less,
            ..request
        })
    }

    fn request(self) -> impl Strategy<Value = Request> {
        let who = user().prop_flat_map(|user| (Just(user), payee_of(user)));
        let kind = prop_oneof![
            1 => Just(Kind::Deposit),
            2 => Just(Kind::Withdrawal),
            2 => Just(Kind::Internal),
        ];
        let at_once = self.at_once();
        let key = proptest::option::weighted(0.75, Just(0));
        (kind, who, asset(), amount(), at_once, operator(), key).prop_map(
            |(kind, (user, payee), asset, amount, at_once, by, key)| Request {
                kind,
                user,
                payee,
                asset,
                amount,
                at_once,
                by,
                key,
            },
        )
    }

    fn bulk(self) -> impl Strategy<Value = BulkRequest> {
        let item = (payee(), asset(), amount());
        let items = proptest::collection::vec(item, 1..6);
        let key = proptest::option::weighted(0.75, Just(0));
        (user(), items, any::<bool>(), self.at_once(), key).prop_map(
            |(user, items, atomic, at_once, key)| BulkRequest {
                user,
                items,
                atomic,
                at_once,
                key,
            },
        )
    }

    fn at_once(self) -> impl Strategy<Value = bool> {
        any::<bool>().prop_map(move |at_once| at_once || self == Self::Http)
    }

    fn finish(self) -> impl Strategy<Value = Finish> {
        let gateway = move |gateway: bool| gateway && self == Self::Store;
        let mut commands = vec![
            (
                8,
                any::<bool>()
                    .prop_map(move |to| Command::Confirm {
                        gateway: gateway(to),
                    })
                    .boxed(),
            ),
            (
                5,
                any::<bool>()
                    .prop_map(move |to| Command::Approve {
                        gateway: gateway(to),
                    })
                    .boxed(),
            ),
            (2, Just(Command::Reject).boxed()),
            (3, Just(Command::Cancel).boxed()),
        ];
        if self == Self::Store {
            commands.push((6, Just(Command::Settle).boxed()));
        }
        if self == Self::Store {
            commands.push((3, Just(Command::PaidOut).boxed()));
            commands.push((2, Just(Command::PayoutRefused).boxed()));
        }
        let fitting = proptest::bool::weighted(0.8);
        let key = proptest::option::of(0..6_u8);
        (
            Union::new_weighted(commands),
            any_number(),
            fitting,
            operator(),
            key,
        )
            .prop_map(|(command, pick, fitting, by, key)| {
                // Nobody asks for these, so nobody gives them keys.
                let asked_for = !matches!(
                    command,
                    Command::Settle | Command::PaidOut | Command::PayoutRefused
                );
                Finish {
                    command,
                    pick,
                    fitting,
                    by,
                    key: key.filter(|_| asked_for),
                }
            })
    }
}

/// Everybody gets some of everything first.
pub fn prologue() -> Vec<Step> {
    let deposit = |user, asset| {
        Step::New(Request {
            kind: Kind::Deposit,
            user,
            payee: None,
            asset,
            amount: 8_000,
            at_once: true,
            by: 0,
            key: None,
        })
    };
    (0..USERS - 1)
        .flat_map(|user| (0..SCALES.len()).map(move |asset| (user, asset)))
        .map(|(user, asset)| deposit(user, asset))
        .collect()
}

fn any_number() -> impl Strategy<Value = usize> {
    0..1_000_usize
}

fn user() -> impl Strategy<Value = usize> {
    0..USERS
}

fn asset() -> impl Strategy<Value = usize> {
    0..SCALES.len()
}

fn operator() -> impl Strategy<Value = u8> {
    0..OPERATORS
}

/// Somebody else mostly.
fn payee_of(user: usize) -> impl Strategy<Value = Option<usize>> {
    prop_oneof![
        12 => (1..USERS).prop_map(move |further| Some((user + further) % USERS)),
        1 => Just(Some(user)),
        1 => Just(None),
    ]
}

fn payee() -> impl Strategy<Value = Option<usize>> {
    proptest::option::weighted(0.95, user())
}

fn amount() -> impl Strategy<Value = i128> {
    prop_oneof![
        1 => 1..20_i128,
        4 => 1..2_000_i128,
        1 => 2_000..9_000_i128,
        2 => select(ROUND.to_vec()),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    select(Kind::ALL.to_vec())
}

fn status() -> impl Strategy<Value = UserStatus> {
    prop_oneof![
        4 => Just(UserStatus::Active),
        2 => Just(UserStatus::Frozen),
        1 => Just(UserStatus::Terminated),
    ]
}

fn allows() -> impl Strategy<Value = [bool; 3]> {
    let allowed = || proptest::bool::weighted(0.85);
    [allowed(), allowed(), allowed()]
}

fn again() -> impl Strategy<Value = Step> {
    let more = proptest::bool::weighted(0.3);
    (any_number(), more).prop_map(|(pick, more)| Step::Again { pick, more })
}

fn bulk_again() -> impl Strategy<Value = Step> {
    let more = proptest::bool::weighted(0.3);
    (any_number(), more).prop_map(|(pick, more)| Step::BulkAgain { pick, more })
}

/// Rates at which a thousand of an asset's units are worth some thousand of the root asset's.
fn rate() -> impl Strategy<Value = Step> {
    let rate = |units, decimals| Rate { units, decimals };
    prop_oneof![
        select(vec![
            rate(1_000_000, 0),
            rate(12_345_678, 1),
            rate(3_333_333, 1)
        ])
        .prop_map(|rate| Step::Rate(1, rate)),
        select(vec![rate(1, 2), rate(37, 3), rate(5, 1)]).prop_map(|rate| Step::Rate(2, rate)),
    ]
}

fn fees() -> impl Strategy<Value = Step> {
    // Nothing, half a percent, 1.23456789 percent, 15 percent, everything.
    let parts = select(vec![
        0,
        50_000_000,
        123_456_789,
        1_500_000_000,
        10_000_000_000,
    ]);
    let max = proptest::option::of(0..200_i128);
    let plan = (
        parts,
        select(vec![0, 0, 1, 25]),
        max,
        select(vec![0, 0, 1, 7]),
    );
    (kind(), asset(), plan).prop_map(|(kind, asset, (parts, min, max, absolute))| {
        let plan = FeePlan {
            parts,
            min,
            // What nobody may set: a most below the least.
            max: max.map(|max| max.max(min)),
            absolute,
        };
        Step::Fees(kind, asset, plan)
    })
}

fn limits() -> impl Strategy<Value = Step> {
    let or_none = |weight, range: std::ops::Range<i128>| {
        let round: Vec<i128> = ROUND
            .into_iter()
            .filter(|units| range.contains(units))
            .collect();
        proptest::option::weighted(weight, prop_oneof![1 => range, 1 => select(round)])
    };
    let scope = proptest::option::weighted(0.7, asset());
    let plan = (
        or_none(0.2, 1..60),
        or_none(0.3, 500..4_000),
        or_none(0.5, 500..5_000),
        or_none(0.4, 1_000..12_000),
        or_none(0.6, 100..1_001),
    );
    (kind(), scope, plan, proptest::bool::weighted(0.2)).prop_map(|(kind, scope, plan, none)| {
        let (min, max, daily, monthly, approval_above) = plan;
        let rolling = kind != Kind::Deposit;
        let reviewed = kind != Kind::Internal;
        let plan = LimitPlan {
            min,
            max,
            daily: daily.filter(|_| rolling),
            monthly: monthly.filter(|_| rolling),
            approval_above: approval_above.filter(|_| reviewed),
        };
        Step::Limits(kind, scope, if none { LimitPlan::default() } else { plan })
    })
}

fn stop() -> impl Strategy<Value = Stopped> {
    prop_oneof![
        1 => Just(Stopped::ReadOnly),
        2 => asset().prop_map(Stopped::Outgoing),
    ]
}

fn reversal() -> impl Strategy<Value = Reversal> {
    let covers = proptest::option::of(prop_oneof![3 => 1..100_i128, 1 => 101..150_i128]);
    let fitting = proptest::bool::weighted(0.9);
    let key = proptest::option::of(0..6_u8);
    (
        any_number(),
        fitting,
        covers,
        any::<bool>(),
        operator(),
        key,
    )
        .prop_map(|(pick, fitting, covers, returns_fee, by, key)| Reversal {
            pick,
            fitting,
            covers,
            returns_fee,
            by,
            key,
        })
}
