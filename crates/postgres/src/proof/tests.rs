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
    value::Figure,
};

/// The rows of a book.
#[derive(Clone)]
struct Rows {
    accounts: Vec<AccountFacts>,
    entries: Vec<EntryFacts>,
    transfers: Vec<TransferFacts>,
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
                .select(TransferFacts::as_select())
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

/// Each kind of tampering is told by its name.
#[tokio::test]
async fn what_is_wrong_is_named() {
    let book = Book::filled().await;
    let rows = Rows::of(&book).await;
    let rules = rules(&book);
    let user = |rows: &Rows| {
        let is_alice = |account: &AccountFacts| {
            account.owner == filled::ALICE.as_uuid() && account.asset == "btc"
        };
        rows.accounts.iter().position(is_alice).unwrap()
    };
    let told = |change: &dyn Fn(&mut Rows)| {
        let mut changed = rows.clone();
        change(&mut changed);
        let found = changed.judged(&rules, rows.heads());
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        told.join("\n")
    };
    let alice = user(&rows);
    let account = rows.accounts[alice].clone();
    let (id, seq) = (account.id, account.seq);
    let entry = |rows: &Rows, number: i64| {
        let is_it = |entry: &EntryFacts| (entry.account_id, entry.seq) == (id, number);
        rows.entries.iter().position(is_it).unwrap()
    };

    let more = told(&|rows| {
        let figure = rows.accounts[alice].available.0;
        rows.accounts[alice].available = Figure(figure.map(|units| units + 1));
    });
    let wrong = format!("account {id}: is not what its last entry says");
    assert!(more.contains(&wrong), "{more}");
    assert!(more.contains("asset btc: its accounts sum to 1"), "{more}");

    let cut = told(&|rows| {
        let last = entry(rows, seq);
        rows.entries.remove(last);
        let before = rows.entries[entry(rows, seq - 1)].clone();
        let account = &mut rows.accounts[alice];
        (account.available, account.held) = (before.available_after, before.held_after);
        (account.seq, account.head) = (before.seq, before.seal);
    });
    let wrong = format!("account {id}: had {seq} entries once and has {}", seq - 1);
    assert!(cut.contains(&wrong), "{cut}");

    let gone = told(&|rows| {
        rows.accounts.remove(alice);
    });
    assert!(
        gone.contains(&format!("account {id}: was exported and is gone")),
        "{gone}"
    );
    let wrong = format!("entry 1 of account {id}: its account does not exist");
    assert!(gone.contains(&wrong), "{gone}");

    let gap = told(&|rows| {
        let middle = entry(rows, 2);
        rows.entries.remove(middle);
    });
    let wrong = format!("entry 3 of account {id}: follows entry 1");
    assert!(gap.contains(&wrong), "{gap}");

    let unsealed = told(&|rows| {
        let middle = entry(rows, 2);
        rows.entries[middle].seal = None;
    });
    let wrong = format!("entry 2 of account {id}: there is no seal");
    assert!(unsealed.contains(&wrong), "{unsealed}");

    let nan = told(&|rows| rows.accounts[alice].held = Figure(None));
    let wrong = format!("account {id}: held is no whole number");
    assert!(nan.contains(&wrong), "{nan}");

    let is_open = |transfer: &TransferFacts| transfer.state == "AwaitingConfirmation";
    let open = rows.transfers.iter().position(is_open).unwrap();
    let gone = told(&|rows| {
        rows.transfers.remove(open);
    });
    assert!(gone.contains("where open withdrawals hold 0"), "{gone}");
    assert!(gone.contains("books: there are"), "{gone}");

    let dearer = told(&|rows| rows.transfers[open].fee = Figure(Some(4)));
    let wrong = format!(
        "transfer {}: its entries are not what its kind, state, amount and fee say",
        rows.transfers[open].id
    );
    assert!(dearer.contains(&wrong), "{dearer}");

    let other_rules = Rules {
        keys: SealKeys::new([[8; 32]]),
        sealed_since: None,
    };
    let found = rows.clone().judged(&other_rules, vec![]);
    assert!(
        found.iter().all(|one| one.fault == Fault::UnknownKey),
        "{found:?}"
    );
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
