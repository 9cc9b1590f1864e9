//! Signing in at an identity provider, as a browser meets it.

mod refusals;

use bursar_postgres::testing::TestDatabase;
use bursar_testkit::{
    IdentityProviderServer,
    identity_provider::{CLIENT_ID, CLIENT_SECRET},
};
use serde_json::{Value, json};

use super::{
    super::{
        client::Client,
        eventually,
        issuer::now,
        process::{Ended, run},
        service::{Service, create_token, environment},
    },
    READER, SESSION,
    browser::{Browser, Operator, Page},
    chromium::Chromium,
    pages::Looked,
};

const PROVIDER: &str = "bursar_provider";
const CALLBACK: &str = "/console/sign-in/provider/callback";
const BUTTON: &str = "Sign in with Example ID";

/// A service that knows a provider, which means Anna.
struct Scene {
    database: TestDatabase,
    server: IdentityProviderServer,
    service: Service,
    settings: Vec<(&'static str, String)>,
}

impl Scene {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(further: &[(&'static str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let clock = || i64::try_from(now()).unwrap();
        let server = IdentityProviderServer::start(clock).await;
        // A port that was free a moment ago: the provider sends browsers there.
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let own = |text: &str| text.to_owned();
        let mut settings = vec![
            ("BURSAR_LISTEN", format!("127.0.0.1:{port}")),
            ("BURSAR_OIDC_ISSUER", own(server.issuer())),
            ("BURSAR_OIDC_CLIENT_ID", own(CLIENT_ID)),
            ("BURSAR_OIDC_CLIENT_SECRET", own(CLIENT_SECRET)),
            ("BURSAR_OIDC_LABEL", own("Example ID")),
            (
                "BURSAR_OIDC_REDIRECT_URL",
                format!("http://127.0.0.1:{port}{CALLBACK}"),
            ),
        ];
        settings.extend(further.iter().map(|(name, value)| (*name, own(value))));
        let service = Service::start_with(database.url(), &borrowed(&settings)).await;
        let scene = Self {
            database,
            server,
            service,
            settings,
        };
        let made = [
            "create",
            "anna",
            "--permission",
            READER,
            "--subject",
            "subject-7",
        ];
        let made = scene.operator(&made).await;
        assert_eq!(made.stdout, "operator=anna\nsubject=subject-7");
        eventually("the provider is known", async || {
            let page = scene.begun(&mut scene.browser(), "").await;
            (page.status == 200).then_some(())
        })
        .await;
        scene
    }

    async fn operator(&self, arguments: &[&str]) -> Ended {
        let ended = self.try_operator(arguments).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    async fn try_operator(&self, arguments: &[&str]) -> Ended {
        let mut all = environment(self.database.url());
        all.extend(borrowed(&self.settings));
        run(&[&["operator"], arguments].concat(), &all).await
    }

    fn browser(&self) -> Browser {
        Browser::of(&self.service)
    }

    /// Presses the button.
    async fn begun(&self, browser: &mut Browser, next: &str) -> Page {
        let form = browser.get("/console/sign-in").await.is(200);
        let csrf = form.hidden("csrf");
        let fields = [("csrf", csrf.as_str()), ("next", next)];
        browser.post("/console/sign-in/provider", &fields).await
    }

    /// Signs in at the provider; with which path the browser comes back.
    async fn at_the_provider(&self, browser: &mut Browser, next: &str) -> String {
        let page = self.begun(browser, next).await.is(200);
        let back = self.server.signed_in(&leads_on_to(&page));
        format!("{}?{}", back.path(), back.query().unwrap())
    }

    async fn sign_in(&self, browser: &mut Browser) -> Page {
        let back = self.at_the_provider(browser, "").await;
        come_back(browser, &back).await
    }

    async fn audited(&self) -> Vec<Value> {
        let admin = create_token(self.database.url(), "auditor", "admin").await;
        let admin: Client = self.service.client().with(&admin);
        let told = admin.get("/admin/v1/audit?target=operator:anna").await.ok();
        told.json()["data"].as_array().unwrap().clone()
    }
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    let pairs = settings.iter();
    pairs.map(|(name, value)| (*name, value.as_str())).collect()
}

/// As browsers do that another site sends.
async fn come_back(browser: &mut Browser, path: &str) -> Page {
    let headers = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ];
    browser.get_with(path, &headers).await
}

/// Where a page leads by itself.
#[track_caller]
fn leads_on_to(page: &Page) -> String {
    let begin = "http-equiv=\"refresh\" content=\"0; url=";
    let (_, rest) = page.text.split_once(begin).expect("it leads on");
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

#[track_caller]
fn refused(page: Page, status: u16, words: &str) {
    let page = page.is(status);
    assert!(page.text.contains(words), "{words}: {}", page.text);
    assert!(!page.text.contains("http-equiv"), "{}", page.text);
    let cookies = page.cookies();
    assert!(
        !cookies.iter().any(|it| it.starts_with(SESSION)),
        "{cookies:?}"
    );
    // Whatever comes of it, nothing more can be ended with the same beginning.
    let forgotten = cookies.iter().find(|it| it.starts_with(PROVIDER)).unwrap();
    assert!(forgotten.contains("Max-Age=0"), "{forgotten}");
}

#[tokio::test]
async fn whom_the_provider_knows_signs_in_with_a_button() {
    let scene = Scene::new().await;
    let chromium = Chromium::start();
    let window = chromium.browser(&scene.service).await;
    let begin = "/console/sign-in?next=/console/sessions";
    let mut looked = Looked::new();
    for scheme in ["light", "dark"] {
        window.theme(scheme).await;
        looked.at(&window, begin, scheme).await;
    }
    looked.assert_nothing_wrong();
    window.sees(BUTTON).await;
    window.click("form.with-provider button").await;
    // Another site, with pages and forms of its own.
    window.click("#continue").await;
    window.find("header.bar").await;
    assert_eq!(window.path().await, "/console/sessions");
    window.sees("anna").await;
    let cookie = window.ask(&format!("/cookie/{SESSION}")).await;
    assert_eq!(
        (&cookie["sameSite"], &cookie["httpOnly"], &cookie["path"]),
        (&json!("Strict"), &json!(true), &json!("/console"))
    );
    // It is a session like any other.
    window.open("/console").await;
    window
        .click("header.bar form[action='/console/sign-out'] button")
        .await;
    window.sees(BUTTON).await;
    window.close().await;

    let rows = scene.audited().await;
    let actions: Vec<&str> = rows
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["operator.sign_out", "operator.sign_in", "operator.create"]
    );
    let entered = &rows[1];
    let session = entered["after"]["session"].as_str().unwrap();
    assert_eq!(entered["actor"], "anna");
    assert_eq!(entered["credential"], format!("session:{session}"));
    assert_eq!(
        entered["request_id"].as_str().unwrap().len(),
        32,
        "{entered}"
    );
    let identity = json!({"issuer": scene.server.issuer(), "subject": "subject-7"});
    assert_eq!(entered["after"]["identity"], identity);
    assert_eq!(rows[2]["after"]["identity"], identity);
    scene.service.stopped().await;
}

#[tokio::test]
async fn a_browser_keeps_what_it_began_with_for_ten_minutes() {
    let scene = Scene::with(&[("BURSAR_CONSOLE_SECURE_COOKIES", "false")]).await;
    let mut browser = scene.browser();
    let page = scene
        .begun(&mut browser, "/console/queue?x=1")
        .await
        .is(200);
    let cookies = page.cookies();
    let kept = cookies.iter().find(|it| it.starts_with(PROVIDER)).unwrap();
    assert!(
        kept.ends_with("; Path=/console; HttpOnly; SameSite=Lax; Max-Age=600"),
        "{kept}"
    );
    assert_eq!(page.header("cache-control"), "no-store");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action 'self';"), "{policy}");
    let location = leads_on_to(&page);
    let back = scene.server.signed_in(&location);
    let back = format!("{}?{}", back.path(), back.query().unwrap());
    let page = come_back(&mut browser, &back).await.is(200);
    assert_eq!(leads_on_to(&page), "/console/queue?x=1");
    let cookies = page.cookies();
    let set = cookies.iter().find(|it| it.starts_with(SESSION)).unwrap();
    assert!(
        set.ends_with("; Path=/console; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    assert!(browser.is_in().await);
    // Nothing is left to be sent again.
    refused(come_back(&mut browser, &back).await, 403, "was not begun");
    // What the browser keeps leads nowhere but to pages of the console.
    let mut other = scene.browser();
    let page = scene
        .begun(&mut other, "https://evil.example/console")
        .await;
    let back = scene.server.signed_in(&leads_on_to(&page));
    let back = format!("{}?{}", back.path(), back.query().unwrap());
    let page = come_back(&mut other, &back).await.is(200);
    assert_eq!(leads_on_to(&page), "/console");
    scene.service.stopped().await;
}

#[tokio::test]
async fn whoever_is_disabled_or_unlinked_is_out() {
    let scene = Scene::new().await;
    let mut browser = scene.browser();
    scene.sign_in(&mut browser).await.is(200);
    assert!(browser.is_in().await);
    scene.operator(&["disable", "anna"]).await;
    assert!(!browser.is_in().await);
    // In the words of a wrong password.
    refused(
        scene.sign_in(&mut browser).await,
        401,
        "That was not accepted.",
    );
    scene.operator(&["enable", "anna"]).await;
    scene.sign_in(&mut browser).await.is(200);
    let listed = scene.operator(&["list"]).await;
    assert_eq!(
        listed.stdout,
        format!("anna active {READER} subject=subject-7")
    );
    let unlinked = scene.operator(&["unlink", "anna"]).await;
    assert_eq!(unlinked.stdout, "unlinked: anna");
    assert!(!browser.is_in().await);
    refused(
        scene.sign_in(&mut browser).await,
        403,
        "which operator you are",
    );
    scene
        .operator(&["link", "anna", "--subject", "subject-7"])
        .await;
    scene.sign_in(&mut browser).await.is(200);
    let rows = scene.audited().await;
    let actions: Vec<&str> = rows
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "operator.sign_in",
            "operator.link",
            "operator.unlink",
            "operator.sign_in",
            "operator.enable",
            "operator.sign_in_failed",
            "operator.disable",
            "operator.sign_in",
            "operator.create"
        ]
    );
    assert_eq!(rows[5]["credential"], "identity_provider");
    assert_eq!(rows[5]["actor"], "not signed in");
    scene.service.stopped().await;
}

#[tokio::test]
async fn where_passwords_open_nothing_the_button_does() {
    let scene = Scene::with(&[("BURSAR_CONSOLE_PASSWORD_SIGN_IN", "false")]).await;
    let ben = Operator::create(scene.database.url(), "ben", READER).await;
    let mut browser = scene.browser();
    let form = browser.get("/console/sign-in").await.is(200);
    assert!(form.text.contains(BUTTON) && !form.text.contains("type=\"password\""));
    let csrf = form.hidden("csrf");
    let code = ben.code();
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "ben"),
        ("password", &ben.password),
        ("code", &code),
    ];
    let page = browser.post("/console/sign-in", &fields).await.is(403);
    assert!(
        page.text.contains("Passwords open nothing here."),
        "{}",
        page.text
    );
    assert!(!browser.is_in().await);
    scene.sign_in(&mut browser).await.is(200);
    assert!(browser.is_in().await);
    scene.service.stopped().await;
}

#[tokio::test]
async fn a_provider_that_is_away_keeps_nobody_else_out() {
    let database = TestDatabase::create().await;
    let away = [
        ("BURSAR_OIDC_ISSUER", "http://127.0.0.1:9"),
        ("BURSAR_OIDC_CLIENT_ID", CLIENT_ID),
        ("BURSAR_OIDC_CLIENT_SECRET", CLIENT_SECRET),
        (
            "BURSAR_OIDC_REDIRECT_URL",
            "http://127.0.0.1:8080/console/sign-in/provider/callback",
        ),
    ];
    let service = Service::start_with(database.url(), &away).await;
    let anna = Operator::create(database.url(), "anna", READER).await;
    let mut browser = Browser::of(&service);
    let form = browser.get("/console/sign-in").await.is(200);
    assert!(
        form.text.contains("Sign in with 127.0.0.1"),
        "{}",
        form.text
    );
    let csrf = form.hidden("csrf");
    let fields = [("csrf", csrf.as_str())];
    let page = browser
        .post("/console/sign-in/provider", &fields)
        .await
        .is(503);
    assert!(page.text.contains("does not answer"), "{}", page.text);
    browser.sign_in(&anna).await;
    assert!(browser.is_in().await);
    let log = service.stopped().await.stderr;
    assert!(
        log.contains("what the identity provider says about itself was not renewed"),
        "{log}"
    );
}

#[tokio::test]
async fn without_a_provider_there_is_no_such_page() {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let mut browser = Browser::of(&service);
    let form = browser.get("/console/sign-in").await.is(200);
    assert!(!form.text.contains("Sign in with"), "{}", form.text);
    let csrf = form.hidden("csrf");
    let fields = [("csrf", csrf.as_str())];
    browser
        .post("/console/sign-in/provider", &fields)
        .await
        .is(404);
    browser.get(CALLBACK).await.is(404);
    let made = [
        "operator",
        "create",
        "anna",
        "--permission",
        READER,
        "--subject",
        "7",
    ];
    let made = run(&made, &environment(database.url())).await;
    assert!(
        made.stderr
            .contains("subject: there is no identity provider"),
        "{}",
        made.stderr
    );
    service.stopped().await;
}
