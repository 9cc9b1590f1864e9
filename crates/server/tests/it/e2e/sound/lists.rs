//! Lists, held against the database: each shows what it is for, and each of it once.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
};

use bursar_audit::Rule;
use bursar_postgres::testing::TestDatabase;
use serde_json::{Value, json};

use super::{
    super::{
        books::Books,
        client::Client,
        exchange::{Exchange, INTERNAL, SCALES, Trader, WAIT, WITHDRAW},
        service::{Service, ready},
        units,
    },
    SHOWN_MAX, require,
    told::assert_told,
};

/// In how many pages a list is read, if they may be as large as that takes.
const PAGES: usize = 32;
/// How many transfers a page has at most: of the list of all, of those of the back office, and of what a
/// user sent and received.
const OF_ALL_MAX: usize = 200;
const BACKOFFICE_MAX: usize = 999;
const OWN_MAX: usize = 200;
/// How many of what a user sent and received may be passed over.
const PASSED_MAX: usize = 10_000;

/// A transfer as the database has it.
pub(super) struct There {
    pub(super) id: i64,
    pub(super) state: String,
    /// Whose it is: the sender's, if one user pays another.
    user: String,
    /// Who has received it, if any user has.
    received_by: Option<String>,
    is_internal: bool,
    /// In units of 10^-18.
    amount: i128,
}

/// What every list says of a transfer: its number, its status, and its amount in units of 10^-18. Statuses
/// are spelled as each API spells them, so here they are in lower case.
pub(super) type Row = (i64, String, i128);

impl There {
    pub(super) async fn all(books: &Books) -> Vec<Self> {
        let rows = "SELECT id, user_id, kind, state, recipient_id, asset, amount
            FROM book_main.transfers";
        let read = |row: Vec<String>| {
            let [id, user, kind, state, recipient, asset, amount] =
                <[String; 7]>::try_from(row).unwrap();
            let scale = SCALES.iter().find(|(name, _)| *name == asset);
            let per_unit = 10_i128.pow(u32::from(18 - scale.unwrap().1));
            Self {
                id: id.parse().unwrap(),
                user,
                received_by: (state == "Success").then_some(recipient),
                state,
                is_internal: kind == "internal",
                amount: amount.parse::<i128>().unwrap() * per_unit,
            }
        };
        books.rows(rows).await.into_iter().map(read).collect()
    }

    /// As a list is to show it.
    pub(super) fn row(&self) -> Row {
        (self.id, self.state.to_lowercase(), self.amount)
    }

    /// One that the database does not have.
    pub(super) fn deposit(id: i64, state: &str) -> Self {
        Self {
            id,
            state: state.to_owned(),
            user: String::new(),
            received_by: None,
            is_internal: false,
            amount: 0,
        }
    }

    /// Whether a user sees it among what it sent and received.
    fn is_seen_by(&self, user: &Trader) -> bool {
        let is_received = self.received_by.as_ref() == Some(&user.id);
        self.is_internal && (self.user == user.id || is_received)
    }
}

/// Each list shows each transfer that it is for once, as it is: that of all, the back office's of deposits
/// and withdrawals, every user's history of them, and what every user sent and received.
pub(super) async fn assert_listed(client: &Client, exchange: &Exchange, there: &[There]) {
    let is_known = |one: &There| exchange.traders.iter().any(|user| user.id == one.user);
    assert!(there.iter().all(is_known), "somebody else has transfers");
    let codes = assert_all_listed(&client.with(&exchange.admin), there).await;

    let backoffice = client.with(&exchange.backoffice);
    let opened: Vec<&There> = there.iter().filter(|one| !one.is_internal).collect();
    let size = page_size(opened.len(), BACKOFFICE_MAX);
    let path = |page: usize| format!("/back-api/api/v2/transfers?pageSize={size}&cursor={page}");
    let listed = paged(&backoffice, opened.len() / size + 2, path).await;
    let all = opened.iter().map(|one| one.row()).collect();
    assert_once(
        "the back office's list",
        listed.iter().map(row_of).collect(),
        all,
    );

    for user in &exchange.traders {
        let id = &user.id;
        let theirs = opened.iter().filter(|one| one.user == *id);
        let theirs: Vec<Row> = theirs.map(|one| one.row()).collect();
        let size = page_size(theirs.len(), BACKOFFICE_MAX);
        let of_user = format!("/back-api/backoffice/transfers/account/?userId={id}&limit={size}");
        let path = |page: usize| format!("{of_user}&cursor={page}");
        let listed = paged(&backoffice, theirs.len() / size + 2, path).await;
        let list = format!("the history of {id}");
        assert_once(&list, listed.iter().map(row_of).collect(), theirs);
        assert_own_listed(&client.with(&user.token), user, there, &codes).await;
    }
}

