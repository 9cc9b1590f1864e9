//! `bursar import`, as docs/OPERATIONS.md tells of it: what it says beforehand comes true, and no row
//! is ever made twice.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bursar_postgres::testing::TestDatabase;
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::{
    books::Books,
    eventually,
    exchange::{CANCEL, Exchange},
    process::{Bursar, Ended, run},
    service::{Service, environment},
};

const HEADER: &str = "reference,kind,user_id,asset,amount,comment\n";
/// As spreadsheets write it.
const COMMENT: &str = r#""by ""wire"", again""#;
const NOBODY: &str = "99999999-9999-4999-8999-999999999999";
/// Enough that it can be caught in the middle.
const MANY: usize = 3_000;
const KILLS: usize = 3;

/// An exchange with two users, of whom the first has 1 btc, and a file.
struct Scene {
    database: TestDatabase,
    service: Service,
    exchange: Exchange,
    books: Books,
    folder: TempDir,
}

impl Scene {
    async fn set(rows: &str) -> Self {
        let database = TestDatabase::create().await;
        let service = Service::start(database.url()).await;
        let exchange = Exchange::open(database.url(), &service.client(), 2).await;
        let first = &exchange.traders[0];
        exchange.fund(&service.client(), first, "btc", "1").await;
        let scene = Self {
            books: Books::of(database.url()),
            database,
            service,
            exchange,
            folder: tempfile::tempdir().unwrap(),
        };
        scene.write(rows);
        scene
    }

    fn write(&self, rows: &str) {
        fs::write(self.file(), format!("{HEADER}{rows}")).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("transfers.csv")
    }

    fn arguments<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["import", file, "--operator", "anna"], more].concat()
    }

    /// Imports the file and gives what was said, which is good only if all is well.
    async fn import(&self, more: &[&str], code: i32) -> Ended {
        let file = self.file();
        let arguments = Self::arguments(file.to_str().unwrap(), more);
        let ended = run(&arguments, &environment(self.database.url())).await;
        assert_eq!(ended.code, Some(code), "{}\n{}", ended.stdout, ended.stderr);
        ended
    }

    fn spawn(&self, more: &[&str]) -> Bursar {
        let file = self.file();
        let arguments = Self::arguments(file.to_str().unwrap(), more);
        Bursar::spawn(&arguments, &environment(self.database.url()))
    }

    /// Of each row its reference, result, status and code.
    fn results(&self) -> Vec<[String; 4]> {
        let path = self.folder.path().join("transfers.csv.results.csv");
        let mut reader = csv::Reader::from_path(path).unwrap();
        let header = reader.headers().unwrap().clone();
        let columns = ["reference", "result", "status", "code"]
            .map(|name| header.iter().position(|column| column == name).unwrap());
        let rows = reader.into_records().map(Result::unwrap);
        rows.map(|row| columns.map(|column| row[column].to_owned()))
            .collect()
    }

    fn user(number: usize) -> String {
        format!("00000000-0000-4000-8000-{number:012}")
    }
}

