//! The state of the model.

use std::collections::{BTreeMap, BTreeSet};

use bursar_domain::{Kind, UserStatus};

use super::{
    BulkRequest, FeePlan, LimitPlan, MOST, Outcome, Rate, Request, SCALES, SLOT_HOURS, Step,
    Stopped, USERS, View,
    rules::shared,
    step::{Command, Finish, Reversal},
};

/// Whose an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A user.
    User(usize),
    /// Everything outside.
    World,
    /// What was earned.
    Fees,
}

/// The whole exchange, as it ought to be.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Microseconds since the beginning.
    pub(super) now: i64,
    pub(super) users: Vec<UserStatus>,
    pub(super) assets: Vec<AssetState>,
    pub(super) fees: BTreeMap<(Kind, usize), FeePlan>,
    pub(super) limits: BTreeMap<(Kind, Option<usize>), LimitPlan>,
    pub(super) read_only: bool,
    pub(super) outgoing: BTreeSet<usize>,
    pub(super) transfers: Vec<Moved>,
    /// Available and held.
    pub(super) balances: BTreeMap<(Holder, usize), (i128, i128)>,
    pub(super) keys: BTreeMap<String, Bound>,
    pub(super) bulk_keys: BTreeMap<usize, (BulkRequest, Vec<Result<usize, String>>)>,
    /// Those that had a key, by its number.
    pub(super) requests: Vec<Request>,
    pub(super) bulks: Vec<BulkRequest>,
}

/// What an asset accepts, and what it is worth.
#[derive(Clone, Debug)]
pub(super) struct AssetState {
    pub(super) scale: u8,
    pub(super) allows: [bool; 3],
    pub(super) rate: Option<Rate>,
}

/// What a key is bound to: the request, and its transfer or the reason against it.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) request: String,
    pub(super) result: Result<usize, &'static str>,
}

/// Where a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    AwaitingConfirmation,
    AwaitingApproval,
    PayingOut,
    Done,
    Failed(&'static str),
    Canceled,
}

/// A transfer.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    pub(super) kind: Kind,
    pub(super) user: usize,
    pub(super) payee: Option<usize>,
    pub(super) asset: usize,
    pub(super) amount: i128,
    pub(super) fee: i128,
    /// In the root asset, when that was known at its creation.
    pub(super) value: Option<i128>,
    pub(super) state: State,
    /// The operator who asked for it; none for a user.
    pub(super) by: Option<u8>,
    pub(super) confirmed_by: Option<u8>,
    pub(super) is_reviewed: bool,
    pub(super) expires_at: Option<i64>,
    /// Whether it takes another one back.
    pub(super) is_reversal: bool,
    pub(super) reversed: i128,
    /// When it began to count for limits.
    pub(super) counted_at: i64,
}

impl Moved {
    pub(super) const fn total(&self) -> i128 {
        self.amount + self.fee
    }

    /// Whether an operator had a hand in it.
    pub(super) fn knows(&self, operator: u8) -> bool {
        self.by == Some(operator) || self.confirmed_by == Some(operator)
    }
}

impl Default for Exchange {
    fn default() -> Self {
        let asset = |scale| AssetState {
            scale,
            allows: [true; 3],
            rate: None,
        };
        Self {
            now: 0,
            users: vec![UserStatus::Active; USERS],
            assets: SCALES.into_iter().map(asset).collect(),
            fees: BTreeMap::new(),
            limits: BTreeMap::new(),
            read_only: false,
            outgoing: BTreeSet::new(),
            transfers: vec![],
            balances: BTreeMap::new(),
            keys: BTreeMap::new(),
            bulk_keys: BTreeMap::new(),
            requests: vec![],
            bulks: vec![],
        }
    }
}

