//! What a browser sends to the console, and what it is given there.

use super::{
    super::console::browser::{Browser, Operator},
    Scene,
    credentials::ID,
    planted::Planted,
};

const PERMISSIONS: &str = "backoffice_read,backoffice_write,admin";
const SESSION: &str = "bursar_session";
const FORM: &str = "bursar_form";

/// Pages with something in the place of the star, and their statuses.
const PAGES: [(&str, &str, u16); 10] = [
    (
        "a search of the console for transfers",
        "/console/transfers?q=*",
        200,
    ),
    (
        "a search that the console writes as CSV",
        "/console/transfers.csv?q=*",
        200,
    ),
    (
        "a search of the console for users",
        "/console/users?q=*",
        200,
    ),
    (
        "an actor whom the console looks for",
        "/console/audit?actor=*",
        200,
    ),
    (
        "a target that the console looks for",
        "/console/audit?target=*",
        200,
    ),
    (
        "a search of the console for assets",
        "/console/rules?asset=*",
        200,
    ),
    (
        "a user whom the console cannot look for",
        "/console/transfers?user=*",
        400,
    ),
    (
        "a filter that the console cannot write as CSV",
        "/console/transfers.csv?from=*",
        400,
    ),
    ("a page that the console does not have", "/console/*", 404),
    (
        "a user whom the console does not have",
        "/console/users/*",
        404,
    ),
];

pub(super) async fn plant(scene: &Scene, planted: &mut Planted) {
    let anna = Operator::create(scene.database.url(), "anna", PERMISSIONS).await;
    planted.secret("the password of an operator", &anna.password);
    let codes = anna.totp.to_base32();
    planted.secret("what an operator's codes are made from", &codes);
    be_kept_out(scene, planted).await;
    let mut browser = sign_in(scene, planted, &anna).await;
    look_up(planted, &mut browser).await;
    act(scene, planted, &mut browser).await;
    take_back(scene, planted, &mut browser).await;
    send_a_foreign_form(planted, &mut browser).await;
    let csrf = token(&mut browser).await;
    let fields = [("csrf", csrf.as_str())];
    let page = browser.post("/console/sign-out", &fields).await;
    page.leads_to("/console/sign-in");
}

/// What every form of this session carries.
async fn token(browser: &mut Browser) -> String {
    let page = browser.get("/console/sessions").await.is(200);
    page.hidden("csrf")
}

/// Names, passwords, codes, cookies and forms that open nothing.
async fn be_kept_out(scene: &Scene, planted: &mut Planted) {
    let stranger = planted.canary("the name of somebody who is no operator");
    for (who, name) in [("a stranger", stranger.as_str()), ("anna", "anna")] {
        let password = planted.canary(&format!("a wrong password of {who}"));
        let code = planted.canary(&format!("a wrong code of {who}"));
        let mut browser = Browser::of(&scene.service);
        let page = browser.try_sign_in(name, &password, &code).await.is(401);
        // The name stands in the form again.
        for typed in [password, code] {
            assert!(!page.text.contains(&typed), "{}", page.text);
        }
    }
    let token = planted.canary("the cookie of a session that is none");
    let cookie = format!("{SESSION}={token}");
    let headers = [("cookie", cookie.as_str())];
    let mut browser = Browser::of(&scene.service);
    let page = browser.get_with("/console/sessions", &headers).await;
    page.is(303);
    let csrf = planted.canary("the token of a sign-in form that is none");
    let password = planted.canary("the password in a form that is none");
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "anna"),
        ("password", &password),
        ("code", "000000"),
    ];
    let page = browser.post("/console/sign-in", &fields).await.is(403);
    planted.assert_not_in("a page", &page.text);
}

