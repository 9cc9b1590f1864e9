//! Books that prove themselves, as docs/OPERATIONS.md tells to have them proved, and the role that
//! cannot rewrite them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use bursar_postgres::testing::TestDatabase;
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use super::{
    books::Books,
    client::Client,
    console::browser::{Browser, Operator},
    eventually,
    exchange::{CANCEL, CONFIRM, Exchange, INTERNAL, Trader, WAIT, WITHDRAW},
    process::{Bursar, Ended, run},
    receiver::Receiver,
    service::{MASTER_KEY, Service, environment},
};

const NEW_KEY: &str = "new:6e65776b65796e65776b65796e65776b65796e65776b65796e65776b65796e65";

async fn bursar(database_url: &str, arguments: &[&str]) -> Ended {
    run(arguments, &environment(database_url)).await
}

/// Everything in the database of a test is sealed.
pub(super) const SEALED: [&str; 2] = ["--sealed-since", "2000-01-01"];

/// Proves the books, and says what was told of them.
pub(super) async fn verified(database_url: &str, arguments: &[&str], code: i32) -> Ended {
    let arguments = [&["verify"], arguments].concat();
    let ended = bursar(database_url, &arguments).await;
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.stdout, ended.stderr);
    ended
}

/// Lets money come, go and go round.
async fn trade(service: &Service, exchange: &Exchange) {
    let client = service.client();
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    exchange.fund(&client, alice, "btc", "5").await;
    let backoffice = client.with(&exchange.backoffice);
    for end in [CONFIRM, CANCEL, ""] {
        let body = json!({"userId": alice.id, "assetId": "btc", "amount": "0.25"});
        let open = backoffice.post(WITHDRAW, body.to_string()).await.ok();
        if !end.is_empty() {
            let body = json!({"userId": alice.id, "transferId": open.json()["id"]});
            backoffice.post(end, body.to_string()).await.ok();
        }
    }
    let body = json!({"currency_code": "btc", "amount": "0.5", "recipient": bob.id});
    let trading = client.with(&alice.token);
    let sent = trading.post_with(INTERNAL, body.to_string(), &[WAIT]).await;
    assert_eq!(sent.ok().text_of("status"), "success");
}

#[tokio::test]
async fn what_is_changed_in_the_database_is_named_and_what_is_cut_off_too() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let service = Service::start(url).await;
    let exchange = Exchange::open(url, &service.client(), 2).await;
    trade(&service, &exchange).await;
    let folder = tempfile::tempdir().unwrap();
    let heads = folder.path().join("heads");
    let heads = heads.to_str().unwrap();
    let done = bursar(url, &["heads", "--out", heads]).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let again = bursar(url, &["heads", "--out", heads]).await;
    assert_eq!(again.code, Some(1), "an export was overwritten");

    // While it serves.
    trade(&service, &exchange).await;
    let strict = ["--heads", heads, "--sealed-since", "2000-01-01"];
    let proved = verified(url, &strict, 0).await;
    assert!(
        proved.stdout.ends_with("violations: 0")
            && proved.stdout.contains("transfers: 10, 0 without a seal"),
        "{}",
        proved.stdout
    );
    let admin = service.client().with(&exchange.admin);
    let shown = admin.get("/admin/v1/integrity").await.ok();
    assert_eq!(shown.json()["ok"], true, "{}", shown.text);

    let books = Books::of(url);
    books
        .tampered("UPDATE book_main.accounts SET available = available + 1 WHERE id = 1")
        .await;
    let shown = admin.get("/admin/v1/integrity").await.ok().json();
    let btc = &shown["assets"][0];
    assert_eq!((&shown["ok"], &btc["ok"]), (&json!(false), &json!(false)));
    assert_eq!(
        (&btc["sum"], &btc["accounts"]),
        (&json!("0.00000001"), &json!(1))
    );
    let metrics = service.client();
    eventually("the metric tells", async || {
        let text = metrics.get("/metrics").await.text;
        let wrong = r#"bursar_integrity_ok{asset="btc"} 0"#;
        text.contains(wrong).then_some(())
    })
    .await;
    eventually("the log tells", async || {
        let log = service.log();
        log.contains("the books are not what they must be")
            .then_some(())
    })
    .await;
    only_btc_is_stopped(&service, &exchange).await;
    let found = verified(url, &[], 1).await;
    for expected in [
        "account 1: is not what its last entry says",
        "asset btc: its accounts sum to 1",
        "the books are not what they must be: 2 violations",
    ] {
        assert!(found.stderr.contains(expected), "{}", found.stderr);
    }
    books
        .tampered("UPDATE book_main.accounts SET available = available - 1 WHERE id = 1")
        .await;
    books
        .tampered("UPDATE book_main.transfers SET note = 'mine' WHERE id = 1")
        .await;
    let found = verified(url, &[], 1).await;
    let wrong = "transfer 1: the seal does not fit the row";
    assert!(found.stderr.contains(wrong), "{}", found.stderr);
    service.stopped().await;
}

