//! `bursar demo`: one command, and the money is there the next time.

use std::fs;

use hmac::{Hmac, KeyInit, Mac};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use sha2::Sha256;

use super::{
    books::Books,
    client::Client,
    console::browser::Browser,
    demo_process::{Demo, DemoFolder},
    eventually,
    exchange::{INTERNAL, WAIT},
    process::run,
};

/// Every name that `demo.env` is documented to have, without the prefix.
const NAMES: [&str; 14] = [
    "URL",
    "DATABASE_URL",
    "MASTER_KEY",
    "CODE_KEY",
    "ROOT_ASSET",
    "PROFILE",
    "ADMIN_TOKEN",
    "BACKOFFICE_TOKEN",
    "READONLY_TOKEN",
    "CALLBACK_SECRET",
    "CONSOLE_URL",
    "CONSOLE_PASSWORD",
    "DEMO_TOTP_SECRET",
    "SECOND_TOTP_SECRET",
];
const OF_EACH_USER: [&str; 6] = [
    "ID",
    "EMAIL",
    "TOKEN",
    "ACCESS_KEY",
    "SECRET_KEY",
    "CALLBACK_SECRET",
];

/// Alice sends Bob a tenth of a bitcoin.
async fn send(demo: &Demo) -> String {
    let body = json!({"currency_code": "btc", "amount": "0.1", "recipient": "bob"});
    let alice = demo.as_("ALICE");
    let sent = alice
        .post_with(INTERNAL, body.to_string(), &[WAIT])
        .await
        .ok();
    assert_eq!(sent.text_of("status"), "success");
    sent.name()
}

/// What somebody has, as `/balance` writes it.
async fn money(demo: &Demo, name: &str) -> String {
    demo.as_(name).get("/balance").await.ok().text
}

/// The number of the postmaster that serves the demo in this folder, if one does.
fn postmaster(folder: &DemoFolder) -> Option<Pid> {
    let file = folder.path().join("postgres/data/postmaster.pid");
    let text = fs::read_to_string(file).ok()?;
    let pid = Pid::from_raw(text.lines().next()?.parse().ok()?);
    (kill(pid, None) != Err(Errno::ESRCH)).then_some(pid)
}

/// `demo.env` without what a start may change: where everything listens.
fn credentials(demo: &Demo) -> Vec<(String, String)> {
    let all = demo.all().clone().into_iter();
    all.filter(|(name, _)| !name.ends_with("URL")).collect()
}

