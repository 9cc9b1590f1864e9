//! What a transfer costs, what it is worth, and whether it may be.

use bursar_domain::{Kind, UserStatus};

use super::{
    Exchange, HOUR, Left, LimitPlan,
    exchange::{State, at},
};

/// The parts of the whole, of which fees count in hundred-millionths of a percent.
const WHOLE: i128 = 10_000_000_000;

/// A "no" of the rules.
#[derive(Clone, Debug)]
pub(super) struct No {
    pub(super) reason: &'static str,
    pub(super) left: Option<Left>,
}

impl From<&'static str> for No {
    fn from(reason: &'static str) -> Self {
        Self { reason, left: None }
    }
}

/// What the rules look at in one transfer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) user: usize,
    pub(super) asset: usize,
    pub(super) amount: i128,
    pub(super) value: Option<i128>,
}

/// `amount · part / whole` and what remains, for a whole of at most what an account holds. Doubled
/// bit by bit, for the product may be beyond an i128.
pub(super) fn shared(amount: i128, part: i128, whole: i128) -> (i128, i128) {
    let [amount, part, whole] = [amount, part, whole].map(i128::unsigned_abs);
    let (mut share, mut rest) = (0, 0);
    for bit in (0..127).rev() {
        (share, rest) = (2 * share, 2 * rest);
        if part >> bit & 1 == 1 {
            share += amount / whole;
            rest += amount % whole;
        }
        share += rest / whole;
        rest %= whole;
    }
    let signed = |units: u128| i128::try_from(units).expect("what the model counts fits an i128");
    (signed(share), signed(rest))
}

/// The same, half up.
fn rounded(amount: i128, part: i128, whole: i128) -> i128 {
    let (share, rest) = shared(amount, part, whole);
    share + i128::from(rest >= whole - rest)
}

impl Exchange {
    pub(super) fn fee(&self, kind: Kind, asset: usize, amount: i128) -> i128 {
        let Some(fees) = self.fees.get(&(kind, asset)) else {
            return 0;
        };
        let mut share = rounded(amount, fees.parts, WHOLE);
        if fees.max.is_some_and(|max| share > max) {
            share = fees.max.unwrap_or(share);
        }
        // The least wins over the most.
        if share < fees.min {
            share = fees.min;
        }
        share + fees.absolute
    }

    /// In units of the root asset.
    pub(super) fn value(&self, asset: usize, amount: i128) -> Option<i128> {
        if asset == 0 {
            return Some(amount);
        }
        let state = at(&self.assets, asset);
        let rate = state.rate?;
        let decimals = u32::from(state.scale) + rate.decimals;
        let root = 10_i128.pow(u32::from(at(&self.assets, 0).scale));
        Some(rounded(amount, rate.units * root, 10_i128.pow(decimals)))
    }

    pub(super) fn is_active(&self, user: usize) -> Result<(), No> {
        match at(&self.users, user) {
            UserStatus::Active => Ok(()),
            UserStatus::Frozen => Err("account.frozen".into()),
            UserStatus::Terminated => Err("account.terminated".into()),
        }
    }

    pub(super) fn accepts(&self, kind: Kind, asset: usize) -> Result<(), No> {
        let [deposits, withdrawals, transfers] = at(&self.assets, asset).allows;
        let accepts = match kind {
            Kind::Deposit => deposits,
            Kind::Withdrawal => withdrawals,
            Kind::Internal => transfers,
        };
        if accepts {
            Ok(())
        } else {
            Err("asset.disabled".into())
        }
    }

    pub(super) fn may_leave(&self, asset: usize) -> Result<(), No> {
        if self.outgoing.contains(&asset) {
            Err("asset.outgoing_stopped".into())
        } else {
            Ok(())
        }
    }