/// Whoever has to look into it is told what is wrong with which row, in the console and in the log.
#[tokio::test]
async fn the_console_tells_which_transfer_nothing_proves_and_nobody_else_does() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let service = Service::start(url).await;
    let client = service.client();
    let exchange = Exchange::open(url, &client, 2).await;
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    exchange.fund(&client, alice, "btc", "5").await;
    let body = json!({"currency_code": "btc", "amount": "0.5", "recipient": bob.id});
    let trading = client.with(&alice.token);
    let sent = trading.post_with(INTERNAL, body.to_string(), &[WAIT]).await;
    let code = sent.ok().name();
    let admin = client.with(&exchange.admin);
    let path = format!("/admin/v1/transfers?code={code}");
    let found = admin.get(&path).await.ok().json();
    let id = found["data"][0]["id"].as_i64().unwrap();
    let tampered = format!("UPDATE book_main.transfers SET note = 'mine' WHERE id = {id}");
    Books::of(url).tampered(&tampered).await;

    let wrong = format!("id {id}: its seal does not fit");
    let path = format!("/admin/v1/transfers/{id}");
    for (client, path) in [(&admin, path), (&trading, format!("{INTERNAL}/{code}"))] {
        let shown = client.get(&path).await.refused(500, "internal");
        assert!(!shown.text.contains("seal"), "{}", shown.text);
    }
    let anna = Operator::create(url, "anna", "backoffice_read").await;
    let mut browser = Browser::of(&service);
    browser.sign_in(&anna).await;
    let page = browser.get(&format!("/console/transfers/{id}")).await;
    let page = page.is(500);
    assert!(
        page.text.contains(&wrong) && page.text.contains("Nothing proves this transfer"),
        "{}",
        page.text
    );
    eventually("each look at it is in the log", async || {
        let log = service.log();
        let looks = log.matches("what is stored contradicts itself").count();
        (looks >= 3).then_some(())
    })
    .await;
    service.stopped().await;
}

/// What leaves in the asset whose books are wrong has been stopped, everybody can see by whom and
/// why, and nothing else has.
async fn only_btc_is_stopped(service: &Service, exchange: &Exchange) {
    let admin = service.client().with(&exchange.admin);
    let breach = eventually("the breach is told", async || {
        let page = admin.get("/admin/v1/events?limit=1000").await.ok().json();
        let events = page["data"].as_array().unwrap().iter();
        let mut breaches = events.filter(|event| event["type"] == "integrity.breach");
        let breach = breaches.next().cloned();
        assert_eq!(breaches.next(), None, "told twice");
        breach
    })
    .await;
    assert_eq!(breach["data"]["asset"], "btc");
    let stops = admin.get("/admin/v1/stops").await.ok().json();
    let stop = &stops["data"][0];
    assert_eq!(stops["data"].as_array().unwrap().len(), 1, "{stops}");
    assert_eq!(
        (&stop["stop"], &stop["asset"], &stop["stopped_by"]),
        (&json!("outgoing"), &json!("btc"), &json!("integrity"))
    );
    assert_eq!(stop["reason"], breach["data"]["reason"]);
    let log = admin
        .get("/admin/v1/audit?actor=integrity")
        .await
        .ok()
        .json();
    let target = &log["data"][0]["target"];
    assert_eq!(target, "stop:outgoing:btc", "{log}");

    let alice = &exchange.traders[0];
    exchange.fund(&service.client(), alice, "eth", "5").await;
    let backoffice = service.client().with(&exchange.backoffice);
    let withdraw = async |asset: &str| {
        let body = json!({"userId": alice.id, "assetId": asset, "amount": "0.01"});
        backoffice.post(WITHDRAW, body.to_string()).await
    };
    let refused = withdraw("btc").await;
    assert_eq!(refused.text_of("code"), "asset.outgoing_stopped");
    withdraw("eth").await.ok();
}

#[tokio::test]
async fn a_part_of_an_export_is_not_compared() {
    let database = TestDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    fs::write(&part, "bursar heads 1\n").unwrap();
    let arguments = ["--heads", part.to_str().unwrap()];
    let refused = verified(database.url(), &arguments, 1).await;
    assert!(
        refused.stderr.contains("is no export of heads"),
        "{}",
        refused.stderr
    );
}

