//! The console's sign-in and sessions, as a browser and as an attacker meets them.

mod at_work;
pub(super) mod browser;
mod chromium;
mod colleagues;
mod details;
mod listening;
mod pages;
mod provider;

use bursar_postgres::testing::TestDatabase;
use serde_json::json;

use self::browser::{Browser, Operator, Page, operator};
use super::{books::Books, exchange::Exchange, service::Service};

const SESSION: &str = "bursar_session";
const READER: &str = "backoffice_read";

/// A database with an operator, and a service on it.
struct Scene {
    database: TestDatabase,
    service: Service,
    anna: Operator,
}

impl Scene {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let service = Service::start_with(database.url(), settings).await;
        let anna = Operator::create(database.url(), "anna", READER).await;
        Self {
            database,
            service,
            anna,
        }
    }

    fn browser(&self) -> Browser {
        Browser::of(&self.service)
    }

    /// A browser in which Anna has signed in.
    async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        browser.sign_in(&self.anna).await;
        browser
    }

    /// Changes what is kept, as time does.
    async fn set(&self, table: &str, change: &str) {
        let books = Books::of(self.database.url());
        books
            .tampered(&format!("UPDATE directory.{table} SET {change}"))
            .await;
    }

    async fn operator(&self, arguments: &[&str]) {
        let ended = operator(self.database.url(), arguments).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

#[track_caller]
fn refused(page: Page) {
    let page = page.is(401);
    assert!(
        page.text.contains("That was not accepted."),
        "{}",
        page.text
    );
    let cookies = page.cookies();
    assert!(
        !cookies.iter().any(|it| it.starts_with(SESSION)),
        "{cookies:?}"
    );
}

#[tokio::test]
async fn an_operator_signs_in_and_out() {
    let scene = Scene::new().await;
    let mut browser = scene.browser();
    let asked = browser.get("/console/sessions?x=1").await;
    asked.leads_to("/console/sign-in?next=%2Fconsole%2Fsessions%3Fx%3D1");
    let form = browser
        .get("/console/sign-in?next=%2Fconsole%2Fsessions%3Fx%3D1")
        .await
        .is(200);
    let (csrf, next) = (form.hidden("csrf"), form.hidden("next"));
    let before = browser.cookies.clone();
    let code = scene.anna.code();
    let fields = [
        ("csrf", csrf.as_str()),
        ("next", &next),
        ("name", "Anna"),
        ("password", &scene.anna.password),
        ("code", &code),
    ];
    let page = browser.post("/console/sign-in", &fields).await;
    let page = page.leads_to("/console/sessions?x=1");
    let cookies = page.cookies();
    let set = cookies.iter().find(|it| it.starts_with(SESSION)).unwrap();
    assert!(
        set.ends_with("; Path=/console; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    assert!(!set.contains("Max-Age") && !set.contains("Secure"), "{set}");
    assert!(!before.contains_key(SESSION) && browser.is_in().await);

    let page = browser.get("/console/sessions").await.is(200);
    assert!(page.text.contains("anna") && page.text.contains("127.0.0.1"));
    // Who is in needs no form.
    let form = browser.get("/console/sign-in?next=/console/sessions").await;
    form.leads_to("/console/sessions");
    let old = browser.clone();
    let csrf = page.hidden("csrf");
    let out = [("csrf", csrf.as_str())];
    let page = browser.post("/console/sign-out", &out).await;
    page.leads_to("/console/sign-in");
    assert!(!browser.is_in().await && !browser.cookies.contains_key(SESSION));
    // Whoever kept the cookie has nothing.
    assert!(!old.clone().is_in().await);
    scene.service.stopped().await;
}

#[tokio::test]
async fn what_is_wrong_opens_nothing_and_the_answer_is_one() {
    let scene = Scene::new().await;
    let (anna, mut browser) = (&scene.anna, scene.browser());
    let mut pages = vec![];
    for (name, password, code) in [
        ("anna", "wrong", anna.code()),
        ("anna", anna.password.as_str(), "000000".to_owned()),
        ("nobody", &anna.password, anna.code()),
    ] {
        let page = browser.try_sign_in(name, password, &code).await.is(401);
        let page_text = page.text.replace(name, "NAME");
        refused(page);
        pages.push(page_text);
    }
    assert!(pages.windows(2).all(|two| two[0] == two[1]));
    // What was typed as a name is shown as text.
    let page = browser.try_sign_in("\"><script>", "x", "0").await.is(401);
    assert!(page.text.contains("&quot;&gt;&lt;script&gt;") && !page.text.contains("\"><script>"));
    let long = "x".repeat(70_000);
    let page = browser.try_sign_in("anna", &long, "0").await;
    page.is(413);
    assert!(!browser.is_in().await);
    scene.service.stopped().await;
}

#[tokio::test]
async fn a_code_opens_one_session() {
    let scene = Scene::new().await;
    let (anna, mut browser) = (&scene.anna, scene.browser());
    let code = anna.code();
    let page = browser.try_sign_in("anna", &anna.password, &code).await;
    page.leads_to("/console");
    let mut other = scene.browser();
    refused(other.try_sign_in("anna", &anna.password, &code).await);
    let next = anna.next_code();
    let page = other.try_sign_in("anna", &anna.password, &next).await;
    page.leads_to("/console");
    assert_ne!(browser.cookies[SESSION], other.cookies[SESSION]);
    scene.service.stopped().await;
}

#[tokio::test]
async fn after_failures_nothing_is_accepted_for_a_while() {
    let scene = Scene::new().await;
    let (anna, mut browser) = (&scene.anna, scene.browser());
    for _ in 0..5 {
        refused(browser.try_sign_in("anna", "wrong", "000000").await);
    }
    let code = anna.code();
    refused(browser.try_sign_in("anna", &anna.password, &code).await);
    scene.operator(&["enable", "anna"]).await;
    browser.sign_in(anna).await;
    // Many tries from one address are too many, whomever they are about.
    let tries = (0..21).map(async |_| {
        let mut stranger = scene.browser();
        stranger.try_sign_in("nobody", "x", "0").await
    });
    let pages = futures_util::future::join_all(tries).await;
    let (limited, judged): (Vec<Page>, Vec<Page>) =
        pages.into_iter().partition(|page| page.status == 429);
    assert!(!limited.is_empty());
    for page in limited {
        let wait: u32 = page.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    for page in judged {
        refused(page);
    }
    assert!(browser.is_in().await, "who is in stays in");
    scene.service.stopped().await;
}

#[tokio::test]
async fn sessions_end_when_left_alone_and_when_they_are_old() {
    let scene = Scene::with(&[
        ("BURSAR_CONSOLE_IDLE_S", "600"),
        ("BURSAR_CONSOLE_SESSION_S", "3600"),
    ])
    .await;
    let mut browser = scene.signed_in().await;
    let table = "operator_sessions";
    let ago = |seconds| format!("last_seen_at = now() - interval '{seconds} s'");
    scene.set(table, &ago(570)).await;
    // Being used is what keeps it.
    assert!(browser.is_in().await && browser.is_in().await);
    scene.set(table, &ago(601)).await;
    assert!(!browser.is_in().await);
    scene.set(table, &ago(1)).await;
    assert!(browser.is_in().await);
    let books = Books::of(scene.database.url());
    let lifetime = "SELECT extract(epoch FROM expires_at - created_at)::bigint \
                    FROM directory.operator_sessions";
    assert_eq!(books.number(lifetime).await, 3_600);
    scene.set(table, "expires_at = now()").await;
    assert!(!browser.is_in().await);
    scene.service.stopped().await;
}

#[tokio::test]
async fn a_session_is_ended_from_another() {
    let scene = Scene::new().await;
    let mut here = scene.signed_in().await;
    let mut there = scene.browser();
    let next = scene.anna.next_code();
    let page = there.try_sign_in("anna", &scene.anna.password, &next).await;
    page.leads_to("/console");
    let page = here.get("/console/sessions").await.is(200);
    assert_eq!(page.text.matches("name=\"id\"").count(), 2);
    // The newest stands first.
    let (csrf, id) = (page.hidden("csrf"), page.hidden("id"));
    let fields = [("csrf", csrf.as_str()), ("id", id.as_str())];
    let ended = here.post("/console/sessions/end", &fields).await;
    ended.leads_to("/console/sessions");
    assert!(!there.is_in().await && here.is_in().await);
    let page = here.get("/console/sessions").await.is(200);
    let id = page.hidden("id");
    let fields = [("csrf", csrf.as_str()), ("id", id.as_str())];
    let ended = here.post("/console/sessions/end", &fields).await;
    ended.leads_to("/console/sign-in");
    assert!(!here.is_in().await);
    scene.service.stopped().await;
}

#[tokio::test]
async fn a_made_up_cookie_is_nobody() {
    let scene = Scene::new().await;
    let browser = scene.signed_in().await;
    let token = browser.cookies[SESSION].clone();
    let turned: String = token.chars().rev().collect();
    let hash = {
        let books = Books::of(scene.database.url());
        let rows = books.rows("SELECT encode(token_hash, 'hex') FROM directory.operator_sessions");
        rows.await[0][0].clone()
    };
    for forged in [
        turned.as_str(),
        "",
        "x",
        "bur_x",
        &hash,
        &format!("{token}x"),
        &token[1..],
        &format!("{token}; {SESSION}={token}"),
    ] {
        let mut forger = scene.browser();
        let cookies = [("cookie", &*format!("{SESSION}={forged}"))];
        let page = forger.get_with("/console/sessions", &cookies).await;
        page.is(303);
    }
    // A session is no credential of the APIs, nor a token one of the console.
    let client = scene.service.client().with(&token);
    let page = client.get("/admin/v1/assets").await;
    page.refused(401, "token.invalid");
    let exchange = Exchange::open(scene.database.url(), &scene.service.client(), 0).await;
    let mut holder = scene.browser();
    let bearer = format!("Bearer {}", exchange.admin);
    let bearer = [("authorization", bearer.as_str())];
    let page = holder.get_with("/console/sessions", &bearer).await;
    page.is(303);
    scene.service.stopped().await;
}

#[tokio::test]
async fn forms_that_are_not_from_the_session_do_nothing() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in().await;
    let mut other = scene.browser();
    let next = scene.anna.next_code();
    let page = other.try_sign_in("anna", &scene.anna.password, &next).await;
    page.leads_to("/console");
    let foreign = other.get("/console/sessions").await.hidden("csrf");
    for csrf in ["", "x", &foreign, &browser.cookies[SESSION].clone()] {
        let page = browser.post("/console/sign-out", &[("csrf", csrf)]).await;
        page.is(403);
    }
    browser.post("/console/sign-out", &[]).await.is(403);
    let csrf = browser.get("/console/sessions").await.hidden("csrf");
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let (fields, headers) = ([("csrf", csrf.as_str())], [header]);
        let page = browser.post_with("/console/sign-out", &fields, &headers);
        page.await.is(403);
    }
    // What is asked for by a link does nothing.
    browser.get("/console/sign-out").await;
    assert!(browser.is_in().await);
    // Without a session no form is looked at.
    let mut nobody = scene.browser();
    let fields = [("csrf", csrf.as_str())];
    let page = nobody.post("/console/sign-out", &fields).await;
    page.is(401);
    scene.service.stopped().await;
}

#[tokio::test]
async fn a_sign_in_form_is_good_in_the_browser_it_was_made_for() {
    let scene = Scene::new().await;
    let mut attacker = scene.browser();
    let csrf = attacker
        .get("/console/sign-in")
        .await
        .is(200)
        .hidden("csrf");
    let code = scene.anna.code();
    let fields = |csrf| {
        [
            ("csrf", csrf),
            ("name", "anna"),
            ("password", scene.anna.password.as_str()),
            ("code", code.as_str()),
        ]
    };
    let mut victim = scene.browser();
    let page = victim
        .post("/console/sign-in", &fields(csrf.as_str()))
        .await;
    assert!(page.is(403).text.contains("out of date"));
    let own = victim.get("/console/sign-in").await.hidden("csrf");
    for csrf in ["", csrf.as_str()] {
        let page = victim.post("/console/sign-in", &fields(csrf)).await;
        page.is(403);
    }
    let elsewhere = [("sec-fetch-site", "cross-site")];
    let sent = fields(own.as_str());
    let page = victim.post_with("/console/sign-in", &sent, &elsewhere);
    page.await.is(403);
    assert!(!victim.cookies.contains_key(SESSION));
    // None of this was a try.
    let page = victim.post("/console/sign-in", &fields(own.as_str())).await;
    page.leads_to("/console");
    scene.service.stopped().await;
}

#[tokio::test]
async fn nobody_is_led_to_another_site() {
    let scene = Scene::new().await;
    let mut browser = scene.browser();
    for next in [
        "https://evil.example/console",
        "//evil.example/console",
        "/console\\@evil.example",
        "/admin/v1/users",
    ] {
        let path = format!("/console/sign-in?next={next}");
        let form = browser.get(&path).await.is(200);
        assert!(!form.text.contains("name=\"next\""), "{next}");
    }
    let csrf = browser.get("/console/sign-in").await.hidden("csrf");
    let code = scene.anna.code();
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "anna"),
        ("password", &scene.anna.password),
        ("code", &code),
        ("next", "https://evil.example/"),
    ];
    let page = browser.post("/console/sign-in", &fields).await;
    page.leads_to("/console");
    scene.service.stopped().await;
}

