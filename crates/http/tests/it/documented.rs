//! Every refusal that any test meets is one that the document has: its operation lists the code
//! under the status.

use std::sync::OnceLock;

use bursar_http::OPENAPI;
use serde_json::Value;

use crate::client::Answer;

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(OPENAPI).expect("the document is JSON"))
}

/// Refuses an answer to this request that the document does not have.
pub(crate) fn check(method: &str, path: &str, answer: &Answer) {
    if answer.status < 400 {
        return;
    }
    let code = answer.text("code");
    // What no operation is asked for: the document tells it once for all.
    if ["route.unknown", "method.not_allowed"].contains(&code.as_str()) {
        return;
    }
    let Some(operation) = operation(method, path) else {
        return;
    };
    let (id, status) = (&operation["operationId"], answer.status);
    let said = operation["responses"].get(status.to_string());
    let codes = said.map(codes).unwrap_or_default();
    assert!(
        codes.contains(&code),
        "docs/openapi.json: {id} does not list {code} under {status}"
    );
}

/// The operation that a request is meant for, if there is one.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let method = if method == "HEAD" { "GET" } else { method };
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let path = path.trim_end_matches('/');
    let paths = document()["paths"].as_object()?;
    // A literal path before a pattern that matches it too.
    let literal = paths
        .iter()
        .find(|(known, _)| known.trim_end_matches('/') == path);
    let found = literal.or_else(|| paths.iter().find(|(known, _)| matches(known, path)));
    found?.1.get(method.to_lowercase())
}

fn matches(pattern: &str, path: &str) -> bool {
    let (known, given) = (pattern.split('/'), path.split('/'));
    let same = |(known, given): (&str, &str)| known == given || known.starts_with('{');
    known.clone().count() == given.clone().count() && known.zip(given).all(same)
}

/// The codes that a response names: its own and those of the response that it refers to.
pub(crate) fn codes(response: &Value) -> Vec<String> {
    let own = response["description"].as_str();
    let common = response["$ref"].as_str().and_then(|reference| {
        let common = document().pointer(reference.trim_start_matches('#'));
        common?["description"].as_str()
    });
    let texts = own.into_iter().chain(common);
    let quoted = texts.flat_map(|text| text.split('`').skip(1).step_by(2));
    quoted.map(str::to_owned).collect()
}

/// The bodies that docs/CALLBACKS.md shows have the keys of the document in their order.
#[test]
fn callbacks_have_the_keys_that_are_documented() {
    let shown = include_str!("../../../../docs/CALLBACKS.md");
    let callbacks = [
        ("DepositCallback", "{\"Amount\""),
        ("InternalCallback", "{\"code\""),
    ];
    for (schema, begins) in callbacks {
        let body = shown.lines().rfind(|line| line.starts_with(begins));
        let body = body.expect("there is an example");
        let schema = &document()["components"]["schemas"][schema];
        let required = schema["required"].as_array().unwrap().iter();
        let mut rest = body;
        for key in required.clone() {
            let key = format!("{key}:");
            let (_, behind) = rest
                .split_once(&key)
                .expect("each key stands behind the one before");
            rest = behind;
        }
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body.as_object().unwrap().len(), required.count());
        let properties = schema["properties"].as_object().unwrap();
        assert_eq!(properties.len(), body.as_object().unwrap().len());
    }
    let of = |schema: &str| document()["components"]["schemas"][schema]["required"].clone();
    let (deposit, withdrawal) = (of("DepositCallback"), of("WithdrawalCallback"));
    let named = deposit.to_string().replace("\"Id\"", "\"TransferId\"");
    assert_eq!(withdrawal.to_string(), named);
}

/// Every code that the document names is one that the program can answer.
#[test]
fn no_documented_code_is_made_up() {
    let known = known();
    let mut unknown = vec![];
    let paths = document()["paths"].as_object().expect("paths");
    let operations = paths
        .values()
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::values);
    for operation in operations {
        let responses = operation["responses"].as_object().expect("responses");
        for response in responses
            .iter()
            .filter(|(status, _)| status.as_str() >= "400")
        {
            let codes = codes(response.1);
            let dotted = codes.into_iter().filter(|code| code.contains('.'));
            unknown.extend(dotted.filter(|code| !known(code)));
        }
    }
    assert!(unknown.is_empty(), "no such codes: {unknown:?}");
}

/// Whether the sources have a code, as a literal or made of a field's name.
fn known() -> impl Fn(&str) -> bool {
    const KINDS: [&str; 7] = [
        "missed",
        "invalid",
        "too_long",
        "out_of_range",
        "zero",
        "too_large",
        "too_precise",
    ];
    let mut sources = String::new();
    for folder in ["http", "app", "domain"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder);
        read(&folder.join("src"), &mut sources);
    }
    move |code| {
        let of_a_field = code.rsplit_once('.').is_some_and(|(field, kind)| {
            KINDS.contains(&kind) && sources.contains(&format!("name!(\"{field}\")"))
        });
        of_a_field || sources.contains(&format!("\"{code}\""))
    }
}

fn read(folder: &std::path::Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            read(&path, into);
        } else {
            into.push_str(&std::fs::read_to_string(&path).expect("the source can be read"));
        }
    }
}