/// Both keys seal, each its time; without one of them what it sealed cannot be proved.
#[tokio::test]
async fn a_changed_master_key_goes_on_where_the_old_one_ended() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let service = Service::start(url).await;
    let exchange = Exchange::open(url, &service.client(), 2).await;
    trade(&service, &exchange).await;
    service.stopped().await;
    let both = format!("{NEW_KEY},{MASTER_KEY}");
    let service = Service::start_with(url, &[("BURSAR_MASTER_KEY", &both)]).await;
    trade(&service, &exchange).await;
    service.stopped().await;
    let verify = async |keys: &str| {
        let mut settings = environment(url);
        settings.push(("BURSAR_MASTER_KEY", keys));
        run(&["verify"], &settings).await
    };
    let proved = verify(&both).await;
    assert_eq!(proved.code, Some(0), "{}", proved.stderr);
    let found = verify(NEW_KEY).await;
    assert_eq!(found.code, Some(1), "{}", found.stderr);
    assert!(
        found.stderr.contains("the seal's key is not configured"),
        "{}",
        found.stderr
    );
}

/// Where the client programs of the server that tests run on are.
fn pg_dump() -> String {
    let beside = std::process::Command::new("pg_config")
        .arg("--bindir")
        .output();
    let folder = beside.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
    let mut folders: Vec<String> = folder.into_iter().collect();
    if let Ok(releases) = fs::read_dir("/usr/lib/postgresql") {
        let bins = releases.map(|release| release.unwrap().path().join("bin"));
        folders.extend(bins.map(|bin| bin.display().to_string()));
    }
    let program = folders
        .iter()
        .map(|folder| format!("{folder}/pg_dump"))
        .find(|program| Path::new(program).is_file());
    program.unwrap_or_else(|| "pg_dump".to_owned())
}

#[tokio::test]
async fn a_dump_is_proved_in_a_server_of_its_own() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let service = Service::start(url).await;
    let exchange = Exchange::open(url, &service.client(), 2).await;
    trade(&service, &exchange).await;
    service.stopped().await;
    let books = Books::of(url);
    // Its grants name a role that the private server does not have.
    books
        .rows("GRANT SELECT ON book_main.entries TO pg_monitor")
        .await;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump.sql");
    let dump = dump.to_str().unwrap();
    let dumped = std::process::Command::new(pg_dump())
        .args(["--file", dump, "--dbname", url])
        .status();
    assert!(dumped.unwrap().success());
    // The database itself may be gone by then.
    let nowhere = "postgres://nobody@127.0.0.1:1/none";
    let proved = verified(nowhere, &["--dump", dump], 0).await;
    assert!(
        proved.stdout.ends_with("violations: 0"),
        "{}",
        proved.stdout
    );

    let text = fs::read_to_string(dump).unwrap();
    let strange = text.replace("TO pg_monitor", "TO somebody_else");
    assert_ne!(strange, text);
    fs::write(dump, &strange).unwrap();
    verified(nowhere, &["--dump", dump], 0).await;
    let tampered = strange.replacen("\tdeposit\tCompleted\t", "\tdeposit\tPending\t", 1);
    assert_ne!(strange, tampered);
    fs::write(dump, &tampered).unwrap();
    let found = verified(nowhere, &["--dump", dump], 1).await;
    let wrong = "transfer 1: the seal does not fit the row";
    assert!(found.stderr.contains(wrong), "{}", found.stderr);

    let half = &strange[..strange.len() / 2];
    fs::write(dump, format!("{half}\nnonsense;\n")).unwrap();
    let refused = verified(nowhere, &["--dump", dump], 1).await;
    assert!(
        refused.stderr.contains("the dump cannot be restored"),
        "{}",
        refused.stderr
    );
}

/// The process of the private server, once it runs.
fn server_of(line: &str) -> Option<Pid> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line["message"] != "the local database is running" {
        return None;
    }
    let pid = line["pid"].as_i64()?;
    Some(Pid::from_raw(i32::try_from(pid).unwrap()))
}

/// Neither the copy nor what serves it.
#[tokio::test]
async fn a_proof_of_a_dump_that_is_interrupted_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // The server's user may be another than whoever runs the tests.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
    let dump = folder.path().join("dump.sql");
    fs::write(&dump, "SELECT pg_sleep(60);\n").unwrap();
    let mut settings = environment("postgres://nobody@127.0.0.1:1/none");
    settings.push(("TMPDIR", folder.path().to_str().unwrap()));
    let told = "info,bursar_postgres::local::launch=info";
    settings.push(("BURSAR_LOG_LEVEL", told));
    let arguments = ["verify", "--dump", dump.to_str().unwrap()];
    let mut proof = Bursar::spawn(&arguments, &settings);
    let server = proof.said(server_of).await;
    assert_eq!(kill(server, None), Ok(()));
    proof.signal(Signal::SIGINT);
    let ended = proof.ended().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    assert_eq!(kill(server, None), Err(Errno::ESRCH));
    let left = fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [dump]);
}