#[tokio::test]
async fn every_answer_says_what_browsers_must_not_do() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in().await;
    let mut nobody = scene.browser();
    let style = {
        let page = browser.get("/console/sessions").await.is(200);
        let (_, rest) = page.text.split_once("/console/assets/console.css").unwrap();
        let query = rest.split('"').next().unwrap();
        format!("/console/assets/console.css{query}")
    };
    for (path, is_kept) in [
        ("/console/sessions", false),
        ("/console/sign-in", false),
        ("/console/no-such-page", false),
        (style.as_str(), true),
    ] {
        for browser in [&mut browser, &mut nobody] {
            let page = browser.get(path).await;
            let policy = page.header("content-security-policy");
            assert_eq!(
                policy,
                "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                 connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
                "{path}"
            );
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(page.header(name), value, "{path}");
            }
            assert!(page.header("permissions-policy").contains("camera=()"));
            assert!(!page.header("x-request-id").is_empty(), "{path}");
            let kept = page.header("cache-control");
            let expected = if is_kept {
                "public, max-age=31536000, immutable"
            } else {
                "no-store"
            };
            assert_eq!(kept, expected, "{path}");
            // Nothing inline, nothing from elsewhere.
            for inline in [
                "<style",
                " style=",
                " onclick=",
                "javascript:",
                "src=\"http",
            ] {
                assert!(!page.text.contains(inline) || is_kept, "{path}: {inline}");
            }
        }
    }
    scene.service.stopped().await;
}