/// Signs in with everything that is good, on the way to a page.
async fn sign_in(scene: &Scene, planted: &mut Planted, anna: &Operator) -> Browser {
    let mut browser = Browser::of(&scene.service);
    let search = planted.canary("the page that a sign-in leads to");
    let next = format!("/console/transfers?q={search}");
    browser.get(&next).await.is(303);
    let form = browser.get("/console/sign-in").await.is(200);
    let csrf = form.hidden("csrf");
    planted.secret("the token of a sign-in form", &csrf);
    planted.secret("the cookie of a sign-in form", &browser.cookies[FORM]);
    let code = anna.code();
    planted.short_secret("a code of an operator", &code);
    let fields = [
        ("csrf", csrf.as_str()),
        ("next", &next),
        ("name", "anna"),
        ("password", &anna.password),
        ("code", &code),
    ];
    let agent = planted.canary("what a browser calls itself");
    let headers = [("user-agent", agent.as_str())];
    let page = browser.post_with("/console/sign-in", &fields, &headers);
    page.await.leads_to(&next);
    planted.secret("the cookie of a session", &browser.cookies[SESSION]);
    let page = browser.get("/console/sessions").await.is(200);
    assert!(page.text.contains(&agent), "{}", page.text);
    planted.secret("the token of a session's forms", &page.hidden("csrf"));
    browser
}

async fn look_up(planted: &mut Planted, browser: &mut Browser) {
    for (place, path, status) in PAGES {
        let path = path.replace('*', &planted.canary(place));
        browser.get(&path).await.is(status);
    }
}

/// Freezes a user, stops an asset, and says how pages are to look.
async fn act(scene: &Scene, planted: &mut Planted, browser: &mut Browser) {
    let csrf = token(browser).await;
    let reason = planted.canary("why a user is frozen");
    let fields = [
        ("csrf", csrf.as_str()),
        ("was", "Active"),
        ("status", "Frozen"),
        ("reason", &reason),
    ];
    let user = format!("/console/users/{ID}");
    let page = browser.post(&format!("{user}/status"), &fields).await;
    page.leads_to(&user);

    let reason = planted.canary("why an asset is stopped at the console");
    let fields = [
        ("csrf", csrf.as_str()),
        ("scope", "eth"),
        ("reason", &reason),
    ];
    let page = browser.post("/console/rules/stop", &fields).await;
    page.leads_to("/console/rules");
    let page = browser.get("/console/rules").await.is(200);
    assert!(page.text.contains(&reason), "{}", page.text);
    let lifted = scene.admin().delete("/admin/v1/stops/outgoing/eth").await;
    assert_eq!(lifted.status, 204);

    let theme = planted.canary("a theme that there is not");
    let search = planted.canary("the page that settings lead back to");
    let back = format!("/console/transfers?q={search}");
    let fields = [("csrf", csrf.as_str()), ("theme", &theme), ("back", &back)];
    let page = browser.post("/console/settings", &fields).await;
    page.leads_to(&back);
}

/// Takes a part of a deposit back, with an amount that is none first.
async fn take_back(scene: &Scene, planted: &mut Planted, browser: &mut Browser) {
    let path = format!("/console/transfers/{}", scene.deposit().await);
    let page = browser.get(&path).await.is(200);
    let (csrf, digest, once) = (
        page.hidden("csrf"),
        page.hidden("digest"),
        page.hidden("once"),
    );
    let amount = planted.canary("an amount of the console that is none");
    for (amount, status) in [(amount.as_str(), 400), ("0.05", 303)] {
        let of = format!("the comment of a reversal at the console, answered {status}");
        let comment = planted.canary(&of);
        let fields = [
            ("csrf", csrf.as_str()),
            ("digest", &digest),
            ("once", &once),
            ("amount", amount),
            ("comment", &comment),
        ];
        let page = browser.post(&format!("{path}/reverse"), &fields).await;
        page.is(status);
    }
}

async fn send_a_foreign_form(planted: &mut Planted, browser: &mut Browser) {
    let csrf = planted.canary("the token of a form that is none");
    let reason = planted.canary("the reason in a form that is none");
    let fields = [
        ("csrf", csrf.as_str()),
        ("scope", "eth"),
        ("reason", &reason),
    ];
    let page = browser.post("/console/rules/stop", &fields).await.is(403);
    planted.assert_not_in("a page", &page.text);
}
