//! What each answer makes certain, and what an order looks like.

use std::time::Duration;

use bursar_ports::{PayoutAnswer, PayoutGateway, SignedMessage};
use bursar_webhook::{SignatureHeaders, TOLERANCE, sign, verify};
use tokio::net::TcpListener;

use crate::scene::{Does, NOW, SECRET, gateway, one_try, order};

/// For what must end before this.
const LONG: Duration = Duration::from_secs(30);
/// For what never ends by itself.
const SHORT: Duration = Duration::from_millis(200);

const PAID: &str = r#"{"status":"paid"}"#;

fn unknown(what: &'static str) -> PayoutAnswer {
    PayoutAnswer::Unknown { what }
}

#[tokio::test]
async fn an_order_is_one_signed_post_the_same_on_every_try() {
    let tried = one_try(Does::answer("200 OK", PAID), LONG).await;
    assert_eq!(tried.answer, PayoutAnswer::Paid);
    assert!(
        tried.head.starts_with("POST /orders?to=x HTTP/1.1\r\n"),
        "{}",
        tried.head
    );
    let expected = r#"{"id":42,"asset":"btc","amount":"0.01","user_id":"00000000-0000-0000-0000-00000000000a","comment":"rent, \"May\"","created_at":"2021-04-09T10:50:40.116485Z"}"#;
    assert_eq!(tried.body, expected);
    let header = |name: &str| {
        let prefix = format!("{name}: ");
        let mut lines = tried.head.lines();
        lines
            .find_map(|line| line.strip_prefix(prefix.as_str()))
            .unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("Bursar/"));
    assert_eq!(header("webhook-id"), "payout_42");
    let headers = SignatureHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    let at = order().at;
    verify(headers, tried.body.as_bytes(), &[SECRET], at, TOLERANCE).unwrap();
}

#[tokio::test]
async fn what_the_gateway_says_in_full_is_certain() {
    let refusal = r#"{"status":"refused","detail":"no such address"}"#;
    let refused = PayoutAnswer::Refused {
        detail: Some("no such address".to_owned()),
    };
    for (status, body, expected) in [
        ("200 OK", PAID, PayoutAnswer::Paid),
        ("200 OK", r#"{"status":"pending"}"#, PayoutAnswer::UnderWay),
        ("200 OK", refusal, refused.clone()),
        ("409 Conflict", refusal, refused.clone()),
        ("422 Unprocessable Entity", refusal, refused),
    ] {
        let tried = one_try(Does::answer(status, body), LONG).await;
        assert_eq!(tried.answer, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn everything_else_is_unknown() {
    let redirect = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\n\
                    content-length: 0\r\n\r\n";
    let cut_short = format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{PAID}");
    let large = format!("{PAID}{}", " ".repeat(70_000));
    for (does, what) in [
        (Does::Cuts, "broken"),
        (Does::Says(b"nonsense\r\n\r\n".to_vec()), "broken"),
        (Does::Says(cut_short.into_bytes()), "broken"),
        (Does::Says(redirect.as_bytes().to_vec()), "status"),
        (Does::answer("500 Internal Server Error", PAID), "status"),
        (Does::answer("404 Not Found", PAID), "status"),
        (Does::answer("200 OK", "<html>"), "unreadable"),
        (Does::answer("200 OK", &large), "too_large"),
    ] {
        let tried = one_try(does, LONG).await;
        assert_eq!(tried.answer, unknown(what));
    }
}

#[tokio::test]
async fn what_takes_too_long_is_unknown() {
    let tried = one_try(Does::Hangs, SHORT).await;
    assert_eq!(tried.answer, unknown("timeout"));
    let begun = format!("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{PAID}");
    let tried = one_try(Does::Stalls(begun.into_bytes()), SHORT).await;
    assert_eq!(tried.answer, unknown("timeout"));
}

#[tokio::test]
async fn a_gateway_that_is_away_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let answer = gateway(&url, LONG).pay(order()).await;
    assert_eq!(answer, unknown("connect"));
    // Nobody on this machine speaks TLS here.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let closing = tokio::spawn(async move { listener.accept().await.map(drop) });
    let answer = gateway(&url, LONG).pay(order()).await;
    assert_eq!(answer, unknown("connect"));
    closing.await.unwrap().unwrap();
}

#[test]
fn only_what_was_signed_lately_with_the_secret_is_the_gateways() {
    let gateway = gateway("http://127.0.0.1:1/", LONG);
    assert_eq!(gateway.try_max_ms(), 30_000);
    let seconds = NOW.as_micros().div_euclid(1_000_000);
    let body = br#"{"id":42,"status":"paid"}"#;
    let message = SignedMessage {
        id: "msg_1".to_owned(),
        timestamp: seconds.to_string(),
        signature: sign("msg_1", seconds, body, &[SECRET]).unwrap(),
        body: body.to_vec(),
    };
    assert!(gateway.is_genuine(&message, NOW));
    assert!(gateway.is_genuine(&message, NOW.plus_micros(299_000_000)));
    for later in [301_000_000, -301_000_000] {
        assert!(!gateway.is_genuine(&message, NOW.plus_micros(later)));
    }
    let changed = |change: fn(&mut SignedMessage)| {
        let mut other = message.clone();
        change(&mut other);
        other
    };
    for other in [
        changed(|message| message.body = br#"{"id":43,"status":"paid"}"#.to_vec()),
        changed(|message| message.id = "msg_2".to_owned()),
        changed(|message| message.timestamp = String::new()),
        changed(|message| message.signature = String::new()),
    ] {
        assert!(!gateway.is_genuine(&other, NOW), "{other:?}");
    }
}