#[tokio::test]
async fn over_tls_cookies_belong_to_this_host_alone() {
    let scene = Scene::with(&[("BURSAR_CONSOLE_SECURE_COOKIES", "true")]).await;
    let mut browser = scene.browser();
    let form = browser.get("/console/sign-in").await.is(200);
    let csrf = form.hidden("csrf");
    let code = scene.anna.code();
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "anna"),
        ("password", &scene.anna.password),
        ("code", &code),
    ];
    let page = browser.post("/console/sign-in", &fields).await;
    let page = page.leads_to("/console");
    for cookie in form.cookies().into_iter().chain(page.cookies()) {
        assert!(cookie.starts_with("__Host-bursar_"), "{cookie}");
        for flag in ["; Path=/;", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
            assert!(cookie.contains(flag), "{cookie}");
        }
    }
    assert!(browser.is_in().await);
    // A cookie that a page over plain http could have set is none.
    let token = browser.cookies[&format!("__Host-{SESSION}")].clone();
    let plain = format!("{SESSION}={token}");
    let page = scene
        .browser()
        .get_with("/console/sessions", &[("cookie", &plain)])
        .await;
    page.is(303);
    scene.service.stopped().await;
}

#[tokio::test]
async fn whoever_is_disabled_is_thrown_out_at_once() {
    let scene = Scene::new().await;
    let (anna, mut browser) = (&scene.anna, scene.signed_in().await);
    scene.operator(&["disable", "anna"]).await;
    assert!(!browser.is_in().await);
    let next = anna.next_code();
    refused(browser.try_sign_in("anna", &anna.password, &next).await);
    scene.operator(&["enable", "anna"]).await;
    assert!(!browser.is_in().await);
    let page = browser.try_sign_in("anna", &anna.password, &next).await;
    page.leads_to("/console");
    scene.operator(&["reset-password", "anna"]).await;
    assert!(!browser.is_in().await);
    scene.service.stopped().await;
}

