//! The document is true: every operation it describes answers its example, byte for byte, to the
//! request that it gives as an example.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use bursar_http::OPENAPI;
use serde_json::{Value, value::RawValue};

use crate::{
    fakes::GENUINE,
    openapi_scenes::prepare,
    world::{ALICES, INTERNAL, OPERATOR, Sent, World},
};

/// What the payout gateway sends along.
const SIGNED: [(&str, &str); 3] = [
    ("webhook-id", "msg_1"),
    ("webhook-timestamp", "1617965440"),
    ("webhook-signature", GENUINE),
];

type Members<'a> = BTreeMap<String, &'a RawValue>;

fn document() -> Value {
    serde_json::from_str(OPENAPI).expect("the document is JSON")
}

/// The members of a JSON object as they are written.
fn members(raw: &RawValue) -> Members<'_> {
    serde_json::from_str(raw.get()).expect("an object")
}

/// JSON without the blanks between its tokens; the order stays.
fn compact(raw: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    raw.chars()
        .filter(|char| {
            let inside = quoted;
            match char {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ => {}
            }
            inside || !char.is_whitespace()
        })
        .collect()
}

/// Every operation: method, path, and the operation as it is written.
fn operations() -> Vec<(Method, String, &'static RawValue)> {
    let document: Members<'_> = serde_json::from_str(OPENAPI).expect("an object");
    let paths = document.get("paths").expect("there are paths");
    let mut operations = vec![];
    for (path, item) in members(paths) {
        for (method, operation) in members(item) {
            let method = method.to_uppercase();
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            operations.push((method, path.clone(), operation));
        }
    }
    operations
}

/// What a reference refers to, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} refers to nothing")),
        None => value,
    }
}

/// The path with the examples of its parameters.
fn example_uri(document: &Value, path: &str, operation: &Value) -> String {
    let mut uri = path.to_owned();
    let mut query = vec![];
    let parameters = operation.get("parameters").and_then(Value::as_array);
    for parameter in parameters.into_iter().flatten() {
        let parameter = resolved(document, parameter);
        let name = parameter["name"].as_str().expect("a name");
        let Some(example) = parameter.get("example") else {
            continue;
        };
        let example = example.as_str().map_or(example.to_string(), str::to_owned);
        match parameter["in"].as_str() {
            Some("path") => uri = uri.replace(&format!("{{{name}}}"), &example),
            Some("query") => query.push(format!("{name}={example}")),
            _ => {}
        }
    }
    if query.is_empty() {
        uri
    } else {
        format!("{uri}?{}", query.join("&"))
    }
}

#[actix_web::test]
async fn every_example_is_a_real_answer() {
    let document = document();
    let mut wrong = vec![];
    for (method, path, raw) in operations() {
        let operation: Value = serde_json::from_str(raw.get()).expect("an operation");
        let id = operation["operationId"].as_str().expect("an id");
        let world = World::new();
        prepare(&world, id).await;
        let uri = example_uri(&document, &path, &operation);
        let mut sent = Sent::new(method, &uri);
        if let Some(body) = operation.pointer("/requestBody/content/application~1json/example") {
            sent = sent
                .header("Content-Type", "application/json")
                .raw(body.to_string().as_bytes());
        }
        if id == "tellPayoutResult" {
            for (name, value) in SIGNED {
                sent = sent.header(name, value);
            }
        }
        let users = [
            INTERNAL,
            "/address-book",
            "/balance",
            "/callback-tests",
            "/limits",
        ]
        .iter()
        .any(|own| path.starts_with(own));
        let token = if users { ALICES } else { OPERATOR };
        let answer = world.send(sent.bearer(token)).await;
        let (status, response) = success(raw);
        assert_eq!(answer.status, status, "{id}: {}", answer.body);
        if let Some(example) = example(response)
            && compact(example.get()) != answer.body
        {
            wrong.push(format!("{id}: {}", answer.body));
        }
    }
    assert!(wrong.is_empty(), "real answers:\n{}", wrong.join("\n"));
}

