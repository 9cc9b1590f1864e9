//! Nothing happens without a permission: every use case takes a grant and holds it against what it
//! needs.

use super::{assert_none, in_src};

/// What may be called without one: what makes grants, what the process does by itself, what only asks
/// whether it works, and the rest of what a grant has opened.
const WITHOUT_GRANT: &[&str] = &[
    "App::ready",
    "App::authenticate_bearer",
    "App::authenticate_signed",
    "App::begin_credentials",
    "App::end_credentials",
    "App::standing",
    // Whoever has name, password and code, or a session's token, is the operator.
    "App::sign_in",
    // Whoever the identity provider vouches for is the operator with that identity.
    "App::begin_provider_sign_in",
    "App::end_provider_sign_in",
    "App::session",
    "App::sign_out",
    "App::settle_pending",
    "TransferExport::next_page",
    "EntryExport::next_page",
    "AuditExport::next_page",
    "App::claim_payouts",
    "App::pay_out",
    // Whoever has the gateway's secret is the gateway.
    "App::payout_result",
    "App::expire_due",
    "App::tell_expiring",
    "CallbackPass::enqueue",
    "CallbackPass::claim",
    "CallbackPass::release",
    "CallbackPass::figures",
    "CallbackPass::deliver",
    "IntegrityWatch::check_accounts",
    "IntegrityWatch::check_sums",
    "ResealPass::count",
    "ResealPass::missing_keys",
];

/// An async function, from its name to its end.
struct Function {
    name: String,
    is_public: bool,
    signature: String,
    body: String,
}

fn functions() -> Vec<Function> {
    let mut found = Vec::new();
    for source in in_src("crates/app/src/") {
        for part in source.code().split("\nimpl ").skip(1) {
            let (owner, rest) = part.split_once(' ').unwrap();
            let mut before = "";
            for text in rest.split("async fn ") {
                if let Some((name, _)) = text.split_once(['(', '<']) {
                    let (signature, body) = text.split_once('{').unwrap_or((text, ""));
                    found.push(Function {
                        name: format!("{owner}::{name}"),
                        is_public: before.ends_with("pub "),
                        signature: signature.to_owned(),
                        body: body.split("\n    }\n").next().unwrap_or(body).to_owned(),
                    });
                }
                before = text;
            }
        }
    }
    found
}

impl Function {
    /// What it does before anything else.
    fn first(&self) -> &str {
        self.body.split(';').next().unwrap_or_default()
    }

    fn requires(&self) -> bool {
        self.signature.contains("grant: &Grant") && self.first().contains("grant.require")
    }
}

#[test]
fn every_use_case_takes_a_grant_and_requires_it_first() {
    let all = functions();
    let hands_on = |function: &Function| {
        let (called, _) = function.first().split_once("(grant,").unwrap_or_default();
        let mut requiring = all.iter().filter(|one| one.requires());
        requiring
            .any(|one| Some(called.rsplit('.').next().unwrap()) == one.name.rsplit("::").next())
    };
    let is_use_case =
        |one: &&Function| one.is_public && !WITHOUT_GRANT.contains(&one.name.as_str());
    let use_cases: Vec<&Function> = all.iter().filter(is_use_case).collect();
    assert!(use_cases.len() > 20, "the use cases were not found");
    let violations: Vec<String> = use_cases
        .into_iter()
        .filter(|one| !one.requires() && !hands_on(one))
        .map(|one| format!("{} does something before it requires a grant", one.name))
        .collect();
    assert_none(
        "a public async function of app takes a Grant, and its first statement requires it, or \
         hands it on to one that does",
        &violations,
    );
}