/// The first user's rows between those of others: one covers the next, and the last is not covered.
fn day() -> (String, [[&'static str; 4]; 6]) {
    let (first, second) = (Scene::user(0), Scene::user(1));
    let rows = format!(
        "d1,deposit,{first},btc,1,{COMMENT}\n\
         d2,deposit,{second},btc,0.5,\n\
         w1,withdrawal,{first},btc,1.50,\n\
         n1,deposit,{NOBODY},btc,1,\n\
         w2,withdrawal,{first},btc,0.6,\n\
         p1,withdrawal,{second},btc,0.123456789,\n"
    );
    let told = [
        ["d1", "made", "Completed", ""],
        ["d2", "made", "Completed", ""],
        ["w1", "made", "AwaitingConfirmation", ""],
        ["n1", "refused", "", "user.unknown"],
        ["w2", "refused", "", "balance.insufficient"],
        ["p1", "refused", "", "amount.too_precise"],
    ];
    (rows, told)
}

fn said(told: &[[&str; 4]; 6], made: &str) -> Vec<[String; 4]> {
    told.map(|row| row.map(|cell| if cell == "made" { made } else { cell }.to_owned()))
        .to_vec()
}

#[tokio::test]
async fn what_a_dry_run_says_comes_true_and_once() {
    let (rows, told) = day();
    let scene = Scene::set(&rows).await;
    let before = scene.books.sizes().await;
    let rehearsed = scene.import(&["--dry-run"], 1).await;
    assert_eq!(scene.results(), said(&told, "ready"));
    for line in [
        "rows: 6",
        "ready: 3",
        "refused: 3",
        "ready deposit btc: 1.5",
    ] {
        assert!(rehearsed.stdout.contains(line), "{}", rehearsed.stdout);
    }
    let mut after = scene.books.sizes().await;
    // Whoever is to get money has an account now, empty.
    after.insert("accounts", before["accounts"].clone());
    assert_eq!(after, before);

    let imported = scene.import(&[], 1).await;
    assert_eq!(scene.results(), said(&told, "made"));
    assert!(imported.stdout.contains("made withdrawal btc: 1.5"));
    assert!(imported.stderr.contains("3 rows were not made"));
    let client = scene.service.client();
    let balance = Exchange::balance(&client, &scene.exchange.traders[0], "BTC").await;
    assert_eq!(balance, ("0.50000000".to_owned(), "1.50000000".to_owned()));
    let admin = client.with(&scene.exchange.admin);
    let audit = admin.get("/admin/v1/audit?actor=anna").await.ok().json();
    let actions = audit["data"].as_array().unwrap().iter();
    let actions: Vec<&str> = actions.map(|row| row["action"].as_str().unwrap()).collect();
    let expected = ["withdrawal.create", "deposit.create", "deposit.create"];
    assert_eq!(actions, expected);

    let before = scene.books.sizes().await;
    scene.import(&["--dry-run"], 1).await;
    assert_eq!(scene.results(), said(&told, "repeated"));
    scene.import(&[], 1).await;
    assert_eq!(scene.results(), said(&told, "repeated"));
    assert_eq!(scene.books.sizes().await, before);
    scene.books.audit().await;
}

#[tokio::test]
async fn a_file_with_mistakes_moves_nothing() {
    let first = Scene::user(0);
    let scene = Scene::set(&format!(
        "a,deposit,{first},btc,1,\nb,deposit,{first},btc,-1,\nb2,gift,{first},,1,\na,deposit,{first},btc,1,\n"
    ))
    .await;
    let before = scene.books.sizes().await;
    let ended = scene.import(&[], 1).await;
    for mistake in [
        "nothing was imported",
        "line 3: amount:",
        "line 4: kind: must be one of deposit, withdrawal",
        "line 4: asset: is required",
        "line 5: reference: a is in line 2 too",
    ] {
        assert!(ended.stderr.contains(mistake), "{}", ended.stderr);
    }
    assert_eq!(scene.books.sizes().await, before);
    assert!(
        !scene
            .folder
            .path()
            .join("transfers.csv.results.csv")
            .exists()
    );
}

/// A reference stands for one row, for ever and in every file.
#[tokio::test]
async fn another_row_with_a_known_reference_is_refused() {
    let first = Scene::user(0);
    let scene = Scene::set(&format!("a,deposit,{first},btc,1,\n")).await;
    scene.import(&[], 0).await;
    scene.write(&format!(
        "a,deposit,{first},btc,2,\nb,deposit,{first},btc,2,\n"
    ));
    scene.import(&[], 1).await;
    let results = scene.results();
    assert_eq!(results[0][1..], ["refused", "", "reference.reused"]);
    assert_eq!(results[1][1..], ["made", "Completed", ""]);
}

/// Rows that need no more than the first user has, one after the other.
fn many() -> String {
    let user = |number: usize| Scene::user(number % 2);
    let rows = (0..MANY).map(|number| {
        let kind = if number % 3 < 2 {
            "deposit"
        } else {
            "withdrawal"
        };
        format!("r{number},{kind},{},btc,0.001,\n", user(number / 3))
    });
    rows.collect()
}

#[tokio::test]
async fn an_import_that_is_cut_off_is_taken_up_and_makes_no_row_twice() {
    let scene = Scene::set(&many()).await;
    let count = "SELECT count(*) FROM book_main.transfers WHERE created_by = 'anna'";
    for round in 1..=KILLS {
        let wanted = i64::try_from(MANY * round / (KILLS + 2)).unwrap();
        let import = scene.spawn(&["--confirm"]);
        eventually("rows are made", async || {
            (scene.books.number(count).await >= wanted).then_some(())
        })
        .await;
        let ended = if round % 2 == 1 {
            import.killed().await
        } else {
            import.signal(Signal::SIGINT);
            let ended = import.ended().await;
            assert!(ended.stderr.contains("stopped: interrupted"), "{ended:?}");
            ended
        };
        assert_ne!(ended.code, Some(0), "it was over before it was cut off");
        let made = scene.books.number(count).await;
        assert!(
            made < i64::try_from(MANY).unwrap(),
            "all was made by {made}"
        );
    }
    // Two at once, who make each row together.
    let other = scene.folder.path().join("other.csv");
    let other = other.to_str().unwrap();
    let rival = scene.spawn(&["--confirm", "--results", other]);
    scene.import(&["--confirm"], 0).await;
    let rival = rival.ended().await;
    assert_eq!(rival.code, Some(0), "{}", rival.stderr);

    let results = scene.results();
    assert_eq!(results.len(), MANY);
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    for [_, result, status, _] in &results {
        assert!(["made", "repeated"].contains(&result.as_str()));
        *statuses.entry(status).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([("Completed", MANY)]));
    assert_eq!(
        scene.books.number(count).await,
        i64::try_from(MANY).unwrap()
    );
    let twice = "SELECT user_id FROM book_main.transfers WHERE created_by = 'anna'
                 GROUP BY user_id, kind HAVING count(*) <> 1000 * CASE kind WHEN 'deposit' THEN 1
                 ELSE 0.5 END";
    assert_eq!(scene.books.rows(twice).await, Vec::<Vec<String>>::new());
    scene.books.audit().await;
}

/// What is worth more than one operator's word waits for a second one, and whoever imported it is
/// none.
#[tokio::test]
async fn whoever_imports_cannot_approve() {
    let first = Scene::user(0);
    let scene = Scene::set(&format!("a,withdrawal,{first},btc,0.5,\n")).await;
    let client = scene.service.client();
    let rule = json!({"approval_above": "0.1"});
    let path = "/limits/withdrawal/btc";
    scene.exchange.rule(&client, path, &rule).await;
    scene.import(&["--confirm"], 0).await;
    assert_eq!(
        scene.results()[0][1..],
        ["made", "AwaitingConfirmation", ""]
    );
    let find = "SELECT id FROM book_main.transfers WHERE created_by = 'anna'";
    let id = scene.books.number(find).await;
    let approve = format!("/admin/v1/transfers/{id}/approve");
    for (name, ends) in [("anna", "AwaitingConfirmation"), ("boris", "Completed")] {
        let operator = scene
            .exchange
            .operator(&client, name, &["backoffice_approve"]);
        let answer = operator.await.post(&approve, "{}".to_owned()).await;
        if name == "anna" {
            answer.refused(403, "approval.same_operator");
        } else {
            answer.ok();
        }
        let story = scene.exchange.story(&client, &id.to_string()).await;
        assert_eq!(story["status"], ends);
    }
}

#[tokio::test]
async fn an_import_stops_while_nothing_may_move() {
    let first = Scene::user(0);
    let scene = Scene::set(&format!("a,deposit,{first},btc,1,\n")).await;
    let admin = scene.service.client().with(&scene.exchange.admin);
    let stop = "/admin/v1/stops/read-only";
    let reason = json!({"reason": "a test"}).to_string();
    assert_eq!(admin.put(stop, reason).await.status, 204);
    for more in [&["--dry-run"][..], &[]] {
        let ended = scene.import(more, 1).await;
        assert!(ended.stderr.contains("stopped: nothing moves right now"));
        assert_eq!(scene.results(), Vec::<[String; 4]>::new());
    }
    assert_eq!(admin.delete(stop).await.status, 204);
    scene.import(&[], 0).await;
    assert_eq!(scene.results()[0][1..], ["made", "Completed", ""]);
}

/// What stands in the way today is gone tomorrow: the same file is imported again.
#[tokio::test]
async fn what_was_refused_is_made_once_nothing_is_against_it() {
    let first = Scene::user(0);
    let scene = Scene::set(&format!(
        "a,withdrawal,{first},btc,0.5,\nb,withdrawal,{first},btc,0.8,\nc,deposit,{first},btc,2,\n"
    ))
    .await;
    let admin = scene.service.client().with(&scene.exchange.admin);
    let stop = "/admin/v1/stops/outgoing/btc";
    let reason = json!({"reason": "a test"}).to_string();
    assert_eq!(admin.put(stop, reason).await.status, 204);
    scene.import(&[], 1).await;
    let results = scene.results();
    for row in &results[..2] {
        assert_eq!(row[1..], ["refused", "", "asset.outgoing_stopped"]);
    }
    assert_eq!(results[2][1..], ["made", "Completed", ""]);
    assert_eq!(admin.delete(stop).await.status, 204);
    scene.import(&[], 0).await;
    let results = scene.results();
    for row in &results[..2] {
        assert_eq!(row[1..], ["made", "AwaitingConfirmation", ""]);
    }
    assert_eq!(results[2][1..], ["repeated", "Completed", ""]);
    scene.books.audit().await;
}

/// A withdrawal that was cancelled since is none that was paid.
#[tokio::test]
async fn what_was_undone_since_is_told() {
    let first = Scene::user(0);
    let scene = Scene::set(&format!("a,withdrawal,{first},btc,0.5,\n")).await;
    scene.import(&[], 0).await;
    let find = "SELECT id FROM book_main.transfers WHERE created_by = 'anna'";
    let id = scene.books.number(find).await;
    let office = scene.service.client().with(&scene.exchange.backoffice);
    let cancel = json!({"userId": first, "transferId": id}).to_string();
    office.post(CANCEL, cancel).await.ok();
    let ended = scene.import(&["--confirm"], 1).await;
    assert_eq!(scene.results()[0][1..], ["undone", "Canceled", ""]);
    assert!(ended.stdout.contains("undone withdrawal btc: 0.5"));
}

#[tokio::test]
async fn results_are_written_over_nothing_that_is_needed() {
    let first = Scene::user(0);
    let rows = format!("a,deposit,{first},btc,1,\n");
    let scene = Scene::set(&rows).await;
    let input = scene.file();
    let input = input.to_str().unwrap();
    let ended = scene.import(&["--results", input], 1).await;
    assert!(
        ended.stderr.contains("name another file"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        fs::read_to_string(input).unwrap(),
        format!("{HEADER}{rows}")
    );
    let results = fs::File::create(format!("{input}.results.csv")).unwrap();
    results.lock().unwrap();
    let ended = scene.import(&[], 1).await;
    assert!(
        ended.stderr.contains("another import writes to"),
        "{}",
        ended.stderr
    );
    drop(results);
    scene.import(&[], 0).await;
}