/// The status and the response that say that all went well.
fn success(operation: &RawValue) -> (u16, &RawValue) {
    let responses = members(operation)
        .remove("responses")
        .expect("there are responses");
    let good = members(responses)
        .into_iter()
        .find(|(status, _)| status.starts_with('2'));
    let (status, response) = good.expect("there is a good answer");
    (status.parse().expect("a status"), response)
}

fn example(response: &RawValue) -> Option<&RawValue> {
    let content = members(response).remove("content")?;
    let media = members(content).remove("application/json")?;
    members(media).remove("example")
}

/// Whether a value has exactly the members that its schema names.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolved(document, schema);
    if let (Some(schemas), Some(object)) = (
        schema.get("oneOf").and_then(Value::as_array),
        value.as_object(),
    ) {
        // One of them names all members that there are.
        let names = |schema: &&Value| {
            let properties = &resolved(document, schema)["properties"];
            object.keys().all(|name| properties.get(name).is_some())
        };
        let one = schemas.iter().find(names);
        let one = one.unwrap_or_else(|| panic!("{at}: {value} is none of the schemas"));
        return check(document, one, value, at);
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for value in values {
            check(document, items, value, at);
        }
    }
    let (Some(properties), Some(object)) = (
        schema.get("properties").and_then(Value::as_object),
        value.as_object(),
    ) else {
        return;
    };
    for (name, value) in object {
        let property = properties
            .get(name)
            .unwrap_or_else(|| panic!("{at}: {name} is not in the schema"));
        check(document, property, value, &format!("{at}.{name}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        assert!(object.contains_key(name), "{at}: {name} is required");
    }
}

#[test]
fn examples_have_the_members_that_their_schemas_name() {
    let document = document();
    for (_, _, raw) in operations() {
        let operation: Value = serde_json::from_str(raw.get()).expect("an operation");
        let id = operation["operationId"].as_str().expect("an id");
        let media = |pointer: &str| operation.pointer(pointer).cloned().unwrap_or_default();
        let good = media("/responses/200/content/application~1json");
        check(&document, &good["schema"], &good["example"], id);
        let body = media("/requestBody/content/application~1json");
        check(&document, &body["schema"], &body["example"], id);
    }
    let responses = document["components"]["responses"]
        .as_object()
        .expect("responses");
    for (name, response) in responses {
        let media = &response["content"]["application/problem+json"];
        check(&document, &media["schema"], &media["example"], name);
    }
}

#[test]
fn every_operation_says_how_it_refuses() {
    let mut ids = BTreeSet::new();
    for (method, path, raw) in operations() {
        let operation: Value = serde_json::from_str(raw.get()).expect("an operation");
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        let open = operation["security"].as_array().is_some_and(Vec::is_empty);
        let mut statuses = if open {
            vec![]
        } else {
            vec!["400", "401", "403", "429", "500", "503"]
        };
        if operation["requestBody"].is_object() {
            statuses.extend(["413", "415"]);
        }
        if operation["requestBody"].is_object()
            && !open
            && !path.starts_with("/admin")
            && !path.ends_with("-tests")
        {
            statuses.push("422");
            // Whether the recipient of an address-book entry exists is not looked at, and what an
            // item of a bulk names is missing in its place.
            if path != "/address-book" && !path.ends_with("/bulk") {
                statuses.push("404");
            }
        }
        if path.contains('{') && method != Method::PUT {
            statuses.push("404");
        }
        for status in statuses {
            let response = operation["responses"].get(status);
            assert!(response.is_some(), "{id} does not speak of {status}");
        }
        assert!(ids.insert(id.clone()), "{id} is there twice");
    }
}

#[test]
fn references_refer_to_something() {
    fn walk(document: &Value, value: &Value) {
        let inner: Vec<&Value> = match value {
            Value::Array(values) => values.iter().collect(),
            Value::Object(members) => members.values().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
        };
        resolved(document, value);
        for value in inner {
            walk(document, value);
        }
    }
    let document = document();
    walk(&document, &document);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}