#[tokio::test]
async fn what_operators_do_at_the_door_is_in_the_audit_log() {
    let scene = Scene::new().await;
    let exchange = Exchange::open(scene.database.url(), &scene.service.client(), 0).await;
    let mut browser = scene.browser();
    refused(browser.try_sign_in("anna", "wrong", "000000").await);
    browser.sign_in(&scene.anna).await;
    let csrf = browser.get("/console/sessions").await.hidden("csrf");
    let out = [("csrf", csrf.as_str())];
    let sent = [("x-request-id", "the-way-out")];
    let page = browser.post_with("/console/sign-out", &out, &sent).await;
    page.leads_to("/console/sign-in");
    let admin = scene.service.client().with(&exchange.admin);
    let told = admin.get("/admin/v1/audit?target=operator:anna").await.ok();
    let rows = told.json()["data"].as_array().unwrap().clone();
    let actions: Vec<&str> = rows
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "operator.sign_out",
            "operator.sign_in",
            "operator.sign_in_failed",
            "operator.create"
        ]
    );
    let out = &rows[0];
    assert_eq!(out["actor"], "anna");
    assert_eq!(out["request_id"], "the-way-out");
    assert_eq!(out["address"], "127.0.0.1");
    let session = out["before"]["session"].as_str().unwrap();
    assert_eq!(out["credential"], format!("session:{session}"));
    assert_eq!(rows[2]["actor"], "not signed in");
    assert_eq!(rows[3]["after"]["permissions"], json!([READER]));
    for secret in [&scene.anna.password, &scene.anna.totp.to_base32()] {
        assert!(!told.text.contains(secret) && !scene.service.log().contains(secret));
    }
    let metrics = scene.service.client().get("/metrics").await.text;
    for line in [
        "bursar_console_sign_ins_total{outcome=\"opened\"} 1",
        "bursar_console_sign_ins_total{outcome=\"refused\"} 1",
        "route=\"/console/sign-in\"",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    scene.service.stopped().await;
}

