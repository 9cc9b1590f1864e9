//! Many transfers by one request.

use bursar_domain::Kind;

use super::{
    BulkRequest, Exchange, Holder, Outcome, Request,
    exchange::{Moved, State},
};

impl Exchange {
    pub(super) fn create_many(&mut self, request: &BulkRequest) -> Outcome {
        if let Some(key) = request.key {
            if key == self.bulks.len() {
                self.bulks.push(request.clone());
            }
            if let Some(outcome) = self.bulk_bound(key, request) {
                return outcome;
            }
        }
        if self.read_only {
            return Outcome::ReadOnly;
        }
        let (outcome, results) = if request.atomic {
            self.all_or_none(request)
        } else {
            self.each(request)
        };
        if let Some(key) = request.key {
            self.bulk_keys.insert(key, (request.clone(), results));
        }
        outcome
    }

    fn bulk_bound(&self, key: usize, request: &BulkRequest) -> Option<Outcome> {
        let (earlier, results) = self.bulk_keys.get(&key)?;
        // Whether it is settled at once is no part of what is asked for.
        let same = earlier.items == request.items;
        Some(if same {
            Outcome::BulkReplayed(results.clone())
        } else {
            let made = results.iter().filter_map(|result| result.as_ref().ok());
            Outcome::BulkKeyReused(made.copied().collect())
        })
    }

    fn each(&mut self, request: &BulkRequest) -> (Outcome, Vec<Result<usize, String>>) {
        let made: Vec<usize> = items(request)
            .map(|item| self.open(&item).expect("a refused payment is recorded"))
            .collect();
        let views = made.iter().map(|number| self.view(*number)).collect();
        (Outcome::BulkMade(views), made.into_iter().map(Ok).collect())
    }

    /// All of them, or each sender's reasons as if the others had their way.
    fn all_or_none(&mut self, request: &BulkRequest) -> (Outcome, Vec<Result<usize, String>>) {
        let mut tried = self.clone();
        let (mut reasons, mut unable) = (vec![], 0);
        for item in items(request) {
            let number = tried.open(&item).expect("a refused payment is recorded");
            reasons.push(match tried.moved(number).state {
                State::Failed("recipient.unavailable") => {
                    unable += 1;
                    tried.spend(number);
                    None
                }
                State::Failed(reason) => Some(reason),
                State::Pending
                | State::AwaitingConfirmation
                | State::AwaitingApproval
                | State::PayingOut
                | State::Done
                | State::Canceled => None,
            });
        }
        if unable == 0 && reasons.iter().all(Option::is_none) {
            *self = tried;
            let first = self.transfers.len() - request.items.len();
            let made = first..self.transfers.len();
            let views = made.clone().map(|number| self.view(number)).collect();
            return (Outcome::BulkMade(views), made.map(Ok).collect());
        }
        let code = |reason: Option<&str>| Err(reason.unwrap_or("bulk.not_executed").to_owned());
        let results = reasons.iter().copied().map(code).collect();
        // Whose recipient is told counts only when nothing of the sender's stands in the way.
        if reasons.iter().any(Option::is_some) {
            unable = 0;
        }
        (Outcome::BulkRefused { reasons, unable }, results)
    }

    /// As if it had been paid, to nobody.
    fn spend(&mut self, number: usize) {
        let moved = self.moved_mut(number);
        moved.state = State::Done;
        let Moved { user, asset, .. } = *moved;
        let total = moved.total();
        self.add(Holder::User(user), asset, -total, 0);
    }
}

fn items(request: &BulkRequest) -> impl Iterator<Item = Request> + '_ {
    request.items.iter().map(|(payee, asset, amount)| Request {
        kind: Kind::Internal,
        user: request.user,
        payee: *payee,
        asset: *asset,
        amount: *amount,
        at_once: request.at_once || request.atomic,
        by: 0,
        key: None,
    })
}
