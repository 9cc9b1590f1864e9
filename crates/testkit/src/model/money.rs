//! How transfers begin, and what they move.

use bursar_domain::Kind;

use super::{
    APPROVE_HOURS, CONFIRM_HOURS, Exchange, HOUR, Holder, MOST, Outcome, Request,
    exchange::{Bound, Moved, State},
    rules::{Asked, No},
};

impl Exchange {
    pub(super) fn create(&mut self, request: &Request) -> Outcome {
        if request.kind == Kind::Internal && request.payee == Some(request.user) {
            return refused("recipient.is_sender".into());
        }
        if let Some(key) = request.key
            && key == self.requests.len()
        {
            self.requests.push(request.clone());
        }
        let key = request.key.map(|key| format!("request {key}"));
        // Whether it is settled at once is no part of what is asked for.
        let asked = format!(
            "{:?}",
            Request {
                at_once: true,
                ..request.clone()
            }
        );
        if let Some(outcome) = key.as_ref().and_then(|key| self.bound(key, &asked)) {
            return outcome;
        }
        if self.read_only {
            return Outcome::ReadOnly;
        }
        match self.open(request) {
            Ok(number) => {
                self.bind(key, asked, Ok(number));
                Outcome::Made(self.view(number))
            }
            Err(no) => {
                self.bind(key, asked, Err(no.reason));
                refused(no)
            }
        }
    }

    /// What a key answers, if it is bound.
    pub(super) fn bound(&self, key: &str, asked: &str) -> Option<Outcome> {
        let bound = self.keys.get(key)?;
        Some(match bound.result {
            result if bound.request != asked => Outcome::KeyReused(result.ok()),
            Ok(number) => Outcome::Replayed(number),
            Err(reason) => Outcome::Refused {
                reason,
                replayed: true,
                left: None,
            },
        })
    }

    pub(super) fn bind(
        &mut self,
        key: Option<String>,
        request: String,
        result: Result<usize, &'static str>,
    ) {
        if let Some(key) = key {
            self.keys.insert(key, Bound { request, result });
        }
    }

    /// A new transfer; an internal one that is refused at once is one all the same.
    pub(super) fn open(&mut self, request: &Request) -> Result<usize, No> {
        let Request {
            kind,
            user,
            asset,
            amount,
            ..
        } = *request;
        let value = self.value(asset, amount);
        let asked = Asked {
            kind,
            user,
            asset,
            amount,
            value,
        };
        let mut new = self.new_transfer(request, value);
        match kind {
            Kind::Deposit => {
                if new.fee >= amount {
                    return Err("fee.exceeds_amount".into());
                }
                self.is_active(user)?;
                self.accepts(kind, asset)?;
                self.within_limits(&asked)?;
                self.has_room(user, asset, amount - new.fee)?;
                if request.at_once {
                    self.may_come_in(asset, amount)?;
                }
                if self.needs_approval(&asked) {
                    new.state = State::AwaitingApproval;
                    new.expires_at = Some(self.now + APPROVE_HOURS * HOUR);
                } else if request.at_once {
                    new.state = State::Done;
                    self.credit(&new);
                }
            }
            Kind::Withdrawal => {
                self.is_active(user)?;
                self.accepts(kind, asset)?;
                self.may_leave(asset)?;
                self.within_limits(&asked)?;
                self.has(user, asset, new.total())?;
                new.state = State::AwaitingConfirmation;
                new.expires_at = Some(self.now + CONFIRM_HOURS * HOUR);
                self.add(Holder::User(user), asset, -new.total(), new.total());
            }
            Kind::Internal if request.at_once => match self.may_pay(&new) {
                Ok(payee) => {
                    new.state = State::Done;
                    self.pay(&new, payee);
                }
                Err(no) => new.state = State::Failed(no.reason),
            },
            Kind::Internal => {}
        }
        self.transfers.push(new);
        Ok(self.transfers.len() - 1)
    }

    fn new_transfer(&self, request: &Request, value: Option<i128>) -> Moved {
        let Request {
            kind,
            user,
            asset,
            amount,
            ..
        } = *request;
        Moved {
            kind,
            user,
            payee: request.payee.filter(|_| kind == Kind::Internal),
            asset,
            amount,
            fee: self.fee(kind, asset, amount),
            value,
            state: State::Pending,
            by: (kind != Kind::Internal).then_some(request.by),
            confirmed_by: None,
            is_reviewed: false,
            expires_at: None,
            is_reversal: false,
            reversed: 0,
            counted_at: self.now,
        }
    }

    /// Whom an internal transfer pays, if it may be.
    pub(super) fn may_pay(&self, moved: &Moved) -> Result<usize, No> {
        let Moved {
            kind,
            user,
            asset,
            amount,
            value,
            ..
        } = *moved;
        self.is_active(user)?;
        self.accepts(kind, asset)?;
        self.may_leave(asset)?;
        self.within_limits(&Asked {
            kind,
            user,
            asset,
            amount,
            value,
        })?;
        self.has(user, asset, moved.total())?;
        let able = |payee: &usize| {
            self.is_active(*payee).is_ok() && self.has_room(*payee, asset, amount).is_ok()
        };
        let payee = moved.payee.filter(able);
        payee.ok_or_else(|| "recipient.unavailable".into())
    }

    pub(super) fn has(&self, user: usize, asset: usize, units: i128) -> Result<(), No> {
        if self.balance(Holder::User(user), asset).0 >= units {
            Ok(())
        } else {
            Err("balance.insufficient".into())
        }
    }

    pub(super) fn has_room(&self, user: usize, asset: usize, units: i128) -> Result<(), No> {
        let (available, held) = self.balance(Holder::User(user), asset);
        if available.saturating_add(held).saturating_add(units) <= MOST {
            Ok(())
        } else {
            Err("balance.overflow".into())
        }
    }

    /// Whether those outside can owe that much more.
    pub(super) fn may_come_in(&self, asset: usize, units: i128) -> Result<(), No> {
        let (owed, _) = self.balance(Holder::World, asset);
        if owed.saturating_sub(units) >= -MOST {
            Ok(())
        } else {
            Err("balance.overflow".into())
        }
    }

    pub(super) fn credit(&mut self, moved: &Moved) {
        let Moved {
            asset, amount, fee, ..
        } = *moved;
        self.add(Holder::World, asset, -amount, 0);
        self.add(Holder::User(moved.user), asset, amount - fee, 0);
        self.add(Holder::Fees, asset, fee, 0);
    }

    pub(super) fn pay(&mut self, moved: &Moved, payee: usize) {
        let Moved {
            asset, amount, fee, ..
        } = *moved;
        self.add(Holder::User(moved.user), asset, -(amount + fee), 0);
        self.add(Holder::User(payee), asset, amount, 0);
        self.add(Holder::Fees, asset, fee, 0);
    }

    pub(super) fn balance(&self, holder: Holder, asset: usize) -> (i128, i128) {
        self.balances
            .get(&(holder, asset))
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn add(&mut self, holder: Holder, asset: usize, available: i128, held: i128) {
        let balance = self.balances.entry((holder, asset)).or_default();
        balance.0 += available;
        balance.1 += held;
    }
}

pub(super) fn refused(no: No) -> Outcome {
    Outcome::Refused {
        reason: no.reason,
        replayed: false,
        left: no.left,
    }
}
