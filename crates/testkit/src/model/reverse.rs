//! How transfers are taken back.

use bursar_domain::Kind;

use super::{
    Exchange, Holder, Outcome,
    exchange::{Moved, State},
    money::refused,
    rules::{No, shared},
    step::Reversal,
};

impl Exchange {
    pub(super) fn reverse(&mut self, reversal: &Reversal) -> Outcome {
        let Reversal {
            pick: number,
            covers,
            returns_fee,
            by,
            ..
        } = *reversal;
        let key = reversal.key.map(|key| format!("reverse {key} of {by}"));
        let asked = format!("{number} {covers:?} {returns_fee}");
        let Some((new, given_back)) = self.taking_back(reversal) else {
            let bound = key.and_then(|key| self.bound(&key, &asked));
            return bound
                .filter(|outcome| !matches!(outcome, Outcome::KeyReused(_)))
                .unwrap_or_else(|| refused("reversal.exceeds_original".into()));
        };
        if let Some(outcome) = key.as_ref().and_then(|key| self.bound(key, &asked)) {
            return outcome;
        }
        if self.read_only {
            return Outcome::ReadOnly;
        }
        if let Err(no) = self.move_back(&new, given_back) {
            self.bind(key, asked, Err(no.reason));
            return refused(no);
        }
        let original = self.moved_mut(number);
        original.reversed += covers.unwrap_or(original.amount - original.reversed);
        self.transfers.push(new);
        let number = self.transfers.len() - 1;
        self.bind(key, asked, Ok(number));
        Outcome::Made(self.view(number))
    }

    /// The transfer that takes it back, and how much of the fee goes back with it.
    fn taking_back(&self, reversal: &Reversal) -> Option<(Moved, i128)> {
        let original = self.moved(reversal.pick);
        let left = original.amount - original.reversed;
        let covers = reversal.covers.unwrap_or(left);
        if original.state != State::Done || original.is_reversal || covers < 1 || covers > left {
            return None;
        }
        // Rounded down, of all that is taken back up to then; so the shares come to the fee.
        let share = |part: i128| shared(original.fee, part, original.amount).0;
        let share = share(original.reversed + covers) - share(original.reversed);
        let given_back = if reversal.returns_fee { share } else { 0 };
        let (kind, user, payee) = match original.kind {
            Kind::Deposit => (Kind::Withdrawal, original.user, None),
            Kind::Withdrawal => (Kind::Deposit, original.user, None),
            Kind::Internal => (Kind::Internal, original.payee?, Some(original.user)),
        };
        // A fee that is kept of a deposit never was the user's.
        let kept = original.kind == Kind::Deposit && !reversal.returns_fee;
        let amount = if kept { covers - share } else { covers };
        let new = Moved {
            kind,
            user,
            payee,
            amount,
            fee: 0,
            state: State::Done,
            by: Some(reversal.by),
            confirmed_by: None,
            is_reviewed: false,
            expires_at: None,
            is_reversal: true,
            reversed: 0,
            counted_at: self.now,
            ..*original
        };
        (amount > 0).then_some((new, given_back))
    }

    fn move_back(&mut self, new: &Moved, given_back: i128) -> Result<(), No> {
        let Moved {
            user,
            asset,
            amount,
            ..
        } = *new;
        let (own, with_fee) = (Holder::User(user), amount + given_back);
        match new.kind {
            Kind::Withdrawal => {
                self.may_leave(asset)?;
                self.has(user, asset, amount - given_back)?;
                self.add(own, asset, given_back - amount, 0);
                self.add(Holder::World, asset, amount, 0);
            }
            Kind::Deposit => {
                self.has_room(user, asset, with_fee)?;
                self.may_come_in(asset, amount)?;
                self.add(Holder::World, asset, -amount, 0);
                self.add(own, asset, with_fee, 0);
            }
            Kind::Internal => {
                self.may_leave(asset)?;
                self.has(user, asset, amount)?;
                if let Some(payee) = new.payee {
                    self.has_room(payee, asset, with_fee)?;
                    self.add(own, asset, -amount, 0);
                    self.add(Holder::User(payee), asset, with_fee, 0);
                }
            }
        }
        self.add(Holder::Fees, asset, -given_back, 0);
        Ok(())
    }
}
