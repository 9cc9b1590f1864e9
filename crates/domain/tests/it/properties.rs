//! What holds whatever happens, in whatever order and in whatever batches.

use std::sync::Arc;

use bursar_domain::{
    BigDecimal, Change, CodeSalt, Command, Commit, Decision, FieldValue, Fingerprint,
    IdempotencyClaim, IdempotencyKey, KeyScope, Kind, NewTransfer, Reason, Recipient,
    ReversalTerms, RootRate, Rules, Status, Terms, Transfer, ledger::Verdict,
};
use proptest::{prelude::*, sample::Index, test_runner::RngSeed};

use crate::{
    acts::{Act, Rule, acts},
    exchange::{Event, Exchange, USERS, assets, scopes},
    rulebook::usd,
    sample::{NOW, amount, new, nobody},
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
pub(crate) struct Players {
    pub(crate) exchange: Exchange,
    pub(crate) verdicts: Vec<Verdict>,
    events: Vec<Event>,
    next_id: i64,
}

impl Players {
    pub(crate) fn play(acts: &[Act]) -> Self {
        let mut players = Self {
            exchange: Exchange::counting(),
            events: vec![],
            verdicts: vec![],
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
            Act::Reverse {
                which,
                share,
                returns_fee,
            } => self.reverse(*which, *share, *returns_fee),
            Act::Rule(rule) => {
                let rules = changed(&self.exchange.books.rules, rule);
                self.happen(Event::Rules(Arc::new(rules)));
            }
            Act::Repeat { which } => self.repeat(*which),
            Act::Status(user, status) => {
                let user = USERS.get(*user).expect("a user");
                self.happen(Event::Status(*user, *status));
            }
            Act::Clock(micros) => {
                self.happen(Event::Clock(self.exchange.now.plus_micros(*micros)));
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
            pays_fee,
            rated,
            ..
        } = act
        else {
            return Err(Reason::AssetDisabled);
        };
        self.next_id += 1;
        let terms = Terms {
            pays_fee: *pays_fee,
            ..Terms::default()
        };
        let fee = if *pays_fee { 0 } else { *fee };
        let new = NewTransfer {
            asset: *assets().get(*asset).expect("an asset"),
            terms,
            root_rate: rated.then(|| rate(*asset)),
            ..new(self.next_id, *units, fee)
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
            Ok(Decision::AlreadyApplied) => {
                assert!(transfer.status().is_final() || transfer.stage().is_some());
            }
            Err(illegal) => assert_eq!(illegal.status, transfer.status()),
        }
    }

    /// Takes back some transfer that went through, once it has been looked at.
    fn reverse(&mut self, which: Index, share: Option<i128>, returns_fee: bool) {
        let done =
            |transfer: &&Transfer| matches!(transfer.status(), Status::Completed | Status::Success);
        let transfers: Vec<Transfer> = self
            .exchange
            .transfers
            .values()
            .filter(done)
            .cloned()
            .collect();
        if transfers.is_empty() {
            return;
        }
        let transfer = which.get(&transfers);
        let whole = transfer.parts().amount.units();
        let covers = share.map(|share| amount((whole / 1_000 * share).max(1)));
        self.next_id += 1;
        let terms = ReversalTerms {
            covers,
            returns_fee,
            salt: CodeSalt::new([2; 10]),
        };
        match transfer.reversal(new(self.next_id, 0, 0), terms) {
            Ok(change) => self.send(change, None, None),
            Err(reason) => assert_eq!(reason, Reason::ReversalExceeds),
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
        assert_eq!(self.exchange.books.usage, before.usage);
    }

    fn happen(&mut self, event: Event) -> Vec<Verdict> {
        let verdicts = self.exchange.run(std::slice::from_ref(&event), &[1]);
        self.events.push(event);
        self.verdicts.extend(verdicts.iter().cloned());
        verdicts
    }
}

fn kind(number: u8) -> Kind {
    *Kind::ALL.get(usize::from(number)).expect("a kind")
}

/// The first asset is worth as much as the root asset, the second twice that.
fn rate(asset: usize) -> RootRate {
    RootRate {
        asset: usd(),
        scale: new(1, 1, 0).scale,
        rate: BigDecimal::from(if asset == 0 { 1 } else { 2 }),
        source: None,
        rated_at: None,
    }
}

/// The rules with another one.
fn changed(rules: &Rules, rule: &Rule) -> Rules {
    let mut rules = rules.clone();
    rules.revision += 1;
    let asset = |asset: usize| *assets().get(asset).expect("an asset");
    match rule {
        Rule::Fee(number, of, fee) => {
            rules.fees.insert((kind(*number), asset(*of)), *fee);
        }
        Rule::Limits(number, scope, limits) => {
            let scope = *scopes().get(*scope).expect("a scope");
            rules.limits.insert((kind(*number), scope), *limits);
        }
        Rule::ReadOnly(read_only) => rules.stops.read_only = *read_only,
        Rule::Outgoing(of, true) => {
            rules.stops.outgoing.insert(asset(*of));
        }
        Rule::Outgoing(of, false) => {
            rules.stops.outgoing.remove(&asset(*of));
        }
    }
    rules
}

proptest! {
    #![proptest_config(config())]

    /// [`Exchange`] checks after every batch that each asset sums to zero, that holds are those of
    /// open withdrawals, that no user is overdrawn, that entries fold to balances, that finals
    /// absorb and that no key has two effects; [`crate::watch`] that fees, limits, approvals,
    /// stops and reversals are what the rules in force wanted.
    #[test]
    fn any_history_in_any_batches_keeps_the_books(
        acts in acts(),
        sizes in proptest::collection::vec(1..9_usize, 1..5),
    ) {
        let players = Players::play(&acts);
        let mut one_by_one = Exchange::counting();
        let single = one_by_one.run(&players.events, &[1]);
        let mut batched = Exchange::counting();
        let together = batched.run(&players.events, &sizes);
        prop_assert_eq!(single, together, "every commit has the same verdict");
        prop_assert_eq!(&one_by_one.books.accounts, &batched.books.accounts);
        prop_assert_eq!(&one_by_one.entries, &batched.entries);
        prop_assert_eq!(&one_by_one.transfers, &batched.transfers);
        prop_assert_eq!(&one_by_one.books.usage, &batched.books.usage);
        prop_assert_eq!(&players.exchange.books.accounts, &batched.books.accounts);
    }
}
