//! Watches that an exchange keeps its operators' rules, by reckoning of its own.

use std::collections::BTreeMap;

use bursar_domain::{
    Amount, Change, Commit, Expected, Kind, Limits, Premise, Rules, Stage, Status, Timestamp,
    Transfer, TransferId, UsageKey, ledger::Applied,
};

const DAY: i64 = 24 * 3_600 * 1_000_000;

/// A transfer that a limit counts.
#[derive(Clone, Debug)]
struct Use {
    key: UsageKey,
    transfer: TransferId,
    at: Timestamp,
    units: i128,
}

/// What must be remembered of the past to judge what is applied now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    uses: Vec<Use>,
}

impl Watch {
    /// Judges what was applied for a commit; `had` is the transfer as it was.
    pub(crate) fn applied(
        &mut self,
        rules: &Rules,
        commit: &Commit,
        applied: &Applied,
        had: Option<&Transfer>,
    ) {
        let (change, next) = (&commit.change, &applied.next);
        assert!(!rules.stops.read_only, "{next:?} in read-only mode");
        assert_stop(rules, applied, had);
        assert_fee(rules, change, next);
        assert_kept(next, had);
        if next.reason().is_none() {
            assert_approval(rules, change, next);
        }
        self.count(rules, change, next);
    }

    /// Counts what is admitted, and no longer counts withdrawals that were not paid. No window may
    /// then hold more than the limits in force.
    fn count(&mut self, rules: &Rules, change: &Change, next: &Transfer) {
        if matches!(next.status(), Status::Failed | Status::Canceled) {
            self.uses.retain(|one| one.transfer != next.id());
        }
        let judged = change.premises.contains(&Premise::WithinLimits);
        if !judged || next.reason().is_some() {
            return;
        }
        for scope in [Some(next.parts().asset), None] {
            let Some(limits) = rules.limits.get(&(next.kind(), scope)) else {
                continue;
            };
            let amount = match scope {
                Some(_) => Some(next.parts().amount),
                None => value(next),
            };
            let Some(amount) = amount else {
                // Only rolling limits, which deposits do not have, leave it alone.
                assert_eq!(next.kind(), Kind::Deposit, "{next:?}");
                let one = (limits.min_amount, limits.max_amount, limits.approval_above);
                assert_eq!(one, (None, None, None), "{next:?}");
                continue;
            };
            assert!(
                limits.min_amount.is_none_or(|min| amount >= min),
                "{next:?}"
            );
            assert!(
                limits.max_amount.is_none_or(|max| amount <= max),
                "{next:?}"
            );
            if next.kind() != Kind::Deposit {
                let key = UsageKey {
                    user: next.owner(),
                    kind: next.kind(),
                    asset: scope,
                };
                self.uses.push(Use {
                    key,
                    transfer: next.id(),
                    at: next.parts().updated_at,
                    units: amount.units(),
                });
                self.assert_windows(key, limits, next.parts().updated_at);
            }
        }
    }

    fn assert_windows(&self, key: UsageKey, limits: &Limits, now: Timestamp) {
        for (most, window) in [(limits.daily, DAY), (limits.monthly, 30 * DAY)] {
            let since = now.plus_micros(-window);
            let own = self.uses.iter().filter(|one| one.key == key);
            let used: i128 = own.filter(|one| one.at > since).map(|one| one.units).sum();
            let within = most.is_none_or(|most| used <= most.units());
            assert!(within, "{key:?}: {used} of {most:?}");
        }
    }
}

