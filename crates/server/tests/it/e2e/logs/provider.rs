//! What goes to the identity provider and what comes from there: by the browser and beside it.

use bursar_testkit::{
    IdentityProviderServer,
    identity_provider::{CLIENT_ID, CLIENT_SECRET},
};
use data_encoding::BASE64;
use serde_json::json;
use url::{Url, form_urlencoded::byte_serialize};

use super::{
    super::{
        console::browser::{Browser, Page},
        eventually,
        process::run,
        service::environment,
    },
    Scene,
    planted::Planted,
};

const CALLBACK: &str = "/console/sign-in/provider/callback";
/// Nobody is sent there: the browser of these tests follows nothing by itself.
const REDIRECT: &str = "http://127.0.0.1:8080/console/sign-in/provider/callback";

/// What makes a service know this provider.
pub(super) fn settings(server: &IdentityProviderServer) -> [(&'static str, &str); 4] {
    [
        ("BURSAR_OIDC_ISSUER", server.issuer()),
        ("BURSAR_OIDC_CLIENT_ID", CLIENT_ID),
        ("BURSAR_OIDC_CLIENT_SECRET", CLIENT_SECRET),
        ("BURSAR_OIDC_REDIRECT_URL", REDIRECT),
    ]
}

pub(super) async fn plant(scene: &Scene, planted: &mut Planted) {
    plant_client(planted);
    link_an_operator(scene).await;
    eventually("the provider is known", async || {
        let page = begin(&mut Browser::of(&scene.service)).await;
        (page.status == 200).then_some(())
    })
    .await;
    bring_a_wrong_code(scene, planted).await;
    sign_in(scene, planted).await;
    be_answered_otherwise(scene, planted).await;
    bring_an_error(scene, planted).await;
    bring_what_was_not_begun(scene, planted).await;
}

/// The client's secret, as it is configured and in both forms that it travels in.
fn plant_client(planted: &mut Planted) {
    planted.secret("the client's secret", CLIENT_SECRET);
    let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let secret = escaped(CLIENT_SECRET);
    planted.secret("the client's secret in a form", &secret);
    let pair = format!("{}:{secret}", escaped(CLIENT_ID));
    let header = BASE64.encode(pair.as_bytes());
    planted.secret("the client's secret in a header", &header);
}

/// An operator who signs in there alone.
async fn link_an_operator(scene: &Scene) {
    let mut all = environment(scene.database.url());
    all.extend(settings(&scene.provider));
    let arguments = [
        "operator",
        "create",
        "bea",
        "--permission",
        "backoffice_read",
        "--subject",
        "subject-7",
    ];
    let made = run(&arguments, &all).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
}

/// Presses the button.
async fn begin(browser: &mut Browser) -> Page {
    let form = browser.get("/console/sign-in").await.is(200);
    let csrf = form.hidden("csrf");
    let fields = [("csrf", csrf.as_str())];
    browser.post("/console/sign-in/provider", &fields).await
}

/// Signs in at the provider; with which path the browser comes back.
async fn at_the_provider(scene: &Scene, planted: &mut Planted, browser: &mut Browser) -> String {
    let page = begin(browser).await.is(200);
    let begins = "http-equiv=\"refresh\" content=\"0; url=";
    let (_, rest) = page.text.split_once(begins).expect("it leads on");
    let location = rest.split('"').next().unwrap().replace("&amp;", "&");
    for (name, value) in Url::parse(&location).unwrap().query_pairs() {
        if ["state", "nonce", "code_challenge"].contains(&&*name) {
            planted.secret(&format!("the {name} of a sign-in"), &value);
        }
    }
    let kept = &browser.cookies["bursar_provider"];
    let seed = kept.split('.').next().unwrap();
    planted.secret("what a browser keeps during a sign-in", seed);
    let back = scene.provider.signed_in(&location);
    format!("{}?{}", back.path(), back.query().unwrap())
}

/// As browsers do that another site sends.
async fn come_back(browser: &mut Browser, path: &str) -> Page {
    let headers = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ];
    browser.get_with(path, &headers).await
}