    pub(super) fn within_limits(&self, asked: &Asked) -> Result<(), No> {
        for scope in [Some(asked.asset), None] {
            let Some(limits) = self.limits_on(asked.kind, scope) else {
                continue;
            };
            let amount = match scope {
                Some(_) => asked.amount,
                None => asked.value.ok_or("rate.unknown")?,
            };
            let no = |reason, units, returns_at| {
                let asset = scope.unwrap_or(0);
                let left = Some(Left {
                    units,
                    asset,
                    returns_at,
                });
                Err(No { reason, left })
            };
            if let Some(min) = limits.min.filter(|min| amount < *min) {
                return no("limit.min_amount", min, None);
            }
            if let Some(max) = limits.max.filter(|max| amount > *max) {
                return no("limit.max_amount", max, None);
            }
            for (most, hours, reason) in [
                (limits.daily, 24, "limit.daily"),
                (limits.monthly, 720, "limit.monthly"),
            ] {
                let Some(most) = most else { continue };
                let left = self.left_of(asked, scope, most, hours);
                if amount > left {
                    let returns_at = self.room_returns(asked, scope, most - amount, hours);
                    return no(reason, left, returns_at);
                }
            }
        }
        Ok(())
    }

    fn limits_on(&self, kind: Kind, scope: Option<usize>) -> Option<LimitPlan> {
        let mut limits = *self.limits.get(&(kind, scope))?;
        if kind == Kind::Deposit {
            // What came in earlier is not held against what comes in now.
            limits.daily = None;
            limits.monthly = None;
        }
        (limits != LimitPlan::default()).then_some(limits)
    }

    /// All that counts for a limit, by when it was moved, oldest first.
    fn uses(&self, asked: &Asked, scope: Option<usize>) -> Vec<(i64, i128)> {
        let counts = |state| match state {
            State::AwaitingConfirmation
            | State::AwaitingApproval
            | State::PayingOut
            | State::Done => true,
            State::Pending | State::Failed(_) | State::Canceled => false,
        };
        let mut uses: Vec<(i64, i128)> = self
            .transfers
            .iter()
            .filter(|moved| moved.kind == asked.kind && moved.user == asked.user)
            .filter(|moved| scope.is_none_or(|asset| moved.asset == asset))
            .filter(|moved| !moved.is_reversal && counts(moved.state))
            .filter_map(|moved| {
                let units = if scope.is_some() {
                    Some(moved.amount)
                } else {
                    moved.value
                };
                Some((moved.counted_at, units?))
            })
            .collect();
        uses.sort_unstable();
        uses
    }

    fn left_of(&self, asked: &Asked, scope: Option<usize>, most: i128, hours: i64) -> i128 {
        let since = self.now - hours * HOUR;
        let used = self.uses(asked, scope);
        let used: i128 = used
            .iter()
            .filter(|(at, _)| *at > since)
            .map(|(_, units)| units)
            .sum();
        (most - used).max(0)
    }

    /// What is left to a user of the rolling limits on a kind: of the day, of the month.
    pub fn left(
        &self,
        user: usize,
        kind: Kind,
        scope: Option<usize>,
    ) -> (Option<i128>, Option<i128>) {
        let limits = self.limits_on(kind, scope).unwrap_or_default();
        let asked = Asked {
            kind,
            user,
            asset: scope.unwrap_or(0),
            amount: 0,
            value: None,
        };
        let left =
            |most: Option<i128>, hours| most.map(|most| self.left_of(&asked, scope, most, hours));
        (left(limits.daily, 24), left(limits.monthly, 720))
    }

    /// When no more than this has been used in the window.
    fn room_returns(
        &self,
        asked: &Asked,
        scope: Option<usize>,
        may_be_used: i128,
        hours: i64,
    ) -> Option<i64> {
        if may_be_used < 0 {
            return None;
        }
        let uses = self.uses(asked, scope);
        let used_from = |from: i64| -> i128 {
            uses.iter()
                .filter(|(at, _)| *at >= from)
                .map(|(_, units)| units)
                .sum()
        };
        // The last of those that must have left the window.
        let last = uses
            .iter()
            .rev()
            .find(|(at, _)| used_from(*at) > may_be_used);
        last.map(|(at, _)| at + hours * HOUR)
    }

    pub(super) fn needs_approval(&self, asked: &Asked) -> bool {
        let above = |scope| {
            self.limits
                .get(&(asked.kind, scope))
                .and_then(|l| l.approval_above)
        };
        let by_amount = above(Some(asked.asset)).is_some_and(|above| asked.amount > above);
        let by_value = above(None).is_some_and(|above| asked.value.is_none_or(|v| v > above));
        by_amount || by_value
    }
}
