//! What cannot be read or is not there, and what comes along with requests.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{super::exchange::INTERNAL, Scene, planted::Planted};

/// Addresses with something in the place of the star, and how they are refused.
const ADDRESSES: [(&str, &str, u16, &str); 6] = [
    ("a path that leads nowhere", "/*", 404, "route.unknown"),
    (
        "a path for operators that leads nowhere",
        "/admin/v1/*",
        404,
        "route.unknown",
    ),
    (
        "the code of a transfer that nobody has",
        "/internal-transfer/TRF*",
        404,
        "transfer.unknown",
    ),
    (
        "a query that is no text",
        "/internal-transfer?custom_id=*%FF",
        400,
        "query.malformed",
    ),
    (
        "a parameter that is given twice",
        "/internal-transfer?custom_id=*&custom_id=x",
        400,
        "parameter.duplicate",
    ),
    (
        "a status that is none",
        "/internal-transfer?status=*",
        400,
        "status.invalid",
    ),
];

/// Headers that browsers, proxies and tools send, and one that nobody knows.
const HEADERS: [&str; 12] = [
    "user-agent",
    "referer",
    "origin",
    "cookie",
    "forwarded",
    "x-forwarded-for",
    "traceparent",
    "tracestate",
    "accept",
    "if-none-match",
    // With a blank it is no id that could be taken.
    "x-request-id",
    "x-nobody-knows",
];

pub(super) async fn plant(scene: &Scene, planted: &mut Planted) {
    send_bodies(scene, planted).await;
    send_what_is_no_json(scene, planted).await;
    ask_elsewhere(scene, planted).await;
    send_headers(scene, planted).await;
    send_no_http(scene, planted).await;
}

async fn send_bodies(scene: &Scene, planted: &mut Planted) {
    let trading = scene.trading();
    let name = planted.canary("a name in a body that is broken");
    let text = planted.canary("a text in a body that is broken");
    let bare = planted.canary("what breaks a body");
    let broken = format!(r#"{{"{name}": "{text}", "amount": "{text}", "note": {bare}}}"#);
    let broken = trading.post(INTERNAL, broken).await;
    let broken = broken.refused(400, "json.malformed");

    let wrong = json!({
        "currency_code": planted.canary("an asset that there is not"),
        "amount": planted.canary("an amount that is none"),
        "recipient": planted.canary("the recipient of a body that is wrong"),
        "note": [planted.canary("a note that is none")],
        "custom_id": {"x": planted.canary("an own id that is none")},
        "callback_url": format!(
            "ftp://example.com/{}?{}",
            planted.canary("the path of a callback URL that is none"),
            planted.canary("the query of a callback URL that is none"),
        ),
    });
    let key = planted.canary("an idempotency key that is none");
    let key = format!("{key} has blanks");
    let headers = [("idempotency-key", key.as_str())];
    let wrong = trading.post_with(INTERNAL, wrong.to_string(), &headers);
    let wrong = wrong.await.refused(400, "request.invalid");

    let note = planted.canary("a note that is too long");
    let large = json!({"note": format!("{note}{}", "x".repeat(70_000))});
    let large = trading.post(INTERNAL, large.to_string()).await;
    let large = large.refused(413, "body.too_large");
    for refused in [broken, wrong, large] {
        planted.assert_not_in("a refusal", &refused.text);
    }
}

async fn send_what_is_no_json(scene: &Scene, planted: &mut Planted) {
    let media = planted.canary("a media type");
    for (name, value) in [
        ("content-type", format!("text/{media}")),
        ("content-encoding", planted.canary("a coding")),
    ] {
        let body = planted.canary(&format!("a body that is refused for its {name}"));
        let headers = [(name, value.as_str())];
        let refused = scene.trading().post_with(INTERNAL, body, &headers).await;
        let refused = refused.refused(415, "media_type.unsupported");
        planted.assert_not_in("a refusal", &refused.text);
    }
}

async fn ask_elsewhere(scene: &Scene, planted: &mut Planted) {
    for (place, path, status, code) in ADDRESSES {
        let path = path.replace('*', &planted.canary(place));
        let refused = scene.trading().get(&path).await.refused(status, code);
        planted.assert_not_in("a refusal", &refused.text);
    }
}

/// None of them changes anything, and none comes back.
async fn send_headers(scene: &Scene, planted: &mut Planted) {
    let values = HEADERS.map(|name| {
        let canary = planted.canary(&format!("the header {name}"));
        format!("{canary} has blanks")
    });
    let headers: Vec<(&str, &str)> = HEADERS
        .into_iter()
        .zip(values.iter().map(String::as_str))
        .collect();
    let answer = scene.trading().get_with("/balance", &headers).await.ok();
    planted.assert_not_in("an answer", &answer.text);
    planted.assert_not_in("an answer", &format!("{:?}", answer.headers));
}

/// Something that is no HTTP.
async fn send_no_http(scene: &Scene, planted: &mut Planted) {
    let path = planted.canary("the path of something that is no HTTP");
    let header = planted.canary("a header that is none");
    let text = format!("GET /{path} HTTP/1.1\r\nhost: x\r\n{header}\r\n\r\n");
    let mut stream = TcpStream::connect(scene.client.address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}