/// What operators decide, each once, and what it does to money.
async fn decide_rules(admin: &Client, backoffice: &Client, trader: &Trader) {
    let fees = json!({"percent": "1"}).to_string();
    admin.put("/admin/v1/fees/withdrawal/btc", fees).await.ok();
    let limits = json!({"daily": "2"}).to_string();
    let path = "/admin/v1/limits/withdrawal/btc";
    admin.put(path, limits).await.ok();
    let withdraw = async |amount: &str| {
        let body = json!({"userId": trader.id, "assetId": "btc", "amount": amount});
        backoffice.post(WITHDRAW, body.to_string()).await
    };
    let open = withdraw("0.1").await.ok();
    let over = withdraw("2").await;
    assert_eq!(over.text_of("code"), "limit.daily");
    let reason = json!({"reason": "a drill"}).to_string();
    let path = "/admin/v1/stops/outgoing/btc";
    assert!(admin.put(path, reason).await.status.is_success());
    let stopped = withdraw("0.1").await;
    assert_eq!(stopped.text_of("code"), "asset.outgoing_stopped");
    assert_eq!(admin.delete(path).await.status.as_u16(), 204);
    let body = json!({"userId": trader.id, "transferId": open.json()["id"]});
    backoffice.post(CONFIRM, body.to_string()).await.ok();
    let path = format!("/admin/v1/transfers/{}/reverse", open.json()["id"]);
    let reversed = json!({"return_fee": true, "comment": "paid back"}).to_string();
    admin.post(&path, reversed).await.ok();
}

/// Everything that an exchange does works as the role that `bursar grant` leaves with nothing else.
#[tokio::test]
async fn an_exchange_runs_as_a_role_that_rewrites_nothing() {
    let database = TestDatabase::create().await;
    let owner = database.url();
    let books = Books::of(owner);
    let role = "bursar_test_service";
    let create = format!(
        "DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD 'service'; \
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    );
    books.rows(&create).await;
    let granted = bursar(owner, &["grant", "--role", role]).await;
    assert_eq!(granted.code, Some(0), "{}", granted.stderr);
    assert_eq!(granted.stdout, format!("granted: {role}"));
    let (scheme, rest) = owner.split_once("://").unwrap();
    let (_, place) = rest.rsplit_once('@').unwrap();
    let url = format!("{scheme}://{role}:service@{place}");

    let receiver = Receiver::start().await;
    let service = Service::start(&url).await;
    let client = service.client();
    let exchange = Exchange::open(&url, &client, 2).await;
    trade(&service, &exchange).await;
    let [alice, _] = &exchange.traders[..] else {
        panic!("two users");
    };
    let body = json!({
        "userId": alice.id, "assetId": "btc", "amount": "1", "callbackUrl": receiver.url("/role"),
    });
    let backoffice = client.with(&exchange.backoffice);
    let path = "/back-api/backoffice/transfers/deposit";
    backoffice.post(path, body.to_string()).await.ok();
    books.settled().await;
    books.delivered().await;
    let trading = client.with(&alice.token);
    let entry = json!({"code": "bob", "recipient": "trader1"});
    trading.post("/address-book", entry.to_string()).await.ok();
    trading.delete("/address-book/bob").await;
    let admin = client.with(&exchange.admin);
    let rate = json!({"rate": "2"}).to_string();
    admin.put("/admin/v1/rates/btc", rate).await.ok();
    decide_rules(&admin, &backoffice, alice).await;
    let frozen = json!({
        "username": "trader0", "email": "trader0@example.com", "roles": [], "status": "Frozen",
    });
    let path = format!("/admin/v1/users/{}", alice.id);
    admin.put(&path, frozen.to_string()).await.ok();
    let key = json!({"user_id": alice.id, "permissions": ["allow_balance"]});
    let issued = admin.post("/admin/v1/access-keys", key.to_string()).await;
    let key = issued.ok().text_of("access_key");
    let path = format!("/admin/v1/access-keys/{key}");
    assert_eq!(admin.delete(&path).await.status.as_u16(), 204);
    let replay = json!({"since": "2000-01-01", "state": "succeeded"});
    let path = "/admin/v1/callbacks/replay";
    admin.post(path, replay.to_string()).await.ok();
    books.delivered().await;
    let resealed = bursar(&url, &["reseal"]).await;
    assert_eq!(resealed.code, Some(0), "{}", resealed.stderr);
    verified(&url, &SEALED, 0).await;
    service.stopped().await;
    books.audit().await;
    let nobody = bursar(owner, &["grant", "--role", "nobody at all"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(
        nobody.stderr.contains("there is no role nobody at all"),
        "{}",
        nobody.stderr
    );
}