impl Exchange {
    /// The step about certain transfers and requests; none when there is nothing that it could be
    /// about.
    pub fn resolve(&self, step: &Step) -> Option<Step> {
        Some(match step {
            Step::New(request) => {
                let key = request.key.map(|_| self.requests.len());
                Step::New(Request {
                    key,
                    ..request.clone()
                })
            }
            Step::Bulk(request) => {
                let key = request.key.map(|_| self.bulks.len());
                let mut request = request.clone();
                for (payee, ..) in &mut request.items {
                    // Nobody pays themselves in a bulk: that is refused before it is one.
                    *payee = payee.filter(|payee| *payee != request.user);
                }
                Step::Bulk(BulkRequest { key, ..request })
            }
            Step::Again { pick, more } => {
                let mut request = chosen(&self.requests, *pick)?.clone();
                request.amount += i128::from(*more);
                Step::New(request)
            }
            Step::BulkAgain { pick, more } => {
                let mut request = chosen(&self.bulks, *pick)?.clone();
                if let Some((.., amount)) = request.items.first_mut() {
                    *amount += i128::from(*more);
                }
                Step::Bulk(request)
            }
            Step::Finish(finish) => {
                let fits = |moved: &Moved| finish.fitting && fits(finish.command, moved);
                let may = |moved: &Moved| may_be_about(finish.command, moved.kind);
                let pick = self
                    .pick(finish.pick, fits)
                    .or_else(|| self.pick(finish.pick, may));
                Step::Finish(Finish {
                    pick: pick?,
                    ..*finish
                })
            }
            Step::Expire { pick } => {
                let pick = self.pick(*pick, |moved| {
                    moved.expires_at.is_some_and(|at| at <= self.now)
                });
                Step::Expire { pick: pick? }
            }
            Step::Reverse(reversal) => Step::Reverse(self.resolve_reversal(reversal)?),
            Step::User(..)
            | Step::Asset(..)
            | Step::Rate(..)
            | Step::Fees(..)
            | Step::Limits(..)
            | Step::Stop(_)
            | Step::Lift(_)
            | Step::Pass { .. } => step.clone(),
        })
    }

    fn resolve_reversal(&self, reversal: &Reversal) -> Option<Reversal> {
        let fits =
            |moved: &Moved| reversal.fitting && moved.state == State::Done && !moved.is_reversal;
        // Every other time the rest of one that was taken back in part.
        let has_rest = |moved: &Moved| {
            reversal.pick.is_multiple_of(2)
                && fits(moved)
                && (1..moved.amount).contains(&moved.reversed)
        };
        let pick = self.pick(reversal.pick, has_rest);
        let pick = pick.or_else(|| self.pick(reversal.pick, fits));
        let pick = pick.or_else(|| self.pick(reversal.pick, |_| true))?;
        let amount = self.moved(pick).amount;
        let units = |percent| shared(amount, percent, 100).0.clamp(1, MOST);
        let covers = reversal.covers.map(units);
        Some(Reversal {
            pick,
            covers,
            ..*reversal
        })
    }

    /// What a resolved step comes to.
    pub fn apply(&mut self, step: &Step) -> Outcome {
        match step {
            Step::User(user, status) => *at_mut(&mut self.users, *user) = *status,
            Step::Asset(asset, allows) => at_mut(&mut self.assets, *asset).allows = *allows,
            Step::Rate(asset, rate) => at_mut(&mut self.assets, *asset).rate = Some(*rate),
            Step::Fees(kind, asset, fees) => {
                self.fees.insert((*kind, *asset), *fees);
            }
            Step::Limits(kind, asset, limits) => {
                self.limits.insert((*kind, *asset), *limits);
            }
            Step::Stop(Stopped::ReadOnly) => self.read_only = true,
            Step::Lift(Stopped::ReadOnly) => self.read_only = false,
            Step::Stop(Stopped::Outgoing(asset)) => {
                self.outgoing.insert(*asset);
            }
            Step::Lift(Stopped::Outgoing(asset)) => {
                self.outgoing.remove(asset);
            }
            Step::Pass { slots } => self.now += slots * SLOT_HOURS * super::HOUR,
            Step::New(request) => return self.create(request),
            Step::Bulk(request) => return self.create_many(request),
            Step::Finish(finish) => return self.finish(finish),
            Step::Expire { pick } => return self.expire(*pick),
            Step::Reverse(reversal) => return self.reverse(reversal),
            Step::Again { .. } | Step::BulkAgain { .. } => {
                return Outcome::Strange("only resolved steps come to something".to_owned());
            }
        }
        Outcome::Done
    }