/// The list of all; gives the ids of those that have codes.
async fn assert_all_listed(admin: &Client, there: &[There]) -> HashMap<String, i64> {
    let size = page_size(there.len(), OF_ALL_MAX);
    let path = format!("/admin/v1/transfers?limit={size}");
    let listed = cursored(admin, &path, there.len()).await;
    let all = there.iter().map(There::row).collect();
    assert_once("the list of all", listed.iter().map(row_of).collect(), all);
    let code_of = |row: &Value| Some((row["code"].as_str()?.to_owned(), id_of(row)));
    listed.iter().filter_map(code_of).collect()
}

/// What a user sent and received. Of more than may be passed over the newest are shown.
async fn assert_own_listed(
    client: &Client,
    user: &Trader,
    there: &[There],
    codes: &HashMap<String, i64>,
) {
    let theirs = there.iter().filter(|one| one.is_seen_by(user));
    let mut theirs: Vec<Row> = theirs.map(There::row).collect();
    let size = page_size(theirs.len(), OWN_MAX);
    let pages = (theirs.len() / size + 2).min(PASSED_MAX / size + 1);
    let path = |page: usize| format!("/internal-transfer?limit={size}&offset={}", page * size);
    let listed = paged(client, pages, path).await;
    // No transfer has the number 0.
    let named = |row: &Value| codes.get(row["code"].as_str().unwrap()).copied();
    let row = |row: &Value| row_with(named(row).unwrap_or(0), row);
    let listed: Vec<Row> = listed.iter().map(row).collect();
    if theirs.len() > pages * size && listed.len() == pages * size {
        let shown: HashSet<i64> = listed.iter().map(|(id, ..)| *id).collect();
        theirs.retain(|(id, ..)| shown.contains(id));
    }
    let list = format!("what {} sent and received", user.id);
    assert_once(&list, listed, theirs);
}