#[tokio::test]
async fn the_demo_tells_everything_that_is_needed_to_use_it() {
    let folder = DemoFolder::create().await;
    let demo = folder.start(&[]).await;
    let mut names: Vec<String> = NAMES.map(|name| format!("BURSAR_{name}")).to_vec();
    for user in ["ALICE", "BOB", "CAROL"] {
        names.extend(OF_EACH_USER.map(|what| format!("BURSAR_{user}_{what}")));
    }
    names.sort_unstable();
    assert_eq!(demo.all().keys().cloned().collect::<Vec<_>>(), names);
    assert!(demo.all().values().all(|value| !value.is_empty()));

    let admin = demo.as_("ADMIN");
    let assets = admin.get("/admin/v1/assets").await.ok().json();
    let assets = assets["data"].as_array().unwrap().iter();
    let assets: Vec<_> = assets
        .map(|asset| format!("{} {}", asset["id"], asset["scale"]))
        .collect();
    assert_eq!(
        assets,
        ["\"btc\" 8", "\"eth\" 18", "\"usd\" 2", "\"usdt\" 6"]
    );
    for asset in ["btc", "eth", "usdt"] {
        admin.get(&format!("/admin/v1/rates/{asset}")).await.ok();
    }
    let list = "/back-api/api/v2/transfers";
    demo.as_("BACKOFFICE").get(list).await.ok();
    demo.as_("READONLY").get(list).await.ok();
    let deposit = "/back-api/backoffice/transfers/deposit";
    let refused = demo.as_("READONLY").post(deposit, "{}").await;
    refused.refused(403, "permission.missing");
    let carol = money(&demo, "CAROL").await;
    assert!(
        carol.contains(r#"{"currency":"BTC","available":"0.00000000""#),
        "{carol}"
    );
    assert_eq!(signed_balance(&demo).await, money(&demo, "ALICE").await);
    let database = Books::of(demo.env("DATABASE_URL"));
    assert_eq!(
        database
            .number("SELECT count(*) FROM directory.users")
            .await,
        3
    );
    // Whoever was told name and password is let in with the code that the demo shows.
    let address = demo.env("URL").strip_prefix("http://").unwrap().to_owned();
    for name in ["demo", "second"] {
        let mut browser = Browser::at(&address);
        let code = code(&folder, name).await;
        let page = browser.try_sign_in(name, demo.env("CONSOLE_PASSWORD"), &code);
        page.await.leads_to("/console");
        assert!(browser.is_in().await);
    }
    demo.interrupted().await;
}

/// What `bursar demo --code` says for an operator.
async fn code(folder: &DemoFolder, operator: &str) -> String {
    let path = folder.path().to_str().unwrap();
    let told = run(&["demo", "--directory", path, "--code"], &[]).await;
    let mut lines = told.stdout.lines();
    let line = lines.find_map(|line| line.strip_prefix(&format!("{operator} ")));
    line.unwrap_or_else(|| panic!("{told:?}")).to_owned()
}

#[tokio::test]
async fn without_a_demo_there_is_no_code() {
    let folder = DemoFolder::create().await;
    let path = folder.path().to_str().unwrap();
    let told = run(&["demo", "--directory", path, "--code"], &[]).await;
    assert_eq!(told.code, Some(1));
    assert!(
        told.stderr.contains("start the demo first"),
        "{}",
        told.stderr
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// `/balance` asked for with Alice's access key, as its clients sign.
async fn signed_balance(demo: &Demo) -> String {
    let (key, secret) = (demo.env("ALICE_ACCESS_KEY"), demo.env("ALICE_SECRET_KEY"));
    // Nearly as far ahead as it may be, so that it is good for long.
    let timestamp = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() + 4_000;
    let signed = format!("{key}/balance{timestamp}");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
    let headers = [
        ("x-access-key", key),
        ("x-timestamp", &timestamp.to_string()),
        ("x-signature", &signature),
    ];
    demo.client().get_with("/balance", &headers).await.ok().text
}

#[tokio::test]
async fn ctrl_c_stops_everything_and_the_next_start_finds_all_money() {
    let folder = DemoFolder::create().await;
    let first = folder.start(&[]).await;
    let code = send(&first).await;
    let (alice, bob) = (money(&first, "ALICE").await, money(&first, "BOB").await);
    // A secret that somebody rotates is told at the next start.
    let rotating = r#"{"subject":"backoffice"}"#;
    let admin = first.as_("ADMIN");
    let rotated = admin.post("/admin/v1/callback-secrets", rotating).await;
    let rotated = rotated.ok().text_of("secret");
    let mut known = credentials(&first);
    assert!(postmaster(&folder).is_some());
    let ended = first.interrupted().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains("Bursar is ready at http://127.0.0.1:"),
        "{}",
        ended.stdout
    );
    // Neither the file nor the database outlives it, and there are no colours in a file.
    assert_eq!(folder.env(), None);
    assert_eq!(postmaster(&folder), None);
    for unwanted in ["\u{1b}", "actix"] {
        assert!(!ended.stderr.contains(unwanted), "{}", ended.stderr);
    }
    // Once it serves it may tell of a machine that stands still for seconds.
    let (start, _) = ended.stderr.split_once("serving").expect("it served");
    for unwanted in ["WARN", "ERROR"] {
        assert!(!start.contains(unwanted), "{start}");
    }

    let second = folder.start(&[]).await;
    for (name, value) in &mut known {
        if name == "BURSAR_CALLBACK_SECRET" {
            assert_ne!(*value, rotated);
            value.clone_from(&rotated);
        }
    }
    assert_eq!(credentials(&second), known);
    assert_eq!(money(&second, "ALICE").await, alice);
    assert_eq!(money(&second, "BOB").await, bob);
    let path = format!("{INTERNAL}/{code}");
    let found = second.as_("ALICE").get(&path).await.ok();
    assert_eq!(found.text_of("amount"), "0.10000000");
    let second_token = second.env("ALICE_TOKEN").to_owned();
    second.interrupted().await;

    let fresh = folder.start(&["--fresh"]).await;
    assert_ne!(fresh.env("ALICE_TOKEN"), second_token);
    assert_ne!(fresh.env("CALLBACK_SECRET"), rotated);
    assert!(money(&fresh, "ALICE").await.contains("10.00000000"));
    assert_ne!(money(&fresh, "ALICE").await, alice);
    let gone = fresh.as_("ALICE").get(&path).await;
    gone.refused(404, "transfer.unknown");
    for (name, value) in known.iter().filter(|(name, _)| name.ends_with("_TOKEN")) {
        let answer = fresh.client().with(value).get("/balance").await;
        assert_eq!(answer.status, 401, "{name} still works");
    }
    fresh.interrupted().await;
}

#[tokio::test]
async fn a_demo_that_was_killed_is_taken_up_where_it_was() {
    let folder = DemoFolder::create().await;
    let first = folder.start(&[]).await;
    send(&first).await;
    let (alice, known) = (money(&first, "ALICE").await, credentials(&first));
    let url = first.env("DATABASE_URL").to_owned();
    first.killed().await;
    let left = postmaster(&folder);
    assert!(left.is_some(), "the database outlives a killed demo");

    // The file that it left behind must not be taken for a demo that is ready. This lock keeps the
    // next one from getting ready.
    let held = Books::of(&url).lock("__diesel_schema_migrations").await;
    let mut second = folder.spawn(&[]);
    eventually("the stale file goes", async || {
        assert!(second.runs(), "it ended: {}", second.log());
        folder.env().is_none().then_some(())
    })
    .await;
    assert!(!second.log().contains("serving"), "{}", second.log());
    drop(held);
    let env = eventually("the new file comes", async || {
        assert!(second.runs(), "it ended: {}", second.log());
        folder.env()
    })
    .await;
    assert_eq!(
        postmaster(&folder),
        left,
        "the database that was left running is adopted"
    );
    let client = Client::new(env["BURSAR_URL"].clone());
    let balance = client
        .with(&env["BURSAR_ALICE_TOKEN"])
        .get("/balance")
        .await;
    assert_eq!(balance.ok().text, alice);
    second.signal(Signal::SIGINT);
    assert_eq!(second.ended().await.code, Some(0));

    // And once more with the database killed too.
    let third = folder.start(&[]).await;
    let database = postmaster(&folder).unwrap();
    third.killed().await;
    kill(database, Signal::SIGKILL).unwrap();
    let fourth = folder.start(&[]).await;
    assert_eq!(credentials(&fourth), known);
    assert_eq!(money(&fourth, "ALICE").await, alice);
    Books::of(fourth.env("DATABASE_URL")).audit().await;
    fourth.interrupted().await;
    assert_eq!(postmaster(&folder), None);
}

#[tokio::test]
async fn ctrl_c_while_it_starts_leaves_no_database_behind() {
    let folder = DemoFolder::create().await;
    let first = folder.start(&[]).await;
    let url = first.env("DATABASE_URL").to_owned();
    first.killed().await;
    // The next one finds the database running and then waits for this lock.
    let _held = Books::of(&url).lock("__diesel_schema_migrations").await;
    let starting = folder.spawn(&[]);
    eventually("it has begun to start", async || {
        folder.env().is_none().then_some(())
    })
    .await;
    starting.signal(Signal::SIGINT);
    let ended = starting.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(postmaster(&folder), None);
    assert_eq!(folder.env(), None);
}

#[tokio::test]
async fn one_folder_serves_one_demo() {
    let folder = DemoFolder::create().await;
    let first = folder.start(&[]).await;
    for arguments in [&[][..], &["--fresh"]] {
        let ended = folder.spawn(arguments).ended().await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("another process is using"),
            "{}",
            ended.stderr
        );
    }
    // The one that was there first has lost nothing.
    assert_eq!(folder.env().as_ref(), Some(first.all()));
    send(&first).await;
    assert_eq!(first.interrupted().await.code, Some(0));
}

#[tokio::test]
async fn a_demo_with_traffic_has_withdrawals_to_confirm_and_stops_at_once() {
    let folder = DemoFolder::create().await;
    let demo = folder.start(&["--traffic"]).await;
    let office = demo.as_("BACKOFFICE");
    eventually("somebody wants money out", async || {
        let queue = office.get("/admin/v1/queue?which=withdrawals").await.ok();
        let rows = queue.json()["data"].as_array().unwrap().len();
        (rows > 0).then_some(())
    })
    .await;
    let ended = demo.interrupted().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("in time"), "{}", ended.stderr);
}
