//! What holds whatever happens, in whatever order and in whatever batches.

use bursar_domain::{
    Change, CodeSalt, Command, Commit, Decision, FieldValue, Fingerprint, IdempotencyClaim,
    IdempotencyKey, KeyScope, NewTransfer, Reason, Recipient, Status, Transfer, ledger::Verdict,
};
use proptest::{prelude::*, sample::Index, test_runner::RngSeed};

use crate::{
    acts::{Act, acts},
    exchange::{Event, Exchange, USERS, assets},
    sample::{NOW, new, nobody},
};

/// The same cases on every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` explore further.
pub(crate) fn config() -> ProptestConfig {
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(0x0bad_cafe);
    }
    config
}

/// A key with a fingerprint that depends on nothing but `fields`.
fn claim(key: u8, fields: String) -> IdempotencyClaim {
    let mut bytes = [0; 32];
    for (at, byte) in fields.bytes().enumerate() {
        let slot = bytes.get_mut(at % 32).expect("below 32");
        *slot = byte.wrapping_add(*slot).rotate_left(3);
    }
    IdempotencyClaim {
        scope: KeyScope {
            principal: "op".to_owned(),
            operation: "any",
        },
        key: IdempotencyKey::parse(&format!("key-{key}")).expect("a valid key"),
        fingerprint: Fingerprint(bytes),
        fields: vec![FieldValue {
            name: "request".to_owned(),
            value: fields,
        }],
    }
}

/// Turns acts into events, as use cases would: by deciding on the transfers as they are.
struct Players {
    exchange: Exchange,
    events: Vec<Event>,
    next_id: i64,
}

impl Players {
    fn play(acts: &[Act]) -> Self {
        let mut players = Self {
            exchange: Exchange::new(),
            events: vec![],
            next_id: 1,
        };
        for act in acts {
            players.act(act);
        }
        players
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Open { key, at_once, .. } => {
                if let Ok(change) = self.open(act) {
                    let change = if *at_once {
                        change.settled_at_once()
                    } else {
                        change
                    };
                    self.send(change, key.map(|key| claim(key, format!("{act:?}"))), None);
                }
            }
            Act::Command {
                which,
                command,
                key,
            } => self.command(*which, command, *key),
            Act::Repeat { which } => self.repeat(*which),
            Act::Status(user, status) => {
                let user = USERS.get(*user).expect("a user");
                self.happen(Event::Status(*user, *status));
            }
            Act::Clock(micros) => {
                self.happen(Event::Clock(NOW.plus_micros(*micros)));
            }
        }
    }

    fn open(&mut self, act: &Act) -> Result<Change, Reason> {
        let Act::Open {
            kind,
            user,
            recipient,
            asset,
            units,
            fee,
            ..
        } = act
        else {
            return Err(Reason::AssetDisabled);
        };
        self.next_id += 1;
        let new = NewTransfer {
            asset: *assets().get(*asset).expect("an asset"),
            ..new(self.next_id, *units, *fee)
        };
        let user = *USERS.get(*user).expect("a user");
        let recipient = USERS
            .get(*recipient)
            .map_or_else(nobody, |user| Recipient::Id(*user));
        match kind {
            0 => Transfer::deposit(new, user),
            1 => Transfer::withdrawal(new, user),
            _ => Transfer::internal(new, user, recipient, CodeSalt::new([1; 10]), None),
        }
    }

    fn command(&mut self, which: Index, command: &Command, key: Option<u8>) {
        let transfers: Vec<Transfer> = self.exchange.transfers.values().cloned().collect();
        if transfers.is_empty() {
            return;
        }
        let transfer = which.get(&transfers);
        match transfer.decide(command, NOW) {
            Ok(Decision::Apply(change)) => {
                let fields = format!("{} {command:?}", transfer.id());
                self.send(*change, key.map(|key| claim(key, fields)), Some(command));
            }
            Ok(Decision::AlreadyApplied) => assert!(transfer.status().is_final()),
            Err(illegal) => assert_eq!(illegal.status, transfer.status()),
        }
    }

    fn repeat(&mut self, which: Index) {
        let sent: Vec<Event> = self
            .events
            .iter()
            .filter(|event| matches!(event, Event::Commit(_)))
            .cloned()
            .collect();
        if !sent.is_empty() {
            self.happen(which.get(&sent).clone());
        }
    }

    /// Sends a change, and asserts that a command that was applied cannot be applied again.
    fn send(&mut self, change: Change, claim: Option<IdempotencyClaim>, command: Option<&Command>) {
        let commit = Commit {
            change,
            idempotency: claim,
            audit: None,
        };
        let verdicts = self.happen(Event::Commit(Box::new(commit.clone())));
        let Some(Verdict::Applied(applied)) = verdicts.first() else {
            return;
        };
        let went_as_asked = applied.next.status() == commit.change.next.status();
        if let Some(command) = command.filter(|_| went_as_asked) {
            let repeated = applied.next.decide(command, NOW);
            assert_eq!(repeated, Ok(Decision::AlreadyApplied), "{command:?}");
        }
        let before = self.exchange.books.clone();
        let again = self.exchange.run(&[Event::Commit(Box::new(commit))], &[1]);
        let moved = again
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Applied(_)));
        assert!(!moved, "the same commit again: {again:?}");
        assert_eq!(self.exchange.books.accounts, before.accounts);
    }

    fn happen(&mut self, event: Event) -> Vec<Verdict> {
        let verdicts = self.exchange.run(std::slice::from_ref(&event), &[1]);
        self.events.push(event);
        verdicts
    }
}

proptest! {
    #![proptest_config(config())]

    /// [`Exchange`] checks after every batch that each asset sums to zero, that holds are those of
    /// open withdrawals, that no user is overdrawn, that entries fold to balances, that finals
    /// absorb and that no key has two effects.
    #[test]
    fn any_history_in_any_batches_keeps_the_books(
        acts in acts(),
        sizes in proptest::collection::vec(1..9_usize, 1..5),
    ) {
        let players = Players::play(&acts);
        let mut one_by_one = Exchange::new();
        let single = one_by_one.run(&players.events, &[1]);
        let mut batched = Exchange::new();
        let together = batched.run(&players.events, &sizes);
        prop_assert_eq!(single, together, "every commit has the same verdict");
        prop_assert_eq!(&one_by_one.books.accounts, &batched.books.accounts);
        prop_assert_eq!(&one_by_one.entries, &batched.entries);
        prop_assert_eq!(&one_by_one.transfers, &batched.transfers);
        prop_assert_eq!(&players.exchange.books.accounts, &batched.books.accounts);
    }
}

/// A generator that never produces the interesting cases would prove nothing.
#[test]
fn histories_contain_every_final_status_and_refusal() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::new(config());
    let mut seen = std::collections::HashSet::new();
    let mut refusals = std::collections::HashSet::new();
    for _ in 0..200 {
        let acts = acts().new_tree(&mut runner).expect("a history").current();
        let players = Players::play(&acts);
        for transfer in players.exchange.transfers.values() {
            seen.insert(transfer.status());
            refusals.extend(transfer.reason());
        }
    }
    assert_eq!(seen.len(), Status::ALL.len(), "{seen:?}");
    for reason in [
        Reason::BalanceInsufficient,
        Reason::BalanceOverflow,
        Reason::AccountFrozen,
        Reason::AccountTerminated,
        Reason::RecipientUnavailable,
    ] {
        assert!(refusals.contains(&reason), "{reason:?} in {refusals:?}");
    }
}