/// A parameter of a path.
fn parameter<'p>(path: &'p str, name: &str) -> &'p str {
    let mut pairs = path.split(['?', '&']);
    let value = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name} in {path}"))
}

async fn bring_a_wrong_code(scene: &Scene, planted: &mut Planted) {
    let mut browser = Browser::of(&scene.service);
    let back = at_the_provider(scene, planted, &mut browser).await;
    let (code, wrong) = (parameter(&back, "code"), planted.canary("a wrong code"));
    planted.short_secret("a code of the provider", code);
    let back = back.replace(&format!("code={code}"), &format!("code={wrong}"));
    let page = come_back(&mut browser, &back).await.is(401);
    planted.assert_not_in("a page", &page.text);
}

/// Of the ID token that comes then the beginning is planted with the other JWTs.
async fn sign_in(scene: &Scene, planted: &mut Planted) {
    let email = planted.canary("the email in an ID token");
    let name = planted.canary("the name in an ID token");
    scene.provider.conduct(|conduct| {
        conduct.claims = json!({"email": format!("{email}@example.com"), "name": name});
    });
    let mut browser = Browser::of(&scene.service);
    let back = at_the_provider(scene, planted, &mut browser).await;
    planted.short_secret("a code that was good", parameter(&back, "code"));
    come_back(&mut browser, &back).await.is(200);
    assert!(browser.is_in().await);
    let session = &browser.cookies["bursar_session"];
    planted.secret("the cookie of a session that the provider opened", session);
}

/// What the provider says of a code, and which provider that was.
async fn be_answered_otherwise(scene: &Scene, planted: &mut Planted) {
    let tokens = json!({
        "access_token": planted.canary("an access token of the provider"),
        "refresh_token": planted.canary("a refresh token of the provider"),
        "id_token": planted.canary("an ID token that is none"),
        "token_type": "Bearer",
    });
    let grant = json!({
        "error": "invalid_grant",
        "error_description": planted.canary("why the provider takes no code"),
    });
    let trouble = planted.canary("what the provider says in trouble");
    for (status, answer, expected) in [
        (200, tokens.to_string(), 401),
        (400, grant.to_string(), 401),
        (500, trouble, 503),
    ] {
        let answer = Some((status, answer));
        scene
            .provider
            .conduct(|conduct| conduct.token_answer = answer);
        let mut browser = Browser::of(&scene.service);
        let back = at_the_provider(scene, planted, &mut browser).await;
        let page = come_back(&mut browser, &back).await.is(expected);
        planted.assert_not_in("a page", &page.text);
    }
    let issuer = planted.canary("another provider");
    scene.provider.conduct(|conduct| {
        conduct.token_answer = None;
        conduct.told_issuer = Some(issuer);
    });
    let mut browser = Browser::of(&scene.service);
    let back = at_the_provider(scene, planted, &mut browser).await;
    let page = come_back(&mut browser, &back).await.is(401);
    planted.assert_not_in("a page", &page.text);
}

/// An error of the provider by the browser. Its code may be logged, its description may not.
async fn bring_an_error(scene: &Scene, planted: &mut Planted) {
    for error in ["access_denied", "server_error"] {
        let mut browser = Browser::of(&scene.service);
        let back = at_the_provider(scene, planted, &mut browser).await;
        let code = format!("code={}", parameter(&back, "code"));
        let why = planted.canary(&format!("the description of {error}"));
        let error = format!("error={error}&error_description={why}");
        let page = come_back(&mut browser, &back.replace(&code, &error)).await;
        planted.assert_not_in("a page", &page.is(401).text);
    }
}

async fn bring_what_was_not_begun(scene: &Scene, planted: &mut Planted) {
    let code = planted.canary("a code that was not asked for");
    let state = planted.canary("a state that was not begun");
    let path = format!("{CALLBACK}?code={code}&state={state}");
    let page = come_back(&mut Browser::of(&scene.service), &path).await;
    planted.assert_not_in("a page", &page.is(403).text);
}