/// The rows of a list that gives cursors. One that came to no end would have more than there are.
pub(super) async fn cursored(client: &Client, path: &str, there: usize) -> Vec<Value> {
    let mut listed: Vec<Value> = vec![];
    let mut cursor = String::new();
    while listed.len() <= there {
        let page = client.get(&format!("{path}{cursor}")).await.ok().json();
        listed.extend_from_slice(page["data"].as_array().unwrap());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    listed
}

/// How many rows a page has: few, for what goes wrong does so between two pages, but not so few that all
/// of them take long.
pub(super) fn page_size(rows: usize, most: usize) -> usize {
    (rows / PAGES + 1).min(most)
}

/// The rows of a list, page by page, until one is empty; of so many pages at most.
async fn paged(client: &Client, pages: usize, path: impl Fn(usize) -> String) -> Vec<Value> {
    let mut rows = vec![];
    for page in 0..pages {
        let page = client.get(&path(page)).await.ok().json();
        let page = page.as_array().unwrap();
        if page.is_empty() {
            break;
        }
        rows.extend_from_slice(page);
    }
    rows
}

pub(super) fn id_of(row: &Value) -> i64 {
    row["id"].as_i64().unwrap()
}

/// What a row of a list says of its transfer.
pub(super) fn row_of(row: &Value) -> Row {
    row_with(id_of(row), row)
}

fn row_with(id: i64, row: &Value) -> Row {
    let text = |name: &str| row[name].as_str().unwrap();
    (id, text("status").to_lowercase(), units(text("amount")))
}

/// A list shows each of these once, and nothing else.
#[track_caller]
pub(super) fn assert_once<T: Ord + Clone + Debug>(
    list: &str,
    mut listed: Vec<T>,
    mut there: Vec<T>,
) {
    listed.sort_unstable();
    there.sort_unstable();
    require(listed == there, Rule::ListsAgree, || {
        let twice = listed.windows(2).filter(|pair| pair[0] == pair[1]);
        let twice: Vec<T> = twice.map(|pair| pair[0].clone()).take(SHOWN_MAX).collect();
        let without = |some: &[T], others: &[T]| -> Vec<T> {
            let left = some.iter().filter(|id| others.binary_search(id).is_err());
            left.take(SHOWN_MAX).cloned().collect()
        };
        format!(
            "{list}: {} listed, {} there; twice {twice:?}, not listed {:?}, not there {:?}",
            listed.len(),
            there.len(),
            without(&there, &listed),
            without(&listed, &there),
        )
    });
}

#[test]
fn a_list_that_leaves_out_or_shows_twice_is_named() {
    let said = |listed: &[i64]| {
        let listed = listed.to_vec();
        let judged = || assert_once("it", listed, vec![3, 1, 2]);
        let judged = std::panic::catch_unwind(judged);
        judged.map_err(|said| said.downcast_ref::<String>().unwrap().clone())
    };
    assert_eq!(said(&[1, 2, 3]), Ok(()));
    let wrong = |shown: &str| {
        let rule = "violated A14: a list does not show every transfer once";
        Err(format!("{rule}: it: {shown}"))
    };
    let shown = "2 listed, 3 there; twice [], not listed [2], not there []";
    assert_eq!(said(&[3, 1]), wrong(shown));
    let shown = "3 listed, 3 there; twice [3], not listed [2], not there []";
    assert_eq!(said(&[3, 3, 1]), wrong(shown));
    let shown = "4 listed, 3 there; twice [], not listed [], not there [0]";
    assert_eq!(said(&[3, 2, 1, 0]), wrong(shown));
}

#[test]
fn a_list_that_shows_another_status_or_amount_is_named() {
    let there = There::deposit(7, "Completed");
    let said = |row: &Value| {
        let listed = row_of(row);
        let judged =
            std::panic::catch_unwind(|| assert_once("it", vec![listed], vec![there.row()]));
        judged.map_err(|said| said.downcast_ref::<String>().unwrap().clone())
    };
    assert_eq!(
        said(&json!({"id": 7, "status": "completed", "amount": "0"})),
        Ok(())
    );
    for other in [
        json!({"id": 7, "status": "Failed", "amount": "0"}),
        json!({"id": 7, "status": "Completed", "amount": "0.000000000000000001"}),
    ] {
        let said = said(&other).expect_err("nobody has found out what is wrong");
        assert!(said.starts_with("violated A14"), "{said}");
    }
}

#[tokio::test]
async fn everything_is_listed_and_told_that_there_is() {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = ready(&service).await;
    let exchange = Exchange::open(database.url(), &client, 3).await;
    exchange.fund_all(&client, "1").await;
    let [alice, bob, _] = &exchange.traders[..] else {
        panic!("three users");
    };
    let backoffice = client.with(&exchange.backoffice);
    // More than there are pages. What is too much is rejected, and its sender alone sees it.
    for number in 0..PAGES + 5 {
        let (from, to) = if number.is_multiple_of(3) {
            (bob, alice)
        } else {
            (alice, bob)
        };
        let amount = if number.is_multiple_of(7) {
            "5"
        } else {
            "0.001"
        };
        let body = json!({"currency_code": "btc", "amount": amount, "recipient": to.id});
        let sender = client.with(&from.token);
        sender.post_with(INTERNAL, body.to_string(), &[WAIT]).await;
        let body = json!({"userId": from.id, "assetId": "btc", "amount": "0.0001"});
        backoffice.post(WITHDRAW, body.to_string()).await.ok();
    }
    let books = Books::of(database.url());
    books.settled().await;
    let rejected = "SELECT count(*) FROM book_main.transfers WHERE state = 'Rejected'";
    assert!(books.number(rejected).await > 1);
    let there = There::all(&books).await;
    assert_listed(&client, &exchange, &there).await;
    assert_told(&client, &exchange, &books, &there).await;
    service.stopped().await;
}