#[tokio::test]
async fn a_console_that_is_not_wanted_is_not_there() {
    let scene = Scene::with(&[("BURSAR_CONSOLE_ENABLED", "false")]).await;
    for path in [
        "/console",
        "/console/sign-in",
        "/console/assets/console.css",
    ] {
        let answer = scene.service.client().get(path).await;
        answer.refused(404, "route.unknown");
    }
    scene.service.stopped().await;
}

#[tokio::test]
async fn the_command_line_says_what_is_wrong_and_lists_who_is_there() {
    let database = TestDatabase::create().await;
    let url = database.url();
    Operator::create(url, "anna", "backoffice_read,backoffice_approve").await;
    Operator::create(url, "bert@example.com", "admin").await;
    for (arguments, said) in [
        (
            &["create", "anna", "--permission", "admin"][..],
            "name: another operator",
        ),
        (
            &["create", "Anna", "--permission", "admin"],
            "name: a name is 1 to 64",
        ),
        (
            &["create", "carl", "--permission", "allow_balance"],
            "permissions: an operator has",
        ),
        (
            &[
                "create",
                "carl",
                "--permission",
                "admin",
                "--password-stdin",
            ],
            "--password-stdin: standard input has no line",
        ),
        (&["disable", "nobody"], "name: there is no operator"),
    ] {
        let ended = operator(url, arguments).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    let disabled = operator(url, &["disable", "anna"]).await;
    assert_eq!(disabled.stdout, "disabled: anna");
    let listed = operator(url, &["list"]).await;
    assert_eq!(
        listed.stdout,
        "anna disabled backoffice_read,backoffice_approve\nbert@example.com active admin"
    );
}
