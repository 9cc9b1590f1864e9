//! Whatever bit is changed in the rows of a book is found.

mod flips;

use std::collections::HashMap;

use diesel::{QueryDsl as _, SelectableHelper as _};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use self::flips::columns;
use super::{filled::Book, *};
use crate::{
    proof::transfer::LineFacts,
    schema::{accounts, entries, transfers},
    seal::Seal,
    value::Figure,
};

/// The rows of a book.
#[derive(Clone)]
struct Rows {
    accounts: Vec<AccountFacts>,
    entries: Vec<EntryFacts>,
    transfers: Vec<SealedRow>,
}

impl Rows {
    async fn of(book: &Book) -> Self {
        let mut connection = AsyncPgConnection::establish(book.url()).await.unwrap();
        let connection = &mut connection;
        Self {
            accounts: accounts::table
                .select(AccountFacts::as_select())
                .load(connection)
                .await
                .unwrap(),
            entries: entries::table
                .select(EntryFacts::as_select())
                .load(connection)
                .await
                .unwrap(),
            transfers: transfers::table
                .select(SealedRow::as_select())
                .load(connection)
                .await
                .unwrap(),
        }
    }

    /// Judges them as they would come out of the database.
    fn judged(mut self, rules: &Rules, heads: Vec<Head>) -> Vec<Violation> {
        self.accounts.sort_by_key(|account| account.id);
        self.entries
            .sort_by_key(|entry| (entry.account_id, entry.seq));
        let by_id: HashMap<i64, &AccountFacts> = self
            .accounts
            .iter()
            .map(|account| (account.id, account))
            .collect();
        let line = |entry: &EntryFacts| {
            let account = by_id.get(&entry.account_id)?;
            let line = LineFacts {
                account_id: entry.account_id,
                seq: entry.seq,
                transfer_id: entry.transfer_id,
                available: entry.available_delta,
                held: entry.held_delta,
                owner_kind: account.owner_kind.clone(),
                owner: account.owner,
                asset: account.asset.clone(),
            };
            Some(((entry.account_id, entry.seq), line))
        };
        let lines: HashMap<(i64, i64), LineFacts> = self.entries.iter().filter_map(line).collect();
        let mut proof = Proof::new(rules.clone(), Box::new(heads.into_iter()));
        for transfer in &self.transfers {
            proof.transfer(transfer, |account, seq| lines.get(&(account, seq)));
        }
        proof.accounts(self.accounts);
        for entry in &self.entries {
            proof.entry(entry);
        }
        proof.finish();
        proof.take_found()
    }

    /// As `bursar heads` would export them.
    fn heads(&self) -> Vec<Head> {
        let mut heads: Vec<Head> = self
            .accounts
            .iter()
            .map(|account| Head {
                account: account.id,
                seq: account.seq,
                seal: account.head.clone(),
            })
            .collect();
        heads.sort_by_key(|head| head.account);
        heads
    }
}

fn rules(book: &Book) -> Rules {
    Rules {
        keys: book.keys.clone(),
        sealed_since: None,
    }
}

#[tokio::test]
async fn a_thousand_flipped_bits_are_found() {
    let book = Book::filled().await;
    let rows = Rows::of(&book).await;
    let rules = rules(&book);
    assert_eq!(rows.clone().judged(&rules, rows.heads()), vec![]);
    let mut random = StdRng::seed_from_u64(20_261_128);
    let mut flipped: HashMap<&'static str, u32> = HashMap::new();
    let mut flips = 0;
    while flips < 1_000 {
        let mut changed = rows.clone();
        // Each column as often as any other, in whichever row.
        let columns = columns();
        let (name, flip) = &columns[random.random_range(0..columns.len())];
        if !flip(&mut changed, &mut random) {
            continue;
        }
        flips += 1;
        *flipped.entry(name).or_default() += 1;
        let found = changed.judged(&rules, vec![]);
        assert_ne!(found, vec![], "a bit of {name} was flipped unseen");
    }
    assert_eq!(flipped.len(), columns().len(), "{flipped:?}");
}

