//! What clients were told of their requests, against what there is.

use bursar_domain::{Amount, KeyScope, Kind, Status, Transfer};

use crate::{
    bank::Bank,
    client::{Record, is_same},
    request::{Request, Sum, Told, What},
};

/// R1, R2 and R8: what was acknowledged is there once, what did not happen is not.
pub(super) fn judge(bank: &Bank, records: &[Record]) {
    let transfers = bank.transfers();
    for record in records {
        let judged = Judged {
            bank,
            record,
            transfers: &transfers,
        };
        for wrong in judged.wrong() {
            let request = &record.request;
            bank.world
                .complain(format!("{wrong}; {} {:?}", request.tag(), request.what));
        }
    }
}

struct Judged<'a> {
    bank: &'a Bank,
    record: &'a Record,
    transfers: &'a [Transfer],
}

/// A transfer that a request asks for.
struct Wanted<'a> {
    tag: String,
    sum: &'a Sum,
    kind: Kind,
}

fn wanted(request: &Request) -> Vec<Wanted<'_>> {
    let one = |sum, kind| {
        vec![Wanted {
            tag: request.tag(),
            sum,
            kind,
        }]
    };
    match &request.what {
        What::Deposit(sum) => one(sum, Kind::Deposit),
        What::Withdraw(sum) => one(sum, Kind::Withdrawal),
        What::Send(sum, _) => one(sum, Kind::Internal),
        What::Bulk { items, .. } => items
            .iter()
            .enumerate()
            .map(|(item, (sum, _))| Wanted {
                tag: format!("{}.{item}", request.tag()),
                sum,
                kind: Kind::Internal,
            })
            .collect(),
        What::Confirm(..) | What::Cancel(..) | What::Read(_) => vec![],
    }
}

impl Judged<'_> {
    fn wrong(&self) -> Vec<String> {
        let mut wrong = vec![];
        let wanted = wanted(&self.record.request);
        for (item, wanted) in wanted.iter().enumerate() {
            wrong.extend(self.wrong_item(item, wanted));
        }
        for attempt in &self.record.attempts {
            if let Told::Broken(what) = &attempt.told {
                wrong.push(format!("R8: it was told {what}"));
            }
            wrong.extend(self.wrong_end(&attempt.told));
        }
        let certain = self.record.certain();
        for attempt in &self.record.attempts {
            let vague = matches!(attempt.told, Told::NotExecuted | Told::Unknown);
            if let Some(certain) = certain
                && !vague
                && !is_same(&certain.told, &attempt.told)
                && !matches!(certain.told, Told::Saw(_))
            {
                wrong.push("R2: two tries were told different things".to_owned());
            }
        }
        if self.record.never_happened() && self.has_bound_key() {
            wrong.push("R8: its key is bound, though nothing happened".to_owned());
        }
        wrong
    }

    /// What is wrong with what there is of one item.
    fn wrong_item(&self, item: usize, wanted: &Wanted<'_>) -> Vec<String> {
        let is_it = |one: &&Transfer| one.parts().note.as_ref() == Some(&wanted.tag);
        let made: Vec<&Transfer> = self.transfers.iter().filter(is_it).collect();
        let mut wrong = vec![];
        if made.len() > 1 {
            wrong.push(format!("R2: {} was made {} times", wanted.tag, made.len()));
        }
        for one in &made {
            if !is_as_asked(one, wanted, self.record.request.url.as_ref()) {
                wrong.push(format!("R1: it came to {one:?}"));
            }
        }
        if self.record.never_happened() && !made.is_empty() {
            wrong.push("R8: it was never to happen, and is there".to_owned());
        }
        let certain = self.record.certain().map(|attempt| &attempt.told);
        match certain {
            Some(Told::Made(told)) => {
                let told = told.get(item).and_then(Option::as_ref).map(Transfer::id);
                if made.first().map(|one| one.id()) != told {
                    wrong.push(format!("R1: told of {told:?}, and there is {made:?}"));
                }
            }
            Some(Told::Refused(_)) if !made.is_empty() => {
                wrong.push("R8: it was refused, and is there".to_owned());
            }
            Some(
                Told::Refused(_)
                | Told::NotExecuted
                | Told::Unknown
                | Told::Saw(_)
                | Told::Broken(_),
            )
            | None => {}
        }
        wrong
    }

    /// What is wrong with the state that somebody was told.
    fn wrong_end(&self, told: &Told) -> Vec<String> {
        let now = |told: &Transfer| self.transfers.iter().find(|one| one.id() == told.id());
        let expected = match &self.record.request.what {
            What::Confirm(..) => Some(Status::Completed),
            What::Cancel(..) => Some(Status::Canceled),
            What::Deposit(_)
            | What::Withdraw(_)
            | What::Send(..)
            | What::Bulk { .. }
            | What::Read(_) => None,
        };
        let Told::Made(made) = told else {
            return vec![];
        };
        let mut wrong = vec![];
        for told in made.iter().flatten() {
            let is = now(told).map(Transfer::status);
            let was_told = told.status();
            if was_told.is_final() && is != Some(was_told) {
                wrong.push(format!("R5: told {was_told:?}, and it is {is:?}"));
            }
            if !self.bank.was(told.id(), was_told) {
                wrong.push(format!("R1: told {was_told:?}, which it never was"));
            }
            if expected.is_some_and(|expected| expected != was_told) {
                wrong.push(format!("R1: told {was_told:?} instead"));
            }
        }
        wrong
    }

    fn has_bound_key(&self) -> bool {
        let request = &self.record.request;
        let operator = || "local operator".to_owned();
        let (principal, operation) = match &request.what {
            What::Deposit(_) => (operator(), "deposit"),
            What::Withdraw(_) => (operator(), "withdraw"),
            What::Confirm(..) => (operator(), "withdraw-confirm"),
            What::Cancel(..) => (operator(), "withdraw-cancel"),
            What::Send(sum, _) => (sum.user.to_string(), "internal-transfer"),
            What::Bulk { sender, .. } => (sender.to_string(), "internal-transfer-bulk"),
            What::Read(_) => return false,
        };
        let scope = KeyScope {
            principal,
            operation,
        };
        let key = request.key.clone();
        key.is_some_and(|key| self.bank.key(scope, key).is_some())
    }
}

/// Whether a transfer is what was asked for, field by field.
fn is_as_asked(made: &Transfer, wanted: &Wanted<'_>, url: Option<&String>) -> bool {
    let parts = made.parts();
    let scale = u32::from(parts.scale.get());
    let units = i128::from(wanted.sum.whole) * 10_i128.pow(scale);
    made.kind() == wanted.kind
        && made.owner() == wanted.sum.user
        && parts.asset == wanted.sum.asset
        && parts.amount == Amount::try_from_units(units).unwrap()
        && parts.fee == Amount::ZERO
        && parts.callback_url.as_ref() == url
}
