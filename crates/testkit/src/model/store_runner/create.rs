//! New transfers, as the use cases make them.

use bursar_domain::{
    ActorId, BulkClaim, BulkMode, Change, ItemResult, Kind, NewTransfer, Reason, Recipient,
    RootRate, Terms, Transfer,
};
use bursar_ports::BulkOutcome;

use super::{StoreRunner, at, refused};
use crate::{
    build,
    model::{APPROVE_HOURS, BulkRequest, CONFIRM_HOURS, Outcome, Rate, Request},
};

impl StoreRunner<'_> {
    fn root_rate(&self, asset: usize) -> Option<RootRate> {
        let root = self.root();
        let rate = if asset == 0 {
            "1".to_owned()
        } else {
            let Rate { units, decimals } = (*at(&self.rates, asset))?;
            format!("{units}e-{decimals}")
        };
        Some(RootRate {
            asset: root.id,
            scale: root.scale,
            rate: rate.parse().expect("digits and an exponent are a decimal"),
            source: None,
            rated_at: None,
        })
    }

    pub(super) fn new_transfer(&self, asset: usize, amount: i128, by: ActorId) -> NewTransfer {
        let id = self.harness.ids().transfer();
        NewTransfer {
            created_by: by,
            root_rate: self.root_rate(asset),
            terms: Terms {
                pays_fee: true,
                expires_at: Some(self.in_hours(CONFIRM_HOURS)),
                approval_expires_at: Some(self.in_hours(APPROVE_HOURS)),
            },
            ..build::new_transfer(id, self.asset(asset), amount, self.now())
        }
    }

    fn change_of(&self, request: &Request) -> Result<Change, Reason> {
        let user = self.user(request.user);
        let by = match request.kind {
            Kind::Deposit | Kind::Withdrawal => self.operator(request.by),
            Kind::Internal => ActorId::new(user.to_string()),
        };
        let new = self.new_transfer(request.asset, request.amount, by);
        let change = match request.kind {
            Kind::Deposit => Transfer::deposit(new, user),
            Kind::Withdrawal => Transfer::withdrawal(new, user),
            Kind::Internal => {
                let recipient = match request.payee {
                    Some(payee) => Recipient::Id(self.user(payee)),
                    None => Recipient::Unknown {
                        typed: "nobody".to_owned(),
                    },
                };
                let salt = self.harness.ids().salt();
                Transfer::internal(new, user, recipient, salt, None)
            }
        }?;
        Ok(if request.at_once {
            change.settled_at_once()
        } else {
            change
        })
    }

    pub(super) async fn create(&mut self, request: &Request) -> Outcome {
        let change = match self.change_of(request) {
            Ok(change) => change,
            Err(reason) => return refused(reason),
        };
        let claim = request.key.map(|key| {
            let (amount, payee) = (request.amount.to_string(), format!("{:?}", request.payee));
            let fields = [("amount", amount.as_str()), ("payee", payee.as_str())];
            build::claim(
                &self.name,
                request.kind.as_str(),
                &format!("key-{key}"),
                &fields,
            )
        });
        self.commit(change, claim).await
    }

    pub(super) async fn create_many(&mut self, request: &BulkRequest) -> Outcome {
        let change = |(payee, asset, amount): &(Option<usize>, usize, i128)| {
            self.change_of(&Request {
                kind: Kind::Internal,
                user: request.user,
                payee: *payee,
                asset: *asset,
                amount: *amount,
                at_once: request.at_once || request.atomic,
                by: 0,
                key: None,
            })
        };
        let changes: Result<Vec<Change>, Reason> = request.items.iter().map(change).collect();
        let changes = changes.expect("nobody pays themselves in a bulk");
        let made = changes
            .iter()
            .map(|change| ItemResult::Made(change.next.id()));
        let results = made.collect();
        let idempotency = request.key.map(|key| {
            let items = format!("{:?}", request.items);
            let fields = [("items", items.as_str())];
            let claim = build::claim(&self.name, "bulk", &format!("key-{key}"), &fields);
            BulkClaim { claim, results }
        });
        let bulk = bursar_domain::Bulk {
            changes,
            mode: if request.atomic {
                BulkMode::Atomic
            } else {
                BulkMode::Independent
            },
            unable_max: None,
            idempotency,
        };
        match self
            .store
            .commit_bulk(bulk)
            .await
            .expect("the store is healthy")
        {
            BulkOutcome::Committed(made) => {
                Outcome::BulkMade(made.iter().map(|transfer| self.view(transfer)).collect())
            }
            BulkOutcome::Refused {
                reasons,
                recipients_unable,
            } => Outcome::BulkRefused {
                reasons: reasons
                    .into_iter()
                    .map(|reason| reason.map(Reason::code))
                    .collect(),
                unable: recipients_unable,
            },
            BulkOutcome::Replayed { results } => {
                let result = |result| match result {
                    ItemResult::Made(id) => Ok(self.number(id)),
                    ItemResult::Refused(refusal) => Err(refusal.code),
                };
                Outcome::BulkReplayed(results.into_iter().map(result).collect())
            }
            BulkOutcome::KeyReused { originals, .. } => {
                let numbers = originals.into_iter().map(|id| self.number(id));
                Outcome::BulkKeyReused(numbers.collect())
            }
            BulkOutcome::ReadOnly => Outcome::ReadOnly,
            BulkOutcome::TooManyUnable => Outcome::Strange("nobody counts".to_owned()),
        }
    }
}
