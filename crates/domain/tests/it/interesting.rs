//! A generator that never produces the interesting cases would prove nothing.

use std::collections::HashSet;

use bursar_domain::{Kind, Reason, Stage, Status, Transfer, ledger::Verdict};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use crate::{
    acts::acts,
    properties::{Players, config},
};

/// What happened in many histories.
#[derive(Default)]
struct Seen {
    statuses: HashSet<Status>,
    reasons: HashSet<Reason>,
    limits: HashSet<(Reason, bool)>,
    verdicts: HashSet<&'static str>,
    stages: HashSet<(Kind, Stage)>,
    cases: HashSet<&'static str>,
}

impl Seen {
    fn history(&mut self, players: &Players) {
        for transfer in players.exchange.transfers.values() {
            self.transfer(transfer);
        }
        for verdict in &players.verdicts {
            self.verdict(verdict);
        }
    }

    fn transfer(&mut self, transfer: &Transfer) {
        let parts = transfer.parts();
        self.statuses.insert(transfer.status());
        self.reasons.extend(transfer.reason());
        let stage = transfer.stage().map(|stage| (transfer.kind(), stage));
        self.stages.extend(stage);
        let partly = parts.reversed.units() > 0 && parts.reversed < parts.amount;
        let returned = parts.reversal.map(|link| link.fee_returned.units() > 0);
        for (case, is_one) in [
            (
                "approved",
                parts.review.is_some() && transfer.reason().is_none(),
            ),
            ("reversed", parts.reversed.units() > 0),
            ("partly reversed", partly),
            ("reversed with fee", returned == Some(true)),
            ("priced", parts.fee.units() > 0),
        ] {
            self.cases.extend(is_one.then_some(case));
        }
    }

    fn verdict(&mut self, verdict: &Verdict) {
        self.verdicts.insert(match verdict {
            Verdict::Applied(_) => "applied",
            Verdict::Landed => "landed",
            Verdict::Replayed { .. } => "replayed",
            Verdict::RefusalReplayed { .. } => "refusal replayed",
            Verdict::KeyReused { .. } => "key reused",
            Verdict::Stale { .. } => "stale",
            Verdict::Refused { .. } => "refused",
            Verdict::OverLimit { .. } => "over limit",
            Verdict::ReadOnly => "read only",
        });
        if let Verdict::Refused { reason } | Verdict::OverLimit { reason, .. } = verdict {
            self.reasons.insert(*reason);
        }
        if let Verdict::OverLimit { reason, room } = verdict {
            let returns = room.over.returns_at.is_some();
            self.limits.insert((*reason, returns));
        }
    }
}

#[test]
fn histories_contain_what_the_rules_are_about() {
    let mut runner = TestRunner::new(config());
    let mut seen = Seen::default();
    for _ in 0..400 {
        let acts = acts().new_tree(&mut runner).expect("a history").current();
        seen.history(&Players::play(&acts));
    }
    assert_eq!(
        seen.statuses.len(),
        Status::ALL.len(),
        "{:?}",
        seen.statuses
    );
    assert_eq!(seen.verdicts.len(), 9, "{:?}", seen.verdicts);
    assert_eq!(seen.cases.len(), 5, "{:?}", seen.cases);
    assert_eq!(seen.stages.len(), 3, "{:?}", seen.stages);
    // What never fits and what will; the minimum and maximum never do.
    assert_eq!(seen.limits.len(), 6, "{:?}", seen.limits);
    let never = [
        Reason::RecipientIsSender,
        Reason::AssetDisabled,
        Reason::ReversalExceeds,
    ];
    for reason in Reason::ALL {
        let expected = !never.contains(&reason);
        assert_eq!(seen.reasons.contains(&reason), expected, "{reason:?}");
    }
}
