//! What can happen in a history.

use std::fmt;

use bursar_domain::{Kind, UserStatus};

/// One step of a history. Where it picks a transfer or an earlier request, the number stands for
/// any until [`super::Exchange::resolve`] has made it the number of a certain one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A user's status is set.
    User(usize, UserStatus),
    /// What an asset accepts is set: deposits, withdrawals, internal transfers.
    Asset(usize, [bool; 3]),
    /// What an asset is worth is set.
    Rate(usize, Rate),
    /// What transfers cost is set.
    Fees(Kind, usize, FeePlan),
    /// How much transfers may move is set, of an asset or of all.
    Limits(Kind, Option<usize>, LimitPlan),
    /// Something is stopped.
    Stop(Stopped),
    /// A stop is lifted.
    Lift(Stopped),
    /// Time passes.
    Pass {
        /// How many slots.
        slots: i64,
    },
    /// Somebody asks for a new transfer.
    New(Request),
    /// An earlier request that had a key comes again.
    Again {
        /// Which.
        pick: usize,
        /// Whether it asks for one unit more, with the same key.
        more: bool,
    },
    /// Somebody pays many.
    Bulk(BulkRequest),
    /// An earlier bulk that had a key comes again.
    BulkAgain {
        /// Which.
        pick: usize,
        /// Whether its first item asks for one unit more, with the same key.
        more: bool,
    },
    /// Something is to happen to a transfer.
    Finish(Finish),
    /// What nobody confirmed or approved in time ends.
    Expire {
        /// Which of those whose time is up.
        pick: usize,
    },
    /// A transfer is taken back.
    Reverse(Reversal),
}

/// Root asset per one of an asset: `units` shifted by so many decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The digits.
    pub units: i128,
    /// How many of them stand behind the point.
    pub decimals: u32,
}

/// What transfers cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeePlan {
    /// Hundred-millionths of a percent.
    pub parts: i128,
    /// The least of the share.
    pub min: i128,
    /// The most of the share.
    pub max: Option<i128>,
    /// On top.
    pub absolute: i128,
}

/// How much transfers may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitPlan {
    /// The least at once.
    pub min: Option<i128>,
    /// The most at once.
    pub max: Option<i128>,
    /// The most in 24 hours.
    pub daily: Option<i128>,
    /// The most in 30 days.
    pub monthly: Option<i128>,
    /// Beyond this a second operator must approve.
    pub approval_above: Option<i128>,
}

/// What can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Everything.
    ReadOnly,
    /// What leaves users' accounts of an asset.
    Outgoing(usize),
}

/// A request for a new transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The kind.
    pub kind: Kind,
    /// Whose money, or the sender.
    pub user: usize,
    /// Who is paid by an internal transfer; nobody who exists, when none.
    pub payee: Option<usize>,
    /// What.
    pub asset: usize,
    /// How much.
    pub amount: i128,
    /// Whether it is settled with its creation.
    pub at_once: bool,
    /// Which operator asks; users ask for internal transfers themselves.
    pub by: u8,
    /// The number of its key, if it has one.
    pub key: Option<usize>,
}

/// A request to pay many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkRequest {
    /// Who pays.
    pub user: usize,
    /// Whom, of what, how much.
    pub items: Vec<(Option<usize>, usize, i128)>,
    /// All or none.
    pub atomic: bool,
    /// Whether it is settled with its creation; so is every atomic one.
    pub at_once: bool,
    /// The number of its key, if it has one.
    pub key: Option<usize>,
}

/// Something that is to happen to a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// What.
    pub command: Command,
    /// Which transfer.
    pub pick: usize,
    /// Whether one is picked that the command may apply to, if there is one.
    pub fitting: bool,
    /// Which operator says so.
    pub by: u8,
    /// The number of its key, if it has one; few, so that they meet again.
    pub key: Option<u8>,
}

/// What can happen to a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A deposit or internal transfer becomes final.
    Settle,
    /// A withdrawal is paid out, or handed over to a gateway.
    Confirm {
        /// To a gateway.
        gateway: bool,
    },
    /// A second operator says yes.
    Approve {
        /// Whether a gateway pays out then.
        gateway: bool,
    },
    /// A second operator says no.
    Reject,
    /// A withdrawal is given up.
    Cancel,
    /// The gateway has paid.
    PaidOut,
    /// The gateway has refused.
    PayoutRefused,
}

