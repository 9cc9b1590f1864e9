//! A small exchange: one asset, three users.

use bursar_domain::{
    AccountKey, ActorId, Amount, Asset, AssetId, Balance, Change, CodeSalt, Command, Commit,
    Decision, NewTransfer, PayoutRoute, Posting, Recipient, Scale, Terms, Timestamp, Transfer,
    TransferId, UserId, UserStatus,
    ledger::{self, Applied, Books, Verdict},
};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
pub(crate) const HOOK: &str = "https://example.com/creation";
pub(crate) const OTHER_HOOK: &str = "https://example.com/operation";

pub(crate) const ALICE: UserId = UserId::new(Uuid::from_u128(1));
pub(crate) const BOB: UserId = UserId::new(Uuid::from_u128(2));
pub(crate) const CAROL: UserId = UserId::new(Uuid::from_u128(3));

pub(crate) fn asset_id(id: &str) -> AssetId {
    AssetId::parse(id).expect("a valid asset id")
}

pub(crate) fn btc() -> AssetId {
    asset_id("btc")
}

pub(crate) fn asset(id: AssetId) -> Asset {
    Asset {
        id,
        name: id.to_string(),
        scale: Scale::try_new(8).expect("at most 18"),
        can_deposit: true,
        can_withdraw: true,
        can_transfer: true,
    }
}

pub(crate) fn amount(units: i128) -> Amount {
    Amount::try_from_units(units).expect("a valid amount")
}

pub(crate) fn id(number: i64) -> TransferId {
    TransferId::try_new(number).expect("a valid id")
}

pub(crate) fn account(user: UserId) -> AccountKey {
    AccountKey::user(user, btc())
}

pub(crate) fn world() -> AccountKey {
    AccountKey::world(btc())
}

pub(crate) fn fees() -> AccountKey {
    AccountKey::fees(btc())
}

/// A new transfer that calls back to [`HOOK`].
pub(crate) fn new(number: i64, units: i128, fee: i128) -> NewTransfer {
    NewTransfer {
        id: id(number),
        asset: btc(),
        scale: Scale::try_new(8).expect("at most 18"),
        amount: amount(units),
        fee: amount(fee),
        note: None,
        callback_url: Some(HOOK.to_owned()),
        created_by: ActorId::new("operator"),
        now: NOW,
        root_rate: None,
        terms: Terms::default(),
    }
}

pub(crate) fn deposit(number: i64, units: i128, fee: i128) -> Change {
    Transfer::deposit(new(number, units, fee), ALICE).expect("the fee is less")
}

pub(crate) fn withdrawal(number: i64, units: i128, fee: i128) -> Change {
    Transfer::withdrawal(new(number, units, fee), ALICE).expect("the sum fits")
}

pub(crate) fn payment(number: i64, sender: UserId, recipient: Recipient, units: i128) -> Change {
    payment_with_fee(new(number, units, 0), sender, recipient)
}

pub(crate) fn payment_with_fee(new: NewTransfer, from: UserId, to: Recipient) -> Change {
    Transfer::internal(new, from, to, CodeSalt::new([7; 10]), None).expect("two users")
}

pub(crate) fn nobody() -> Recipient {
    Recipient::Unknown {
        typed: "nobody".to_owned(),
    }
}

pub(crate) fn confirm(url: Option<&str>) -> Command {
    Command::Confirm {
        by: ActorId::new("confirmer"),
        callback_url: url.map(str::to_owned),
        route: PayoutRoute::Manual,
        approval_expires_at: None,
    }
}

pub(crate) fn cancel(url: Option<&str>) -> Command {
    Command::Cancel {
        by: ActorId::new("canceller"),
        callback_url: url.map(str::to_owned),
    }
}

/// What a command that the state allows makes of a transfer.
pub(crate) fn step(transfer: &Transfer, command: &Command) -> Change {
    match transfer.decide(command, NOW.plus_micros(5)) {
        Ok(Decision::Apply(change)) => *change,
        answer @ (Ok(Decision::AlreadyApplied) | Err(_)) => panic!("{command:?}: {answer:?}"),
    }
}

pub(crate) const fn line(account: AccountKey, available: i128, held: i128) -> Posting {
    Posting {
        account,
        available,
        held,
    }
}

/// Active users without money.
pub(crate) fn books() -> Books {
    let users = [ALICE, BOB, CAROL].map(account);
    Books {
        accounts: users
            .into_iter()
            .chain([world(), fees()])
            .map(|account| (account, Balance::empty(UserStatus::Active)))
            .collect(),
        assets: [(btc(), asset(btc()))].into(),
        ..Books::default()
    }
}

/// Active users, the first of whom has this much.
pub(crate) fn books_with(available: i128) -> Books {
    let mut books = books();
    balance_mut(&mut books, account(ALICE)).available = available;
    balance_mut(&mut books, world()).available = -available;
    books
}

pub(crate) fn balance_mut(books: &mut Books, account: AccountKey) -> &mut Balance {
    books.accounts.get_mut(&account).expect("it exists")
}

pub(crate) fn set_status(books: &mut Books, user: UserId, status: UserStatus) {
    balance_mut(books, account(user)).status = status;
}

/// Available and held.
pub(crate) fn balance(books: &Books, user: UserId) -> (i128, i128) {
    let balance = books.accounts.get(&account(user)).expect("it exists");
    (balance.available, balance.held)
}

pub(crate) fn settle_all(books: &mut Books, changes: Vec<Change>) -> Vec<Verdict> {
    let batch: Vec<Commit> = changes.into_iter().map(Commit::new).collect();
    ledger::settle(books, &batch, NOW)
}

pub(crate) fn settle(books: &mut Books, change: Change) -> Verdict {
    settle_all(books, vec![change]).remove(0)
}

pub(crate) fn applied(verdict: Verdict) -> Applied {
    let Verdict::Applied(applied) = verdict else {
        panic!("expected it to be applied, not {verdict:?}");
    };
    *applied
}
