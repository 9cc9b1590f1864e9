//! A reference model of the whole exchange, and histories that it and the real thing live through
//! side by side.
//!
//! [`Exchange`] says what every step of a history comes to: the answer, and afterwards every
//! transfer and every balance. It is written from the rules, in plain integers, maps and lists, and
//! calls nothing of the ledger, of fees, of limits or of the state machines that it judges. What a
//! limit leaves, for one, is summed up anew from all transfers each time.
//!
//! [`Runner`] is the real thing: [`StoreRunner`] is one on any transfer store, and there is one that
//! speaks HTTP among the tests of the server. [`play`] lets both live through a history and tells the
//! first difference; [`Plan`] makes many histories and the shortest one that goes wrong.
//!
//! Time passes in multiples of [`SLOT_HOURS`], of which neither a day nor thirty days is one. The
//! service keeps uses of a limit as one that lie within five minutes or two hours of each other, and
//! moves times by microseconds so that histories stay in order; at such distances neither shows, so
//! what is compared is compared exactly, but for the second in which room returns.

mod bulk;
mod exchange;
mod finish;
mod generate;
mod money;
mod outcome;
mod plan;
mod play;
mod reverse;
mod rules;
mod step;
mod store_runner;

pub use exchange::{Exchange, Holder};
pub use generate::{Profile, prologue};
pub use outcome::{Left, Outcome, View};
pub use plan::Plan;
pub use play::{Runner, play};
pub use step::{
    BulkRequest, Command, FeePlan, Finish, LimitPlan, Rate, Request, Reversal, Step, Stopped,
};
pub use store_runner::{ModelHarness, RuleChange, StoreRunner};

/// How many users an exchange has.
pub const USERS: usize = 4;
/// The decimals of each asset. The first is the root asset.
pub const SCALES: [u8; 3] = [2, 8, 0];
/// How many hours one slot of time has.
pub const SLOT_HOURS: i64 = 7;
/// After how many hours a withdrawal that nobody confirmed ends.
pub const CONFIRM_HOURS: i64 = 20;
/// After how many hours what nobody approved ends.
pub const APPROVE_HOURS: i64 = 30;

/// The most that an account holds or owes.
const MOST: i128 = 10_i128.pow(38) - 1;
const HOUR: i64 = 3_600 * 1_000_000;