/// A request to take a transfer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// Which transfer.
    pub pick: usize,
    /// Whether one is picked that went through, if there is one.
    pub fitting: bool,
    /// How much of its amount, in percent; all that is left, when none. Resolved: in units.
    pub covers: Option<i128>,
    /// Whether the fee goes back too.
    pub returns_fee: bool,
    /// Which operator says so.
    pub by: u8,
    /// The number of its key, if it has one.
    pub key: Option<u8>,
}

fn user(number: usize) -> String {
    format!("user {number}")
}

fn asset(number: usize) -> String {
    format!("asset {number}")
}

fn payee(number: Option<usize>) -> String {
    number.map_or_else(|| "nobody".to_owned(), user)
}

fn key<K: fmt::Display>(number: Option<K>) -> String {
    number.map_or_else(String::new, |number| format!(", key {number}"))
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, what) = (user(self.user), asset(self.asset));
        let amount = self.amount;
        match self.kind {
            Kind::Deposit => {
                write!(
                    f,
                    "operator {} deposits {amount} of {what} to {who}",
                    self.by
                )
            }
            Kind::Withdrawal => {
                write!(
                    f,
                    "operator {} withdraws {amount} of {what} from {who}",
                    self.by
                )
            }
            Kind::Internal => {
                let payee = payee(self.payee);
                write!(f, "{who} pays {amount} of {what} to {payee}")
            }
        }?;
        let at_once = if self.at_once { ", at once" } else { "" };
        write!(f, "{at_once}{}", key(self.key))
    }
}

impl fmt::Display for BulkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match (self.atomic, self.at_once) {
            (true, _) => "all or none",
            (false, true) => "each, at once",
            (false, false) => "each, later",
        };
        write!(f, "{} pays many, {how}{}:", user(self.user), key(self.key))?;
        for (to, what, amount) in &self.items {
            write!(f, " {amount} of {} to {};", asset(*what), payee(*to))?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(number, status) => write!(f, "{} is {}", user(*number), status.as_str()),
            Self::Asset(number, allows) => {
                let [deposits, withdrawals, transfers] = allows;
                let what = asset(*number);
                write!(
                    f,
                    "{what} accepts deposits {deposits}, withdrawals {withdrawals}, internal {transfers}"
                )
            }
            Self::Rate(number, Rate { units, decimals }) => {
                write!(f, "{} is worth {units}e-{decimals}", asset(*number))
            }
            Self::Fees(kind, number, fees) => {
                write!(f, "{} of {} costs {fees:?}", kind.as_str(), asset(*number))
            }
            Self::Limits(kind, number, limits) => {
                let what = number.map_or_else(|| "all assets".to_owned(), asset);
                write!(f, "{} of {what} is limited to {limits:?}", kind.as_str())
            }
            Self::Stop(what) => write!(f, "stop {what:?}"),
            Self::Lift(what) => write!(f, "lift {what:?}"),
            Self::Pass { slots } => write!(f, "{} hours pass", slots * super::SLOT_HOURS),
            Self::New(request) => request.fmt(f),
            Self::Again { pick, more } => write!(f, "request {pick} again, more: {more}"),
            Self::Bulk(request) => request.fmt(f),
            Self::BulkAgain { pick, more } => write!(f, "bulk {pick} again, more: {more}"),
            Self::Finish(finish) => {
                let Finish {
                    command, pick, by, ..
                } = finish;
                let key = key(finish.key);
                write!(f, "{command:?} of transfer {pick} by operator {by}{key}")
            }
            Self::Expire { pick } => write!(f, "the time of transfer {pick} is up"),
            Self::Reverse(reversal) => {
                let Reversal {
                    pick,
                    covers,
                    returns_fee,
                    by,
                    ..
                } = reversal;
                let (covers, key) = (*covers, key(reversal.key));
                let covers =
                    covers.map_or_else(|| "the rest".to_owned(), |units| units.to_string());
                write!(
                    f,
                    "operator {by} takes {covers} of transfer {pick} back, with its fee: {returns_fee}{key}"
                )
            }
        }
    }
}