    /// How many transfers there are.
    pub const fn transfers(&self) -> usize {
        self.transfers.len()
    }

    /// Everything that accounts hold: available and held, zeros left out.
    pub fn balances(&self) -> BTreeMap<(Holder, usize), (i128, i128)> {
        let mut balances = self.balances.clone();
        balances.retain(|_, balance| *balance != (0, 0));
        balances
    }

    /// A transfer as everybody sees it.
    pub fn view(&self, number: usize) -> View {
        let moved = self.moved(number);
        let (status, stage, reason) = match (moved.state, moved.kind) {
            (State::Pending, _) => ("Pending", None, None),
            (State::AwaitingApproval, Kind::Deposit) => ("Pending", Some("approval"), None),
            (State::AwaitingApproval, _) => ("AwaitingConfirmation", Some("approval"), None),
            (State::AwaitingConfirmation, _) => ("AwaitingConfirmation", None, None),
            (State::PayingOut, _) => ("AwaitingConfirmation", Some("payout"), None),
            (State::Done, Kind::Internal) => ("Success", None, None),
            (State::Done, _) => ("Completed", None, None),
            (State::Failed(reason), Kind::Internal) => ("Rejected", None, Some(reason)),
            (State::Failed(reason), _) => ("Failed", None, Some(reason)),
            (State::Canceled, _) => ("Canceled", None, None),
        };
        View {
            number,
            status,
            stage,
            reason,
            amount: moved.amount,
            fee: moved.fee,
            reversed: moved.reversed,
            expires: moved.expires_at.is_some(),
        }
    }

    pub(super) fn moved(&self, number: usize) -> &Moved {
        at(&self.transfers, number)
    }

    pub(super) fn moved_mut(&mut self, number: usize) -> &mut Moved {
        at_mut(&mut self.transfers, number)
    }

    fn pick(&self, pick: usize, fits: impl Fn(&Moved) -> bool) -> Option<usize> {
        let numbered = self.transfers.iter().enumerate();
        let fitting: Vec<usize> = numbered
            .filter(|(_, moved)| fits(moved))
            .map(|(number, _)| number)
            .collect();
        chosen(&fitting, pick).copied()
    }
}

/// Which transfers a command can name at all.
const fn may_be_about(command: Command, kind: Kind) -> bool {
    match command {
        Command::Settle => matches!(kind, Kind::Deposit | Kind::Internal),
        Command::Approve { .. } | Command::Reject => {
            matches!(kind, Kind::Deposit | Kind::Withdrawal)
        }
        Command::Confirm { .. } | Command::Cancel | Command::PaidOut | Command::PayoutRefused => {
            matches!(kind, Kind::Withdrawal)
        }
    }
}

/// Whether a command probably applies.
fn fits(command: Command, moved: &Moved) -> bool {
    may_be_about(command, moved.kind)
        && match command {
            Command::Settle => moved.state == State::Pending,
            Command::Confirm { .. } => moved.state == State::AwaitingConfirmation,
            Command::Approve { .. } | Command::Reject => moved.state == State::AwaitingApproval,
            Command::Cancel => {
                matches!(
                    moved.state,
                    State::AwaitingConfirmation | State::AwaitingApproval
                )
            }
            Command::PaidOut | Command::PayoutRefused => moved.state == State::PayingOut,
        }
}

fn chosen<T>(from: &[T], pick: usize) -> Option<&T> {
    from.get(pick.checked_rem(from.len())?)
}

pub(super) fn at<T>(list: &[T], number: usize) -> &T {
    list.get(number).expect("the model names what there is")
}

pub(super) fn at_mut<T>(list: &mut [T], number: usize) -> &mut T {
    list.get_mut(number).expect("the model names what there is")
}
