//! `bursar callback listen`: what an integrator sees in the first minute.

use nix::sys::signal::Signal;
use serde_json::json;

use super::{
    client::Client,
    demo_process::{Demo, DemoFolder},
    exchange::{DEPOSIT, INTERNAL},
    process::Bursar,
};

/// Starts a listener and gives its address.
async fn listen(arguments: &[&str], secret: &str) -> (Bursar, String) {
    let all = [&["callback", "listen", "--port", "0"], arguments].concat();
    let mut listener = Bursar::spawn(&all, &[("BURSAR_CALLBACK_SECRET", secret)]);
    let address = listener
        .said(|line| {
            let address = line.strip_prefix("listening on http://")?;
            Some(address.split_once(' ')?.0.to_owned())
        })
        .await;
    (listener, address)
}

async fn deposit(demo: &Demo, operator: &str, url: &str) {
    let body = json!({
        "userId": demo.env("CAROL_ID"), "assetId": "btc", "amount": "1", "callbackUrl": url,
    });
    let operator = demo.as_(operator);
    operator.post(DEPOSIT, body.to_string()).await.ok();
}

async fn pay(demo: &Demo, url: &str) {
    let body = json!({
        "currency_code": "btc", "amount": "0.1", "recipient": "bob", "callback_url": url,
    });
    let alice = demo.as_("ALICE");
    alice.post(INTERNAL, body.to_string()).await.ok();
}

/// The lines about the callback to a path.
fn about<'a>(printed: &'a str, path: &str) -> &'a str {
    let about = printed.split("\n\n").map(str::trim_start);
    let begins = format!("POST {path} ");
    let mut about = about.filter(|about| about.starts_with(&begins));
    about
        .next()
        .unwrap_or_else(|| panic!("nothing about {path}: {printed}"))
}

#[tokio::test]
async fn what_arrives_is_printed_and_verified_with_the_demo_s_secrets() {
    let folder = DemoFolder::create().await;
    let demo = folder.start(&[]).await;
    let (office, alice) = (
        demo.env("CALLBACK_SECRET"),
        demo.env("ALICE_CALLBACK_SECRET"),
    );
    let (listener, address) = listen(&["--count", "3"], office).await;
    let url = |path: &str| format!("http://{address}{path}");
    deposit(&demo, "BACKOFFICE", &url("/office")).await;
    deposit(&demo, "ADMIN", &url("/admin")).await;
    pay(&demo, &url("/alice")).await;
    let ended = listener.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for path in ["/office", "/admin"] {
        let about = about(&ended.stdout, path);
        let head = format!("POST {path} verified; first time; answered 200\n");
        assert!(about.starts_with(&head), "{about}");
        for header in [
            "webhook-id  ",
            "webhook-signature  v1,",
            "user-agent         Bursar/",
        ] {
            assert!(about.contains(header), "{about}");
        }
        let body = about.lines().last().unwrap();
        assert!(
            body.starts_with(r#"{"Amount":1.0,"Status":"Completed""#),
            "{about}"
        );
    }
    let stranger = about(&ended.stdout, "/alice");
    let head = "POST /alice NOT VERIFIED: no signature was made with";
    assert!(stranger.starts_with(head), "{stranger}");

    // Both secrets at once, and an answer that asks for another try.
    let arguments = ["--secret", office, "--secret", alice, "--status", "503"];
    let arguments = [&arguments[..], &["--count", "2"]].concat();
    let (listener, address) = listen(&arguments, "").await;
    pay(&demo, &format!("http://{address}/alice")).await;
    let ended = listener.ended().await;
    let heads: Vec<_> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with("POST"))
        .collect();
    let expected = [
        "POST /alice verified; first time; answered 503",
        "POST /alice verified; again: 2 times now; answered 503",
    ];
    assert_eq!(heads, expected, "{}", ended.stdout);
    demo.interrupted().await;
}

#[tokio::test]
async fn what_proves_nothing_is_said_to() {
    let (listener, address) = listen(&[], "").await;
    let stranger = Client::new(format!("http://{address}"));
    assert_eq!(stranger.post("/x", "{\"a\":\u{1b}[2J1}").await.status, 200);
    listener.signal(Signal::SIGINT);
    let ended = listener.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nothing is verified"),
        "{}",
        ended.stderr
    );
    let about = about(&ended.stdout, "/x");
    let head = "POST /x not verified: no secret was given; without a webhook-id; answered 200\n";
    assert!(about.starts_with(head), "{about}");
    assert!(!about.contains('\u{1b}'), "{about}");

    let secret = format!("whsec_{}=", "A".repeat(43));
    let (listener, address) = listen(&["--count", "1"], &secret).await;
    let stranger = Client::new(format!("http://{address}"));
    stranger.post("/x", "{}").await;
    let ended = listener.ended().await;
    let missing = "NOT VERIFIED: webhook-id is missing";
    assert!(ended.stdout.contains(missing), "{}", ended.stdout);
    assert!(!ended.stderr.contains(&secret) && !ended.stdout.contains(&secret));
}
