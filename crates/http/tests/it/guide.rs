//! The guide speaks of every code.

use bursar_app::{AuthError, Conflict, Limit, Missing};
use bursar_domain::{ItemRefusal, Reason};
use bursar_ports::Permission;

const GUIDE: &str = include_str!("../../../../docs/HTTP.md");

#[test]
fn every_code_of_the_application_is_explained() {
    let reasons = Reason::ALL.map(Reason::code);
    let credentials = [
        AuthError::Missing,
        AuthError::TokenInvalid,
        AuthError::AccessKeyMissed,
        AuthError::TimestampMissed,
        AuthError::SignatureMissed,
        AuthError::AccessKeyUnknown,
        AuthError::TimestampInvalid,
        AuthError::TimestampExpired,
        AuthError::SignatureInvalid,
        AuthError::SignatureReplayed,
        AuthError::IpNotAllowed,
    ]
    .map(AuthError::code);
    let missing = Missing::ALL.map(Missing::code);
    let conflicts = [
        Conflict::AlreadyCanceled,
        Conflict::AlreadyCompleted,
        Conflict::AlreadyFailed,
        Conflict::Busy,
        Conflict::CallbackOvertaken,
    ]
    .map(Conflict::code);
    let limits = [
        Limit::Requests,
        Limit::RequestTooLarge,
        Limit::FailedRecipients,
        Limit::FailedCredentials,
        Limit::CallbackTests,
    ]
    .map(Limit::code);
    let codes = reasons
        .iter()
        .chain(&limits)
        .chain(&credentials)
        .chain(&missing)
        .chain(&conflicts)
        .chain(&[ItemRefusal::NOT_EXECUTED]);
    for code in codes {
        assert!(
            GUIDE.contains(&format!("`{code}`")),
            "{code} is not explained"
        );
    }
}

/// Codes are written in the sources as literals with one dot.
#[test]
fn every_code_of_the_adapter_is_explained() {
    let sources = [
        include_str!("../../../app/src/admin/rules/reading.rs"),
        include_str!("../../src/admin/access_keys.rs"),
        include_str!("../../src/body.rs"),
        include_str!("../../src/fields.rs"),
        include_str!("../../src/fields/items.rs"),
        include_str!("../../src/internal/bulk.rs"),
        include_str!("../../src/internal/create.rs"),
        include_str!("../../src/json.rs"),
        include_str!("../../src/options.rs"),
        include_str!("../../src/problem.rs"),
        include_str!("../../src/problem/map.rs"),
        include_str!("../../src/query.rs"),
    ];
    let is_code = |text: &&str| {
        let part = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        text.split_once('.')
            .is_some_and(|(left, right)| part(left) && part(right))
    };
    // What any field can be is explained once for all of them.
    let is_general = |code: &&str| {
        [".invalid", ".too_precise"]
            .iter()
            .any(|end| code.ends_with(end))
    };
    let general = |code: &&str| is_general(code) && !GUIDE.contains(&format!("`{code}`"));
    let codes: Vec<&str> = sources
        .iter()
        .flat_map(|source| source.split('"'))
        .filter(is_code)
        .filter(|code| !general(code))
        .collect();
    assert!(
        codes.contains(&"json.malformed"),
        "no codes are found: {codes:?}"
    );
    for code in codes {
        assert!(
            GUIDE.contains(&format!("`{code}`")),
            "{code} is not explained"
        );
    }
}

#[test]
fn every_permission_that_opens_something_is_explained() {
    for permission in Permission::ALL {
        let name = permission.as_str();
        assert!(GUIDE.contains(&format!("| `{name}` |")), "{name}");
    }
}
