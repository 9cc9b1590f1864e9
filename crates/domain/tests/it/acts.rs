//! What people and operators do to an exchange, at random.

use bursar_domain::{Amount, Command, Reason, UserStatus};
use proptest::{prelude::*, sample::Index};

use crate::{
    exchange::USERS,
    sample::{cancel, confirm},
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
        at_once: bool,
        key: Option<u8>,
    },
    /// Sends a command to some transfer that exists.
    Command {
        which: Index,
        command: Command,
        key: Option<u8>,
    },
    /// Sends some earlier commit again, unchanged.
    Repeat { which: Index },
    /// Changes a user's status.
    Status(usize, UserStatus),
    /// Moves the clock, also backwards.
    Clock(i64),
}

fn units() -> impl Strategy<Value = i128> {
    let most = Amount::MAX.units();
    prop_oneof![20 => 1..1_000_i128, 1 => (most - 5)..=most, 1 => Just(most / 2)]
}

fn open() -> impl Strategy<Value = Act> {
    let who = (0_u8..3, 0..USERS.len(), 0..=USERS.len(), 0..2_usize);
    let fee = prop_oneof![3 => Just(0_i128), 2 => 1..40_i128, 1 => units()];
    let how = (
        units(),
        fee,
        any::<bool>(),
        proptest::option::weighted(0.3, 0_u8..6),
    );
    (who, how).prop_map(
        |((kind, user, recipient, asset), (units, fee, at_once, key))| Act::Open {
            kind,
            user,
            recipient,
            asset,
            units,
            fee,
            at_once,
            key,
        },
    )
}

fn command() -> impl Strategy<Value = Act> {
    let command = prop_oneof![
        4 => Just(Command::Settle),
        2 => Just(confirm(None)),
        2 => Just(cancel(None)),
        1 => Just(Command::Fail { reason: Reason::PayoutRefused }),
    ];
    let key = proptest::option::weighted(0.2, 0_u8..6);
    (any::<Index>(), command, key).prop_map(|(which, command, key)| Act::Command {
        which,
        command,
        key,
    })
}

pub(crate) fn acts() -> impl Strategy<Value = Vec<Act>> {
    let status = proptest::sample::select(UserStatus::ALL.as_slice());
    let act = prop_oneof![
        10 => open(),
        8 => command(),
        2 => any::<Index>().prop_map(|which| Act::Repeat { which }),
        1 => (0..USERS.len(), status).prop_map(|(user, status)| Act::Status(user, status)),
        1 => (-2_000_i64..5_000).prop_map(Act::Clock),
    ];
    proptest::collection::vec(act, 1..70)
}
