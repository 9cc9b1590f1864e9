//! What becomes of a transfer that exists.

use bursar_domain::Kind;

use super::{
    APPROVE_HOURS, Exchange, HOUR, Holder, Outcome,
    exchange::{Moved, State},
    money::refused,
    rules::{Asked, No},
    step::{Command, Finish},
};

/// What a state makes of a command.
enum Answer {
    Applies,
    Already,
    Forbidden,
}

impl Exchange {
    pub(super) fn finish(&mut self, finish: &Finish) -> Outcome {
        let Finish {
            command,
            pick: number,
            by,
            ..
        } = *finish;
        let key = finish
            .key
            .map(|key| format!("{} {key} of {by}", operation(command)));
        let asked = number.to_string();
        let answer = answer(self.moved(number), command, by);
        // Only confirms and cancels that change nothing bind their keys.
        let binds = matches!(command, Command::Confirm { .. } | Command::Cancel);
        match answer {
            Answer::Already if key.is_none() || !binds => return Outcome::Already,
            Answer::Forbidden => {
                let bound = key.and_then(|key| self.bound(&key, &asked));
                return bound
                    .filter(|outcome| !matches!(outcome, Outcome::KeyReused(_)))
                    .unwrap_or(Outcome::Forbidden);
            }
            Answer::Already | Answer::Applies => {}
        }
        if let Some(outcome) = key.as_ref().and_then(|key| self.bound(key, &asked)) {
            return outcome;
        }
        if self.read_only {
            return Outcome::ReadOnly;
        }
        if matches!(answer, Answer::Applies)
            && let Err(no) = self.change(number, command, by)
        {
            self.bind(key, asked, Err(no.reason));
            return refused(no);
        }
        self.bind(key, asked, Ok(number));
        Outcome::Made(self.view(number))
    }

    pub(super) fn expire(&mut self, number: usize) -> Outcome {
        if self.read_only {
            return Outcome::ReadOnly;
        }
        let reason = match self.moved(number).state {
            State::AwaitingConfirmation => "transfer.expired",
            State::AwaitingApproval => "approval.expired",
            State::Pending
            | State::PayingOut
            | State::Done
            | State::Failed(_)
            | State::Canceled => return Outcome::Strange("its time is not up".to_owned()),
        };
        self.end(number, State::Failed(reason));
        Outcome::Made(self.view(number))
    }

    fn change(&mut self, number: usize, command: Command, by: u8) -> Result<(), No> {
        match command {
            Command::Settle => self.settle(number),
            Command::Confirm { gateway } => self.confirm(number, gateway, by)?,
            Command::Approve { gateway } => self.approve(number, gateway)?,
            Command::Reject => {
                self.moved_mut(number).is_reviewed = true;
                self.end(number, State::Failed("approval.rejected"));
            }
            Command::Cancel => self.end(number, State::Canceled),
            Command::PaidOut => self.pay_out(number),
            Command::PayoutRefused => self.end(number, State::Failed("payout.refused")),
        }
        Ok(())
    }

    /// It goes through, or fails for a reason that is recorded.
    fn settle(&mut self, number: usize) {
        let moved = self.moved(number).clone();
        let state = match moved.kind {
            Kind::Internal => match self.may_pay(&moved) {
                Ok(payee) => {
                    self.pay(&moved, payee);
                    State::Done
                }
                Err(no) => State::Failed(no.reason),
            },
            Kind::Deposit | Kind::Withdrawal => self.credited(&moved),
        };
        let now = self.now;
        let moved = self.moved_mut(number);
        moved.state = state;
        moved.counted_at = now;
        moved.expires_at = None;
    }

    fn credited(&mut self, moved: &Moved) -> State {
        let room = self.has_room(moved.user, moved.asset, moved.amount - moved.fee);
        let comes_in = self.may_come_in(moved.asset, moved.amount);
        match self.is_active(moved.user).and(room).and(comes_in) {
            Ok(()) => {
                self.credit(moved);
                State::Done
            }
            Err(no) => State::Failed(no.reason),
        }
    }

