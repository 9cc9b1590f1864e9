//! Every body and every query of `docs/openapi.json`, and credentials, through the real routes.
//!
//! Whatever is sent, the answer is one that the document has, never 500; and what is refused for what
//! was sent names each wrong field.

use std::{cell::RefCell, collections::BTreeSet, fmt::Write as _};

use actix_web::{http::Method, rt::Runtime};
use bursar_http::OPENAPI;
use serde_json::{Map, Value};

use crate::{
    Target,
    client::{Answer, Sent},
    fakes::GENUINE,
    values::text,
    world::{ALICE, ALICES, DEPOSIT, OPERATOR, World},
};

/// How many inputs one exchange is fed with: it keeps what they make.
const INPUTS_PER_WORLD: u32 = 100;
/// The longest input: no body may be longer.
const INPUT_BYTES_MAX: usize = 64 * 1_024;
/// The headers that say who asks, and how.
const HEADERS: [&str; 6] = [
    "Authorization",
    "X-Access-Key",
    "X-Timestamp",
    "X-Signature",
    "Idempotency-Key",
    "Prefer",
];

/// Where an input goes.
#[derive(Clone, Debug)]
enum Place {
    Body,
    Query,
    Headers,
}

/// What is asked for.
#[derive(Clone, Debug)]
struct Operation {
    method: Method,
    path: String,
    place: Place,
}

/// An exchange with money in it, and what runs it.
struct Exchange {
    runtime: Runtime,
    world: World,
    left: u32,
}

impl Exchange {
    fn new() -> Self {
        let runtime = Runtime::new().expect("there is a thread for it");
        let world = World::allowing(u32::MAX);
        runtime.block_on(async {
            world.fund(ALICE, "btc", "100").await;
            world.withdrawal(ALICE, "btc", "1").await;
            world.payout(ALICE, "btc", "1").await;
        });
        Self {
            runtime,
            world,
            left: INPUTS_PER_WORLD,
        }
    }
}

/// A target for each body and each query that is documented, and one for credentials.
pub(crate) fn targets() -> Vec<Target> {
    let document: Value = serde_json::from_str(OPENAPI).expect("the document is JSON");
    let paths = document.get("paths").and_then(Value::as_object).cloned();
    let paths = paths.unwrap_or_default();
    let mut all = vec![];
    for (path, item) in &paths {
        for (method, operation) in item.as_object().into_iter().flat_map(Map::iter) {
            let id = operation["operationId"].as_str().unwrap_or_default();
            let method = method.to_uppercase();
            let of = |place| Operation {
                method: method.parse().expect("the document names methods"),
                path: concrete(path),
                place,
            };
            if operation.get("requestBody").is_some() {
                all.push(target(format!("body-{id}"), of(Place::Body)));
            }
            if has_query(operation) {
                all.push(target(format!("query-{id}"), of(Place::Query)));
            }
        }
    }
    let credentials = Operation {
        method: Method::POST,
        path: DEPOSIT.to_owned(),
        place: Place::Headers,
    };
    all.push(target("headers".to_owned(), credentials));
    all
}

fn has_query(operation: &Value) -> bool {
    let parameters = operation["parameters"].as_array();
    let is_query = |parameter: &Value| {
        let common = ["Limit", "Cursor"]
            .iter()
            .any(|name| parameter["$ref"] == format!("#/components/parameters/{name}"));
        common || parameter["in"] == "query"
    };
    parameters.is_some_and(|all| all.iter().any(is_query))
}

/// A path with something that exists in the place of each pattern.
fn concrete(path: &str) -> String {
    let id = if path.starts_with("/admin/v1/users") {
        ALICE.to_string()
    } else if path.starts_with("/admin/v1/transfers") {
        "1".to_owned()
    } else {
        "btc".to_owned()
    };
    path.replace("{id}", &id)
        .replace("{asset}", "btc")
        .replace("{kind}", "withdrawal")
}

fn target(name: String, operation: Operation) -> Target {
    let exchange: RefCell<Option<Exchange>> = RefCell::default();
    let feed = move |data: &[u8]| {
        let data = data.get(..INPUT_BYTES_MAX).unwrap_or(data);
        let Some(sent) = sent(&operation, data) else {
            return;
        };
        let mut exchange = exchange.borrow_mut();
        if exchange.as_ref().is_some_and(|one| one.left == 0) {
            *exchange = None;
        }
        let exchange = exchange.get_or_insert_with(Exchange::new);
        exchange.left = exchange.left.saturating_sub(1);
        let world = &exchange.world;
        let answer = exchange.runtime.block_on(async {
            let answer = world.send(sent).await;
            world.tasks.run().await;
            answer
        });
        judge(&operation, data, &answer);
    };
    Target {
        name,
        feed: Box::new(feed),
        weight: 200,
    }
}

fn sent(operation: &Operation, data: &[u8]) -> Option<Sent> {
    let path = &operation.path;
    let sent = match operation.place {
        Place::Body => with_body(Sent::new(operation.method.clone(), path), data),
        Place::Query => {
            let uri = format!("{path}?{}", encoded(data));
            Sent::new(operation.method.clone(), &uri)
        }
        Place::Headers => {
            let sent = Sent::new(operation.method.clone(), path);
            return with_headers(with_body(sent, b"{}"), data);
        }
    };
    let sent = sent
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", "1617965440")
        .header("webhook-signature", GENUINE);
    Some(sent.bearer(token_for(path)))
}

fn with_body(sent: Sent, body: &[u8]) -> Sent {
    sent.header("Content-Type", "application/json").raw(body)
}

/// A line for each header, in the order of their names; what can be no header is not sent.
fn with_headers(mut sent: Sent, data: &[u8]) -> Option<Sent> {
    for (name, value) in HEADERS.iter().zip(text(data)?.split('\n')) {
        let can_be = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if can_be && !value.is_empty() {
            sent = sent.header(name, value);
        }
    }
    Some(sent)
}

/// Users ask for what is theirs, operators for everything else.
fn token_for(path: &str) -> &'static str {
    let users = [
        "/internal-transfer",
        "/address-book",
        "/balance",
        "/limits",
        "/callback-tests",
    ];
    if users.iter().any(|one| path.starts_with(one)) {
        ALICES
    } else {
        OPERATOR
    }
}

/// Bytes as they may stand in a query; what may not is escaped.
fn encoded(data: &[u8]) -> String {
    let mut query = String::new();
    for byte in data {
        let letter = char::from(*byte);
        let stands = byte.is_ascii_alphanumeric() || "-_.~&=+%:,@!*'();/?$".contains(letter);
        if stands {
            query.push(letter);
        } else {
            write!(query, "%{byte:02X}").expect("a text takes everything");
        }
    }
    query
}

/// The answer is one of those that are documented, which `World::send` has looked at, and of these
/// none that tells of trouble in here.
fn judge(operation: &Operation, data: &[u8], answer: &Answer) {
    let input = String::from_utf8_lossy(data);
    let shown = || format!("{operation:?} {input:?}: {answer:?}");
    assert!(answer.status < 500, "{}", shown());
    if answer.status < 400 {
        return;
    }
    let code = answer.code();
    let form = ["json.malformed", "json.object_required", "body.too_large"];
    let is_of_fields = answer.status == 400 && !form.contains(&code.as_str());
    if !is_of_fields {
        return;
    }
    let fields: BTreeSet<String> = answer
        .wrong_fields()
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    let named = !fields.is_empty() && fields.iter().all(|field| !field.trim().is_empty());
    let sent_empty = input.contains("\"\"") || matches!(operation.place, Place::Query);
    assert!(named || sent_empty, "no field is named: {}", shown());
}
