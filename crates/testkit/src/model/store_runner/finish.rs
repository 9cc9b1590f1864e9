//! What is asked of transfers that exist.

use bursar_domain::{
    CodeSalt, Decision, IdempotencyClaim, NewTransfer, PayoutRoute, Reason, ReversalTerms, Terms,
    Transfer,
};

use super::{StoreRunner, at, refused, replayed};
use crate::{
    build,
    model::{APPROVE_HOURS, Command, Finish, Outcome, Reversal},
};

impl StoreRunner<'_> {
    async fn found(&self, number: usize) -> Transfer {
        let found = self.store.find(*at(&self.transfers, number)).await;
        found
            .expect("the store is healthy")
            .expect("the transfer was made")
    }

    /// What whoever asks would do, as the use cases do it.
    pub(super) async fn finish(&mut self, finish: &Finish) -> Outcome {
        let current = self.found(finish.pick).await;
        let (command, operation) = self.command(finish);
        let claim = finish
            .key
            .map(|key| self.claim(finish.by, operation, key, finish.pick));
        let answers_commit =
            matches!(finish.command, Command::Confirm { .. } | Command::Cancel) && claim.is_some();
        match current.decide(&command, self.now()) {
            Ok(Decision::Apply(change)) => self.commit(*change, claim).await,
            Ok(Decision::AlreadyApplied) if answers_commit => {
                self.commit(current.acknowledge(&command, None), claim)
                    .await
            }
            Ok(Decision::AlreadyApplied) => Outcome::Already,
            Err(_) => self
                .answered_before(claim)
                .await
                .unwrap_or(Outcome::Forbidden),
        }
    }

    fn claim(
        &self,
        by: u8,
        operation: &'static str,
        key: u8,
        about: impl std::fmt::Debug,
    ) -> IdempotencyClaim {
        let about = format!("{about:?}");
        let principal = self.operator(by);
        let fields = [("about", about.as_str())];
        build::claim(
            principal.as_str(),
            operation,
            &format!("key-{key}"),
            &fields,
        )
    }

    fn command(&self, finish: &Finish) -> (bursar_domain::Command, &'static str) {
        let by = self.operator(finish.by);
        let route = |gateway| {
            if gateway {
                PayoutRoute::Gateway
            } else {
                PayoutRoute::Manual
            }
        };
        let digest = [7; 32];
        match finish.command {
            Command::Settle => (bursar_domain::Command::Settle, "settle"),
            Command::Confirm { gateway } => {
                let command = bursar_domain::Command::Confirm {
                    by,
                    callback_url: None,
                    route: route(gateway),
                    approval_expires_at: Some(self.in_hours(APPROVE_HOURS)),
                };
                (command, "confirm")
            }
            Command::Approve { gateway } => {
                let route = route(gateway);
                (
                    bursar_domain::Command::Approve { by, digest, route },
                    "approve",
                )
            }
            Command::Reject => (bursar_domain::Command::Reject { by, digest }, "reject"),
            Command::Cancel => {
                let command = bursar_domain::Command::Cancel {
                    by,
                    callback_url: None,
                };
                (command, "cancel")
            }
            Command::PaidOut => (bursar_domain::Command::PaidOut, "paid-out"),
            Command::PayoutRefused => (build::fail(Reason::PayoutRefused), "payout-refused"),
        }
    }

    /// What the same request with the same key came to.
    async fn answered_before(&mut self, claim: Option<IdempotencyClaim>) -> Option<Outcome> {
        let claim = claim?;
        let bound = self.store.find_key(claim.scope, claim.key).await;
        let bound = bound.expect("the store is healthy")?;
        (bound.fingerprint == claim.fingerprint).then(|| match bound.refusal {
            Some(reason) => replayed(reason),
            None => Outcome::Replayed(self.number(bound.transfer)),
        })
    }

    pub(super) async fn expire(&mut self, number: usize) -> Outcome {
        let current = self.found(number).await;
        let is_due = current
            .parts()
            .expires_at
            .is_some_and(|at| at <= self.now());
        match current.decide(&bursar_domain::Command::Expire, self.now()) {
            Ok(Decision::Apply(change)) if is_due => self.commit(*change, None).await,
            answer => Outcome::Strange(format!("{answer:?} of {current:?}")),
        }
    }

    pub(super) async fn reverse(&mut self, reversal: &Reversal) -> Outcome {
        let Reversal {
            pick,
            covers,
            returns_fee,
            by,
            key,
            ..
        } = *reversal;
        let original = self.found(pick).await;
        let claim = key.map(|key| self.claim(by, "reverse", key, (pick, covers, returns_fee)));
        let terms = ReversalTerms {
            covers: covers.map(build::amount),
            returns_fee,
            salt: CodeSalt::new([3; 10]),
        };
        let new = NewTransfer {
            terms: Terms::default(),
            ..self.new_transfer(0, 1, self.operator(by))
        };
        match original.reversal(new, terms) {
            Ok(change) => self.commit(change, claim).await,
            Err(reason) => self.answered_before(claim).await.unwrap_or(refused(reason)),
        }
    }
}