    fn confirm(&mut self, number: usize, gateway: bool, by: u8) -> Result<(), No> {
        let Moved {
            kind,
            user,
            asset,
            amount,
            value,
            ..
        } = *self.moved(number);
        self.is_active(user)?;
        self.may_leave(asset)?;
        let waits = self.needs_approval(&Asked {
            kind,
            user,
            asset,
            amount,
            value,
        });
        let until = self.now + APPROVE_HOURS * HOUR;
        let moved = self.moved_mut(number);
        moved.confirmed_by = Some(by);
        moved.expires_at = waits.then_some(until);
        if waits {
            moved.state = State::AwaitingApproval;
        } else {
            self.release(number, gateway);
        }
        Ok(())
    }

    fn approve(&mut self, number: usize, gateway: bool) -> Result<(), No> {
        let moved = self.moved(number).clone();
        if moved.kind == Kind::Deposit {
            let state = self.credited(&moved);
            self.moved_mut(number).state = state;
        } else {
            self.is_active(moved.user)?;
            self.may_leave(moved.asset)?;
            self.release(number, gateway);
        }
        let moved = self.moved_mut(number);
        moved.is_reviewed = true;
        moved.expires_at = None;
        Ok(())
    }

    fn release(&mut self, number: usize, gateway: bool) {
        if gateway {
            self.moved_mut(number).state = State::PayingOut;
        } else {
            self.pay_out(number);
        }
    }

    fn pay_out(&mut self, number: usize) {
        let moved = self.moved(number).clone();
        self.add(Holder::User(moved.user), moved.asset, 0, -moved.total());
        self.add(Holder::World, moved.asset, moved.amount, 0);
        self.add(Holder::Fees, moved.asset, moved.fee, 0);
        self.moved_mut(number).state = State::Done;
    }

    /// It ends without success, and what it held goes back.
    fn end(&mut self, number: usize, state: State) {
        let moved = self.moved(number).clone();
        if moved.kind == Kind::Withdrawal {
            let total = moved.total();
            self.add(Holder::User(moved.user), moved.asset, total, -total);
        }
        let moved = self.moved_mut(number);
        moved.state = state;
        moved.expires_at = None;
    }
}

/// What a key is a key for.
const fn operation(command: Command) -> &'static str {
    match command {
        Command::Settle => "settle",
        Command::Confirm { .. } => "confirm",
        Command::Approve { .. } => "approve",
        Command::Reject => "reject",
        Command::Cancel => "cancel",
        Command::PaidOut => "paid out",
        Command::PayoutRefused => "payout refused",
    }
}

fn answer(moved: &Moved, command: Command, by: u8) -> Answer {
    let applies = |yes| {
        if yes {
            Answer::Applies
        } else {
            Answer::Forbidden
        }
    };
    let already = |yes| {
        if yes {
            Answer::Already
        } else {
            Answer::Forbidden
        }
    };
    let second = !moved.knows(by);
    match (command, moved.state) {
        (Command::Settle, State::Pending)
        | (Command::Confirm { .. } | Command::Cancel, State::AwaitingConfirmation)
        | (Command::Cancel, State::AwaitingApproval)
        | (Command::PaidOut, State::PayingOut) => Answer::Applies,
        (Command::Settle, State::AwaitingApproval | State::Done)
        | (Command::Confirm { .. }, State::AwaitingApproval | State::PayingOut | State::Done)
        | (Command::Cancel, State::Canceled)
        | (Command::PaidOut, State::Done) => Answer::Already,
        (Command::Approve { .. } | Command::Reject, State::AwaitingApproval) => applies(second),
        (Command::Approve { .. }, State::PayingOut | State::Done) => already(moved.is_reviewed),
        (Command::Reject, State::Failed(reason)) => already(reason == "approval.rejected"),
        (Command::PayoutRefused, State::Failed(reason)) => already(reason == "payout.refused"),
        (Command::PayoutRefused, state) => applies(matches!(
            state,
            State::AwaitingConfirmation | State::AwaitingApproval | State::PayingOut
        )),
        (
            Command::Settle
            | Command::Confirm { .. }
            | Command::Approve { .. }
            | Command::Reject
            | Command::Cancel
            | Command::PaidOut,
            State::Pending
            | State::AwaitingConfirmation
            | State::AwaitingApproval
            | State::PayingOut
            | State::Done
            | State::Failed(_)
            | State::Canceled,
        ) => Answer::Forbidden,
    }
}