/// What somebody does to the rows of a book, and what is said of it.
type Tampering = (fn(&mut Rows), &'static str);

impl Rows {
    /// Alice's account of btc, which has the id 1.
    fn account(&mut self) -> &mut AccountFacts {
        let found = self.accounts.iter_mut().find(|account| account.id == 1);
        found.unwrap()
    }

    fn place_of(&self, seq: i64) -> usize {
        let is_it = |entry: &EntryFacts| (entry.account_id, entry.seq) == (1, seq);
        self.entries.iter().position(is_it).unwrap()
    }

    /// An open withdrawal of hers.
    fn place_of_open(&self) -> usize {
        let is_open = |transfer: &SealedRow| {
            transfer.row.state == "AwaitingConfirmation"
                && transfer.row.asset == "btc"
                && transfer.row.user_id == filled::ALICE.as_uuid()
        };
        self.transfers.iter().position(is_open).unwrap()
    }
}

/// Takes the last entry away, and every trace of it from the account.
fn cut(rows: &mut Rows) {
    let last = rows.account().seq;
    rows.entries.remove(rows.place_of(last));
    let before = rows.entries[rows.place_of(last - 1)].clone();
    let account = rows.account();
    (account.available, account.held) = (before.available_after, before.held_after);
    (account.seq, account.head) = (before.seq, before.seal);
}

const TAMPERINGS: &[Tampering] = &[
    (
        |rows| rows.account().available = Figure(rows.account().available.0.map(|x| x + 1)),
        "account 1: is not what its last entry says",
    ),
    (
        |rows| rows.account().available = Figure(rows.account().available.0.map(|x| x + 1)),
        "asset btc: its accounts sum to 1",
    ),
    (
        |rows| rows.account().held = Figure(None),
        "account 1: held is no whole number",
    ),
    (
        |rows| rows.account().head = None,
        "account 1: the head is not the last entry's seal",
    ),
    (
        |rows| rows.account().owner_kind = "thief".to_owned(),
        "account 1: nobody can be its owner",
    ),
    (cut, "account 1: had 9 entries once and has 8"),
    (
        |rows| rows.accounts.retain(|account| account.id != 1),
        "account 1: was exported and is gone",
    ),
    (
        |rows| rows.accounts.retain(|account| account.id != 1),
        "entry 1 of account 1: its account does not exist",
    ),
    (
        |rows| drop(rows.entries.remove(rows.place_of(2))),
        "entry 3 of account 1: follows entry 1",
    ),
    (
        |rows| {
            let at = rows.place_of(2);
            rows.entries[at].seal = None;
        },
        "entry 2 of account 1: there is no seal",
    ),
    (
        |rows| {
            let at = rows.place_of(9);
            rows.entries[at].seal = Some(Seal(vec![0; 20]));
        },
        "entry 9 of account 1: is not the entry that was exported",
    ),
    (
        |rows| {
            let at = rows.place_of(2);
            rows.entries[at].held_after = Figure(Some(-1));
        },
        "entry 2 of account 1: is below zero",
    ),
    (
        |rows| {
            let at = rows.place_of(2);
            rows.entries[at].available_delta = Figure(Some(8));
        },
        "entry 2 of account 1: the balances after it are not those before it plus what it adds",
    ),
    (
        |rows| drop(rows.transfers.remove(rows.place_of_open())),
        "account 1: holds 903 where open withdrawals hold 0",
    ),
    (
        |rows| drop(rows.transfers.remove(rows.place_of_open())),
        "books: there are",
    ),
    (
        |rows| {
            let at = rows.place_of_open();
            rows.transfers[at].row.fee = Figure(Some(4));
        },
        ": its entries are not what its kind, state, amount and fee say",
    ),
    (
        |rows| {
            let is_reversed = |transfer: &SealedRow| transfer.row.reversed.0 != Some(0);
            let at = rows.transfers.iter().position(is_reversed).unwrap();
            (rows.transfers[at].row.reversed, rows.transfers[at].seal) = (Figure(Some(0)), None);
        },
        ": its reversals take back",
    ),
    (
        |rows| {
            let at = rows.place_of_open();
            rows.transfers[at].entry_refs = vec![1, 99];
        },
        ": refers to entry 99 of account 1, which is not its own",
    ),
    (
        |rows| {
            let at = rows.place_of_open();
            rows.transfers[at].row.state = "Lost".to_owned();
        },
        ": fits no transfer: transfers is inconsistent: id",
    ),
];

/// Each kind of tampering is told by its name.
#[tokio::test]
async fn what_is_wrong_is_named() {
    let book = Book::filled().await;
    let rows = Rows::of(&book).await;
    let rules = rules(&book);
    for (tamper, expected) in TAMPERINGS {
        let mut changed = rows.clone();
        tamper(&mut changed);
        let found = changed.judged(&rules, rows.heads());
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        assert!(told.contains(expected), "{expected} in\n{told}");
    }
}

#[tokio::test]
async fn without_its_key_no_seal_is_proved_and_all_else_is() {
    let book = Book::filled().await;
    let rows = Rows::of(&book).await;
    let rules = Rules {
        keys: SealKeys::new([[8; 32]]),
        sealed_since: None,
    };
    let found = rows.judged(&rules, vec![]);
    let unknown = |one: &Violation| one.fault == Fault::UnknownKey;
    assert!(!found.is_empty() && found.iter().all(unknown), "{found:?}");
}

/// Rows from before there were seals are taken, unless they must have one.
#[tokio::test]
async fn what_is_from_before_there_were_seals_is_taken_unless_it_is_too_new() {
    let book = Book::sealed_by(SealKeys::default()).await;
    book.deposit(filled::BOB, "btc", 100).await;
    let old = Rows::of(&book).await;
    let rules = Rules {
        keys: SealKeys::new([[7; 32]]),
        sealed_since: None,
    };
    assert_eq!(old.clone().judged(&rules, old.heads()), vec![]);
    let strict = Rules {
        sealed_since: Some(Timestamp::EPOCH),
        ..rules
    };
    let found = old.judged(&strict, vec![]);
    let unsealed = found.iter().filter(|one| one.fault == Fault::Unsealed);
    // The transfer and its three entries.
    assert_eq!(unsealed.count(), 4, "{found:?}");
}

/// Of what has no seal no time is sure, so the later one counts.
#[tokio::test]
async fn a_time_that_was_put_back_makes_nothing_old() {
    let book = Book::filled().await;
    let mut rows = Rows::of(&book).await;
    let since = rows.transfers[0].row.created_at.0;
    rows.transfers[0].seal = None;
    rows.transfers[0].row.updated_at = crate::value::At(Timestamp::EPOCH);
    let rules = Rules {
        sealed_since: Some(since),
        ..rules(&book)
    };
    let found = rows.judged(&rules, vec![]);
    assert!(
        found.iter().any(|one| one.fault == Fault::Unsealed),
        "{found:?}"
    );
}