/// The whole of an exchange's transfers: what reversals come to, and who looked at what.
pub(crate) fn check(transfers: &BTreeMap<TransferId, Transfer>) {
    let mut reversed: BTreeMap<TransferId, (i128, i128)> = BTreeMap::new();
    for reversal in transfers.values() {
        if let Some(link) = reversal.parts().reversal {
            let (covered, fee) = reversed.entry(link.of).or_default();
            *covered += link.covers.units();
            *fee += link.fee_returned.units();
            assert_eq!(reversal.parts().fee, Amount::ZERO);
            assert_eq!(reversal.parts().reversed, Amount::ZERO);
            assert!(reversal.status().is_final());
        }
    }
    for transfer in transfers.values() {
        let parts = transfer.parts();
        let (covered, fee) = reversed.get(&transfer.id()).copied().unwrap_or_default();
        assert_eq!(parts.reversed.units(), covered, "{transfer:?}");
        assert!(covered <= parts.amount.units(), "{transfer:?}");
        assert!(fee <= parts.fee.units(), "{transfer:?}");
        if let Some(review) = &parts.review {
            assert!(!transfer.was_made_by(&review.by), "{transfer:?}");
            assert_ne!(review.by, parts.created_by, "{transfer:?}");
            let confirmed = parts.confirmed.as_ref().map(|confirmed| &confirmed.by);
            assert_ne!(confirmed, Some(&review.by), "{transfer:?}");
        }
    }
}

fn value(transfer: &Transfer) -> Option<Amount> {
    let parts = transfer.parts();
    let rate = parts.root_rate.as_ref()?;
    rate.value_of(parts.amount, parts.scale)
}

/// Nothing of a stopped asset leaves a user, except what a gateway had already.
fn assert_stop(rules: &Rules, applied: &Applied, had: Option<&Transfer>) {
    let next = &applied.next;
    let was_under_way = had.is_some_and(|had| had.stage() == Some(Stage::Payout));
    if !rules.stops.outgoing.contains(&next.parts().asset) || was_under_way {
        return;
    }
    for entry in &applied.entries {
        let stays = entry.available_delta + entry.held_delta >= 0;
        let is_user = entry.account.owner.user().is_some();
        assert!(stays || !is_user, "{next:?} left in spite of a stop");
    }
    assert_ne!(
        next.stage(),
        Some(Stage::Payout),
        "{next:?} was handed over"
    );
}

/// A new transfer costs what the schedule says right then, or what it was given.
fn assert_fee(rules: &Rules, change: &Change, next: &Transfer) {
    if change.expected != Expected::Absent {
        return;
    }
    let parts = next.parts();
    let given = change.next.parts().fee;
    let schedule = rules.fees.get(&(next.kind(), parts.asset));
    let fee = if change.pays_fee {
        schedule.map_or(Ok(Amount::ZERO), |schedule| schedule.fee_on(parts.amount))
    } else {
        Ok(given)
    };
    let Ok(fee) = fee else {
        assert!(next.reason().is_some(), "{next:?} cannot be paid for");
        return;
    };
    let beyond = parts.amount.checked_add(fee).is_err();
    assert!(parts.fee == fee || beyond, "{next:?} costs {fee:?}");
}

/// What creation fixes stays as it was.
fn assert_kept(next: &Transfer, had: Option<&Transfer>) {
    let Some(had) = had else { return };
    assert!(had.is_same_request(next), "{had:?} became {next:?}");
    let fixed = |transfer: &Transfer| (transfer.parts().fee, transfer.parts().created_at);
    assert_eq!(fixed(had), fixed(next));
}

/// Exactly what is above a threshold waits, where somebody may have to approve.
fn assert_approval(rules: &Rules, change: &Change, next: &Transfer) {
    if change.approval.is_none() {
        return;
    }
    let parts = next.parts();
    let above = |scope, amount: Option<Amount>| {
        let limits = rules.limits.get(&(next.kind(), scope));
        let above = limits.and_then(|limits| limits.approval_above);
        above.is_some_and(|above| amount.is_none_or(|amount| amount > above))
    };
    let waits = above(Some(parts.asset), Some(parts.amount)) || above(None, value(next));
    assert_eq!(next.stage() == Some(Stage::Approval), waits, "{next:?}");
}
